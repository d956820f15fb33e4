"""Take a request's body before anything else runs, so that a slow sender costs a coroutine and not a Flask thread."""

from __future__ import annotations

import asyncio
import re
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import IO

Message = dict
Receive = Callable[[], Awaitable[Message]]

MEMORY_BYTES = 128 * 1024  # larger bodies go to a temporary file
IDLE_S = 30.0  # between two pieces; a link that drops out for longer starts anew
FLOOR_BYTES_PER_S = 500  # 4 kbit/s: whoever is slower than this on the whole holds a place for nothing
DRAIN_BYTES = 16 * 1024 * 1024
DRAIN_S = 10.0
MOST_ARRIVALS = 4096


class Refused(Exception):
    """A body that is not taken; status is the HTTP answer (400, 408, 413)."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Gone(Exception):
    """The client left before its body was whole; nobody is there to be answered."""


class Limits:
    """How many bytes a route takes: the longest prefix wins, and * in it is any one part of a path.

    Uploads in pieces go another way (server/receiving.py).
    """

    def __init__(self, default_bytes: int, routes: Iterable[tuple[str, int]] = ()) -> None:
        self._default = default_bytes
        self._routes = [
            (re.compile(re.escape(prefix).replace(r"\*", "[^/]+")), limit)
            for prefix, limit in sorted(routes, key=lambda route: -len(route[0]))
        ]

    def for_path(self, path: str) -> int:
        """Return the limit in bytes of a path."""
        return next((limit for prefix, limit in self._routes if prefix.match(path)), self._default)


def declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int | None:
    """Return Content-Length, None where there is none. Raises Refused(400) for what is no length."""
    values = {value.strip() for name, value in headers if name == b"content-length"}
    if not values:
        return None
    text = values.pop()
    if values or not text.isdigit() or len(text) > 18:
        raise Refused(400)
    return int(text)


async def take_body(
    receive: Receive,
    declared: int | None,
    limit_bytes: int,
    *,
    waits: bool = False,
    idle_s: float = IDLE_S,
    arrivals: list[tuple[float, int]] | None = None,
) -> IO[bytes]:
    """Read a whole body into memory or a temporary file, at its start and ready to read.

    `waits`: the client sends nothing before it is told to (Expect: 100-continue, RFC 9110 10.1.1).
    `arrivals` is filled with (monotonic seconds, bytes so far), MOST_ARRIVALS at most: a link test is judged by it.

    Raises Refused(413) over the limit, Refused(408) when it stalls or crawls, Gone when the client leaves.
    """
    if declared is not None and declared > limit_bytes:
        if not waits:
            await drain(receive)
        raise Refused(413)
    body = tempfile.SpooledTemporaryFile(max_size=MEMORY_BYTES)  # noqa: SIM115 - the caller closes it
    try:
        expected = limit_bytes if declared is None else declared
        async with asyncio.timeout(idle_s + expected / FLOOR_BYTES_PER_S):
            await _fill(body, receive, limit_bytes, idle_s, arrivals)
    except TimeoutError:
        body.close()
        raise Refused(408) from None
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body


async def _fill(
    body: IO[bytes], receive: Receive, limit_bytes: int, idle_s: float, arrivals: list[tuple[float, int]] | None
) -> None:
    taken = 0
    while True:
        async with asyncio.timeout(idle_s):
            message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        piece = message.get("body", b"")
        taken += len(piece)
        if arrivals is not None and len(arrivals) < MOST_ARRIVALS:
            arrivals.append((time.monotonic(), taken))
        if taken > limit_bytes:
            await drain(receive)
            raise Refused(413)
        if taken > MEMORY_BYTES:
            await asyncio.to_thread(body.write, piece)
        else:
            body.write(piece)
        if not message.get("more_body", False):
            return


async def drain(receive: Receive) -> None:
    """Read and drop the rest of a refused body, within bounds, so that the client gets to see why."""
    # A client that is still sending when the connection closes never sees the answer; so some is read and dropped.
    dropped = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while dropped < DRAIN_BYTES:
                message = await receive()
                dropped += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    return
    except TimeoutError:
        return
