"""Reasons that workers give are codes, and pages have words for every one of them."""

import ast
from pathlib import Path

from flask import Flask
from flask_babel import Babel

from rules.intake import Note, Trouble
from server import words

ROOT = Path(__file__).parents[2]
# Calls whose argument at this place is a code.
PLACES = {"Refused": 0, "ChildFailed": 0, "Unusable": 0, "_give_up": 0}


def codes() -> set[str]:
    """Collect the codes that stand in the workers' source as plain text."""
    found = {"workers_died", "manifest_damaged", *Trouble}
    for path in (ROOT / "workers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = getattr(node, "func", None)
            name = getattr(called, "id", "") or getattr(called, "attr", "")
            if name in PLACES and len(node.args) > PLACES[name]:
                argument = node.args[PLACES[name]]
                found |= {one.value for one in ast.walk(argument) if isinstance(one, ast.Constant)}
    return found


def test_every_reason_has_words():
    """No page shows a code: each is a sentence that says what happened."""
    app = Flask("words")
    Babel(app)
    known = codes()
    assert {"damaged", "disk_full", "timeout", "checksum", "no_sound_or_picture", "internal"} <= known
    with app.test_request_context():
        assert [code for code in known if words.reason(code) == code] == []


def test_every_note_has_words():
    """What people should know of a recording is a sentence with its figures."""
    app = Flask("words")
    Babel(app)
    figures = {"read_s": 61.0, "declared_s": 120.0, "number": 2, "count": 3, "language": "rus", "codec": "vvc"}
    with app.test_request_context():
        said = words.notes([{"code": note.value, **figures} for note in Note])
    assert said[0] == "The file is cut off: 1:01 of 2:00 could be read."
    assert said[1] == "The file has 3 sound tracks; number 2 (rus) was taken."
    assert len(said) == len(set(said)) == len(Note)
