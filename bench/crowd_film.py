"""A host's true pictures for the crowd bench: coded beforehand, so that the encoder of low rungs has what to decode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import av

from bench.fanout_sdp import PICTURE_PT, VOICE_PT
from media.rtp import RtpPacket, serialize_rtp
from tests.slow.lowrunghost import FPS, Camera

CAMERA_CODEC = "VP8"
LOOP_S = 8
"""The film begins anew so often, with a keyframe."""
MAX_PAYLOAD_BYTES = 1100
VOICE_MS = 60
VOICE_BPS = 16_000
"""What our answer asks hosts for (media/answer.py)."""
FIRST_PACKET, NEXT_PACKET = b"\x10", b"\x00"
"""RFC 7741 4.2: the start of a partition, and what continues it."""


class Film:
    """A picture of 640x360 at 15 a second and a voice in frames of 60 ms, again and again."""

    def __init__(self, codec: str) -> None:
        av.logging.set_level(av.logging.FATAL)
        camera = Camera(codec)
        self._frames = [camera.next().data for _ in range(LOOP_S * FPS)]
        camera.close()
        self._voice = _voice()
        self.ssrcs = {"audio": 0x1001, "video": 0x1002}
        self._sequence = {"audio": 1000, "video": 1000}
        self._send: Callable[[str, bytes], None] | None = None
        self._task: asyncio.Task | None = None

    def begin(self, send: Callable[[str, bytes], None]) -> None:
        """Give packets in their time to `send`: ("audio" or "video", whole RTP packet)."""
        self._send = send
        self._task = asyncio.get_running_loop().create_task(self._run(), name="film")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        begin_s, voices, pictures = loop.time(), 0, 0
        while True:
            voice_s, picture_s = voices * VOICE_MS / 1000, pictures / FPS
            await asyncio.sleep(max(0.0, begin_s + min(voice_s, picture_s) - loop.time()))
            if voice_s <= picture_s:
                payload = self._voice[voices % len(self._voice)]
                self._put("audio", VOICE_PT, voices * VOICE_MS * 48, payload, marker=voices == 0)
                voices += 1
            else:
                self._picture(pictures)
                pictures += 1

    def _picture(self, number: int) -> None:
        data = self._frames[number % len(self._frames)]
        parts = [data[at : at + MAX_PAYLOAD_BYTES] for at in range(0, len(data), MAX_PAYLOAD_BYTES)]
        for index, part in enumerate(parts):
            head = NEXT_PACKET if index else FIRST_PACKET
            self._put("video", PICTURE_PT, number * 90_000 // FPS, head + part, index == len(parts) - 1)

    def _put(self, kind: str, payload_type: int, timestamp: int, payload: bytes, marker: bool) -> None:
        sequence = self._sequence[kind] = (self._sequence[kind] + 1) & 0xFFFF
        packet = RtpPacket(payload_type, sequence, timestamp & 0xFFFFFFFF, self.ssrcs[kind], payload, marker)
        self._send(kind, serialize_rtp(packet))


def _voice() -> list[bytes]:
    """Code a buzz that is no easier than speech."""
    context = av.CodecContext.create("libopus", "w")
    context.sample_rate, context.layout, context.format, context.bit_rate = 48_000, "mono", "s16", VOICE_BPS
    context.options = {"application": "voip", "frame_duration": str(VOICE_MS), "vbr": "off"}
    samples, packets = 48 * VOICE_MS, []
    for number in range(LOOP_S * 1000 // VOICE_MS):
        frame = av.AudioFrame("s16", "mono", samples)
        frame.sample_rate, frame.pts = 48_000, number * samples
        wave = (((index * index >> 9) % 301 - 150) * 40 for index in range(number * samples, (number + 1) * samples))
        frame.planes[0].update(b"".join(value.to_bytes(2, "little", signed=True) for value in wave))
        packets += [bytes(packet) for packet in context.encode(frame)]
    return packets
