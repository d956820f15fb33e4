"""One stream that several viewers share, the host's voice or picture or a low rung: who gets it, what it costs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from media.ingest import Track, TrackPacket
from media.rtc.crowd import Crowd, SendStream
from media.rtc.srtp import WIRE_OVERHEAD_BYTES, Batch

HEADER_BYTES = 20 + WIRE_OVERHEAD_BYTES
"""What a packet weighs on the wire beyond its payload: RTP 12, extension 8, and what lies below."""
METER_S = 2.0
METER_STEP_S = 0.25
METER_STEPS = 10
"""Steps kept, two more than the mean is made of; the oldest goes, as nobody asks some sources for their rate."""
PEAK_FADES_PER_S = 0.85
"""A cost follows a rise at once and a fall slowly: a pause of the speaker must not invite a picture in his place."""


class Meter:
    """The rate of a stream on the wire: a sliding mean of METER_S, and its fading peak."""

    def __init__(self, now_s: float) -> None:
        self._steps: deque[tuple[float, int]] = deque(maxlen=METER_STEPS)
        self._began_s = now_s
        self._peak_bps = 0.0
        self._peak_s = now_s

    def add(self, size_bytes: int, now_s: float) -> None:
        """Note one packet."""
        if self._steps and now_s - self._steps[-1][0] < METER_STEP_S:
            begun_s, sum_bytes = self._steps[-1]
            self._steps[-1] = (begun_s, sum_bytes + size_bytes)
        else:
            self._steps.append((now_s, size_bytes))

    def rate_bps(self, now_s: float) -> float:
        """Return the mean of the last two seconds."""
        while self._steps and now_s - self._steps[0][0] > METER_S:
            self._steps.popleft()
        span_s = min(METER_S, max(0.5, now_s - self._began_s))
        return sum(size for _, size in self._steps) * 8 / span_s

    def cost_bps(self, now_s: float) -> float:
        """Return what to reckon with."""
        faded = self._peak_bps * PEAK_FADES_PER_S ** (now_s - self._peak_s)
        self._peak_bps, self._peak_s = max(faded, self.rate_bps(now_s)), now_s
        return self._peak_bps


class Entrant(Protocol):
    """Who waits for a source: a viewer. It begins with the packet that it is given, or goes on waiting."""

    def enter(self, source: Source, packet: TrackPacket, now_s: float) -> None: ...


class Source:
    """A track and the viewers on it. `codec` is the picture's, "OPUS" for voice; `ask_keyframe` is for pictures."""

    def __init__(self, track: Track, codec: str, batch: Batch, ask_keyframe: Callable[[float], None], now_s: float):
        self.track = track
        self.codec = codec
        self.streams = Crowd()
        self.waiting: list[Entrant] = []
        self.meter = Meter(now_s)
        self.ask_keyframe = ask_keyframe
        self._followers: dict[SendStream, None] = {}
        self._batch = batch

    @property
    def idle(self) -> bool:
        """Whether nobody has it or waits for it."""
        return not self.streams and not self.waiting

    def follow(self, streams: Iterable[SendStream]) -> None:
        """Let exactly these streams have everything, of those that do not come and go by themselves."""
        former, self._followers = self._followers, dict.fromkeys(streams)
        for stream in former.keys() - self._followers.keys():
            self.streams.remove(stream)
        for stream in self._followers.keys() - former.keys():
            self.streams.add(stream)

    def send(self, packet: TrackPacket, now_s: float) -> None:
        """Send one packet to everybody on this source: voice at once, pictures where credit allows."""
        self.meter.add(len(packet.payload) + HEADER_BYTES, now_s)
        picture = self.track.kind == "video"
        if packet.number < self.track.highest:
            self._send_late(packet, now_s)
        elif self.streams:
            self._batch.fan_out(
                packet.number,
                packet.timestamp,
                packet.marker,
                packet.payload,
                self.streams,
                packet.padding,
                now_s,
                picture,
            )
        if self.waiting and (packet.keyframe or not picture):
            self._let_in(packet, now_s)

    def _send_late(self, packet: TrackPacket, now_s: float) -> None:
        """Send a repaired packet to those who have passed its place; the others get it in its turn."""
        number = packet.number
        passed = [s for s in self.streams if s.first <= number and not (s.behind and number >= s.cursor)]
        self._batch.fan_out(number, packet.timestamp, packet.marker, packet.payload, passed, packet.padding, now_s)

    def _let_in(self, packet: TrackPacket, now_s: float) -> None:
        """Begin for those who wait: voice with this packet, pictures with the keyframe that begins here."""
        gop = self.track.gop
        if self.track.kind == "video":
            if gop is None or not gop.packets or gop.timestamp != packet.timestamp:
                return
            packet = gop.packets[0]
        for viewer in list(self.waiting):
            viewer.enter(self, packet, now_s)
