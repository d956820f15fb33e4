"""Pure: what one viewer has been sent and may still be sent: four arrays that a fan-out over many can write at once.

Arrays, not lists: an object for each of forty seconds' packets is 200 KB a viewer, and cold whenever touched.
"""

from __future__ import annotations

from array import array
from collections.abc import MutableSequence

HISTORY = 4096  # packets remembered, a power of two: 40 s of a lesson at 100 packets/s
MASK = HISTORY - 1
NEXT, IN_FLIGHT = 0, 1  # places in `counts`
_NOTHING = array("H", bytes(2 * HISTORY))


class Books:
    """One viewer's account; by itself where no arrays are given, else a row of somebody's tables.

    `times` (seconds) and `sizes` (bytes on the wire, 0: nothing sent under this number, or told of) are rings of
    HISTORY by number; `counts` holds the next number and the bytes in flight, `purse` the bytes of credit. `row` is the
    row's number in the tables, None without tables.
    """

    __slots__ = ("counts", "purse", "row", "sizes", "times")

    def __init__(
        self,
        times: MutableSequence[float] | None = None,
        sizes: MutableSequence[int] | None = None,
        counts: MutableSequence[int] | None = None,
        purse: MutableSequence[float] | None = None,
        row: int | None = None,
    ) -> None:
        self.times = array("d", bytes(8 * HISTORY)) if times is None else times
        self.sizes = array("H", bytes(2 * HISTORY)) if sizes is None else sizes
        self.counts = array("q", (0, 0)) if counts is None else counts
        self.purse = array("d", (0.0,)) if purse is None else purse
        self.row = row

    def sent(self, size_bytes: int, now_s: float) -> int:
        """Note one packet of `size_bytes` on the wire; return its 16-bit transport-wide sequence number."""
        counts, sizes = self.counts, self.sizes
        number = counts[NEXT]
        slot = number & MASK
        # What the ring still holds there has had forty seconds without a word: it is given up.
        counts[IN_FLIGHT] += size_bytes - sizes[slot]
        self.times[slot] = now_s
        sizes[slot] = size_bytes
        counts[NEXT] = number + 1
        return number & 0xFFFF

    def settle(self, first: int, count: int) -> None:
        """Note that these packets have been told of."""
        begin = first & MASK
        end = begin + count
        sizes = self.sizes
        if end <= HISTORY:
            sizes[begin:end] = _NOTHING[:count]
        else:
            sizes[begin:], sizes[: end - HISTORY] = _NOTHING[: HISTORY - begin], _NOTHING[: end - HISTORY]

    def span(self, first: int, count: int) -> tuple[list[int], list[float]]:
        """Return sizes and moments of sending of `count` packets (HISTORY at most) from number `first` on."""
        begin = first & MASK
        end = begin + count
        if end <= HISTORY:
            return self.sizes[begin:end].tolist(), self.times[begin:end].tolist()
        over = end - HISTORY
        sizes = self.sizes[begin:].tolist() + self.sizes[:over].tolist()
        return sizes, self.times[begin:].tolist() + self.times[:over].tolist()
