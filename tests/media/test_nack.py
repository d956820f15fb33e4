"""What is missing is asked for again and again, with pauses, and given up in the end."""

from __future__ import annotations

import itertools

from media.nack import MAX_MISSING, MAX_TRIES, LossTracker


def lose(*lost: int, until: int = 10) -> LossTracker:
    """Receive 0 to `until` at time 0, without the packets named."""
    tracker = LossTracker()
    for number in range(until + 1):
        if number not in lost:
            tracker.received(number, 0.0)
    return tracker


def test_nothing_is_asked_without_loss() -> None:
    """A stream without gaps asks for nothing."""
    assert lose().due(5.0).ask == ()


def test_reordering_is_given_a_moment() -> None:
    """A packet that comes a few milliseconds late is never asked for."""
    tracker = lose(5)
    assert tracker.due(0.005).ask == ()
    tracker.received(5, 0.008)
    assert tracker.due(1.0) == tracker.due(2.0)
    assert tracker.due(2.0).ask == () and tracker.lost == 0


def test_requests_are_repeated_with_growing_pauses() -> None:
    """The same packet is asked for several times, each pause longer than the one before, then it is given up once."""
    tracker = lose(5)
    asked, given_up = [], 0
    for step in range(400):
        now_s = step * 0.01
        requests = tracker.due(now_s)
        asked += [now_s] * len(requests.ask)
        given_up += requests.given_up
    pauses = [b - a for a, b in itertools.pairwise(asked)]
    assert 3 <= len(asked) <= MAX_TRIES
    assert all(later >= earlier for earlier, later in itertools.pairwise(pauses))
    assert given_up == 1 and tracker.lost == 1 and len(tracker) == 0


def test_repaired_packets_end_the_requests_and_tell_the_round_trip() -> None:
    """An answer stops the asking; the time it took moves the round-trip estimate towards itself."""
    tracker = lose(5, 6)
    assert tracker.due(0.02).ask == (5, 6)
    before_s = tracker.rtt_s
    tracker.received(5, 0.62)
    assert tracker.repaired == 1
    assert before_s < tracker.rtt_s < 0.6
    assert 5 not in tracker.due(0.7).ask


def test_a_long_round_trip_gives_packets_more_time() -> None:
    """Over a satellite a packet is waited for longer than a second."""
    tracker = lose(5)
    tracker.rtt_s = 0.6
    assert tracker.due(1.5).given_up == 0
    assert tracker.due(2.5).given_up == 1


def test_an_outage_is_not_asked_for() -> None:
    """A gap beyond the bound is given up at once, and counts as lost."""
    tracker = lose()
    tracker.received(10 + MAX_MISSING + 5, 0.0)
    requests = tracker.due(0.1)
    assert requests.ask == () and requests.given_up == MAX_MISSING + 4
    assert tracker.due(0.2).given_up == 0
