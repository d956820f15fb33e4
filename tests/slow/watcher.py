"""Clients of the media process for slow tests: ffmpeg publishes a clip by WHIP, aiortc watches by WHEP and counts."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import imageio_ffmpeg
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tests.slow.mediadoor import MediaDoor

PATIENCE_S = 40
FRAMES_PER_S = 25


class Watcher:
    """An aiortc client that counts what it decodes."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames = {"audio": 0, "video": 0}
        self.resource = ""
        self._pumps: list[asyncio.Task] = []
        self.connection.on("track", lambda track: self._pumps.append(asyncio.create_task(self._count(track))))

    async def _count(self, track) -> None:
        try:
            while True:
                await track.recv()
                self.frames[track.kind] += 1
        except MediaStreamError:
            return

    async def watch(self, url: str, key: str = "guest:1", bend: Callable[[str], str] = str) -> int:
        """Offer, take the answer as `bend` leaves it; return the HTTP status."""
        for kind in ("audio", "video"):
            self.connection.addTransceiver(kind, direction="recvonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        headers = {"Content-Type": "application/sdp"}
        async with aiohttp.ClientSession() as http:
            offer = self.connection.localDescription.sdp
            async with http.post(f"{url}?key={key}", data=offer, headers=headers) as response:
                text = await response.text()
        if response.status == 201:
            self.resource = response.headers["Location"].rsplit("/", 1)[1]
            await self.connection.setRemoteDescription(RTCSessionDescription(bend(text), "answer"))
        return response.status

    async def close(self) -> None:
        """Leave."""
        await self.connection.close()
        for pump in self._pumps:
            pump.cancel()
        await asyncio.gather(*self._pumps, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask every 50 ms until it holds."""
    for _ in range(PATIENCE_S * 20):
        if await condition():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"not within {PATIENCE_S} s: {what}")


def make_clip(path: Path) -> Path:
    """Make twelve seconds of H.264 in groups of 250 pictures, with Opus: a host that answers no keyframe request."""
    arguments = ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FRAMES_PER_S}:duration=12"]
    arguments += ["-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000:duration=12"]
    arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "250k", "-bf", "0"]
    arguments += ["-g", "250", "-c:a", "libopus", "-ac", "2", "-b:a", "24k", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], check=True)
    return path


async def publish(door: MediaDoor, clip: Path, session: str, *options: str) -> asyncio.subprocess.Process:
    """Start ffmpeg at real-time pace."""
    binary = imageio_ffmpeg.get_ffmpeg_exe()
    source = ("-re", *options, "-i", str(clip), "-map", "0", "-c", "copy")
    quiet = ("-hide_banner", "-nostdin", "-loglevel", "error")
    return await asyncio.create_subprocess_exec(binary, *quiet, *source, "-f", "whip", f"{door.url}/whip/{session}")


async def room(door: MediaDoor, session: str) -> dict:
    """Return the room's state, empty where there is none."""
    status, body = await door.ask("GET", f"/rooms/{session}")
    return body if status == 200 else {}
