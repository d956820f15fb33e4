"""Pure: how much may be sent again to one viewer.

Free retransmission on a narrow link feeds on itself: 10,500 repeats for 550 packets were seen, and no recovery. So each
packet is repeated a few times, not sooner than a round trip later, and all repeats together stay a share of the stream.
"""

from __future__ import annotations

MAX_PER_PACKET = 4
MIN_SPACING_S = 0.02
SHARE = 0.3
"""Repeats may take this share of what was sent for the first time."""
BURST_BYTES = 48_000
REMEMBERED = 1024
"""Packets whose repeats are counted; the oldest is forgotten first."""


class RetransmitBudget:
    """Decide about every request of one viewer for one stream."""

    def __init__(self) -> None:
        self.refused = 0
        self._tokens = float(BURST_BYTES)
        self._octets_seen = 0
        self._repeats: dict[int, tuple[int, float]] = {}

    def allow(self, number: int, size: int, octets_sent: int, now_s: float, rtt_s: float) -> bool:
        """Say whether packet `number` of `size` bytes may go out again, and charge it.

        `octets_sent` is the running total of first transmissions, from which the budget grows.
        """
        self._tokens = min(BURST_BYTES, self._tokens + SHARE * (octets_sent - self._octets_seen))
        self._octets_seen = octets_sent
        times, last_s = self._repeats.get(number, (0, float("-inf")))
        spacing_s = max(MIN_SPACING_S, 0.9 * rtt_s)
        if times >= MAX_PER_PACKET or now_s - last_s < spacing_s or self._tokens < size:
            self.refused += 1
            return False
        self._tokens -= size
        self._repeats.pop(number, None)
        self._repeats[number] = (times + 1, now_s)
        if len(self._repeats) > REMEMBERED:
            del self._repeats[next(iter(self._repeats))]
        return True
