"""Pure: which of the host's pictures a rung encodes, so that it keeps its frame rate and truly keeps its bit rate.

Time is the host's RTP clock (90 kHz, 32 bits, wrapping). A leaky bucket drains at the rung's rate: after a large frame,
mostly a keyframe, pictures are left out until the link of a viewer who has just this rate has sent what went before.
Encoders keep an average and let a keyframe and its neighbours take twice the rate for two seconds.
"""

from __future__ import annotations

CLOCK_HZ = 90_000
EARLY_SHARE = 0.3
"""A picture may come this share of a frame interval too early: 15 fps of the host give 6 as 2, 3, 2, 3 apart."""
DEPTH_S = 0.35
"""Seconds of the rate that may wait in the bucket for another frame to be let in."""
JUMP_S = 10.0
"""A timestamp that goes back or ahead by more begins a new count: the host's encoder was replaced."""


def elapsed_ticks(timestamp: int, since: int) -> int:
    """Return the signed distance of two RTP timestamps."""
    return ((timestamp - since + 0x80000000) & 0xFFFFFFFF) - 0x80000000


class Pacer:
    """Decide for one rung, picture by picture."""

    def __init__(self, fps: float, rate_bps: int, depth_s: float = DEPTH_S) -> None:
        self._interval = CLOCK_HZ / fps
        self._rate_bps = rate_bps
        self._depth_bits = depth_s * rate_bps
        self._level_bits = 0.0
        self._last: int | None = None
        self._due = 0.0
        """Ticks after `_last` at which the next picture is wanted."""

    def takes(self, timestamp: int) -> bool:
        """Say whether the picture of this timestamp is to be encoded now."""
        if self._last is None:
            return True
        ticks = elapsed_ticks(timestamp, self._last)
        if abs(ticks) > JUMP_S * CLOCK_HZ:
            return True
        if ticks <= 0 or ticks < self._due - EARLY_SHARE * self._interval:
            return False
        return self._level_bits - ticks / CLOCK_HZ * self._rate_bps <= self._depth_bits

    def sent(self, timestamp: int, size_bytes: int) -> None:
        """Note that a picture was encoded to so many bytes."""
        ticks = 0 if self._last is None else elapsed_ticks(timestamp, self._last)
        if self._last is None or abs(ticks) > JUMP_S * CLOCK_HZ:
            self._level_bits, late = 0.0, 0.0
        else:
            self._level_bits = max(0.0, self._level_bits - ticks / CLOCK_HZ * self._rate_bps)
            late = ticks - self._due
        self._level_bits += 8 * size_bytes
        self._last = timestamp
        # A picture that came late lets the next come sooner, by less than an interval: gaps are not made up for.
        self._due = self._interval - min(max(late, -self._interval), EARLY_SHARE * self._interval)
