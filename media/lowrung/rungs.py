"""Pure: the rungs that are encoded once for all who need them, with their numbers."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

CODECS = ("AV1", "VP8")
MIN_SIDE = 64  # SVT-AV1 refuses less
MAX_HOST_PIXELS = 4096 * 2304
"""A host's picture beyond this is not decoded: it would cost the lesson more than its low rungs are worth."""
STILL_INTERVAL_S = 10.0


class Rung(IntEnum):
    """What a viewer on a slow link may be given in place of the host's own stream."""

    LOW = 1
    MIDDLE = 2
    STILL = 3
    VOICE = 4


@dataclass(frozen=True, slots=True)
class RungSpec:
    """A picture rung: the box it fits into, its frame rate, its rate without headers, its longest RTP payload."""

    width: int
    height: int
    fps: float
    rate_bps: int
    max_payload_bytes: int


SPECS = {
    # With 60 ms voice of 16 kbit/s (24 with headers) this leaves a 64 kbit/s link a fifth for repairs and keyframes.
    Rung.LOW: RungSpec(224, 126, 6, 22_000, 450),
    Rung.MIDDLE: RungSpec(320, 180, 15, 70_000, 900),
    # 6 KB each ten seconds; 300 bytes and headers hold a 32 kbit/s link for 90 ms, one voice packet's jitter.
    Rung.STILL: RungSpec(400, 226, 1 / STILL_INTERVAL_S, 4_800, 300),
}
VOICE_RATE_BPS = 11_000

MIDDLE_RATES_BPS = (60_000, 90_000, 130_000, 200_000)
"""Steps for MIDDLE: each change of a rate costs every viewer of the rung a keyframe, so there are few."""


def middle_rate_bps(budget_bps: float) -> int:
    """Return the highest step that fits the budget, the lowest one where none does."""
    return max((rate for rate in MIDDLE_RATES_BPS if rate <= budget_bps), default=MIDDLE_RATES_BPS[0])


def fit(width: int, height: int, box: tuple[int, int]) -> tuple[int, int]:
    """Return the largest even size of the same aspect ratio in the box, never above the source."""
    scale = min(box[0] / width, box[1] / height, 1.0)
    return _even(width * scale), _even(height * scale)


def _even(side: float) -> int:
    return max(MIN_SIDE, 2 * round(side / 2))
