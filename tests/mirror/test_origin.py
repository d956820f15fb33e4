"""A hostile or broken server: bounded, refused or waited off, and never followed elsewhere."""

from __future__ import annotations

import gzip
import io
import json
import socket
import time
import zlib
from datetime import UTC, datetime

import pytest

from mirror import origin
from mirror.origin import Origin, OriginError, Refused
from mirror.runs import Run

SHA = "ab" * 32


class Wire(io.BytesIO):
    """A socket whose far end has said all it will say."""

    sent = b""

    def makefile(self, *_arguments, **_options) -> io.BufferedReader:
        """Return what the far end says; after that it is gone."""
        said = self.getvalue()
        self.truncate(0)
        return io.BufferedReader(io.BytesIO(said))

    def sendall(self, data: bytes) -> None:
        """Take what is said to it."""
        self.sent += bytes(data)

    def settimeout(self, _seconds: float | None) -> None:
        """Never wait."""

    def setsockopt(self, *_arguments) -> None:
        """Nothing to set."""


@pytest.fixture
def says(monkeypatch: pytest.MonkeyPatch):
    """Return a function that gives an origin which answers with these bytes, and its wire."""

    def answer(*answers: bytes) -> tuple[Origin, list[Wire], list[int]]:
        wires = [Wire(one) for one in answers]
        left = iter(wires)
        monkeypatch.setattr(origin, "_open_socket", lambda *_arguments, **_options: next(left))
        counted: list[int] = []
        return Origin("http://tropa.test:8080/school", "secret", counted.append), wires, counted

    return answer


