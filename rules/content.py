"""Tell slides, a board, a camera and a screen apart by figures that are cheap to take of a small grey picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import sub
from statistics import median

from rules.lessonplan import Content

# Cells are this many pixels wide and high.
CELL = 8
# A cell has changed when its pixels did by this much on average (of 255): more than noise and coding do.
CHANGED = 5.0
# Below this it is the same: half a level, which a keyframe may differ by from the picture before it.
SAME = 0.5
# A row of a cell whose pixels differ by no more than this is flat: paper, a window's background, a slide.
FLAT = 2
# A row of a cell whose pixels differ by more than this has a hard edge: text, lines, borders.
HARD = 80


@dataclass(frozen=True, slots=True)
class Look:
    """One sampled moment of a lesson's picture.

    at_s: its place in the finished recording. change_share: share of the cells that differ clearly from the look
    before. same_share: share of the cells that did not change, but for the coder's noise. flat_share and
    hard_share: share of the pixel rows of cells without texture, and with a hard edge. top_share: share of the pixels
    that have one of the four commonest of 64 levels of grey. All 0 to 1.
    """

    at_s: float
    change_share: float
    same_share: float
    flat_share: float
    hard_share: float
    top_share: float


# A look that changed by less than this shows the same as the one before.
STILL_SHARE = 0.01
# The picture is another one where this share of the cells changed, and this many times more than around it usually do:
# talking people change a third of all cells every second.
CUT_SHARE, CUT_TIMES, CUT_AROUND = 0.15, 3.0, 5
# Made pictures are flat to a great part; a screen with a photograph behind its windows is so where it does not change.
MADE_FLAT, MADE_FLAT_STILL, MADE_SAME = 0.4, 0.25, 0.6
# Slides stand; a screen with a moving cursor and text being typed changes in more than this share of the looks.
SLIDES_MOVING = 0.35
# Looks further apart than this do not tell a slide from a screen by change; slides have the fewest greys.
FAR_S, SLIDES_TOP = 3.0, 0.6
# A board or a wall of paper behind the people is flat, a room full of things is not.
BOARD_FLAT = 0.15


def measure(at_s: float, grey: bytes, before: bytes | None, width: int) -> Look:
    """Measure a small grey picture (one byte a pixel, width and height whole cells) against the look before it."""
    flat = hard = 0
    slices = range(0, len(grey), CELL)
    for start in slices:
        row = grey[start : start + CELL]
        spread = max(row) - min(row)
        flat += spread <= FLAT
        hard += spread > HARD
    changed, same, cells = 0, 0, len(grey) // (CELL * CELL)
    if before is not None:
        for difference in _differences(grey, before, width):
            changed += difference > CHANGED * CELL * CELL
            same += difference <= SAME * CELL * CELL
    levels = Counter(value >> 2 for value in grey)
    top = sum(count for _, count in levels.most_common(4))
    return Look(at_s, changed / cells, same / cells, flat / len(slices), hard / len(slices), top / len(grey))


def _differences(grey: bytes, before: bytes, width: int) -> list[int]:
    """Sum up the difference of each cell."""
    sums = [0] * (len(grey) // (CELL * CELL))
    across = width // CELL
    for start in range(0, len(grey), CELL):
        ours, theirs = grey[start : start + CELL], before[start : start + CELL]
        if ours != theirs:
            cell = start // width // CELL * across + start % width // CELL
            sums[cell] += sum(map(abs, map(sub, ours, theirs)))
    return sums


def cuts(looks: Sequence[Look]) -> tuple[float, ...]:
    """List the moments (seconds) at which the picture became another one."""
    found = []
    for place, look in enumerate(looks):
        around = [*looks[max(1, place - CUT_AROUND) : place], *looks[place + 1 : place + 1 + CUT_AROUND]]
        usual = median(other.change_share for other in around) if around else 0.0
        if look.change_share >= max(CUT_SHARE, CUT_TIMES * usual):
            found.append(look.at_s)
    return tuple(found)


def classify(looks: Sequence[Look]) -> Content:
    """Name the content. Nothing to look at counts as a camera, the class with the fewest assumptions."""
    later = looks[1:]
    if not later:
        return Content.CAMERA
    flat = median(look.flat_share for look in looks)
    same = median(look.same_share for look in later)
    if flat >= MADE_FLAT or (flat >= MADE_FLAT_STILL and same >= MADE_SAME):
        moving = sum(look.change_share > STILL_SHARE for look in later) / len(later)
        apart_s = (looks[-1].at_s - looks[0].at_s) / len(later)
        few = apart_s > FAR_S and median(look.top_share for look in looks) >= SLIDES_TOP
        return Content.SLIDES if few or moving <= SLIDES_MOVING else Content.SCREEN
    return Content.BOARD if flat >= BOARD_FLAT else Content.CAMERA
