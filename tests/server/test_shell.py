"""The ASGI shell: bodies, limits, compression, files."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from flask import Flask, Response, request
from werkzeug import Request

from server import access, intake, outgoing
from server.shell import Shell

FILE = bytes(range(256)) * 1000
KEY = "recordings/r/voice.ogg"


@dataclass
class Reply:
    """What came back, piece by piece."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    whole: bool = False


class Client:
    """Speak ASGI to an application: the request's pieces go in as scripted, then the client stays or leaves."""

    def __init__(self, app: Callable, leaves_after: int | None = None) -> None:
        self.app = app
        self.leaves_after = leaves_after  # pieces of the answer's body; None: stays to the end

    async def ask(
        self,
        path: str,
        *pieces: bytes,
        method: str = "GET",
        headers: dict | None = None,
        query: bytes = b"",
        leave=False,
    ) -> Reply:
        """Send one request and collect the answer; leave=True goes away before the body is whole."""
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query,
            "headers": [(name.lower().encode(), str(value).encode()) for name, value in (headers or {}).items()],
            "http_version": "1.1",
            "scheme": "http",
            "client": ("192.0.2.7", 4711),
            "server": ("tropa.example", 80),
        }
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if leave:
            messages.append({"type": "http.disconnect"})
        elif messages:
            messages[-1]["more_body"] = False
        else:
            messages = [{"type": "http.request", "body": b"", "more_body": False}]
        reply, gone, taken = Reply(), asyncio.Event(), 0

        async def receive() -> dict:
            if messages:
                return messages.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict) -> None:
            nonlocal taken
            if message["type"] == "http.response.start":
                reply.status = message["status"]
                reply.headers = {name.decode(): value.decode() for name, value in message["headers"]}
                return
            reply.body += message.get("body", b"")
            reply.whole = not message.get("more_body", False)
            taken += 1
            if taken == self.leaves_after:
                gone.set()
                await asyncio.sleep(0)

        await self.app(scope, receive, send)
        return reply


@pytest.fixture
def shell(app: Flask) -> Iterator[Shell]:
    """The application in its shell, with an echo and one stored file."""

    @app.post("/api/echo", endpoint="echo")
    @access.by_bearer
    def echo() -> Response:
        return Response(hashlib.sha256(request.get_data()).hexdigest(), mimetype="text/plain")

    @app.get("/stored", endpoint="stored")
    @access.public
    def stored() -> Response:
        return outgoing.stored_file(KEY, len(FILE), hashlib.sha256(FILE).hexdigest(), "audio/ogg", open_stored)

    @app.get("/api/answer", endpoint="answer")
    @access.by_bearer
    def answer() -> Response:
        return Response("a=candidate\r\n" * 100, mimetype="application/sdp", headers={"ETag": '"names"'})

    made = Shell(app, intake.Limits(1000, [("/api/", 300_000), ("/whip/", 2000)]), open_stored)
    yield made
    made.close()


def open_stored(key: str) -> io.BytesIO:
    assert key == KEY
    return io.BytesIO(FILE)


async def test_body_arrives_whole_in_any_pieces(shell) -> None:
    """Flask sees exactly the bytes sent, from memory and from a temporary file alike."""
    for size in (0, 10, 250_000):
        data = bytes(size % 251 for size in range(size))
        pieces = [data[at : at + 4096] for at in range(0, len(data), 4096)] or [b""]
        reply = await Client(shell).ask("/api/echo", *pieces, method="POST")
        assert reply.body.decode() == hashlib.sha256(data).hexdigest()


async def test_declared_length_over_the_limit_is_413(shell) -> None:
    """A body that announces itself as too large is refused in the form that the asker reads."""
    reply = await Client(shell).ask("/login", b"x" * 2000, method="POST", headers={"Content-Length": 2000})
    assert reply.status == 413
    assert "<html" in reply.body.decode()
    reply = await Client(shell).ask("/whip/s", b"x" * 3000, method="POST", headers={"Content-Length": 3000})
    assert reply.status == 413
    assert reply.headers["content-type"] == "application/problem+json"
    assert json.loads(reply.body)["status"] == 413


async def test_client_that_asks_first_is_refused_at_once(app) -> None:
    """With Expect: 100-continue nothing is read of a body that is too large anyway."""

    async def receive() -> dict:
        raise AssertionError("the body was asked for")

    with pytest.raises(intake.Refused):
        await intake.take_body(receive, 2000, 1000, waits=True)


async def test_undeclared_length_over_the_limit_is_413(shell) -> None:
    """Chunked bodies are counted as they come."""
    reply = await Client(shell).ask(
        "/login", *[b"x" * 600] * 4, method="POST", headers={"Transfer-Encoding": "chunked"}
    )
    assert reply.status == 413


@pytest.mark.parametrize("length", ["-1", "1e3", "a", "9" * 30])
async def test_nonsense_length_is_400(shell, length: str) -> None:
    """A Content-Length that is no number is the asker's fault."""
    reply = await Client(shell).ask("/login", b"x", method="POST", headers={"Content-Length": length})
    assert reply.status == 400


async def test_stalled_body_times_out() -> None:
    """A sender that stops is let go with 408; nothing else waited for it."""

    async def receive() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(intake.Refused) as refusal:
        await intake.take_body(receive, 10, 100, idle_s=0)
    assert refusal.value.status == 408


