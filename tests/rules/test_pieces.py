"""Pieces of a lesson's picture: whatever the lesson, every frame is in exactly one of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules import pieces

MOMENTS = st.lists(st.floats(0, 4000, allow_nan=False), max_size=60).map(sorted)
RATES = st.sampled_from([1, 5, 10, 12.5, 15, 29.97, 30])
LENGTHS = st.lists(st.floats(0.01, 900, allow_nan=False), min_size=1, max_size=8)


@given(st.floats(0.1, 4000), MOMENTS, MOMENTS, RATES)
def test_pieces_are_all_frames_each_once(duration_s, cuts_s, entries_s, fps):
    """Stretches follow one another from the first frame to the last, none empty."""
    found = pieces.stretches(duration_s, fps, pieces.bounds(duration_s, cuts_s, entries_s))
    at = 0
    for one in found:
        assert one.first == at and one.count > 0
        at += one.count
    assert at == pieces.frame_count(duration_s, fps)


@given(LENGTHS, RATES, MOMENTS)
def test_spans_are_all_frames_of_a_piece_within_their_segments(lengths_s, fps, bounds_s):
    """No frame is taken from two segments or from none, and each lies in the time of its own."""
    duration_s = sum(lengths_s)
    for stretch in pieces.stretches(duration_s, fps, bounds_s):
        found = pieces.spans(lengths_s, fps, stretch)
        assert sum(one.count for one in found) == stretch.count
        assert [one.segment for one in found] == sorted({one.segment for one in found})
        at = stretch.first
        for one in found:
            start_s = sum(lengths_s[: one.segment])
            assert abs(start_s + one.at_s - at / fps) < 1e-3
            assert one.at_s <= lengths_s[one.segment] + 1 / fps
            at += one.count


@given(st.floats(100, 4000), MOMENTS)
def test_pieces_of_a_source_with_many_keyframes_are_neither_tiny_nor_long(duration_s, cuts_s):
    """Where the source can be entered every two seconds, pieces last 20 to 60 seconds, the last one up to 80."""
    found = pieces.bounds(duration_s, cuts_s, [2.0 * n for n in range(2000)])
    lengths = [end - begin for begin, end in zip((0.0, *found), (*found, duration_s), strict=True)]
    assert all(pieces.MIN_S - 1e-3 <= length <= pieces.MAX_S + 1e-3 for length in lengths[:-1])
    assert pieces.MIN_S - 1e-3 <= lengths[-1] <= pieces.MAX_S + pieces.MIN_S


def test_a_scene_cut_near_the_target_is_taken_and_a_short_lesson_stays_whole():
    """A cut beats a keyframe, a keyframe beats the clock; what is hardly longer than a piece is not cut."""
    entries = [2.0 * n for n in range(100)]
    assert pieces.bounds(100, [33.3, 55.0], entries)[0] == 33.3
    assert pieces.bounds(100, [3.0], entries)[0] == 40.0
    assert pieces.bounds(79, [33.3], entries) == ()


def test_a_source_with_hardly_any_keyframes_is_cut_at_them():
    """Nobody decodes minutes of source for the first frame of a piece, unless there is no other way."""
    assert pieces.bounds(900, [], [0.0, 300.0])[:3] == (40.0, 300.0, 340.0)
    assert pieces.bounds(900, [], [0.0])[0] == 40.0
    assert all(
        b - a <= pieces.LONGEST_S
        for a, b in zip((0.0, *pieces.bounds(3000, [], [])), pieces.bounds(3000, [], []), strict=False)
    )
