"""Share a lesson pack's bytes between voice and slides, so that 45 minutes stay within 6 MB."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Bytes of a pack of 45 minutes; longer lessons get more in proportion, shorter ones less but for a base.
BUDGET_BYTES = 6_000_000
BUDGET_S = 45 * 60
LEAST_BYTES = 2_500_000
# Of it, for the player, the captions as text, the manifest and the zip's own tables.
FIXED_BYTES = 120_000
# What is kept for slides whatever the voice weighs.
SLIDES_SHARE = 0.15
# A voice that leaves too little is encoded again, not below what Opus still makes intelligible (RFC 6716 2.1.1).
LEAST_VOICE_BPS = 10_000
# What the container adds to Opus in frames of 60 ms: about 8 bytes a frame.
CONTAINER_BPS = 1_100
# Slides a pack may show an hour, and in all; more of them would be a film.
SLIDES_PER_HOUR = 480
LEAST_SLIDES = 60
MOST_SLIDES = 600


@dataclass(frozen=True, slots=True)
class Level:
    """How a still is compressed: most pixels of width, JPEG quality (0 to 100), colours of a palette PNG."""

    width: int
    quality: int
    colours: int


# Best first; a slide is sent down the ladder when the pack is too large.
LEVELS = (Level(1280, 72, 64), Level(1280, 55, 16), Level(960, 45, 16), Level(800, 35, 8), Level(640, 28, 8))


def budget_bytes(duration_s: float) -> int:
    """Return the bytes that a pack of this length (seconds) may take in all."""
    return max(LEAST_BYTES, round(BUDGET_BYTES * duration_s / BUDGET_S))


def voice_rate_bps(duration_s: float, voice_bytes: int) -> int | None:
    """Say at which rate the voice must be encoded again to leave room for slides; None: it fits as it is."""
    room = budget_bytes(duration_s) * (1 - SLIDES_SHARE) - FIXED_BYTES
    if voice_bytes <= room or duration_s <= 0:
        return None
    return max(LEAST_VOICE_BPS, round(room * 8 / duration_s) - CONTAINER_BPS)


def slides_bytes(duration_s: float, voice_bytes: int) -> int:
    """Return the bytes left for slide images beside a voice of this size; 0 where there are none."""
    return max(0, budget_bytes(duration_s) - FIXED_BYTES - voice_bytes)


def most_slides(duration_s: float) -> int:
    """Return how many times a lesson of this length may turn the slide."""
    return min(MOST_SLIDES, max(LEAST_SLIDES, round(SLIDES_PER_HOUR * duration_s / 3600)))


def next_smaller(sizes: Sequence[int], levels: Sequence[int], room: int) -> int | None:
    """Name the image to compress once more: the heaviest of those on the best level in use. None: all fit, or cannot.

    `sizes` are bytes as they are now, `levels` indices into LEVELS.
    """
    if sum(sizes) <= room:
        return None
    best = min((level for level in levels if level < len(LEVELS) - 1), default=None)
    if best is None:
        return None
    return max((index for index, level in enumerate(levels) if level == best), key=lambda index: sizes[index])


def kept(sizes: Sequence[int], worth: Sequence[float], room: int) -> tuple[int, ...]:
    """Choose images that fit into the room at last, by index and in order: those worth most for their bytes."""
    ranked = sorted(range(len(sizes)), key=lambda index: (-worth[index] / max(1, sizes[index]), index))
    chosen, left = [], room
    for index in ranked:
        if sizes[index] <= left:
            chosen.append(index)
            left -= sizes[index]
    return tuple(sorted(chosen))
