"""Decide where a lesson's picture is cut into pieces that are encoded on their own; no frame is lost or doubled.

All frames of a file stand on one even grid: frame k is shown at k / fps seconds of the recording. A piece is a stretch
of that grid, and a frame belongs to the segment (file of the recorder) in whose time it falls; where a piece reaches
over several segments it has one span in each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise

# Short enough that a killed worker costs little, long enough that starting an encoder does not count.
MIN_S = 20.0
TARGET_S = 40.0
MAX_S = 60.0
# A decoder begins at a keyframe of the source. Hosts send few: a piece is made longer rather than have its worker
# decode more than this (seconds of source) for nothing, but no longer than LONGEST_S.
MAX_LEAD_S = 60.0
LONGEST_S = 600.0
# Moments closer together than this are the same frame.
SAME_S = 1e-6


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames of a file from `first` on, `count` of them."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class Span:
    """The part of a piece that lies in one segment: `at_s` is the first frame's place on the segment's own timeline."""

    segment: int
    at_s: float
    count: int


def bounds(duration_s: float, cuts_s: Sequence[float], entries_s: Sequence[float]) -> tuple[float, ...]:
    """Choose the moments (seconds of the recording) at which the picture is cut into pieces; () leaves it whole.

    cuts_s: scene changes, where a keyframe costs nothing. entries_s: where the source can be entered, its keyframes in
    the recording's time. Both sorted. A lesson that is hardly longer than one piece stays whole.
    """
    found: list[float] = []
    at_s = 0.0
    while duration_s - at_s > MAX_S + MIN_S:
        at_s = _next(at_s, min(duration_s - MIN_S, at_s + LONGEST_S), cuts_s, entries_s)
        if duration_s - at_s < MIN_S - SAME_S:
            break
        found.append(at_s)
    return tuple(found)


def _next(from_s: float, last_s: float, cuts_s: Sequence[float], entries_s: Sequence[float]) -> float:
    """Choose the next bound: a cut near the target, else an entry, else the target; later where no entry is near."""
    for low_s, high_s in ((from_s + MIN_S, min(from_s + MAX_S, last_s)), (from_s + MAX_S, last_s)):
        for moments in (cuts_s, entries_s, [min(from_s + TARGET_S, high_s)]):
            near = [one for one in _between(moments, low_s, high_s) if _lead_s(one, entries_s) <= MAX_LEAD_S + SAME_S]
            if near:
                return min(near, key=lambda one: abs(one - from_s - TARGET_S))
    return last_s


def _between(moments: Sequence[float], low_s: float, high_s: float) -> Sequence[float]:
    return moments[bisect_left(moments, low_s) : bisect_right(moments, high_s)]


def _lead_s(at_s: float, entries_s: Sequence[float]) -> float:
    """Say how much source must be decoded before the frame at this moment comes (seconds)."""
    place = bisect_right(entries_s, at_s + SAME_S)
    return at_s - (entries_s[place - 1] if place else 0.0)


def frame_count(duration_s: float, fps: float) -> int:
    """Count the frames of a whole file, one at least."""
    return max(1, round(duration_s * fps))


def stretches(duration_s: float, fps: float, bounds_s: Sequence[float]) -> tuple[Stretch, ...]:
    """Cut the frames of a file at these bounds; together they are all of its frames, each once, in order."""
    total = frame_count(duration_s, fps)
    places = sorted({0, total, *(place for one in bounds_s if 0 < (place := _first_from(one, fps)) < total)})
    return tuple(Stretch(first, end - first) for first, end in pairwise(places))


def _first_from(at_s: float, fps: float) -> int:
    """Return the first frame that is not shown before this moment."""
    return -int(-(Fraction(at_s) - Fraction(SAME_S)) * _rate(fps) // 1)


def _rate(fps: float) -> Fraction:
    return Fraction(fps).limit_denominator(1001)


def spans(durations_s: Sequence[float], fps: float, stretch: Stretch) -> tuple[Span, ...]:
    """Say which frames of a piece come from which segment, given how long each segment is (seconds, in order).

    Frames that fall behind the last segment by rounding belong to it.
    """
    starts = [0.0, *accumulate(durations_s)]
    end = stretch.first + stretch.count
    found = []
    for segment, start_s in enumerate(starts[:-1]):
        first = max(stretch.first, _first_from(start_s, fps))
        is_last = segment == len(durations_s) - 1
        after = end if is_last else min(end, _first_from(starts[segment + 1], fps))
        if after > first:
            at_s = max(0.0, float(first / _rate(fps)) - start_s)
            found.append(Span(segment, at_s, after - first))
    return tuple(found)
