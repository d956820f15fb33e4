"""Pure: what the feedbacks of the last seconds said, in sums: the rate that arrives, and the share lost."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

RATE_WINDOW_S = 0.6  # two feedbacks of the slow kind (3.8 a second)
LOSS_WINDOW_S = 5.0  # at 20 packets a second one burst of three is no loss of a tenth
LOSS_SAMPLES = 20  # fewer packets than this say nothing about a loss rate
REMEMBERED = 256  # feedbacks at most, however many come in LOSS_WINDOW_S


class Heard(NamedTuple):
    """What one feedback said; `lost` are those that it made sure of."""

    first_arrival_s: float
    last_arrival_s: float
    size_bytes: int
    received: int
    lost: int


class Lately:
    """The feedbacks of LOSS_WINDOW_S."""

    __slots__ = ("_lost", "_mark_s", "_received", "_told")

    def __init__(self) -> None:
        self._told: deque[Heard] = deque()
        self._received = self._lost = 0
        self._mark_s = float("-inf")

    def add(self, told: Heard) -> None:
        """Take in one more, and leave out what has become too old."""
        known, horizon_s = self._told, told.last_arrival_s - LOSS_WINDOW_S
        known.append(told)
        self._received += told.received
        self._lost += told.lost
        while known[0].last_arrival_s < horizon_s or len(known) > REMEMBERED:
            gone = known.popleft()
            self._received -= gone.received
            self._lost -= gone.lost

    @property
    def rate_bps(self) -> float:
        """Return the rate at which packets arrived in RATE_WINDOW_S."""
        newest_s = start_s = self._told[-1].last_arrival_s
        size = 0
        for told in reversed(self._told):
            if told.last_arrival_s < newest_s - RATE_WINDOW_S:
                break
            start_s = told.first_arrival_s
            size += told.size_bytes
        # The first packet's own time on the wire lies before the span, one feedback's worth of packets hides that.
        return size * 8 / max(newest_s - start_s, 0.1)

    @property
    def loss(self) -> float:
        """Return the share lost, 0.0 while too few packets are known of."""
        told = self._received + self._lost
        return self._lost / told if told >= LOSS_SAMPLES else 0.0

    def mark(self) -> None:
        """Note that everything so far has been acted upon: one burst is not to be paid for once a second."""
        self._mark_s = self._told[-1].last_arrival_s

    @property
    def loss_since_mark(self) -> float:
        """Return the share lost of what was told of since the mark, 0.0 while too few packets are."""
        received = lost = 0
        for told in reversed(self._told):
            if told.last_arrival_s <= self._mark_s:
                break
            received += told.received
            lost += told.lost
        return lost / (received + lost) if received + lost >= LOSS_SAMPLES else 0.0
