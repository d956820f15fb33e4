"""Ask the origin over HTTP: bounded answers, no redirects, every byte counted, files read at the school's rate."""

from __future__ import annotations

import email.utils
import http.client
import json
import socket
import ssl
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from mirror import quota
from mirror.runs import Run
from mirror.texts import _l

CONNECT_S = 30.0
# A link that carries nothing for so long is taken for cut; satellites and full queues answer well before.
STALL_S = 20.0
MAX_JSON_BYTES = 16_000_000
# What the kernel holds is lost when the power goes, so it holds little: 64 KB carry 800 kbit/s over 600 ms.
RECEIVE_BUFFER_BYTES = 65_536
AGENT = "Tropa-mirror/1"


class OriginError(RuntimeError):
    """The origin could not be asked; `text` is one of this file's, to be translated, `detail` is for the log."""

    def __init__(self, text: str, detail: str = "") -> None:
        super().__init__(f"{text} ({detail})" if detail else text)
        self.text = text


class Refused(OriginError):
    """The origin says no, or something that it must not say; `status` is its HTTP status, 0 where it has none."""

    def __init__(self, status: int, text: str, detail: str = "") -> None:
        super().__init__(text, detail)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A small answer: its status (200, 304), JSON object, ETag and date."""

    status: int
    document: dict
    etag: str
    date: datetime | None


class Origin:
    """One origin, over one connection that is kept while it lasts.

    `count(wire_bytes)` is told of all traffic as it happens. Not for several threads.
    """

    def __init__(self, url: str, token: str, count: Callable[[int], None]) -> None:
        """Take the address. Raises ValueError where it is none of http or https."""
        self.url = check_url(url)
        self._token, self._count = token, count
        parts = urlsplit(self.url)
        self._tls = parts.scheme == "https"
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get_json(self, path: str, etag: str = "") -> Answer:
        """Get a small document; `etag` asks for it only where it is another one by now. Raises OriginError, Refused."""
        headers = {"Accept": "application/json", "Accept-Encoding": "gzip"}
        if etag:
            headers["If-None-Match"] = etag
        return self._small("GET", path, headers, None)

    def post_json(self, path: str, document: dict) -> Answer:
        """Send a document. Raises OriginError, Refused."""
        body = json.dumps(document, ensure_ascii=False).encode()
        return self._small("POST", path, {"Content-Type": "application/json", "Accept": "application/json"}, body)

    def read_file(self, path: str, sha256: str, size: int, run: Run, most: Callable[[], int]) -> Iterator[bytes]:
        """Yield the bytes of a run as they come. `most` is asked before every read: it may wait, or end it by raising.

        Raises OriginError when the link breaks: what came is good. Raises Refused where the answer is not the run.
        """
        # If-Match: another file under this address gives 412 and no bytes at all (RFC 9110 13.1.1).
        headers = {"Accept": "*/*", "Accept-Encoding": "identity", "If-Match": f'"{sha256}"', "Range": run.header}
        response = self._ask("GET", path, headers, None)
        is_whole = response.status == 200 and run.start == 0 and run.is_open
        expected = f"bytes {run.start}-{run.stop - 1}/{size}"
        if not is_whole and (response.status != 206 or response.getheader("Content-Range") != expected):
            self._fail(response)
        left = run.stop - run.start
        if response.length != left:
            self.close()
            raise Refused(0, _l("the server sends another number of bytes than was asked for"))
        try:
            while left:
                piece = response.read1(min(left, most()))
                if not piece:
                    raise OriginError(BROKE_OFF)
                self._count(quota.on_wire(len(piece), 0, tls=self._tls))
                left -= len(piece)
                yield piece
            response.read()  # nothing is left; http.client wants to see it before the connection's next request
        except (OSError, http.client.HTTPException) as error:
            raise OriginError(*_why(error)) from error
        finally:
            if left:
                self.close()

    def _small(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        response = self._ask(method, path, headers, body)
        if response.status not in (200, 304):
            self._fail(response)
        try:
            raw = _bounded(response)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OriginError(*_why(error)) from error
        self._count(quota.on_wire(len(raw), 0, tls=self._tls))
        document: object = {}
        if response.status == 200:
            try:
                document = json.loads(_unzipped(raw, response.getheader("Content-Encoding", "")))
            except (ValueError, RecursionError, zlib.error):
                document = None
        if not isinstance(document, dict):
            self.close()
            raise Refused(0, _l("the server's answer cannot be understood; is its address right?"))
        return Answer(response.status, document, response.getheader("ETag", "")[:200], _date(response))

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer; once more where a kept connection turns out to be dead."""
        kept = self._connection is not None
        headers = {"User-Agent": AGENT, "Authorization": f"Bearer {self._token}", **headers}
        try:
            connection = self._connected()
            connection.request(method, self._path + path, body, headers)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError) as error:
            self.close()
            if kept:
                return self._ask(method, path, headers, body)
            raise OriginError(*_why(error)) from error
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise OriginError(*_why(error)) from error
        head = sum(len(name) + len(value) + 4 for name, value in response.getheaders()) + 20
        self._count(quota.on_wire(head, 0, tls=self._tls))
        return response

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            made = _Secured if self._tls else _Plain
            connection = made(self._host, self._port, timeout=CONNECT_S)
            connection.count = self._count
            connection.connect()
            connection.sock.settimeout(STALL_S)
            self._connection = connection
        return self._connection

    def _fail(self, response: http.client.HTTPResponse) -> None:
        self.close()
        text = _REASONS.get(response.status, _l("the server does not answer as it should"))
        raise Refused(response.status, text, f"HTTP {response.status}")


