"""What the rungs that the server encodes cost on the wire, and the voice, as planned."""

from __future__ import annotations

from media.lowrung import rungs as low
from media.source import HEADER_BYTES
from rules.rungs import Rung

ENCODED = {Rung.STILL: low.Rung.STILL, Rung.LOW: low.Rung.LOW, Rung.MIDDLE: low.Rung.MIDDLE}


def wire_bps(rung: low.Rung, rate_bps: float) -> float:
    """Return what a low rung weighs with its headers: full payloads, and half of one more for each picture."""
    spec = low.SPECS[rung]
    return rate_bps + (rate_bps / 8 / spec.max_payload_bytes + spec.fps / 2) * HEADER_BYTES * 8


LOW_VOICE_S = 0.12
"""Two frames of the low voice go in one packet: 4 kbit/s of headers instead of 8."""
LOW_VOICE_BPS = low.VOICE_RATE_BPS + HEADER_BYTES * 8 / LOW_VOICE_S
FIXED_COSTS = {rung: wire_bps(ENCODED[rung], low.SPECS[ENCODED[rung]].rate_bps) for rung in (Rung.STILL, Rung.LOW)}
VOICE_PLANNED_BPS = 16_000 + HEADER_BYTES * 8 / 0.06
_MOST_WAITED_S = {Rung.STILL: 8.0, Rung.LOW: 2.0, Rung.MIDDLE: 1.2}
"""Pictures that wait longer are dropped up to the next keyframe. A still fills the room beside the voice for seconds, a
keyframe of LOW for one."""
_MOST_WAITED_OF_HOST_S = 0.8


def most_waited_s(rung: Rung) -> float:
    """Return how long pictures of a rung may wait before they are dropped up to the next keyframe."""
    return _MOST_WAITED_S.get(rung, _MOST_WAITED_OF_HOST_S)
