"""One UDP socket for all sessions: told apart by ufrag at first, by address afterwards.

Nothing here may raise on what a stranger sends: it is counted and dropped.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from media.rtc import ice
from media.rtc.dtls import DtlsPeer, Identity
from media.rtc.srtp import Batch, SendStream, socket_address, srtp_handle

logger = logging.getLogger(__name__)

SOCKET_BUFFER_BYTES = 8 * 1024 * 1024
DATAGRAMS_PER_WAKE = 256
MAX_DATAGRAM_BYTES = 2048
SILENCE_S = 30.0
"""RFC 7675 5.1: consent that is not renewed for 30 s is gone."""
ADDRESSES_PER_PEER = 8
"""A peer tries every pair of its own addresses; the oldest beyond this many is forgotten."""
LAST_FLIGHT_S = 20.0
IDENTITY_AGE_S = 20 * 86400.0
"""aiortc's certificates are good for 30 days; sessions that begin later get a new one."""


class Handler(Protocol):
    """What a session is told about its peer. `now_s` is the port's clock (monotonic seconds)."""

    def connected(self, now_s: float) -> None: ...
    def rtp(self, data: bytes, now_s: float) -> None: ...
    def rtcp(self, data: bytes, now_s: float) -> None: ...
    def closed(self, reason: str) -> None: ...


@dataclass(slots=True)
class PortCounters:
    """Datagrams that were let in, and those dropped, by reason."""

    received: int = 0
    received_bytes: int = 0
    stun: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count one dropped datagram; reasons are names in the code, so there are few."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1


class Peer:
    """One remote end: its ICE credentials on our side, its path, its DTLS and its outgoing streams."""

    def __init__(self, port: MediaPort, handler: Handler, now_s: float) -> None:
        self.ufrag, self.password = ice.credentials()
        self.identity = port.identity
        self.handler = handler
        self.dtls: DtlsPeer | None = None
        self.addresses: dict[tuple, None] = {}
        self.selected: tuple | None = None
        self.heard_s = now_s
        self.closed = False
        self.wire_sockaddr: object = None
        self._port = port
        self._session: object = None
        self._connected_s: float | None = None
        self._streams: list[SendStream] = []

    def accept(self, role: str, fingerprints: tuple[tuple[str, str], ...]) -> None:
        """Take what the offer says about the other end's DTLS: our role ("client" or "server"), its certificates."""
        self.dtls = DtlsPeer(self.identity, role, fingerprints, self._send)

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._session is not None and not self.closed

    def stream(self, ssrc: int, payload_type: int) -> SendStream:
        """Make an outgoing stream; it sends nothing before the peer is connected."""
        stream = SendStream(ssrc, payload_type)
        self._streams.append(stream)
        self._point(stream)
        return stream

    def send_rtcp(self, data: bytes) -> None:
        """Queue one RTCP packet, if there is anybody to take it."""
        if self.connected:
            self._port.batch.rtcp(self._session, self.wire_sockaddr, data)

    def close(self, reason: str) -> None:
        """End the session: close_notify, forget the addresses, tell the handler once."""
        if self.closed:
            return
        self.closed = True
        if self.dtls is not None:
            self.dtls.shut()
        for stream in self._streams:
            stream.address = None
        self._port.forget(self)
        self.handler.closed(reason)

    def select(self, address: tuple, family: int) -> None:
        """Send to this address from now on."""
        self.selected = address
        self.wire_sockaddr = socket_address(family, address)
        for stream in self._streams:
            self._point(stream)

    def dtls_changed(self, now_s: float) -> None:
        """Follow the DTLS state after a datagram or a timer."""
        if self.dtls.over:
            self.close("dtls")
        elif self.dtls.connected and self._session is None:
            self._session = srtp_handle(self.dtls.sending)
            self._connected_s = now_s
            for stream in self._streams:
                self._point(stream)
            self.handler.connected(now_s)

    def timer(self, now_s: float) -> None:
        """Run the handshake's timers; they rest once the last flight has had its time (RFC 9147 5.8)."""
        if self.dtls is None or (self._connected_s is not None and now_s - self._connected_s > LAST_FLIGHT_S):
            return
        self.dtls.timer(now_s)
        if self.dtls.over:
            self.close("dtls")

    def _point(self, stream: SendStream) -> None:
        stream.session = self._session
        stream.address = self.wire_sockaddr if self.connected else None

    def _send(self, datagram: bytes) -> None:
        if self.selected is not None:
            self._port.send(datagram, self.selected)


