"""Pure: what an uplink carries, from how a browser's packets come: the other half of a measurement (media/linkprobe).

The browser has a picture of noise to send and searches for the link's rate by itself (draft-ietf-rmcat-gcc-02): it
probes beyond it again and again. While it does, packets arrive right behind one another, as fast as the link carries
them, so the fastest stretch of some length is the link's rate. (Sending times would tell more, but Chromium leaves them
out where transport-wide numbers are agreed to.) Time is an argument; nothing here reads a clock.
"""

from __future__ import annotations

from collections import deque

MEASURE_S = 5.5
SILENCE_S = 3.0  # the browser has stopped, or the link is gone
STRETCH_S = 0.25  # shorter ones would take a pause of this computer, and the packets behind it, for a fast link
STRETCH_PACKETS = 10


class UplinkProbe:
    """Tell it what arrives; when it is `over`, read `up_bps`."""

    def __init__(self, now_s: float) -> None:
        self.up_bps: float | None = None
        self._began_s = now_s
        self._first_s: float | None = None
        self._stretch: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def arrived(self, size_bytes: int, now_s: float) -> None:
        """Take in a packet of so many bytes on the wire."""
        if self._first_s is None:
            self._first_s = now_s
        stretch = self._stretch
        stretch.append((now_s, size_bytes))
        self._bytes += size_bytes
        while len(stretch) > STRETCH_PACKETS and now_s - stretch[1][0] >= STRETCH_S:
            self._bytes -= stretch.popleft()[1]
        span_s = now_s - stretch[0][0]
        if len(stretch) >= STRETCH_PACKETS and span_s >= STRETCH_S:
            # The first one's own time on the link lies before the stretch.
            self.up_bps = max(self.up_bps or 0.0, (self._bytes - stretch[0][1]) * 8 / span_s)

    def over(self, now_s: float) -> bool:
        """Say whether it has taken long enough, or nothing comes any more."""
        if self._first_s is None:
            return now_s - self._began_s > SILENCE_S
        return now_s - self._first_s > MEASURE_S or now_s - self._stretch[-1][0] > SILENCE_S
