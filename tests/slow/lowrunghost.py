"""A host for tests of low rungs: moving pictures coded as browsers do, a voice, and what the rungs gave."""

from __future__ import annotations

import asyncio
import math
from dataclasses import dataclass, field
from fractions import Fraction

import av

from media.lowrung.client import LowRungs, RungFrame, VoicePacket
from media.lowrung.rungs import Rung
from media.payload import Depacketizer, Frame
from tests.media.packetizers import rtp_packets

FPS = 15
SIZE = (640, 360)
ENCODERS = {
    "AV1": ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2:rtc=1:lp=1"}),
    "VP9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", {"preset": "ultrafast", "tune": "zerolatency"}),
    "VP8": ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
}
DECODERS = {"AV1": "libdav1d", "VP8": "vp8"}


def picture(number: int, size: tuple[int, int]) -> av.VideoFrame:
    """Draw a board with a grid over which a bright square moves like a hand."""
    width, height = size
    frame = av.VideoFrame(width, height, "yuv420p")
    luma, stride = bytearray(), frame.planes[0].line_size
    left = int((0.5 + 0.4 * math.sin(number / 9)) * (width - 80)) & ~1
    for row in range(height):
        line = bytearray([60 + (row * 90) // height + (40 if row % 24 < 2 else 0)]) * stride
        if height // 3 < row < height // 3 + 90:
            line[left : left + 80] = bytes((row * 7 + column * 3 + number * 5) % 120 + 100 for column in range(80))
        luma += line
    frame.planes[0].update(bytes(luma))
    for plane in (frame.planes[1], frame.planes[2]):
        plane.update(bytes([118 + number % 20]) * plane.buffer_size)
    return frame


class Camera:
    """A host's encoder: frames at 15 a second on the RTP clock, keyframes only when asked for."""

    def __init__(self, codec: str, size: tuple[int, int] = SIZE, first_timestamp: int = 0) -> None:
        self.codec, self._size = codec, size
        self._number, self._first = 0, first_timestamp
        self._wanted = True
        name, options = ENCODERS[codec]
        self._context = av.CodecContext.create(name, "w")
        self._context.width, self._context.height = size
        self._context.pix_fmt = "yuv420p"
        self._context.framerate, self._context.time_base = FPS, Fraction(1, 90000)
        self._context.bit_rate, self._context.gop_size = 400_000, 100_000
        self._context.thread_count = 1
        self._context.options = dict(options)

    def ask_keyframe(self) -> None:
        """Make the next frame a keyframe."""
        self._wanted = True

    def next(self) -> Frame:
        """Return the next frame."""
        raw = picture(self._number, self._size)
        raw.pts, raw.time_base = self._number * 6000, Fraction(1, 90000)
        raw.pict_type = av.video.frame.PictureType.I if self._wanted else av.video.frame.PictureType.NONE
        self._wanted = False
        (packet,) = self._context.encode(raw)
        timestamp = (self._first + self._number * 6000) & 0xFFFFFFFF
        self._number += 1
        return Frame(bytes(packet), timestamp, bool(packet.is_keyframe), self._size if packet.is_keyframe else None)

    def close(self) -> None:
        """Let the encoder end in order."""
        self._context.encode(None)


def voice(seconds: float, frame_ms: int, stereo: bool = False) -> list[tuple[int, bytes]]:
    """Code a tone that comes and goes as a host does: (RTP timestamp, packet)."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo" if stereo else "mono", "s16"
    context.bit_rate = 24_000
    context.options = {"application": "voip", "frame_duration": str(frame_ms)}
    samples, packets, channels = 48 * frame_ms, [], 2 if stereo else 1
    for number in range(int(seconds * 1000 / frame_ms)):
        frame = av.AudioFrame("s16", context.layout.name, samples)
        frame.sample_rate, frame.pts = 48000, number * samples
        data = bytearray()
        for index in range(number * samples, (number + 1) * samples):
            swell = 0.5 + 0.5 * math.sin(index / 9000)
            value = int(9000 * swell * math.sin(index * 2 * math.pi * 330 / 48000))
            data += value.to_bytes(2, "little", signed=True) * channels
        frame.planes[0].update(bytes(data))
        packets += [(number * samples, bytes(packet)) for packet in context.encode(frame)]
    return packets


@dataclass
class Viewer:
    """Keeps what comes, and puts payloads together and decodes them as a viewer does."""

    frames: dict[tuple[Rung, str], list[RungFrame]] = field(default_factory=dict)
    voice: list[VoicePacket] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def on_frame(self, frame: RungFrame) -> None:
        """Take a frame."""
        self.frames.setdefault((frame.rung, frame.codec), []).append(frame)
        self.came.set()

    def on_voice(self, packet: VoicePacket) -> None:
        """Take a packet of the low voice."""
        self.voice.append(packet)
        self.came.set()

    async def until(self, holds, patience_s: float = 20) -> None:
        """Wait until something holds of what came."""
        async with asyncio.timeout(patience_s):
            while not holds():
                self.came.clear()
                await self.came.wait()

    def of(self, rung: Rung, codec: str) -> list[RungFrame]:
        """Return the frames of one rung."""
        return self.frames.get((rung, codec), [])

    def decoded(self, rung: Rung, codec: str) -> list[av.VideoFrame]:
        """Send the payloads through the Depacketizer and a decoder; return every picture."""
        depacketizer, number, found = Depacketizer(codec), 0, []
        decoder = av.CodecContext.create(DECODERS[codec], "r")
        decoder.thread_count = 1
        for frame in self.of(rung, codec):
            for packet in rtp_packets(list(frame.payloads), number, frame.timestamp):
                number += 1
                for whole in depacketizer.push(packet.sequence, packet):
                    assert whole.keyframe == frame.keyframe
                    found += decoder.decode(av.Packet(whole.data))
        return [*found, *decoder.decode(None)]


async def begin(low: LowRungs, camera: Camera, viewer: Viewer) -> None:
    """Feed the first frame and wait until a rung shows it, so that the child is there and has no lag to catch up."""
    low.picture(camera.codec, camera.next())
    await viewer.until(lambda: bool(viewer.frames))


async def film(low: LowRungs, camera: Camera, frames: int, pace: float = 1.0) -> None:
    """Feed frames in the camera's time, divided by `pace`."""
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    for number in range(frames):
        await asyncio.sleep(max(0.0, begin_s + number / FPS / pace - loop.time()))
        low.picture(camera.codec, camera.next())
