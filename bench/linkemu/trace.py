"""Pure: recorded links in mahimahi's form: one whole millisecond stamp a line, each a chance to send 1500 bytes.

The trace loops: its last stamp is its length (mahimahi, `mm-link`(1)). A stamp named twice is two chances.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

CHANCE_BYTES = 1500


class TraceError(ValueError):
    """A trace that cannot be played; the text names the line."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Moments in whole milliseconds, rising, the last one above zero."""

    stamps_ms: tuple[int, ...]

    @property
    def mean_bps(self) -> float:
        """Return what the link carries on average."""
        return len(self.stamps_ms) * CHANCE_BYTES * 8 / (self.stamps_ms[-1] / 1000)

    def next_after(self, at_s: float) -> tuple[float, int]:
        """Return the first moment strictly after `at_s` at which there are chances, and how many bytes they carry."""
        length_ms = self.stamps_ms[-1]
        # Whole microseconds, with a hundredth of one against what floating point leaves below a stamp.
        round_, within = divmod(int(at_s * 1_000_000 + 0.01), length_ms * 1000)
        index = bisect_right(self.stamps_ms, within / 1000)
        stamp_ms = self.stamps_ms[index]
        count = bisect_right(self.stamps_ms, stamp_ms) - index
        if stamp_ms == length_ms:
            # The end of one round and the 0 of the next are one moment.
            count += bisect_right(self.stamps_ms, 0)
        return round_ * length_ms / 1000 + stamp_ms / 1000, count * CHANCE_BYTES


def parse_trace(text: str) -> Trace:
    """Read a trace. Raises TraceError."""
    stamps: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        if not line.strip().isdecimal():
            raise TraceError(f"line {number}: {line.strip()[:40]!r} is not a whole number of milliseconds")
        stamp = int(line)
        if stamps and stamp < stamps[-1]:
            raise TraceError(f"line {number}: {stamp} comes after {stamps[-1]}; stamps never fall")
        stamps.append(stamp)
    if not stamps or stamps[-1] == 0:
        raise TraceError("a trace needs at least one stamp above 0")
    return Trace(tuple(stamps))