async def test_client_that_leaves_reaches_no_view(shell, monkeypatch) -> None:
    """Half a request is nobody's request."""
    asked = []
    monkeypatch.setattr(shell, "_ask", lambda scope: asked.append(scope))
    reply = await Client(shell).ask("/api/echo", b"half", method="POST", leave=True)
    assert reply.status == 0
    assert not asked


async def test_pages_are_compressed_when_asked_for(shell) -> None:
    """gzip where the browser takes it, plain where not, and caches are told of the difference."""
    zipped = await Client(shell).ask("/login", headers={"Accept-Encoding": "br, gzip"})
    plain = await Client(shell).ask("/login", headers={"Accept-Encoding": "gzip;q=0"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["vary"]
    assert int(zipped.headers["content-length"]) == len(zipped.body) < len(plain.body)
    assert "content-encoding" not in plain.headers
    assert b"<html" in gzip.decompress(zipped.body)


async def test_an_answer_is_compressed_and_keeps_the_name_of_its_session(shell) -> None:
    """On 24 kbit/s an answer as it is takes half a second; its ETag has to fit If-Match later (RFC 9725 4.3)."""
    reply = await Client(shell).ask("/api/answer", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(reply.body) == b"a=candidate\r\n" * 100
    assert reply.headers["etag"] == '"names"'


async def test_file_is_sent_by_the_shell(shell) -> None:
    """The shell sends the bytes that Flask named, and the name does not leak."""
    reply = await Client(shell).ask("/stored")
    assert reply.status == 200
    assert reply.whole
    assert reply.body == FILE
    assert int(reply.headers["content-length"]) == len(FILE)
    assert not any("x-tropa" in name for name in reply.headers)


async def test_file_range(shell) -> None:
    """A download goes on where it was broken off."""
    reply = await Client(shell).ask("/stored", headers={"Range": "bytes=200000-"})
    assert reply.status == 206
    assert reply.body == FILE[200000:]
    assert reply.headers["content-range"] == f"bytes 200000-{len(FILE) - 1}/{len(FILE)}"


async def test_file_range_beyond_the_end_is_416(shell) -> None:
    """A range beyond the end is refused and told the length."""
    reply = await Client(shell).ask("/stored", headers={"Range": "bytes=999999-"})
    assert reply.status == 416
    assert reply.headers["content-range"] == f"bytes */{len(FILE)}"


async def test_head_of_a_file_has_no_body(shell) -> None:
    """HEAD tells the length without opening the file."""
    reply = await Client(shell).ask("/stored", method="HEAD")
    assert reply.body == b""
    assert int(reply.headers["content-length"]) == len(FILE)


async def test_file_stops_when_the_client_leaves(shell) -> None:
    """Nothing is read for somebody who has gone."""
    reply = await Client(shell, leaves_after=1).ask("/stored")
    assert len(reply.body) < len(FILE)


async def test_file_shorter_than_promised_breaks_off() -> None:
    """A download of a damaged file never passes for whole."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def receive() -> dict:
        await asyncio.Event().wait()
        raise AssertionError

    part = outgoing.Part(KEY, 0, len(FILE) + 1)
    await outgoing.send_part(part, 200, [], outgoing.missing([]), open_stored, receive, send)
    assert sent[-1]["more_body"]


async def test_missing_file_is_503(shell, monkeypatch) -> None:
    """A storage that does not answer is a matter of time, said before any byte is promised."""

    def away(key: str) -> io.BytesIO:
        raise LookupError(key)

    monkeypatch.setattr(shell, "_open_stored", away)
    reply = await Client(shell).ask("/stored")
    assert reply.status == 503
    assert reply.headers["retry-after"]


async def test_without_the_shell_flask_streams_the_same(app, shell, client) -> None:
    """Tests and other servers get the same bytes from Flask itself."""
    assert client.get("/stored").data == FILE
    assert client.get("/stored", headers={"Range": "bytes=5-9"}).data == FILE[5:10]


@pytest.mark.parametrize("query", [b"\xff\xfe", b"next=%ff", "next=путь".encode(), b"page=\x00"])
async def test_odd_queries_are_no_failure(shell, query: bytes) -> None:
    """Bytes that are no ASCII in a query are read as best they can."""
    assert (await Client(shell).ask("/login", query=query)).status == 200


async def test_headers_with_underscores_are_dropped(app) -> None:
    """X_Forwarded_For must not pass for X-Forwarded-For."""
    seen: dict = {}

    def wsgi(environ, start_response):
        seen.update(environ)
        start_response("200 OK", [])
        return [b""]

    shell = Shell(wsgi, intake.Limits(1000), open_stored)
    await Client(shell).ask("/", headers={"X_Forwarded_For": "198.51.100.1", "X-Real-Thing": "yes"})
    shell.close()
    assert "HTTP_X_FORWARDED_FOR" not in seen
    assert seen["HTTP_X_REAL_THING"] == "yes"


async def test_the_date_is_left_to_the_web_server() -> None:
    """Werkzeug adds one to what may be asked for conditionally; two of them are read as none, or wrongly."""

    @Request.application
    def dated(asked: Request) -> Response:
        return Response("x").make_conditional(asked)

    shell = Shell(dated, intake.Limits(1000), open_stored)
    reply = await Client(shell).ask("/")
    shell.close()
    assert (reply.status, "date" in reply.headers) == (200, False)


async def test_too_many_waiting_are_told_so(shell, monkeypatch) -> None:
    """When every place in the queue is taken the newest gets 503 and a time to come back."""
    monkeypatch.setattr("server.shell.MAX_WAITING", 0)
    reply = await Client(shell).ask("/login")
    assert reply.status == 503
    assert reply.headers["retry-after"]
