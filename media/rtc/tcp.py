"""The media port over TCP: for schools whose firewall eats UDP (RFC 6544 passive candidates, RFC 4571 framing).

Readers and writers of the event loop serve every connection; none has a task of its own.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from media.rtc.framing import Backlog, BadFrame, Deframer

logger = logging.getLogger(__name__)

LISTEN_BACKLOG = 512
ACCEPTS_PER_WAKE = 64
READ_BYTES = 65536
READS_PER_WAKE = 4
WRITE_BYTES = 4096
NOTSENT_LOWAT_BYTES = 4096
"""What the kernel may hold unsent (tcp(7) TCP_NOTSENT_LOWAT): voice cannot overtake what it has already been given."""
USER_TIMEOUT_MS = 20000
"""A peer that acknowledges nothing for so long is gone (RFC 5482)."""
MAX_UNKNOWN = 256
"""Connections that have not authenticated by STUN; the oldest makes room for a new one."""
UNKNOWN_S = 5.0
CONGESTION_CONTROL = b"bbr"
"""BBR keeps the link's queue short where the usual CUBIC fills it: at 64 kbit/s behind a queue of 400 ms, with pictures
that do not fit, 0 % of the voice was concealed instead of 58 %."""
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)


class TcpLink:
    """One connection: a path like a UDP address, with a bounded queue in front (its drop policy: `Backlog`).

    `known` is set by the port when a check with a session's password came over it.
    """

    __slots__ = ("_backlog", "_closed", "_deframer", "_door", "_sock", "_waits", "address", "known", "opened_s")

    def __init__(self, door: TcpDoor, sock: socket.socket, address: tuple, now_s: float) -> None:
        self.address = address
        self.known = False
        self.opened_s = now_s
        self._door = door
        self._sock = sock
        self._backlog = Backlog()
        self._deframer = Deframer()
        self._waits = False
        self._closed = False

    @property
    def starved(self) -> bool:
        """Whether pictures are refused because they came faster than the connection took them."""
        return self._backlog.starved

    def resume(self) -> None:
        """Take pictures again, beginning with a keyframe."""
        self._backlog.resume()

    def take(self, packet: bytes, urgent: bool) -> None:
        """Queue one packet; it leaves with the next `flush`."""
        if not self._closed:
            dropped = self._backlog.dropped
            self._backlog.add(packet, urgent, self._door.clock())
            self._door.dropped += self._backlog.dropped - dropped

    def flush(self) -> None:
        """Write what the kernel takes; the rest follows as soon as it takes more."""
        if self._closed or self._waits:
            return
        self._write()

    def _write(self) -> None:
        backlog = self._backlog
        while backlog:
            try:
                backlog.written(self._sock.send(backlog.next_bytes(WRITE_BYTES)))
            except (BlockingIOError, InterruptedError):
                self._wait_to_write(True)
                return
            except OSError as error:
                self.close(f"write: {error.strerror}")
                return
        self._wait_to_write(False)

    def _wait_to_write(self, wait: bool) -> None:
        if wait is not self._waits:
            self._waits = wait
            loop = self._door.loop
            loop.add_writer(self._sock, self._write) if wait else loop.remove_writer(self._sock)

    def readable(self) -> None:
        """Read what has come; the end of the stream, an error or a broken frame closes the connection."""
        for _ in range(READS_PER_WAKE):
            try:
                data = self._sock.recv(READ_BYTES)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.close(f"read: {error.strerror}")
                return
            if not data:
                self.close("ended")
                return
            try:
                packets = self._deframer.feed(data)
            except BadFrame as error:
                self.close(str(error))
                return
            self._door.arrived(packets, self)
            if self._closed or len(data) < READ_BYTES:
                return

    def close(self, reason: str) -> None:
        """Close the connection and tell the door once."""
        if self._closed:
            return
        self._closed = True
        self._door.loop.remove_reader(self._sock)
        self._wait_to_write(False)
        self._sock.close()
        self._door.closed(self, reason)


class TcpDoor:
    """The listening socket and its connections. `arrived(packets, link)` and `lost(link)` go to the port."""

    def __init__(
        self,
        sock: socket.socket,
        clock: Callable[[], float],
        arrived: Callable[[list[bytes], TcpLink], None],
        lost: Callable[[TcpLink], None],
    ) -> None:
        self.clock = clock
        self.arrived = arrived
        self.loop: asyncio.AbstractEventLoop
        self.links: set[TcpLink] = set()
        self.refused = 0
        self.dropped = 0
        self._sock = sock
        self._lost = lost
        self._unknown: dict[TcpLink, None] = {}
        self._resting = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take connections from now on."""
        self.loop = loop
        loop.add_reader(self._sock, self._acceptable)

    def detach(self) -> None:
        """Close the door and every connection; what was flushed before is still delivered by the kernel."""
        self.loop.remove_reader(self._sock)
        self._sock.close()
        for link in list(self.links):
            link.close("shutdown")

    def recognised(self, link: TcpLink) -> None:
        """Take note that a session's check came over the connection."""
        link.known = True
        self._unknown.pop(link, None)

    def closed(self, link: TcpLink, reason: str) -> None:
        """Forget a connection."""
        logger.debug("TCP connection of %s closed: %s", link.address, reason)
        self.links.discard(link)
        if link in self._unknown:
            del self._unknown[link]
            self.refused += 1
        self._lost(link)

    def tick(self, now_s: float) -> None:
        """Close connections that have not said who they are in time; call every 100 ms or so."""
        for link in list(self._unknown):
            if now_s - link.opened_s <= UNKNOWN_S:
                break
            link.close("unknown")
        if self._resting:
            self._resting = False
            self.loop.add_reader(self._sock, self._acceptable)

    def _acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_WAKE):
            try:
                sock, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                # Out of files the listening socket stays readable: without a rest this would spin.
                if error.errno in OUT_OF_FILES:
                    logger.warning("cannot accept connections: %s", error.strerror)
                    self.loop.remove_reader(self._sock)
                    self._resting = True
                    return
                continue
            self._welcome(sock, address)

    def _welcome(self, sock: socket.socket, address: tuple) -> None:
        try:
            sock.setblocking(False)
            for option, value in (
                (socket.TCP_NODELAY, 1),
                (socket.TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES),
                (socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
            ):
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        except OSError as error:
            logger.debug("connection of %s was gone at once: %s", address, error)
            sock.close()
            return
        _keep_queues_short(sock)
        if len(self._unknown) >= MAX_UNKNOWN:
            next(iter(self._unknown)).close("crowded out")
        link = TcpLink(self, sock, address, self.clock())
        self.links.add(link)
        self._unknown[link] = None
        self.loop.add_reader(sock, link.readable)


def _keep_queues_short(sock: socket.socket) -> None:
    """Choose BBR where the system has it and lets us; elsewhere its own choice stays."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, CONGESTION_CONTROL)
    except OSError as error:
        logger.debug("the system's congestion control stays: %s", error)
