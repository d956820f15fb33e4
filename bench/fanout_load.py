"""The load of the fan-out bench: a voice and a picture as RTP, the same for every server."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from bench.fanout_sdp import PICTURE_PT, VOICE_PT
from media.rtp import RtpPacket, serialize_rtp

KEYFRAME_EACH = 300
"""Pictures; ten seconds of them."""
VP8_DESCRIPTOR = b"\x10"
"""RFC 7741 4.2: the start of a partition, nothing else."""
VP8_KEYFRAME = bytes([0x10, 0, 0, 0x9D, 0x01, 0x2A]) + (640).to_bytes(2, "little") + (360).to_bytes(2, "little")
"""RFC 6386 9.1: frame tag, start code, size. What follows is noise: nobody here decodes."""
VP8_DELTA = bytes([0x11, 0, 0])


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent. `voice_ms` is what one voice packet holds; sizes are of payloads."""

    name: str
    voice_ms: int
    voice_bytes: int
    pictures_per_s: int = 30
    picture_bytes: int = 1050

    @property
    def packets_per_s(self) -> float:
        """Voice and picture together."""
        return 1000 / self.voice_ms + self.pictures_per_s

    @property
    def kbps(self) -> float:
        """RTP, headers included."""
        return (self.voice_bytes + 12) * 8 / self.voice_ms + (self.picture_bytes + 12) * 8 * self.pictures_per_s / 1000


LOADS = (Load("50 voice + 30 picture", 20, 60), Load("16.7 voice + 30 picture", 60, 135))
"""Voice of 24 kbit/s in frames of 20 ms as anybody sends it, and of 18 in frames of 60 as our hosts do."""


class Source:
    """Gives the packets of a load in their time to `send`: ("audio" or "video", whole RTP packet)."""

    def __init__(self, load: Load, send: Callable[[str, bytes], None]) -> None:
        self.load = load
        self.ssrcs = {"audio": 0x1001, "video": 0x1002}
        self._send = send
        self._noise = secrets.token_bytes(2 * load.picture_bytes)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="load")

    async def close(self) -> None:
        """Fall silent."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop, load = asyncio.get_running_loop(), self.load
        begin_s, voices, pictures = loop.time(), 0, 0
        while True:
            voice_s, picture_s = voices * load.voice_ms / 1000, pictures / load.pictures_per_s
            await asyncio.sleep(max(0.0, begin_s + min(voice_s, picture_s) - loop.time()))
            if voice_s <= picture_s:
                self._voice(voices)
                voices += 1
            else:
                self._picture(pictures)
                pictures += 1

    def _voice(self, number: int) -> None:
        payload = b"\x78" + self._noise[: self.load.voice_bytes - 1]
        self._put("audio", VOICE_PT, number, number * self.load.voice_ms * 48, payload, marker=number == 0)

    def _picture(self, number: int) -> None:
        head = VP8_DESCRIPTOR + (VP8_DELTA if number % KEYFRAME_EACH else VP8_KEYFRAME)
        payload = head + self._noise[: self.load.picture_bytes - len(head)]
        self._put("video", PICTURE_PT, number, number * 90_000 // self.load.pictures_per_s, payload, marker=True)

    def _put(self, kind: str, payload_type: int, number: int, timestamp: int, payload: bytes, marker: bool) -> None:
        packet = RtpPacket(
            payload_type, (number + 1000) & 0xFFFF, timestamp & 0xFFFFFFFF, self.ssrcs[kind], payload, marker
        )
        self._send(kind, serialize_rtp(packet))
