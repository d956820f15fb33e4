"""How the web process listens, and what a new connection may have in flight."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from config import Settings
from server import opening
from server.__main__ import configure


def served(tmp_path: Path, **names: str) -> uvicorn.Config:
    """Return how an installation with these variables is served."""
    return configure(Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": "s" * 64, **names}))


def test_web_listens_where_it_is_told(tmp_path: Path):
    """TROPA_HOST and TROPA_PORT reach the web server, and forwarded headers are not believed by it."""
    config = served(tmp_path, TROPA_HOST="127.0.0.1", TROPA_PORT="8181")
    assert (config.host, config.port, config.proxy_headers, config.is_ssl) == ("127.0.0.1", 8181, False, False)


def test_web_serves_tls_with_a_certificate(tmp_path: Path):
    """A certificate and key turn TLS on."""
    config = served(tmp_path, TROPA_TLS_CERT="/c.pem", TROPA_TLS_KEY="/k.pem")
    assert (config.ssl_certfile, config.ssl_keyfile, config.is_ssl) == ("/c.pem", "/k.pem", True)


def tcp_info(rtt_us: int) -> bytes:
    """Return the part of a struct tcp_info up to the round trip."""
    return bytes(opening.RTT_OFFSET) + struct.pack("=I", rtt_us)


@pytest.mark.parametrize(
    ("rtt_us", "short"), [(300, True), (19_999, True), (20_000, False), (80_000, False), (900_000, False)]
)
def test_a_school_is_told_from_the_same_building(rtt_us: int, short: bool):
    """The first round trip decides."""
    assert opening.is_short(tcp_info(rtt_us)) is short


def test_no_round_trip_is_no_long_way():
    """A kernel that tells less than the round trip leaves the window as it is elsewhere."""
    assert opening.is_short(b"")


class Transport:
    """A connection as the loop hands it to its protocol."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return the socket."""
        return {"socket": self.sock}.get(name, default)

    def is_closing(self) -> bool:
        """Say that it is open."""
        return False


@pytest.fixture
def accepted() -> Iterator[socket.socket]:
    """The server's end of a connection that began with a narrow window."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        opening.narrow(listener)
        with socket.create_connection(listener.getsockname()), listener.accept()[0] as ours:
            yield ours


def window(sock: socket.socket) -> int:
    """Return the room for what the other end may have in flight; the kernel doubles it for its own book-keeping."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


class Quiet(opening.Protocol):
    """The protocol without HTTP beneath."""

    def __init__(self) -> None:
        self.seen = b""


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Quiet:
    """A protocol that takes note of what HTTP would get."""
    base = opening.Protocol.__bases__[0]
    monkeypatch.setattr(base, "connection_made", lambda self, transport: None)
    monkeypatch.setattr(base, "data_received", lambda self, data: setattr(self, "seen", self.seen + data))
    return Quiet()


def test_a_short_way_is_wide_at_once(accepted: socket.socket, protocol: Quiet):
    """On loopback nothing is narrow once the connection is taken, and no answer waits for another packet's receipt."""
    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert window(accepted) <= 2 * opening.ROOM_BYTES
    protocol.connection_made(Transport(accepted))
    assert window(accepted) >= opening.WIDE_BYTES


def test_an_upload_over_a_long_way_widens(accepted: socket.socket, protocol: Quiet, monkeypatch: pytest.MonkeyPatch):
    """A request stays narrow; who sends more than a request gets the whole window, and no byte is lost."""
    monkeypatch.setattr(opening, "is_short", lambda _info: False)
    protocol.connection_made(Transport(accepted))
    protocol.data_received(b"x" * opening.REQUEST_BYTES)
    assert window(accepted) <= 2 * opening.ROOM_BYTES
    protocol.data_received(b"y")
    assert window(accepted) >= opening.WIDE_BYTES
    protocol.data_received(b"z")
    assert protocol.seen == b"x" * opening.REQUEST_BYTES + b"yz"
