"""How long the page makes the pieces of a file: static/uploads/pace.js, asked under Node."""

from __future__ import annotations

import json
import subprocess

import pytest

from bench.tusclients import NODE
from tests.slow.stack import ROOT

pytestmark = pytest.mark.slow

KB = 1024
MB = 1024 * KB
SCRIPT = """
import * as pace from "./static/uploads/pace.js";
const [name, ...given] = JSON.parse(process.argv[1]);
console.log(JSON.stringify(pace[name](...given)));
"""


def ask(name: str, *given: object) -> object:
    """Call a function of the script."""
    command = [NODE, "--input-type=module", "--eval", SCRIPT, json.dumps([name, *given])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("sent", "seconds", "following"),
    [
        (64 * KB, 8.0, 64 * KB),  # 64 kbit/s: never less than the least
        (256 * KB, 8.0, 192 * KB),  # 256 kbit/s: 7 s of it, in whole steps
        (256 * KB, 0.5, 512 * KB),  # much faster than thought: twice the last one
        (8 * MB, 1.0, 8 * MB),  # never more than the most
        (64 * KB, 0.0, 128 * KB),  # a clock that stood still
    ],
)
def test_a_piece_is_what_the_link_carries_in_some_seconds(sent, seconds, following):
    """By the rate of the last one, within bounds, at most twice as long."""
    assert ask("nextBytes", sent, seconds) == following


def test_trouble_makes_pieces_shorter_and_waits_longer():
    """Half after a cut, down to the least; waiting grows to half a minute."""
    assert ask("afterCut", 8 * MB) == 4 * MB
    assert ask("afterCut", 100 * KB) == 64 * KB
    assert [ask("waitSeconds", failures) for failures in (1, 2, 6, 60)] == [1, 2, 30, 30]


def test_the_rate_is_that_of_the_last_while():
    """Old marks do not count, and there is no rate before a second has passed."""
    marks = [[0, 0], [10, 1000], [30, 9000], [40, 10000]]
    assert ask("rate", marks, 20) == pytest.approx(100)
    assert ask("rate", [[0, 0], [0.5, 900]], 20) == 0


def test_a_file_is_known_by_size_time_and_name():
    """The same file has the same name for ever; another one has another, within what the server keeps."""
    film = {"name": "Урок 📐.mp4", "size": 10**13, "lastModified": 1_760_000_000_000}
    print_ = ask("fingerprint", film)
    assert print_ == ask("fingerprint", film)
    assert len(print_) <= 64
    assert print_ not in [
        ask("fingerprint", film | change) for change in ({"name": "b"}, {"size": 1}, {"lastModified": 2})
    ]
