"""One process's knowledge of what is on air: one subscription to Redis and one poll, however many people watch."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis.asyncio
import structlog
from redis.exceptions import RedisError

from rules.lifecycle import SessionState
from server.liveplane import LivePlane, MediaAway, Refused
from server.roomview import differs, view

CHANNELS = "tropa:events:*"
POLL_S = 5.0  # events are hints: whoever misses one learns it here
POLL_ALONE_S = 1.5  # without Redis, or while no media process answers, the poll is all there is
REDIS_PAUSE_S = 1.0
MAX_KINDS = 32

log = structlog.get_logger("server.livefeed")


class Mailbox:
    """What one watcher has not been sent yet: the newest event of each kind.

    Bounded at MAX_KINDS kinds; a slow link gets the newest state and never the ones it missed. Of too many kinds
    (renditions of a recording) the oldest is dropped: its page asks again anyway.
    """

    def __init__(self, host: bool) -> None:
        self.host = host
        self._waiting: dict[str, tuple[str, dict[str, Any]]] = {}
        self._filled = asyncio.Event()
        self.last_room: dict[str, Any] | None = None

    def put(self, key: str, name: str, body: dict[str, Any]) -> None:
        """Leave an event to be sent; one of the same key that waits is replaced."""
        if key not in self._waiting and len(self._waiting) >= MAX_KINDS:
            del self._waiting[next(iter(self._waiting))]
        self._waiting[key] = (name, body)
        self._filled.set()

    async def take(self) -> list[tuple[str, dict[str, Any]]]:
        """Wait for events and return all that are there, oldest first."""
        await self._filled.wait()
        self._filled.clear()
        events = list(self._waiting.values())
        self._waiting.clear()
        return events


class LiveFeed:
    """Rooms as last heard of, and the mailboxes of those who want to know."""

    def __init__(
        self,
        liveplane: LivePlane,
        redis_url: str,
        session_state: Callable[[str], SessionState | None],
        on_rooms: Callable[[dict[str, dict[str, Any]], bool], None],
        on_ended: Callable[[str], None],
    ) -> None:
        """Take the way to the database as functions that block: session_state reads, the others write.

        on_rooms(rooms, complete) is told whether these are all rooms that there are.
        """
        self._liveplane = liveplane
        self._redis_url = redis_url
        self._session_state = session_state
        self._on_rooms = on_rooms
        self._on_ended = on_ended
        self._mailboxes: dict[str, set[Mailbox]] = {}
        self._states: dict[str, SessionState | None] = {}
        self._rooms: dict[str, dict[str, Any]] = {}
        self._heard: set[str] = set()
        self._away = False
        self._subscribed = False
        self._poll_now = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to listen and to poll; needs a running event loop."""
        self._tasks = [asyncio.create_task(self._forever(self._poll), name="livefeed-poll")]
        if self._redis_url:
            self._tasks.append(asyncio.create_task(self._forever(self._listen), name="livefeed-listen"))

    async def stop(self) -> None:
        """End both tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def join(self, session: str, host: bool) -> Mailbox:
        """Open a mailbox for somebody who watches a session; the state as known now is in it already."""
        mailbox = Mailbox(host)
        self._mailboxes.setdefault(session, set()).add(mailbox)
        if session not in self._states:
            self._states[session] = await asyncio.to_thread(self._session_state, session)
        self._tell(session, mailbox)
        return mailbox

    def leave(self, session: str, mailbox: Mailbox) -> None:
        """Close a mailbox."""
        boxes = self._mailboxes.get(session, set())
        boxes.discard(mailbox)
        if not boxes:
            self._mailboxes.pop(session, None)
            self._states.pop(session, None)

    def _tell(self, session: str, only: Mailbox | None = None) -> None:
        """Put a session's state into its mailboxes where it differs from what was put there last."""
        boxes = [only] if only is not None else self._mailboxes.get(session, ())
        now_s = time.time()
        for mailbox in boxes:
            body = view(
                self._rooms.get(session),
                self._states.get(session),
                away=self._away,
                now_s=now_s,
                host=mailbox.host,
            )
            if differs(mailbox.last_room, body):
                mailbox.last_room = body
                mailbox.put("room", "room", body)

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:  # the boundary of the task: whatever broke is logged, and the feed goes on
                log.exception("livefeed_failed", task=work.__name__)
                await asyncio.sleep(REDIS_PAUSE_S)

    # ---- the poll

    async def _poll(self) -> None:
        """Ask all nodes for their rooms once, tell what changed, and wait for the next time."""
        self._heard.clear()
        try:
            rooms = await asyncio.to_thread(self._liveplane.rooms)
        except (MediaAway, Refused):
            self._away = True
            # What was on air may be again in seconds; until then nobody is told that it is.
            self._rooms = {}
        else:
            self._away = False
            # What an event said while the poll was under way is newer than the poll's answer.
            newer = {id: room for id, room in self._rooms.items() if id in self._heard}
            polled = {id: _public(room) for id, room in rooms.items() if id not in self._heard}
            self._rooms = polled | newer
            await asyncio.to_thread(self._on_rooms, self._rooms, True)
        for session in list(self._mailboxes):
            if session not in self._rooms:
                await self._reread(session)
            self._tell(session)
        steady = self._subscribed and not self._away
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._poll_now.wait(), POLL_S if steady else POLL_ALONE_S)
        self._poll_now.clear()

    async def _reread(self, session: str) -> None:
        if session in self._mailboxes:
            self._states[session] = await asyncio.to_thread(self._session_state, session)

    # ---- the subscription

    async def _listen(self) -> None:
        """Follow every session's channel until Redis is gone, then come back for another try."""
        client = redis.asyncio.Redis.from_url(self._redis_url, socket_connect_timeout=2, decode_responses=True)
        try:
            async with client.pubsub() as channel:
                await channel.psubscribe(CHANNELS)
                self._subscribed = True
                self._poll_now.set()  # what was said while nobody listened
                async for message in channel.listen():
                    if message["type"] == "pmessage":
                        await self._hear(message["channel"].rpartition(":")[2], message["data"])
        except (RedisError, OSError) as error:
            if self._subscribed:
                log.warning("redis_away", error=type(error).__name__)
        finally:
            self._subscribed = False
            await client.aclose()
        self._poll_now.set()
        await asyncio.sleep(REDIS_PAUSE_S)

    async def _hear(self, session: str, text: str) -> None:
        """Take one event of the live plane or of the workers; what is not understood is dropped and logged."""
        try:
            event = json.loads(text)
            kind = event["type"]
        except (ValueError, KeyError, TypeError):
            log.warning("event_dropped", session=session)
            return
        self._heard.add(session)
        if kind == "state" and isinstance(event.get("room"), dict):
            known = self._rooms.get(session)
            self._rooms[session] = _public(event["room"])
            if known is None or known.get("state") != event["room"].get("state"):
                await asyncio.to_thread(self._on_rooms, {session: event["room"]}, False)
            self._tell(session)
        elif kind == "ended":
            self._rooms.pop(session, None)
            await asyncio.to_thread(self._on_ended, session)
            await self._reread(session)
            self._tell(session)
        elif kind == "rendition":
            for mailbox in self._mailboxes.get(session, ()):
                mailbox.put(f"rendition:{event.get('recording')}:{event.get('kind')}", "rendition", event)


def _public(room: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in room.items() if key != "viewer_list"}