def http(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Write an answer."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def part(body: bytes, start: int, size: int) -> bytes:
    """Write the answer to a request for a range."""
    return http(206, body, f"Content-Range: bytes {start}-{start + len(body) - 1}/{size}")


def read(asked: Origin, run: Run, size: int = 1000) -> bytes:
    """Read a run."""
    return b"".join(asked.read_file("/f", SHA, size, run, lambda: 300))


def test_a_run_is_read_and_counted(says) -> None:
    """The request is small, names the digest and the range, and everything is counted."""
    asked, wires, counted = says(part(b"x" * 900, 100, 1000))
    assert read(asked, Run(100, 1000, True)) == b"x" * 900
    sent = wires[0].sent.decode()
    assert sent.startswith("GET /school/f HTTP/1.1\r\n") and f'If-Match: "{SHA}"\r\n' in sent
    assert "Range: bytes=100-\r\n" in sent and len(sent) < 350
    assert sum(counted) > 900 + len(sent)


@pytest.mark.parametrize(
    "answer",
    [
        http(200, b"x" * 1000),
        part(b"x" * 900, 99, 1000),
        part(b"x" * 900, 100, 2000),
        part(b"x" * 899, 100, 1000),
        http(206, b"x" * 5000, "Content-Range: bytes 100-999/1000"),
        b"HTTP/1.1 206 X\r\nContent-Range: bytes 100-999/1000\r\n\r\n" + b"x" * 5000,
        http(302, b"", "Location: http://elsewhere.test/f"),
        http(412),
        http(401),
        http(500, b"<html>"),
    ],
)
def test_what_is_not_the_run_is_refused(says, answer: bytes) -> None:
    """Other ranges, endless bodies and redirects bring no byte into the file."""
    asked, _wires, _counted = says(answer)
    with pytest.raises(Refused):
        read(asked, Run(100, 1000, True))


def test_a_cut_gives_what_came(says) -> None:
    """Bytes before the cut are good; the cut is told as one."""
    asked, _wires, _counted = says(part(b"x" * 900, 100, 1000)[:-400])
    got = bytearray()
    with pytest.raises(OriginError) as told:
        for piece in asked.read_file("/f", SHA, 1000, Run(100, 1000, True), lambda: 300):
            got += piece
    assert len(got) == 500 and not isinstance(told.value, Refused)


@pytest.mark.parametrize("answer", [b"", b"rubbish\r\n\r\n", b"HTTP/1.1 200 X\r\n" + b"A: b\r\n" * 500 + b"\r\n"])
def test_a_server_that_speaks_no_http(says, answer: bytes) -> None:
    """Silence, rubbish and headers without end are trouble of the link, told in words."""
    asked, _wires, _counted = says(answer)
    with pytest.raises(OriginError):
        asked.get_json("/x")


def test_a_port_where_nothing_listens() -> None:
    """Whoever mistypes the address is told to look at it, not at the link."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(OriginError, match="nothing answers at the server's address"):
        Origin(f"http://127.0.0.1:{port}", "token", lambda count: None).get_json("/x")


def test_documents_are_read(says) -> None:
    """Packed or not, with date and ETag; a redirect is told as what it is."""
    packed = gzip.compress(json.dumps({"a": 1}).encode())
    headers = ("Content-Encoding: gzip", 'ETag: W/"e"', "Date: Tue, 24 Nov 2026 02:00:00 GMT")
    found = says(http(200, packed, *headers))[0].get_json("/x", '"old"')
    assert (found.document, found.etag, found.date.hour) == ({"a": 1}, 'W/"e"', 2)
    assert says(http(304))[0].get_json("/x").status == 304
    with pytest.raises(Refused) as told:
        says(http(301, b"", "Location: https://tropa.test/"))[0].get_json("/x")
    assert "elsewhere" in told.value.text


@pytest.mark.parametrize(
    "dates",
    [
        ("Date: Tue, 24 Nov 2026 02:00:00 GMT", "Date: Tue, 24 Nov 2026 02:00:01 GMT"),
        ("Date: Tue, 24 Nov 2026 02:00:00 GMT, Tue, 24 Nov 2026 02:00:01 GMT",),
        ("Date: Tue, 24 Nov 2026 02:00:00",),
    ],
    ids=["twice", "joined", "no zone"],
)
def test_a_date_is_never_taken_for_the_schools_own_time(says, monkeypatch: pytest.MonkeyPatch, dates) -> None:
    """A second date, as proxies add, must not shift the night of a computer that stands seven hours east."""
    monkeypatch.setenv("TZ", "Asia/Krasnoyarsk")
    time.tzset()
    try:
        found = says(http(200, b"{}", *dates))[0].get_json("/x")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.date == datetime(2026, 11, 24, 2, tzinfo=UTC)


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff", b"[" * 200_000, b""])
def test_documents_that_are_none(says, body: bytes) -> None:
    """What is no JSON object is refused."""
    with pytest.raises(Refused):
        says(http(200, body))[0].get_json("/x")


def test_a_bomb_is_not_let_out(says, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gzip that swells beyond the bound is cut off and refused; so is a body without end."""
    monkeypatch.setattr(origin, "MAX_JSON_BYTES", 10_000)
    bomb = zlib.compressobj(wbits=31)
    packed = bomb.compress(b'{"a": "' + b"x" * 5_000_000 + b'"}') + bomb.flush()
    with pytest.raises(Refused):
        says(http(200, packed, "Content-Encoding: gzip"))[0].get_json("/x")
    with pytest.raises(OriginError):
        says(b"HTTP/1.1 200 X\r\n\r\n" + b"x" * 50_000)[0].get_json("/x")


def test_a_kept_connection_that_died_is_asked_once_more(says) -> None:
    """The server closed it while we slept: that is no failure."""
    asked, wires, _counted = says(http(200, b"{}"), http(200, b'{"b": 2}'))
    asked.get_json("/x")
    assert asked.get_json("/x").document == {"b": 2}
    assert wires[1].sent


@pytest.mark.parametrize("url", ["tropa.test", "ftp://x", "http://", "http://u:p@x/", "http://x/?a=1", "javascript:1"])
def test_addresses_that_are_none(url: str) -> None:
    """Only http and https, a name, and perhaps a path."""
    with pytest.raises(ValueError):
        origin.check_url(url)
