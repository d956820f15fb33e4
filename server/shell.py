"""The ASGI shell around Flask: bodies are taken first, pages are compressed, files are sent without a thread."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import IO

import structlog
from a2wsgi import WSGIMiddleware

from server import intake, outgoing
from server.bothwords import both, refusal

log = structlog.get_logger("server.shell")

THREADS = 16
# Requests that wait for a thread. Beyond this the newest is refused with 503: an answer now beats a page after minutes.
MAX_WAITING = 400
MIN_GZIP_BYTES = 500
SDP = b"application/sdp"
COMPRESSIBLE = (b"text/", b"application/json", b"application/problem+json", b"image/svg+xml", b"application/xml", SDP)
FULL_RETRY_S = 5
# Where it matters how a body came.
TIMED = "/api/v1/link-tests/"
FULL = (
    both("Too many requests at once"),
    both("The server is busy. Nothing was changed. Try again in a few seconds."),
)

Send = Callable[[dict], Awaitable[None]]


@dataclass(slots=True)
class Carried:
    """What the shell hands to Flask beside the request, under "tropa" in the ASGI scope."""

    body: IO[bytes] | None = None
    declared_bytes: int | None = None
    refused: int | None = None
    arrivals: list[tuple[float, int]] | None = None


@dataclass(slots=True)
class Answer:
    """Flask's answer, collected whole, so that a slow reader holds no thread. Files are named in it, not contained."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)

    async def collect(self, message: dict) -> None:
        """Take one ASGI message of the application."""
        if message["type"] == "http.response.start":
            # The web server writes the date; a second one (werkzeug adds it to what may be asked for conditionally)
            # is a field that no client need understand (RFC 9110 5.2, 6.6.1).
            self.status = message["status"]
            self.headers = [pair for pair in message["headers"] if pair[0].lower() != b"date"]
        else:
            self.body += message.get("body", b"")


