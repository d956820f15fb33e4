"""Tell Redis that this node lives, which rooms it has, and what happens in them. Redis away never touches a lesson.

Everything is handed over without waiting: events stand in a bounded queue, one task talks to Redis.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterable

import redis.asyncio
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

BEAT_S = 2.0
LEASE_S = 6
ROOM_LEASE_S = 10
MAX_EVENTS = 256
"""Events wait here while Redis is away; the oldest goes first, for a newer state of its room follows it."""
TIMEOUT_S = 1.0
LONGEST_PAUSE_S = 5.0


class Registry:
    """The node's entry in Redis. `load` gives a number to compare nodes by, `sessions` the rooms that are here."""

    def __init__(
        self,
        url: str,
        node: str,
        control: str,
        pid: int,
        load: Callable[[], float],
        sessions: Callable[[], Iterable[str]],
    ) -> None:
        self._client = redis.asyncio.Redis.from_url(
            url, socket_connect_timeout=TIMEOUT_S, socket_timeout=TIMEOUT_S, retry_on_timeout=False
        )
        self._node = node
        self._entry = {"control": control, "node": node, "pid": pid}
        self._load = load
        self._sessions = sessions
        self._events: deque[tuple[str, dict]] = deque(maxlen=MAX_EVENTS)
        self._wake = asyncio.Event()

    def publish(self, session: str, event: dict) -> None:
        """Queue an event for `tropa:events:<session>`."""
        self._events.append((session, event))
        self._wake.set()

    async def run(self) -> None:
        """Beat and publish until cancelled; after an error pause, longer each time."""
        pause_s = 0.5
        while True:
            try:
                await self._beat()
                pause_s = 0.5
                await self._publish_for(BEAT_S)
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("Redis is away (%s); lessons go on", type(error).__name__)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _beat(self) -> None:
        entry = json.dumps({**self._entry, "load": self._load()})
        async with self._client.pipeline(transaction=False) as pipe:
            pipe.set(f"tropa:node:{self._node}", entry, ex=LEASE_S)
            for session in self._sessions():
                pipe.set(f"tropa:room:{session}", self._node, ex=ROOM_LEASE_S)
            await pipe.execute()

    async def _publish_for(self, seconds: float) -> None:
        """Publish what comes during this time."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while (left_s := end_s - loop.time()) > 0:
            while self._events:
                session, event = self._events[0]
                await self._client.publish(f"tropa:events:{session}", json.dumps(event, ensure_ascii=False))
                if self._events and self._events[0] == (session, event):
                    self._events.popleft()
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), left_s)
            except TimeoutError:
                return

    async def close(self) -> None:
        """Take the entry back, if Redis is there, and close."""
        try:
            await asyncio.wait_for(self._client.delete(f"tropa:node:{self._node}"), TIMEOUT_S)
        except (RedisError, OSError, TimeoutError) as error:
            logger.info("Redis was not told of the end (%s)", type(error).__name__)
        await self._client.aclose()
