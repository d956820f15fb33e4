"""Pure: from RTP timestamps to seconds of one common time, and the picture's delay against the sound."""

from __future__ import annotations

MAX_DRIFT_S = 10.0
"""A timestamp that says something else than its arrival by more than this is a new count, not a slow network."""
MAX_DELAY_S = 10.0


class Timeline:
    """Place the packets of one track: the first where it arrived, the others by their timestamps.

    Times are seconds of the clock that `arrival_s` comes from.
    """

    def __init__(self, clock_hz: int) -> None:
        self.clock_hz = clock_hz
        self._anchor_s: float | None = None
        self._anchor = 0
        self._newest = 0
        self._report: tuple[float, int] | None = None

    def place(self, timestamp: int, arrival_s: float) -> float:
        """Return when the packet with this RTP timestamp plays."""
        unwrapped = self._unwrap(timestamp)
        if self._anchor_s is not None:
            time_s = self._anchor_s + (unwrapped - self._anchor) / self.clock_hz
            if abs(time_s - arrival_s) <= MAX_DRIFT_S:
                self._newest = max(self._newest, unwrapped)
                return time_s
            self._report = None
        self._anchor_s, self._anchor, self._newest = arrival_s, timestamp, timestamp
        return arrival_s

    def report(self, ntp_s: float, timestamp: int) -> None:
        """Take a sender report: `timestamp` was sampled at `ntp_s` by the sender's clock."""
        self._report = (ntp_s, timestamp)

    def capture_offset_s(self) -> float | None:
        """Return the sender's clock minus this timeline, None while no report or no packet has come."""
        if self._report is None or self._anchor_s is None:
            return None
        ntp_s, timestamp = self._report
        return ntp_s - (self._anchor_s + (self._unwrap(timestamp) - self._anchor) / self.clock_hz)

    def _unwrap(self, timestamp: int) -> int:
        """Return the number nearest to the newest one that ends in these 32 bits."""
        return self._newest + ((timestamp - self._newest + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def video_delay_s(audio: Timeline, video: Timeline) -> float | None:
    """Return what must be added to the picture's times to fit the sound, None while it is unknown.

    What was sampled at one moment by the sender's clock must play at one moment. Each timeline differs from that clock
    by its own constant (the delay of its first packet), so their difference is the picture's delay.
    """
    audio_offset_s, video_offset_s = audio.capture_offset_s(), video.capture_offset_s()
    if audio_offset_s is None or video_offset_s is None:
        return None
    delay_s = video_offset_s - audio_offset_s
    return delay_s if abs(delay_s) <= MAX_DELAY_S else None