BROKE_OFF = _l("the link broke off")
_REASONS = {
    401: _l(
        "the server does not know this token, or it was revoked; make a new one on the school's page for downloads"
    ),
    404: _l("the server does not have it for this school any more"),
    412: _l("the file has changed on the server"),
    416: _l("the file has changed on the server"),
    429: _l("the server is busy"),
    503: _l("the server is busy"),
} | dict.fromkeys(
    (301, 302, 303, 307, 308), _l("the server sends us elsewhere, where we do not go; is its address right?")
)


class _Counting(http.client.HTTPConnection):
    """A connection that keeps little in the kernel and counts what it sends."""

    count: Callable[[int], None]
    tls = False

    def connect(self) -> None:
        self._create_connection = _open_socket
        super().connect()
        self.count(quota.on_wire(0, 0, opened=True, tls=self.tls))

    def send(self, data) -> None:
        super().send(data)
        self.count(quota.on_wire(0, len(data), tls=self.tls))


class _Plain(_Counting):
    pass


class _Secured(_Counting, http.client.HTTPSConnection):
    tls = True


def _open_socket(address, timeout=None, source_address=None) -> socket.socket:
    """Connect with a small receive buffer, which must be set before: the window is agreed upon at the beginning."""
    errors = []
    for family, kind, protocol, _name, where in socket.getaddrinfo(*address, 0, socket.SOCK_STREAM):
        made = socket.socket(family, kind, protocol)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            made.settimeout(timeout)
            made.connect(where)
        except OSError as error:
            made.close()
            errors.append(error)
        else:
            return made
    raise errors[0] if errors else OSError("the name leads nowhere")


def check_url(url: str) -> str:
    """Return an origin's address without a slash at its end. Raises ValueError saying what is wrong."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError("an address looks like https://tropa.example or http://192.168.0.10:8080")
    return url.strip().rstrip("/")


def _bounded(response: http.client.HTTPResponse) -> bytes:
    raw = response.read(MAX_JSON_BYTES + 1)
    if len(raw) > MAX_JSON_BYTES:
        raise http.client.HTTPException("the origin's answer has no end")
    return raw


def _unzipped(raw: bytes, encoding: str) -> bytes:
    """Unpack gzip up to the same bound: what swells beyond it is cut off, and is no JSON then."""
    if encoding != "gzip":
        return raw
    return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(raw, MAX_JSON_BYTES)


def _date(response: http.client.HTTPResponse) -> datetime | None:
    # The first one: getheader would join two that a proxy and the server behind it have written.
    try:
        told = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError, OverflowError):
        return None
    # Without a zone that can be read it is GMT all the same (RFC 9110 5.6.7), and never this computer's own.
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def _why(error: Exception) -> tuple[str, str]:
    """Return what to say of an error, and its detail."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _l("the server's certificate is not good"), error.verify_message
    if isinstance(error, TimeoutError):
        return _l("nothing came from the server for too long"), ""
    if isinstance(error, socket.gaierror):
        return _l("the server's name leads nowhere: is there internet, is the address right?"), ""
    if isinstance(error, ConnectionRefusedError):
        return _l("nothing answers at the server's address: is it switched on, are address and port right?"), ""
    if isinstance(error, http.client.HTTPException) and not isinstance(
        error, http.client.IncompleteRead | ConnectionError
    ):
        return _l("the server's answer cannot be understood; is its address right?"), type(error).__name__
    return BROKE_OFF, str(error)[:120]
