"""Pure: keep a rate by a token bucket on wire bytes: how much may be read now, and else how long to wait."""

from __future__ import annotations

from dataclasses import dataclass

# A bucket holds a quarter of a second: a reader that was late catches up, and others on the link hardly notice.
DEPTH_S = 0.25
# Small reads keep the rate even on slow links; large ones spare the processor on fast ones.
LEAST_READ_BYTES = 1_448
MOST_READ_BYTES = 32_768


@dataclass(slots=True)
class Bucket:
    """Tokens are bytes; `rate_bps` None lets everything through. Times are seconds of a clock that never goes back."""

    rate_bps: int | None
    tokens: float = 0.0
    filled_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Say how long to wait until a read is due; 0: now."""
        if self.rate_bps is None:
            return 0.0
        self._fill(now_s)
        missing = LEAST_READ_BYTES - self.tokens
        if missing < 1:  # what rounding left over would be waited for without end
            return 0.0
        return missing * 8 / self.rate_bps

    def read_bytes(self, now_s: float) -> int:
        """Say how much may be read now at most."""
        if self.rate_bps is None:
            return MOST_READ_BYTES
        self._fill(now_s)
        return max(LEAST_READ_BYTES, min(MOST_READ_BYTES, int(self.tokens)))

    def spend(self, wire_bytes: int) -> None:
        """Take what went over the wire; the bucket may go into debt, which is waited off."""
        if self.rate_bps is not None:
            self.tokens -= wire_bytes

    def _fill(self, now_s: float) -> None:
        assert self.rate_bps is not None
        if self.filled_s is not None:
            self.tokens += max(0.0, now_s - self.filled_s) * self.rate_bps / 8
        depth = max(self.rate_bps / 8 * DEPTH_S, LEAST_READ_BYTES)
        self.tokens, self.filled_s = min(self.tokens, depth), now_s
