"""What a host is told about the arrivals of its packets."""

from __future__ import annotations

from media import twcc
from media.arrivals import INTERVAL_S, SHARE, SLOWEST_S, Arrivals


def told(data: bytes) -> dict[int, float | None]:
    """Return number → arrival, as the host reads it."""
    feedback = twcc.parse(data)
    return {(feedback.base_sequence + i) & 0xFFFF: at for i, at in enumerate(feedback.arrivals_s)}


def test_each_arrival_is_told_once_and_holes_are_named() -> None:
    """Feedbacks follow each other without a gap; what did not come between them is told as lost, across the wrap."""
    arrivals = Arrivals()
    for index, number in enumerate((65533, 65534, 0, 1)):
        arrivals.received(number, 500, 10 + index * 0.02)
    first = told(arrivals.feedback(1, 2, 10.1))
    assert list(first) == [65533, 65534, 65535, 0, 1]
    assert first[65535] is None and abs(first[1] - first[65533] - 0.06) < 0.001
    assert arrivals.feedback(1, 2, 10.3) is None
    arrivals.received(4, 500, 10.3)
    second = told(arrivals.feedback(1, 2, 10.4))
    assert list(second) == [2, 3, 4] and second[2] is None


def test_a_straggler_is_told_after_all() -> None:
    """A packet that comes behind later ones is told with the next feedback."""
    arrivals = Arrivals()
    for number in (1, 2, 4):
        arrivals.received(number, 500, number * 0.01)
    arrivals.feedback(1, 2, 0.1)
    arrivals.received(3, 500, 0.12)
    late = told(arrivals.feedback(1, 2, 0.3))
    assert next(iter(late)) == 3 and late[3] is not None


def test_feedback_keeps_to_its_share() -> None:
    """On a good uplink it goes out each 100 ms; on a slow one it stays under 5 % of what arrives, or at its slowest."""
    for rate_bps, interval_s in ((500_000, INTERVAL_S), (50_000, 80 * 8 / (SHARE * 50_000)), (8_000, SLOWEST_S)):
        arrivals, count = Arrivals(), 0
        for step in range(1000):
            now_s = step * 0.02
            arrivals.received(step, round(rate_bps / 8 * 0.02), now_s)
            if arrivals.feedback(1, 2, now_s) is not None and now_s > 10:
                count += 1
        assert abs(10 / count - interval_s) < 0.03


def test_a_jump_begins_anew() -> None:
    """A pause of minutes or numbers from elsewhere never make a feedback that cannot be written."""
    arrivals = Arrivals()
    arrivals.received(5, 100, 1.0)
    arrivals.received(6, 100, 100.0)
    assert list(told(arrivals.feedback(1, 2, 100.1))) == [6]
    arrivals.received(30000, 100, 100.2)
    assert list(told(arrivals.feedback(1, 2, 100.3))) == [30000]
