"""The media process alone, with clients that nobody here wrote: ffmpeg publishes by WHIP, aiortc watches by WHEP."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import imageio_ffmpeg
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tests.slow.mediadoor import MediaDoor
from tests.slow.stack import free_port

pytestmark = pytest.mark.slow

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

    async def watch(self, url: str, key: str = "guest:1") -> int:
        """Offer, take the answer; return the HTTP status."""
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
            await self.connection.setRemoteDescription(RTCSessionDescription(text, "answer"))
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


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make twelve seconds of H.264 in groups of 250 pictures, with Opus: a host that answers no keyframe request."""
    path = tmp_path_factory.mktemp("clip") / "clip.mkv"
    arguments = ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate={FRAMES_PER_S}:duration=12"]
    arguments += ["-f", "lavfi", "-i", "sine=frequency=300:sample_rate=48000:duration=12"]
    arguments += ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "250k", "-bf", "0"]
    arguments += ["-g", "250", "-c:a", "libopus", "-ac", "2", "-b:a", "24k", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-y", *arguments], check=True)
    return path


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[MediaDoor]:
    """Run a media process of its own."""
    async with MediaDoor(tmp_path, free_port()) as running:
        yield running


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


async def test_ffmpeg_to_ten_viewers(door: MediaDoor, clip: Path) -> None:
    """Each of ten viewers that join a lesson under way gets 95 % of its pictures and its sound; nothing is decoded."""
    host = await publish(door, clip, "lesson")
    watchers = [Watcher() for _ in range(10)]

    async def live() -> bool:
        return (await room(door, "lesson")).get("state") == "live"

    await until(live, "the lesson is live")
    joined = [await w.watch(f"{door.url}/whep/lesson", f"guest:{i}") for i, w in enumerate(watchers)]
    assert joined == [201] * 10

    async def all_there() -> bool:
        return (await room(door, "lesson")).get("viewers") == 10

    await until(all_there, "ten viewers are connected")
    state = await room(door, "lesson")
    assert state["video_codec"] == "H264"
    assert sorted(v["key"] for v in state["viewer_list"]) == sorted(f"guest:{i}" for i in range(10))
    metrics = (await door.ask("GET", "/metrics"))[1]["text"]
    assert "tropa_media_frames_decoded_total 0.0" in metrics
    assert "tropa_media_sessions 11.0" in metrics
    assert await host.wait() == 0

    async def ended() -> bool:
        return await room(door, "lesson") == {}

    await until(ended, "the host's goodbye ends the lesson")
    for watcher in watchers:
        assert watcher.frames["video"] >= 0.95 * 12 * FRAMES_PER_S
        assert watcher.frames["audio"] > 300
        await watcher.close()


async def test_a_host_that_returns_keeps_its_viewers(door: MediaDoor, clip: Path) -> None:
    """Killed and started again, the host reaches the same viewer on the same connection, in the same recording."""
    first = await publish(door, clip, "lesson")
    watcher = Watcher()

    async def live() -> bool:
        return (await room(door, "lesson")).get("state") == "live"

    await until(live, "the lesson is live")
    assert await watcher.watch(f"{door.url}/whep/lesson") == 201

    async def plays() -> bool:
        return watcher.frames["video"] > 10

    await until(plays, "the picture is there")
    recording = (await room(door, "lesson"))["recording"]["id"]
    first.kill()
    await first.wait()

    async def lost() -> bool:
        return (await room(door, "lesson")).get("state") == "host_lost"

    await until(lost, "the loss of the host is noticed")
    seen = dict(watcher.frames)
    second = await publish(door, clip, "lesson")

    async def more() -> bool:
        return all(watcher.frames[kind] > seen[kind] + 25 for kind in seen)

    await until(more, "sound and picture go on for the same viewer")
    assert watcher.connection.connectionState == "connected"
    assert (await room(door, "lesson"))["recording"]["id"] == recording
    second.kill()
    await second.wait()
    await watcher.close()


async def test_refusals(door: MediaDoor, clip: Path) -> None:
    """Nobody live, broken offers, wrong secrets, foreign resources: each is told, none is a fault."""
    assert await Watcher().watch(f"{door.url}/whep/nobody") == 409
    for offer, reason in (("nonsense", "bad_sdp"), ("v=0\r\n" + "a=x\r\n" * 30_000, "bad_sdp"), (7, "bad_request")):
        status, body = await door.ask("POST", "/rooms/lesson/host", {"offer": offer, "title": ""})
        assert (status // 100, body["reason"]) == (4, reason)
    assert (await door.ask("POST", "/rooms/lesson/end", {}))[0] == 404
    assert (await door.ask("DELETE", "/rooms/lesson/resources/none"))[0] == 404
    assert (await door.ask("POST", "/rooms/..%2Fup/host", {"offer": "v=0", "title": ""}))[0] == 404
    async with aiohttp.ClientSession() as stranger, stranger.get(f"{door.control}/rooms") as response:
        assert response.status == 403


async def test_garbage_on_the_port_hurts_nobody(door: MediaDoor, clip: Path) -> None:
    """Datagrams of every first byte, cut and random ones, are counted and dropped while a lesson goes on."""
    host = await publish(door, clip, "lesson")
    watcher = Watcher()

    async def live() -> bool:
        return (await room(door, "lesson")).get("state") == "live"

    await until(live, "the lesson is live")
    assert await watcher.watch(f"{door.url}/whep/lesson") == 201
    chance = random.Random(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for index in range(2000):
            data = bytes([index % 256]) + chance.randbytes(chance.choice((0, 3, 19, 40, 1400)))
            if index % 5 == 0:
                data = b"\x00\x01" + len(data).to_bytes(2) + b"\x21\x12\xa4\x42" + data
            stranger.sendto(data, ("127.0.0.1", door.media_port))

    async def plays() -> bool:
        return watcher.frames["video"] > 50 and watcher.frames["audio"] > 50

    await until(plays, "the lesson goes on")
    metrics = (await door.ask("GET", "/metrics"))[1]["text"]
    assert "tropa_media_faults_total 0.0" in metrics
    assert 'reason="fault"' not in metrics
    assert 'tropa_media_dropped_total{direction="in",reason="stranger"}' in metrics
    host.kill()
    await host.wait()
    await watcher.close()


async def test_killed_and_started_again(door: MediaDoor, clip: Path) -> None:
    """After kill -9 a new process takes host and viewer at once, and goes on with the same recording."""
    host = await publish(door, clip, "lesson")

    async def recorded() -> bool:
        return ((await room(door, "lesson")).get("recording") or {}).get("seconds", 0) > 2

    await until(recorded, "two seconds are on disk")
    recording = (await room(door, "lesson"))["recording"]["id"]
    await door.stop(signal.SIGKILL)
    host.kill()
    await host.wait()
    await door.start()
    again = await publish(door, clip, "lesson")

    async def resumed() -> bool:
        state = await room(door, "lesson")
        return state.get("state") == "live" and state["recording"]["id"] == recording

    await until(resumed, "the recording goes on")
    watcher = Watcher()
    assert await watcher.watch(f"{door.url}/whep/lesson") == 201

    async def plays() -> bool:
        return watcher.frames["video"] > 10

    await until(plays, "the picture is there")
    status, body = await door.ask("POST", "/rooms/lesson/end", {})
    assert (status, body) == (200, {})
    manifest = door.data / "live" / "lesson" / recording / "manifest.json"

    async def sealed() -> bool:
        return manifest.exists()

    await until(sealed, "the recording is sealed")
    again.kill()
    await again.wait()
    await watcher.close()
