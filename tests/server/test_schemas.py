"""Checking input: the same answers for forms and for the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from marshmallow import ValidationError, fields
from werkzeug.datastructures import MultiDict

from server import i18n, schemas


class Sample(schemas.Body):
    """One field of each kind."""

    line = schemas.Line(most=10, least=1)
    text = schemas.Paragraphs(most=20)
    email = schemas.Email()
    number = schemas.Whole(1, 100, allow_none=True)
    day = schemas.Day()
    moment = schemas.Moment()
    zone = schemas.Zone()
    word = schemas.OneOf(("a", "b"))
    many = fields.List(fields.String())
    password = schemas.Password()


@pytest.fixture(scope="module")
def bare() -> Flask:
    """An application that knows languages and nothing else."""
    made = Flask("bare")
    i18n.init_app(made, "Europe/Moscow")
    return made


@pytest.fixture(autouse=True)
def request_context(bare: Flask) -> Iterator[None]:
    """Messages need a language, which comes with a request."""
    with bare.test_request_context(headers={"Cookie": "tropa_language=en"}):
        yield


@pytest.mark.parametrize(
    ("name", "value", "meaning"),
    [
        ("line", "  a \t b ", "a b"),
        ("line", "е\u0308", "ё"),
        ("line", "\ufeffa\u202eb\u200b", "ab"),
        ("text", "a\r\nb\rc", "a\nb\nc"),
        ("email", " A@B.example ", "a@b.example"),
        ("email", "вера@школа.рф", "вера@школа.рф"),
        ("number", " 7 ", 7),
        ("number", "", None),
        ("number", 7, 7),
        ("zone", "Asia/Omsk", "Asia/Omsk"),
        ("word", "a", "a"),
        ("many", ["x", "y"], ["x", "y"]),
        ("password", "пароль 8", "пароль 8"),
    ],
)
def test_good_values(name: str, value: object, meaning: object) -> None:
    """What people type in good faith is understood."""
    assert Sample().load({name: value}) == {name: meaning}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("line", value) for value in ("", "  ", "x" * 11, "a\0", "\u200d\u200b", "\ud800", None, 5, [], {})),
        *(("text", value) for value in ("x" * 21, "a\x08")),
        *(("email", value) for value in ("a", "a@", "@b", "a b@c.example", "a@b@c", "a@b..c", "x" * 300 + "@b.c")),
        *(("number", value) for value in (0, 101, "-5", "1.5", 1.5, True, "1e1", "٣", "9" * 40, [], float("inf"))),
        *(("day", value) for value in ("1900-01-01", "2101-01-01", "2026-02-30", "", "today", 5)),
        *(("moment", value) for value in ("2026-01-01T10:00:00", "1900-01-01T00:00:00Z", "x", 5, "9999-99-99T99:99Z")),
        *(("zone", value) for value in ("", "Mars/Olympus", "../UTC", 5)),
        *(("word", value) for value in ("", "c", 5, None)),
        *(("password", value) for value in ("short", "x" * 201, "with\0null", 12345678)),
        ("stranger", "x"),
    ],
)
def test_bad_values(name: str, value: object) -> None:
    """What cannot be meant is refused with words at its field."""
    with pytest.raises(ValidationError) as refusal:
        Sample().load({name: value})
    texts = schemas.flat(refusal.value.messages)[name]
    assert texts
    assert all(text and "{" not in text for text in texts)


@pytest.mark.parametrize("body", [[], "text", 5, None])
def test_bodies_that_are_no_objects(body: object) -> None:
    """A JSON body that is no object is refused as a whole."""
    with pytest.raises(ValidationError) as refusal:
        Sample().load(body)
    assert list(schemas.flat(refusal.value.messages)) == [""]


def test_form_comes_back_as_typed() -> None:
    """A refused form keeps what was typed, errors by field, and drops what it does not know."""
    form = schemas.Form(Sample(), labels={"line": "Title"})
    assert not form.check(MultiDict([("line", " x\0 "), ("many", "1"), ("many", "2"), ("csrf_token", "t")]))
    assert list(form.errors) == ["line"]
    assert form.value("line") == " x "
    assert form.all("many") == ["1", "2"]
    assert form.label("line") == "Title"
    assert form.label("day") == "day"


def test_nested_errors_are_named_by_path() -> None:
    """An error deep inside is found again by its path."""
    messages = {"a": {0: {"b": ["no"]}}, "_schema": ["whole"]}
    assert schemas.flat(messages) == {"a.0.b": ["no"], "": ["whole"]}
