"""Server-sent events of a session for many watchers: a coroutine each, no thread, no connection to Redis of their own.

`GET /events/<session>` by ticket (bearer) or login. Events: "room" (server/roomview.py) and "rendition" (as the workers
publish it), data in JSON; a comment every HEARTBEAT_S shows that the link is alive (HTML, server-sent events, 9.2.7).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from server.bothwords import both, problem_bytes
from server.livefeed import LiveFeed, Mailbox

PATH = re.compile(r"/events/([0-9A-Za-z_-]{1,16})")
HEARTBEAT_S = 15.0
# Between two messages to one watcher; meanwhile newer states replace older ones in the mailbox.
GAP_S = 0.5
SEND_S = 60.0  # who takes nothing for so long is gone, whatever TCP believes
MAX_WATCHERS = 5000

Headers = list[tuple[bytes, bytes]]
Send = Callable[[dict], Awaitable[None]]
Receive = Callable[[], Awaitable[dict]]

log = structlog.get_logger("server.events")


@dataclass(frozen=True, slots=True)
class Grant:
    """The asker may follow the session; hosts are told of their link and recording too."""

    host: bool


@dataclass(frozen=True, slots=True)
class Denied:
    """The asker may not; a whole HTTP answer that says why."""

    status: int
    headers: Headers
    body: bytes


Authorize = Callable[[str, Headers], Grant | Denied]

FULL = Denied(
    503,
    [(b"content-type", b"application/problem+json"), (b"retry-after", b"10")],
    problem_bytes(503, both("Too many watchers")),
)
NO_SUCH = Denied(
    404, [(b"content-type", b"application/problem+json")], problem_bytes(404, both("There is no such page"))
)
ONLY_GET = Denied(
    405,
    [(b"content-type", b"application/problem+json"), (b"allow", b"GET")],
    problem_bytes(405, both("This address does not work that way")),
)


class Events:
    """The ASGI application behind /events/."""

    def __init__(self, feed: LiveFeed, authorize: Authorize) -> None:
        """Take the feed and the function that decides, which blocks and therefore runs in a thread."""
        self._feed = feed
        self._authorize = authorize
        self._watchers = 0

    async def __call__(self, scope: dict, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        match = PATH.fullmatch(scope["path"])
        if match is None:
            return await _refuse(send, NO_SUCH)
        if scope["method"] != "GET":
            return await _refuse(send, ONLY_GET)
        if self._watchers >= MAX_WATCHERS:
            return await _refuse(send, FULL)
        self._watchers += 1
        try:
            grant = await asyncio.to_thread(self._authorize, match[1], scope["headers"])
            if isinstance(grant, Denied):
                return await _refuse(send, grant)
            await self._serve(match[1], grant, receive, send)
        finally:
            self._watchers -= 1

    async def _serve(self, session: str, grant: Grant, receive: Receive, send: Send) -> None:
        mailbox = await self._feed.join(session, grant.host)
        writing = asyncio.create_task(_write(mailbox, send))
        leaving = asyncio.create_task(_until_gone(receive))
        try:
            await asyncio.wait({writing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._feed.leave(session, mailbox)
            for task in (writing, leaving):
                task.cancel()
            results = await asyncio.gather(writing, leaving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (TimeoutError, OSError)):
                log.warning("watcher_failed", session=session, error=repr(result))


async def _write(mailbox: Mailbox, send: Send) -> None:
    headers = [
        (b"content-type", b"text/event-stream; charset=utf-8"),
        (b"cache-control", b"no-store"),
        (b"x-accel-buffering", b"no"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        try:
            async with asyncio.timeout(HEARTBEAT_S):
                events = await mailbox.take()
        except TimeoutError:
            text = ":\n\n"
        else:
            text = "".join(_event(name, body) for name, body in events)
        async with asyncio.timeout(SEND_S):
            await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
        await asyncio.sleep(GAP_S)


def _event(name: str, body: dict) -> str:
    return f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False, separators=(',', ':'))}\n\n"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, denied: Denied) -> None:
    length = (b"content-length", str(len(denied.body)).encode())
    kept = [(name, value) for name, value in denied.headers if name != b"content-length"]
    await send({"type": "http.response.start", "status": denied.status, "headers": [*kept, length]})
    await send({"type": "http.response.body", "body": denied.body})
