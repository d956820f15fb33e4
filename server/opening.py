"""Keep the first packets of a connection from being lost in a short queue.

A browser's first flight is ten packets. On 24 or 64 kbit/s with a queue of 400 ms most of them are dropped, and each
comes again after a timeout: an offer of 6 KB took ten seconds over a satellite. So a new connection may have little in
flight until it has sent more than a request: what it sends then arrives at the pace of the link. The window only
narrows what comes to us; downloads are as they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

NARROW_BYTES = 1600
"""In flight at first. Senders cut their packets to half of a small window: 800 bytes are 0.27 s of 24 kbit/s."""
ROOM_BYTES = 5600
"""SO_RCVBUF that holds it there: without, the kernel widens the window with the first packet that comes."""
WIDE_BYTES = 64 * 1024
"""From here on the kernel tunes the buffer by itself; a window that began narrow goes up to 64 KB (RFC 7323 2.2)."""
SO_BUF_LOCK = 72
"""include/uapi/asm-generic/socket.h, Linux 5.14: 0 lets the kernel tune what SO_RCVBUF has fixed."""
SHORT_WAY_US = 20_000
"""A first round trip below this is the same building: nothing is narrowed. A school's 64 kbit/s begin at 50 ms."""
REQUEST_BYTES = 12 * 1024
"""Who has sent more uploads something, and the window grows with what arrives."""
RTT_OFFSET = 68
"""Of tcpi_rtt (microseconds) in struct tcp_info, include/uapi/linux/tcp.h."""


def narrow(listener: socket.socket) -> None:
    """Let connections of this listening socket begin with a small receive window, and answers leave at once.

    asyncio turns Nagle's algorithm off only for sockets that were made with a protocol number; head and body of an
    answer would be a round trip apart.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, NARROW_BYTES)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM_BYTES)


def is_short(tcp_info: bytes) -> bool:
    """Say whether the handshake took no longer than SHORT_WAY_US; a `struct tcp_info` without a round trip is short."""
    return len(tcp_info) < RTT_OFFSET + 4 or struct.unpack_from("=I", tcp_info, RTT_OFFSET)[0] < SHORT_WAY_US


class Protocol(H11Protocol):
    """HTTP/1.1 that widens the window as soon as it may."""

    _narrow: socket.socket | None = None
    _received_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin with the window that the way needs."""
        self._narrow = transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # already gone: the connection ends by itself
            if is_short(self._narrow.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, RTT_OFFSET + 4)):
                self._widen()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Widen where more than a request comes."""
        if self._narrow is not None:
            self._received_bytes += len(data)
            if self._received_bytes > REQUEST_BYTES:
                self._widen()
        super().data_received(data)

    def _widen(self) -> None:
        wide, self._narrow = self._narrow, None
        with contextlib.suppress(OSError):  # an older kernel keeps to WIDE_BYTES
            wide.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WIDE_BYTES)
            wide.setsockopt(socket.SOL_SOCKET, SO_BUF_LOCK, 0)
