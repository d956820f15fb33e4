"""The numbers and the pacing of low rungs, and the messages to the child."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.lowrung.pace import Pacer, elapsed_ticks
from media.lowrung.rungs import MIDDLE_RATES_BPS, SPECS, Rung, fit, middle_rate_bps
from media.lowrung.wire import CODECS, BrokenStream, Kind, Message, Parser, pack

START = 0xFFFFF000  # the clock wraps within the test


def paced(fps: float, rate_bps: int, host_fps: int, seconds: int, sizes) -> list[tuple[float, int]]:
    """Let a pacer choose among a host's pictures; `sizes(n)` is what the n-th chosen one costs."""
    pacer, taken = Pacer(fps, rate_bps), []
    for number in range(seconds * host_fps):
        timestamp = (START + number * 90000 // host_fps) & 0xFFFFFFFF
        if pacer.takes(timestamp):
            taken.append((number / host_fps, sizes(len(taken))))
            pacer.sent(timestamp, taken[-1][1])
    return taken


@pytest.mark.parametrize("host_fps", [5, 6, 12, 15, 24, 25, 30])
def test_frame_rate_is_kept(host_fps):
    """Any host gives the rung's frame rate, or its own where that is lower."""
    taken = paced(6, 22_000, host_fps, 60, lambda n: 100)
    assert len(taken) / 60 == pytest.approx(min(6, host_fps), rel=0.03)
    assert max(b[0] - a[0] for a, b in pairwise(taken)) < 0.26


@given(st.lists(st.integers(50, 2500), min_size=30, max_size=30))
def test_rate_is_kept_over_two_seconds(sizes):
    """No two seconds take more than the rate, what may wait, and the one frame that was let in last."""
    taken = paced(6, 22_000, 30, 20, lambda n: sizes[n % 30])
    for begin, _ in taken:
        bits = sum(8 * size for at, size in taken if begin <= at < begin + 2)
        assert bits <= 22_000 * (2 + 0.35) + 8 * 2500


def test_a_keyframe_is_paid_for_and_motion_comes_back():
    """Behind a frame of a second's rate nothing is let in until it has drained to the depth; then the rate is back."""
    taken = paced(6, 22_000, 30, 10, lambda n: 2750 if n == 0 else 100)
    assert taken[1][0] == pytest.approx(0.65, abs=0.04)
    assert len([at for at, _ in taken if at > 1]) >= 53


def test_a_new_clock_begins_anew():
    """A host that starts again with other timestamps does not freeze the rung."""
    pacer = Pacer(6, 22_000)
    pacer.sent(5_000_000, 400)
    assert not pacer.takes(4_999_000)
    assert pacer.takes(100)
    pacer.sent(100, 400)
    assert pacer.takes(100 + 15_000)


def test_timestamps_wrap():
    """The distance of two timestamps is that of the shorter way."""
    assert elapsed_ticks(5, 0xFFFFFFFB) == 10
    assert elapsed_ticks(0xFFFFFFFB, 5) == -10


@given(st.integers(2, 4096), st.integers(2, 2304))
def test_sizes_fit_their_box(width, height):
    """Every picture gets an even size that encoders take, inside the box."""
    for spec in SPECS.values():
        fitted = fit(width, height, (spec.width, spec.height))
        assert all(side % 2 == 0 and side >= 64 for side in fitted)
        assert fitted[0] <= max(64, spec.width) and fitted[1] <= max(64, spec.height)


def test_aspect_ratio_is_kept():
    """Wide and narrow cameras alike."""
    box = (SPECS[Rung.LOW].width, SPECS[Rung.LOW].height)
    assert [fit(*size, box) for size in ((1280, 720), (640, 480), (160, 90))] == [(224, 126), (168, 126), (160, 90)]


def test_middle_rate_steps():
    """The highest step that fits, the lowest where none does."""
    assert [middle_rate_bps(budget) for budget in (10_000, 60_000, 129_999, 1_000_000)] == [
        60_000,
        60_000,
        90_000,
        200_000,
    ]
    assert list(MIDDLE_RATES_BPS) == sorted(MIDDLE_RATES_BPS)


messages = st.builds(
    Message,
    st.sampled_from(Kind),
    st.binary(max_size=200),
    st.integers(0, 0xFFFFFFFF),
    st.integers(0, 255),
    st.sampled_from(CODECS),
    st.booleans(),
)


@given(st.lists(messages, max_size=5), st.integers(1, 50))
def test_messages_survive_the_socket(sent, step):
    """However the bytes are cut, the same messages come out."""
    data, parser, found = b"".join(map(pack, sent)), Parser(), []
    for at in range(0, len(data), step):
        found += parser.feed(data[at : at + step])
    assert found == sent


def test_nonsense_is_refused():
    """Bytes of something else end the connection instead of waiting for gigabytes."""
    with pytest.raises(BrokenStream):
        Parser().feed(b"\xff" * 12)