class Shell:
    """Run a WSGI application behind body spooling, compression and file sending."""

    def __init__(self, wsgi_app: Callable, limits: intake.Limits, open_stored: outgoing.Opener) -> None:
        self._flask = WSGIMiddleware(_carry(wsgi_app), workers=THREADS)
        self._limits = limits
        self._open_stored = open_stored
        self._free = asyncio.Semaphore(THREADS)
        self._waiting = 0

    def close(self) -> None:
        """Let running requests end and release the threads."""
        self._flask.executor.shutdown(wait=True, cancel_futures=True)

    async def __call__(self, scope: dict, receive: intake.Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        carried = Carried()
        scope = _clean(scope, carried)
        try:
            await self._take(scope, carried, receive)
            answer = await self._ask(scope)
        except intake.Gone:
            return
        finally:
            if carried.body is not None:
                carried.body.close()
        await self._reply(scope, answer, receive, send)

    async def ask(self, scope: dict) -> Answer:
        """Have Flask judge a request by its headers alone; whoever asks takes the body (server/uploading.py).

        The length that the request declares is told as environ["tropa.declared"].
        """
        carried = Carried()
        scope = _clean(scope, carried)
        try:
            carried.declared_bytes = intake.declared_length(scope["headers"])
        except intake.Refused as refusal:
            carried.refused = refusal.status
        scope["headers"] = [*_without_length(scope["headers"]), (b"content-length", b"0")]
        return await self._ask(scope)

    async def _take(self, scope: dict, carried: Carried, receive: intake.Receive) -> None:
        try:
            declared = intake.declared_length(scope["headers"])
            waits = any(name == b"expect" for name, _value in scope["headers"])
            limit = self._limits.for_path(scope["path"])
            carried.arrivals = [] if scope["path"].startswith(TIMED) else None
            carried.body = await intake.take_body(receive, declared, limit, waits=waits, arrivals=carried.arrivals)
        except intake.Refused as refusal:
            carried.refused = refusal.status
        length = b"0"
        if carried.body is not None:
            length = str(carried.body.seek(0, 2)).encode()
            carried.body.seek(0)
        scope["headers"] = [*_without_length(scope["headers"]), (b"content-length", length)]

    async def _ask(self, scope: dict) -> Answer:
        if self._waiting >= MAX_WAITING:
            headers, body = refusal(503, *FULL, scope["headers"], FULL_RETRY_S)
            return Answer(503, headers, bytearray(body))
        answer = Answer()
        self._waiting += 1
        try:
            async with self._free:
                # The body is read already: Flask takes it from the file, and never waits for the network.
                await self._flask(scope, _nothing_more, answer.collect)
        finally:
            self._waiting -= 1
        return answer

    async def _reply(self, scope: dict, answer: Answer, receive: intake.Receive, send: Send) -> None:
        named = [value for name, value in answer.headers if name == outgoing.HEADER]
        answer.headers = [pair for pair in answer.headers if pair[0] != outgoing.HEADER]
        if named and scope["method"] != "HEAD":
            part = outgoing.Part(**json.loads(named[0]))
            missing = outgoing.missing(scope["headers"])
            await outgoing.send_part(part, answer.status, answer.headers, missing, self._open_stored, receive, send)
            return
        body = bytes(answer.body)
        if scope["method"] != "HEAD":
            body = _compress(scope, answer, body)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": body})


def _without_length(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [pair for pair in headers if pair[0] not in (b"content-length", b"transfer-encoding")]


async def _nothing_more() -> dict:
    return {"type": "http.request", "body": b"", "more_body": False}


def _carry(wsgi_app: Callable) -> Callable:
    def carrying(environ: dict, start_response: Callable):
        carried: Carried = environ["asgi.scope"]["tropa"]
        environ["tropa.shell"] = True
        environ["tropa.declared"] = carried.declared_bytes
        environ["tropa.refused"] = carried.refused
        environ["tropa.arrivals"] = carried.arrivals
        if carried.body is not None:
            environ["wsgi.input"] = carried.body
        return wsgi_app(environ, start_response)

    return carrying


def _clean(scope: dict, carried: Carried) -> dict:
    """Copy a scope without what WSGI would misread.

    A header X_Real_IP would pass for X-Real-IP, as both become HTTP_X_REAL_IP; and a query is ASCII (RFC 3986 2).
    """
    headers = [pair for pair in scope["headers"] if b"_" not in pair[0]]
    query = b"".join(bytes((byte,)) if byte < 128 else b"%%%02X" % byte for byte in scope["query_string"])
    return {**scope, "headers": headers, "query_string": query, "tropa": carried}


def _compress(scope: dict, answer: Answer, body: bytes) -> bytes:
    headers = dict(answer.headers)
    kind = headers.get(b"content-type", b"")
    if not kind.startswith(COMPRESSIBLE) or b"content-encoding" in headers or answer.status in (204, 206, 304):
        return body
    vary = headers.get(b"vary", b"")
    if b"accept-encoding" not in vary.lower():
        vary = vary + b", Accept-Encoding" if vary else b"Accept-Encoding"
    kept = [pair for pair in answer.headers if pair[0] != b"vary"]
    answer.headers = [*kept, (b"vary", vary)]
    if len(body) < MIN_GZIP_BYTES or not _takes_gzip(scope["headers"]):
        return body
    zipped = gzip.compress(body, 6, mtime=0)
    kept = [pair for pair in answer.headers if pair[0] != b"content-length"]
    if not kind.startswith(SDP):
        # A strong ETag names exact bytes (RFC 9110 8.8.1), and these are others now. That of an answer names the ICE
        # session (RFC 9725 4.3).
        kept = [(name, b"W/" + old if name == b"etag" and not old.startswith(b"W/") else old) for name, old in kept]
    answer.headers = [*kept, (b"content-encoding", b"gzip"), (b"content-length", str(len(zipped)).encode())]
    return zipped


def _takes_gzip(headers: list[tuple[bytes, bytes]]) -> bool:
    for name, value in headers:
        if name == b"accept-encoding":
            for part in value.lower().split(b","):
                coding, _sep, quality = part.partition(b";")
                if coding.strip() == b"gzip" and quality.replace(b" ", b"") not in (
                    b"q=0",
                    b"q=0.0",
                    b"q=0.00",
                    b"q=0.000",
                ):
                    return True
    return False