class MediaPort:
    """The socket, the sessions behind it and the batch of packets on their way out."""

    def __init__(self, sock: socket.socket, clock: Callable[[], float]) -> None:
        self.sock = sock
        self.counters = PortCounters()
        self.batch = Batch(sock)
        self.clock = clock
        self.number = sock.getsockname()[1]
        self._by_ufrag: dict[str, Peer] = {}
        self._by_address: dict[tuple, Peer] = {}
        self._identity = Identity()
        self._identity_made_s = clock()

    @property
    def identity(self) -> Identity:
        """The certificate for a session that begins now."""
        if self.clock() - self._identity_made_s > IDENTITY_AGE_S:
            self._identity, self._identity_made_s = Identity(), self.clock()
        return self._identity

    @property
    def sessions(self) -> int:
        """How many peers the port knows."""
        return len(self._by_ufrag)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read the socket from the event loop."""
        loop.add_reader(self.sock.fileno(), self._readable)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop reading, say goodbye to everybody, close the socket."""
        loop.remove_reader(self.sock.fileno())
        for peer in list(self._by_ufrag.values()):
            peer.close("shutdown")
        self.batch.flush()
        self.sock.close()

    def peer(self, handler: Handler) -> Peer:
        """Make room for a session that has just been offered."""
        peer = Peer(self, handler, self.clock())
        self._by_ufrag[peer.ufrag] = peer
        return peer

    def forget(self, peer: Peer) -> None:
        """Drop a session's names."""
        self._by_ufrag.pop(peer.ufrag, None)
        for address in peer.addresses:
            if self._by_address.get(address) is peer:
                del self._by_address[address]

    def tick(self, now_s: float) -> None:
        """Run DTLS timers and end the sessions that have gone silent; call every 100 ms or so."""
        for peer in list(self._by_ufrag.values()):
            if now_s - peer.heard_s > SILENCE_S:
                peer.close("silent")
            else:
                peer.timer(now_s)

    def send(self, datagram: bytes, address: tuple) -> None:
        """Send one datagram at once (STUN, DTLS); what the socket refuses is dropped, the protocols repeat."""
        try:
            self.sock.sendto(datagram, address)
        except OSError as error:
            self.counters.drop("unsendable")
            logger.debug("cannot send to %s: %s", address, error)

    def _readable(self) -> None:
        now_s = self.clock()
        for _ in range(DATAGRAMS_PER_WAKE):
            try:
                data, address = self.sock.recvfrom(MAX_DATAGRAM_BYTES)
            except BlockingIOError:
                break
            except OSError as error:
                logger.debug("receive error: %s", error)
                break
            try:
                self._datagram(data, address, now_s)
            except Exception:
                # The boundary of one datagram: a fault in one session must not stop the socket of all.
                self.counters.drop("fault")
                logger.exception("fault while taking a datagram in")
        self.batch.flush()

    def _datagram(self, data: bytes, address: tuple, now_s: float) -> None:
        """Sort one datagram by its first byte (RFC 7983 7)."""
        counters = self.counters
        counters.received += 1
        counters.received_bytes += len(data)
        if len(data) < 13:
            counters.drop("short")
            return
        first = data[0]
        if first < 4:
            self._stun(data, address, now_s)
            return
        peer = self._by_address.get(address)
        if peer is None:
            counters.drop("stranger")
        elif 128 <= first < 192:
            self._media(peer, data, now_s)
        elif 20 <= first < 64:
            peer.dtls.receive(data)
            peer.dtls_changed(now_s)
        else:
            counters.drop("unknown")

    def _media(self, peer: Peer, data: bytes, now_s: float) -> None:
        rtcp = 192 <= data[1] <= 223
        plain = peer.dtls.unprotect_rtcp(data) if rtcp else peer.dtls.unprotect_rtp(data)
        if plain is None:
            self.counters.drop("srtp")
            return
        peer.heard_s = now_s
        if rtcp:
            peer.handler.rtcp(plain, now_s)
        else:
            peer.handler.rtp(plain, now_s)

    def _stun(self, data: bytes, address: tuple, now_s: float) -> None:
        self.counters.stun += 1
        parsed = ice.parse_check(data) if ice.looks_like_stun(data) else None
        if parsed is None:
            self.counters.drop("stun")
            return
        message, ufrag = parsed
        peer = self._by_ufrag.get(ufrag)
        if peer is None or peer.dtls is None:
            self.counters.drop("ufrag")
            return
        check = ice.respond(message, peer.password, address)
        if check is None:
            self.counters.drop("stun_integrity")
            return
        self.send(check.response, address)
        if check.accepted:
            self._learn(peer, address, check.nominated, now_s)

    def _learn(self, peer: Peer, address: tuple, nominated: bool, now_s: float) -> None:
        """Take note of a path. The first serves until one is nominated; a later nomination moves the session."""
        peer.heard_s = now_s
        if address not in peer.addresses:
            peer.addresses[address] = None
            self._by_address[address] = peer
            if len(peer.addresses) > ADDRESSES_PER_PEER:
                oldest = next(a for a in peer.addresses if a != peer.selected)
                del peer.addresses[oldest]
                if self._by_address.get(oldest) is peer:
                    del self._by_address[oldest]
        elif self._by_address.get(address) is not peer:
            self._by_address[address] = peer
        if address != peer.selected and (nominated or peer.selected is None):
            peer.select(address, self.sock.family)
        peer.dtls.begin(now_s)


def open_socket(host: str, number: int) -> socket.socket:
    """Bind the UDP port; a host with a colon is IPv6 and takes IPv4 too. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        sock.bind((host, number))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def listen_host(host: str) -> str:
    """Return the address for the media port of a service that listens on `host`.

    A service for this PC alone (the demo) still needs more than loopback for media: Firefox pairs a loopback candidate
    with loopback alone, which it never gathers. Only who was let in over the loopback page knows an ufrag to use.
    """
    return {"127.0.0.1": "0.0.0.0", "localhost": "0.0.0.0", "::1": "::"}.get(host, host)


def candidate_addresses(host: str, public_ip: str) -> tuple[str, ...]:
    """List the addresses to offer: those set, or the one listened on, or all of the machine that are not link-local."""
    if public_ip:
        return tuple(part.strip() for part in public_ip.split(",") if part.strip())
    if host not in ("0.0.0.0", "::", ""):
        return (host,)
    found = []
    for entries in psutil.net_if_addrs().values():
        for entry in entries:
            if entry.family not in (socket.AF_INET, socket.AF_INET6) or (
                entry.family == socket.AF_INET6 and host != "::"
            ):
                continue
            address = ipaddress.ip_address(entry.address.partition("%")[0])
            if not address.is_link_local:
                found.append(address)
    # Loopback last: it is right only for the machine itself, where it serves a lesson without any network.
    found.sort(key=lambda a: (a.is_loopback, a.version, int(a)))
    return tuple(dict.fromkeys(str(a) for a in found))
