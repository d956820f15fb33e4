"""One keyframe serves all who need one; nobody joins into darkness."""

from __future__ import annotations

import itertools

import pytest

from media import keyframes
from media.keyframes import KeyframeRequests, Start, start


def run(asks: list[float], answers: list[float], until_s: float = 20.0) -> list[float]:
    """Play requests and keyframes in steps of 10 ms; return when requests went to the host."""
    requests, sent = KeyframeRequests(), []
    asks, answers = sorted(asks), sorted(answers)
    for step in range(round(until_s * 100)):
        now_s = step / 100
        while answers and answers[0] <= now_s:
            requests.arrived(answers.pop(0))
        while asks and asks[0] <= now_s:
            requests.ask(asks.pop(0))
        if requests.due(now_s):
            sent.append(now_s)
    return sent


def test_forty_viewers_at_once_are_one_request() -> None:
    """Forty requests within a tenth of a second ask the host once."""
    assert run([i * 0.0025 for i in range(40)], [0.2]) == [0.0]


def test_a_request_just_after_a_keyframe_is_about_the_past() -> None:
    """A viewer whose request crosses the keyframe that answers it does not cause a second one."""
    assert run([0.0, 0.3], [0.15]) == [0.0]


def test_requests_keep_their_distance() -> None:
    """A viewer that asks ten times a second gets at most one keyframe a second out of the host."""
    sent = run([i / 10 for i in range(100)], [i + 0.1 for i in range(10)], 10.0)
    assert 2 < len(sent) <= 10
    assert all(b - a >= 0.99 for a, b in itertools.pairwise(sent))


def test_a_host_that_does_not_answer_is_asked_less_often() -> None:
    """Requests that bring nothing are repeated with growing pauses, up to four seconds."""
    sent = run([0.0], [], 20.0)
    pauses = [b - a for a, b in itertools.pairwise(sent)]
    assert pauses == sorted(pauses) and pauses[-1] == pytest.approx(4.0, abs=0.02)


def test_deafness_is_noticed_and_forgiven() -> None:
    """After two requests without an answer the host counts as deaf, until one is answered."""
    requests = KeyframeRequests()
    requests.ask(0.0)
    now_s = 0.0
    while not requests.deaf:
        requests.due(now_s)
        now_s += 0.1
        assert now_s < 5
    requests.arrived(now_s)
    assert not requests.deaf


@pytest.mark.parametrize(
    ("waited_s", "deaf", "age_s", "expected"),
    [
        (0.0, False, None, Start.WAIT),
        (9.0, True, None, Start.WAIT),
        (0.0, False, 3.0, Start.WAIT),
        (0.0, False, 0.4, Start.REPLAY),
        (0.0, True, 3.0, Start.REPLAY),
        (0.7, False, 3.0, Start.REPLAY),
    ],
)
def test_how_a_viewer_begins(waited_s: float, deaf: bool, age_s: float | None, expected: Start) -> None:
    """Replay where the cache is fresh, the host deaf or the wait long; otherwise wait for a keyframe."""
    assert start(waited_s, deaf, age_s) is expected


def test_a_keyframe_that_took_long_is_not_asked_for_again_soon() -> None:
    """Eight times as long as the last one took to arrive, ten seconds at most; a quick one after a second."""
    for took_s, pause_s in ((0.05, 1.0), (0.5, 4.0), (3.0, 10.0)):
        requests, now_s = KeyframeRequests(), 100.0
        requests.ask(now_s)
        assert requests.due(now_s)
        requests.arrived(now_s + 0.1)
        requests.arrives(now_s + 0.1 + took_s)
        requests.ask(now_s + 0.5)
        assert not requests.due(now_s + pause_s - 0.05)
        assert requests.due(now_s + pause_s + 0.05)


def test_a_picture_that_does_not_get_through_rests_longer_each_time() -> None:
    """Two seconds at first, twice as long after each new failure, at most sixteen; a picture that held starts over."""
    rest = keyframes.Rest()
    lengths, now_s = [], 0.0
    for held_s in (100.0, 1.0, 1.0, 1.0, 1.0, 31.0):
        rest.begin(now_s, held_s)
        began_s = now_s
        while not rest.over(now_s):
            now_s += 0.5
        lengths.append(now_s - began_s)
    assert lengths == [2.0, 4.0, 8.0, 16.0, 16.0, 2.0]
    assert not rest.on
