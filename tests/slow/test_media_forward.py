"""The media process alone, with clients that nobody here wrote: ffmpeg publishes by WHIP, aiortc watches by WHEP."""

from __future__ import annotations

import asyncio
import random
import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.slow.mediadoor import MediaDoor
from tests.slow.stack import free_port
from tests.slow.watcher import FRAMES_PER_S, Watcher, make_clip, publish, room, until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What every host sends."""
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mkv")


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[MediaDoor]:
    """Run a media process of its own."""
    async with MediaDoor(tmp_path, free_port()) as running:
        yield running


async def test_ffmpeg_to_ten_viewers(door: MediaDoor, clip: Path) -> None:
    """Each of ten viewers that join a lesson under way gets 95 % of its pictures and its sound; nothing is decoded."""
    host = await publish(door, clip, "lesson")
    watchers = [Watcher() for _ in range(10)]

    async def live() -> bool:
        return (await room(door, "lesson")).get("state") == "live"

    await until(live, "the lesson is live")

    def unjudged(answer: str) -> str:
        """Keep ten clients in one busy loop from taking their own lag for a slow link."""
        return re.sub(r"a=(rtcp-fb:\d+ goog-remb|extmap:\d+ \S+abs-send-time)\r\n", "", answer)

    url = f"{door.url}/whep/lesson"
    joined = [await w.watch(url, f"guest:{i}", unjudged) for i, w in enumerate(watchers)]
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


class Nat:
    """Stands for a router between one viewer and the server: `forget` gives the viewer another address outside."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._inside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._inside.bind(("0.0.0.0", 0))
        self._inside.setblocking(False)
        self.number = self._inside.getsockname()[1]
        self._outside: dict[tuple, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._inside, self._out)

    def _out(self) -> None:
        data, inner = self._inside.recvfrom(2048)
        if inner not in self._outside:
            sock = self._outside[inner] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.setblocking(False)
            sock.connect(self._server)
            self._loop.add_reader(sock, lambda: self._inside.sendto(sock.recv(2048), inner))
        self._outside[inner].send(data)

    def forget(self) -> None:
        """Lose every mapping: what comes from outside goes nowhere until the viewer sends again."""
        for sock in self._outside.values():
            self._loop.remove_reader(sock)
            sock.close()
        self._outside.clear()

    def close(self) -> None:
        """Stop."""
        self.forget()
        self._loop.remove_reader(self._inside)
        self._inside.close()


async def test_a_viewer_behind_a_forgetful_router_keeps_its_session(door: MediaDoor, clip: Path) -> None:
    """When the router gives a viewer another address in mid-lesson, the same session goes on there."""
    host = await publish(door, clip, "lesson", "-stream_loop", "5")
    nat = Nat(("127.0.0.1", door.media_port))
    watcher = Watcher()

    async def live() -> bool:
        return (await room(door, "lesson")).get("state") == "live"

    await until(live, "the lesson is live")

    def through_the_router(answer: str) -> str:
        return re.sub(rf"( udp \d+ \S+) {door.media_port} ", rf"\1 {nat.number} ", answer)

    assert await watcher.watch(f"{door.url}/whep/lesson", bend=through_the_router) == 201

    async def plays() -> bool:
        return watcher.frames["audio"] > 10

    await until(plays, "the lesson comes through the router")
    nat.forget()
    seen = watcher.frames["audio"]

    async def goes_on() -> bool:
        return watcher.frames["audio"] > seen + 100

    await until(goes_on, "voice goes on at the new address")
    assert watcher.connection.connectionState == "connected"
    metrics = (await door.ask("GET", "/metrics"))[1]["text"]
    assert "tropa_media_sessions 2.0" in metrics
    host.kill()
    await host.wait()
    await watcher.close()
    nat.close()
