"""Keep the first seconds of a connection over a satellite from being lost in a short queue.

A browser's first flight is ten packets. On 24 kbit/s with a queue of 400 ms most of them are dropped, and each comes
again after a timeout: an offer of 6 KB took ten seconds. So a new connection may have little in flight until it has
shown that the way is short, or has sent more than a request: what it sends then arrives at the pace of the link. The
window only narrows what comes to us; downloads are as they were.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct

from uvicorn.protocols.http.h11_impl import H11Protocol

NARROW_BYTES = 2200
"""In flight at first. Senders cut their packets to half of a small window: 1,100 bytes are 0.4 s of 24 kbit/s."""
WIDE_BYTES = 64 * 1024 * 1024
"""No bound: the kernel's own limits hold."""
SHORT_WAY_US = 250_000
"""A first round trip below this is no satellite and no full queue: nothing is narrowed."""
REQUEST_BYTES = 12 * 1024
"""Who has sent more uploads something, and the window grows with what arrives."""
RTT_OFFSET = 68
"""Of tcpi_rtt (microseconds) in struct tcp_info, include/uapi/linux/tcp.h."""


def narrow(listener: socket.socket) -> None:
    """Let connections of this listening socket begin with a small receive window."""
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, NARROW_BYTES)


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
        with contextlib.suppress(OSError):
            wide.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP, WIDE_BYTES)
