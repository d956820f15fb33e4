"""Tell slides, a board, a camera and a screen apart by figures that are cheap to take of a small grey picture."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from rules.lessonplan import Content


@dataclass(frozen=True, slots=True)
class Look:
    """One sampled moment of a lesson's picture, measured on a small picture (see workers/analysis.py).

    at_s: its place in the finished recording. change_share: share of the cells that differ clearly from the sample
    before (0 to 1). flat_share: share of cells without any texture. edge_share: share of cells with a hard edge.
    levels: how many of 64 levels of grey the picture uses.
    """

    at_s: float
    change_share: float
    flat_share: float
    edge_share: float
    levels: int


@dataclass(frozen=True, slots=True)
class Features:
    """All sampled moments in order."""

    looks: tuple[Look, ...]


# A sample that changed by less than this shows the same as the one before.
STILL_SHARE = 0.01


def classify(features: Features) -> Content:
    """Name the content. Nothing to look at counts as a camera, the class with the fewest assumptions."""
    looks = features.looks
    if not looks:
        return Content.CAMERA
    still = sum(look.change_share < STILL_SHARE for look in looks) / len(looks)
    flat = median(look.flat_share for look in looks)
    if still > 0.6 and flat > 0.4:
        return Content.SLIDES
    if flat > 0.4:
        return Content.SCREEN
    return Content.BOARD if still > 0.2 else Content.CAMERA
