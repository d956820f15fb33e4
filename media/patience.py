"""Pure: when a viewer's player is asked to wait for repeats of lost voice, and how that is said.

A browser's own patience is short: it gives up a lost packet of voice before a repeat over a long way can be there. Our
watch page asks it itself (static/live/repair.js). Other players are asked by the playout-delay header extension
(http://www.webrtc.org/experiments/rtp-hdrext/playout-delay) on the picture: with it the voice waits, as both are
played in step.
"""

from __future__ import annotations

URI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
LENGTH = 2
"""Low half of the element's first byte: its length less one (RFC 8285 4.2)."""
HOLES = 2  # so many repeats of voice that were asked for
QUICK_S = 0.05  # within such a round trip a player's own patience is long enough
FOUND_S = 0.2  # a loss is seen two packets later, and asked for at once
LONGEST_S = 1.0
STEP_S = 0.01
MOST_STEPS = 0xFFF  # 12 bits each for the least and the longest delay
PACKETS = 24
"""Told so many times: a player takes it from the first packet of a picture, and some of them are lost."""


def needed_s(repeats: int, rtt_s: float) -> float | None:
    """Return how long the player should wait, None where its own patience does."""
    if repeats < HOLES or rtt_s < QUICK_S:
        return None
    return min(LONGEST_S, rtt_s * 1.2 + FOUND_S)


def element(number: int, delay_s: float) -> bytes:
    """Write the extension's element of four bytes: its number and length, least delay, no longest one."""
    steps = min(MOST_STEPS, round(delay_s / STEP_S))
    return (number << 28 | LENGTH << 24 | steps << 12 | MOST_STEPS).to_bytes(4)
