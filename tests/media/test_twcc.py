"""Transport-cc feedback, written and read."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import twcc

steps = st.lists(
    st.tuples(st.booleans(), st.floats(min_value=-1.0, max_value=4.0, allow_nan=False)), min_size=1, max_size=300
)


@given(steps, st.integers(0, 65535), st.floats(0, 1e5))
def test_round_trip(moves, base, start_s):
    """Arrivals come back to within one tick of 250 us, holes as holes, whatever their order."""
    now_s, arrivals = start_s + 10, []
    for lost, step_s in moves:
        now_s = max(now_s + step_s, 1.0)
        arrivals.append(None if lost else now_s)
    if all(arrival is None for arrival in arrivals):
        arrivals.append(now_s)
    try:
        data = twcc.serialize(1, 2, base, 300, arrivals)
    except ValueError:
        return  # arrivals more than 8 s apart: refused, by contract
    feedback = twcc.parse(data)
    assert (feedback.sender_ssrc, feedback.media_ssrc, feedback.base_sequence) == (1, 2, base)
    assert feedback.count == 300 & 0xFF
    assert len(feedback.arrivals_s) == len(arrivals)
    for told, meant in zip(feedback.arrivals_s, arrivals, strict=True):
        assert (told is None) == (meant is None)
        if told is not None:
            assert abs(told - meant) <= twcc.DELTA_TICK_S


def test_a_report_of_losses_alone_is_refused():
    """A feedback tells of at least one arrival."""
    with pytest.raises(ValueError, match="at least one"):
        twcc.serialize(1, 2, 0, 0, [None, None])


def test_damaged_feedback_raises_only_its_own_error():
    """Twenty thousand damaged feedbacks are parsed or refused, nothing else."""
    generator = random.Random(5)
    good = twcc.serialize(1, 2, 10, 0, [1.0, None, 1.02, 1.5, None, None, *[2 + i / 50 for i in range(40)]])
    refused = 0
    for _ in range(20_000):
        data = bytearray(good)
        for _ in range(generator.randint(1, 6)):
            data[generator.randrange(len(data))] = generator.randrange(256)
        try:
            feedback = twcc.parse(bytes(data[: generator.randint(0, len(data))]))
        except twcc.MalformedFeedback:
            refused += 1
        else:
            assert 0 < len(feedback.arrivals_s) <= twcc.MAX_STATUS_COUNT
    assert 0 < refused < 20_000


def test_known_bytes():
    """A feedback put together by hand from the draft's figures is read as meant: a run, then two-bit symbols."""
    header = "afcd000700000001000000020064000500000a07"  # base 100, 5 packets, 10 * 64 ms, feedback 7
    run_of_two_small, large_lost_small = "2002", "e100"
    deltas, padding = "0408002010", "000003"
    feedback = twcc.parse(bytes.fromhex(header + run_of_two_small + large_lost_small + deltas + padding))
    assert (feedback.base_sequence, feedback.count) == (100, 7)
    expected = [0.641, 0.643, 0.651, None, 0.655]
    assert [a if a is None else round(a, 6) for a in feedback.arrivals_s] == expected
