"""One port for all sessions, over UDP and TCP: told apart by ufrag at first, by address or connection afterwards.

Nothing here may raise on what a stranger sends: it is counted and dropped.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from media.rtc import ice
from media.rtc.dtls import Identity
from media.rtc.peer import Handler, Path, Peer
from media.rtc.srtp import Batch
from media.rtc.tcp import TcpDoor, TcpLink

logger = logging.getLogger(__name__)

DATAGRAMS_PER_WAKE = 256
READ_S = 0.02
"""Where datagrams come all the time they are read so often, a handful at a time: a wake of the event loop for each of
them costs more than the datagram. A third of a voice packet's length later nobody hears."""
BUSY_DATAGRAMS = 4
"""Fewer at one reading, and the next is read when it comes."""
MAX_DATAGRAM_BYTES = 2048
SO_TIMESTAMPNS, STAMP = 35, struct.Struct("@qq")
"""The kernel notes when each datagram came (socket(7)), in seconds and nanoseconds of the wall clock."""
STAMP_SPACE = socket.CMSG_SPACE(STAMP.size)
OLDEST_S = 1.0
"""A datagram that is said to have waited for longer came while the wall clock was being set."""
SILENCE_S = 30.0
"""RFC 7675 5.1: consent that is not renewed for 30 s is gone."""
AWAY_S = 6.0
"""Who reports four times a second and checks the path each 2.5 s, and is silent for so long, gets nothing until it is
heard again. Consent may be given up sooner than RFC 7675 5.1 demands; the session is kept for SILENCE_S all the same.

Only for peers that are known to report: ffmpeg and players without feedback are silent by nature.
"""
PATHS_PER_PEER = 8
"""A peer tries every pair of its own addresses; the oldest beyond this many is forgotten."""
PATH_SILENT_S = 4.0
"""A peer that checks another path while its own has been silent for so long has moved, nominating or not.

Browsers check the path that they use each 2.5 s; aioice never nominates again when a NAT has given it another address.
"""
IDENTITY_AGE_S = 20 * 86400.0
"""aiortc's certificates are good for 30 days; sessions that begin later get a new one."""


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


class MediaPort:
    """Both sockets, the sessions behind them and the batch of packets on their way out."""

    def __init__(
        self, sock: socket.socket, listening: socket.socket, clock: Callable[[], float], viewers: int = 64
    ) -> None:
        """`sock` is bound over UDP, `listening` listens on the same number over TCP; `clock` gives seconds.

        For so many `viewers` the egress loop has tables; more are served one by one.
        """
        self.sock = sock
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.tcp = TcpDoor(listening, clock, self._arrived, self._lost)
        self.counters = PortCounters()
        self.batch = Batch(sock, viewers)
        self.clock = clock
        self.number = sock.getsockname()[1]
        self._peers: dict[Peer, None] = {}
        self._by_ufrag: dict[str, Peer] = {}
        self._by_path: dict[Path, Peer] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_reading: asyncio.TimerHandle | None = None
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
        return len(self._peers)

    @property
    def by_clock(self) -> bool:
        """Whether datagrams are read each READ_S, as many come, and not one by one."""
        return self._next_reading is not None

    @property
    def away(self) -> int:
        """How many of them are sent nothing as they have fallen silent."""
        return sum(peer.away for peer in self._peers)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read both sockets from the event loop."""
        self._loop = loop
        loop.add_reader(self.sock.fileno(), self._readable)
        self.tcp.attach(loop)

    def detach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Stop reading, say goodbye to everybody, close the sockets."""
        loop.remove_reader(self.sock.fileno())
        if self.by_clock:
            self._next_reading.cancel()
        for peer in list(self._peers):
            peer.close("shutdown")
        self.batch.flush()
        self.tcp.detach()
        self.sock.close()

    def peer(self, handler: Handler) -> Peer:
        """Make room for a session that has just been offered."""
        peer = Peer(self, handler, self.clock())
        self._peers[peer] = None
        self.know_name(peer)
        return peer

    def know_name(self, peer: Peer) -> None:
        """Let checks find a session by its present ufrag."""
        self._by_ufrag[peer.ufrag] = peer

    def forget_name(self, ufrag: str) -> None:
        """Let checks by this ufrag go unanswered."""
        self._by_ufrag.pop(ufrag, None)

    def forget(self, peer: Peer) -> None:
        """Drop a session's names and paths; its connections are closed."""
        self._peers.pop(peer, None)
        self.forget_name(peer.ufrag)
        if peer.former is not None:
            self.forget_name(peer.former[0])
        for path in list(peer.paths):
            self._drop_path(peer, path)

    def _drop_path(self, peer: Peer, path: Path) -> None:
        peer.paths.pop(path, None)
        if self._by_path.get(path) is peer:
            del self._by_path[path]
            if isinstance(path, TcpLink):
                path.close("session over")

    def tick(self, now_s: float) -> None:
        """Run DTLS timers and end the sessions that have gone silent; call every 100 ms or so."""
        for peer in list(self._peers):
            if now_s - peer.heard_s > SILENCE_S:
                peer.close("silent")
                continue
            if peer.attentive and not peer.away and now_s - peer.heard_s > AWAY_S:
                peer.rest(True)
            peer.timer(now_s)
        self.tcp.tick(now_s)

    def send(self, datagram: bytes, path: Path) -> None:
        """Send one datagram at once (STUN, DTLS); what the socket refuses is dropped, the protocols repeat."""
        if isinstance(path, TcpLink):
            path.take(datagram, urgent=True)
            path.flush()
            return
        try:
            self.sock.sendto(datagram, path)
        except OSError as error:
            self.counters.drop("unsendable")
            logger.debug("cannot send to %s: %s", path, error)

    def _readable(self) -> None:
        """Read what has come, now and READ_S later as long as much comes, else when the next datagram does."""
        busy = self._read() >= BUSY_DATAGRAMS
        by_clock = self.by_clock
        self._next_reading = self._loop.call_later(READ_S, self._readable) if busy else None
        if busy and not by_clock:
            self._loop.remove_reader(self.sock.fileno())
        elif by_clock and not busy:
            self._loop.add_reader(self.sock.fileno(), self._readable)

    def _read(self) -> int:
        """Take in what has come, send what that brought about; return how many datagrams there were."""
        taken = 0
        for taken in range(DATAGRAMS_PER_WAKE):  # noqa: B007
            try:
                data, told, _flags, address = self.sock.recvmsg(MAX_DATAGRAM_BYTES, STAMP_SPACE)
            except BlockingIOError:
                break
            except OSError as error:
                logger.debug("receive error: %s", error)
                break
            now_s = self.clock()
            self._take(data, address, now_s, now_s - _waited_s(told[0][2]) if told else now_s)
        self.batch.flush()
        return taken

    def _arrived(self, packets: list[bytes], link: TcpLink) -> None:
        """Take what came over a connection. Whoever begins with anything but a good check is shown out."""
        now_s = self.clock()
        for data in packets:
            self._take(data, link, now_s, now_s)
            if not link.known:
                link.close("no check")
                break
        self.batch.flush()

    def _lost(self, link: TcpLink) -> None:
        """Forget a connection that has ended; its session waits for the next check, over whatever path."""
        peer = self._by_path.pop(link, None)
        if peer is not None:
            peer.paths.pop(link, None)
            if peer.selected is link:
                peer.select(None)

    def _take(self, data: bytes, path: Path, now_s: float, came_s: float) -> None:
        try:
            self._datagram(data, path, now_s, came_s)
        except Exception:
            # The boundary of one datagram: a fault in one session must not stop the port of all.
            self.counters.drop("fault")
            logger.exception("fault while taking a datagram in")

    def _datagram(self, data: bytes, path: Path, now_s: float, came_s: float) -> None:
        """Sort one datagram by its first byte (RFC 7983 7)."""
        counters = self.counters
        counters.received += 1
        counters.received_bytes += len(data)
        if len(data) < 13:
            counters.drop("short")
            return
        first = data[0]
        if first < 4:
            self._stun(data, path, now_s)
            return
        peer = self._by_path.get(path)
        if peer is None:
            counters.drop("stranger")
        elif 128 <= first < 192:
            self._media(peer, data, path, now_s, came_s)
        elif 20 <= first < 64:
            self.batch.flush()  # a handshake takes as long as a hundred packets: what waits would look late
            peer.dtls.receive(data)
            peer.dtls_changed(now_s)
        else:
            counters.drop("unknown")

    def _media(self, peer: Peer, data: bytes, path: Path, now_s: float, came_s: float) -> None:
        rtcp = 192 <= data[1] <= 223
        plain = peer.dtls.unprotect_rtcp(data) if rtcp else peer.dtls.unprotect_rtp(data)
        if plain is None:
            self.counters.drop("srtp")
            return
        peer.heard_s = now_s
        if peer.away:
            peer.rest(False)
        if path == peer.selected:
            peer.selected_heard_s = now_s
        if rtcp:
            peer.handler.rtcp(plain, now_s)
        else:
            peer.handler.rtp(plain, now_s, came_s)

    def _stun(self, data: bytes, path: Path, now_s: float) -> None:
        self.counters.stun += 1
        request = ice.parse_check(data) if ice.looks_like_stun(data) else None
        if request is None:
            self.counters.drop("stun")
            return
        ufrag = request.ufrag
        peer = self._by_ufrag.get(ufrag)
        if peer is None or peer.dtls is None:
            self.counters.drop("ufrag")
            return
        former = peer.former is not None and ufrag == peer.former[0]
        password = peer.former[1] if former else peer.password
        check = ice.respond(request, password, path.address if isinstance(path, TcpLink) else path)
        if check is None:
            self.counters.drop("stun_integrity")
            return
        if path == peer.selected and peer.link is None:
            self.batch.plain(peer.name_at, check.response)
        else:
            self.send(check.response, path)
        if not check.accepted:
            return
        if isinstance(path, TcpLink):
            self.tcp.recognised(path)
        self._learn(peer, path, check.nominated and not former, now_s)
        if not former:
            peer.settle()

    def _learn(self, peer: Peer, path: Path, nominated: bool, now_s: float) -> None:
        """Take note of a path. The first serves until one is nominated; a later nomination moves the session.

        So does a check over any path while the present one is silent: a NAT that has forgotten its mapping gives the
        same peer another address. Firefox nominates every pair that works and uses the best (RFC 5245 8.1.1.2), and
        those over TCP answer last: they do not take a session from a nominated UDP path that lives.
        """
        peer.heard_s = now_s
        if peer.away:
            peer.rest(False)
        if path not in peer.paths:
            peer.paths[path] = None
            self._by_path[path] = peer
            if len(peer.paths) > PATHS_PER_PEER:
                self._drop_path(peer, next(p for p in peer.paths if p != peer.selected))
        elif self._by_path.get(path) is not peer:
            self._by_path[path] = peer
        silent = now_s - peer.selected_heard_s > PATH_SILENT_S
        worse = isinstance(path, TcpLink) and peer.link is None and peer.selected == peer.nominated
        if path != peer.selected and ((nominated and not worse) or silent or peer.selected is None):
            peer.select(path)
        if path == peer.selected:
            peer.selected_heard_s = now_s
            if nominated:
                peer.nominated = path
        peer.dtls.begin(now_s)


def _waited_s(stamp: bytes) -> float:
    """Return for how long a datagram that the kernel has stamped has lain there."""
    seconds, nanoseconds = STAMP.unpack(stamp)
    waited_s = time.time() - seconds - nanoseconds / 1e9
    return waited_s if 0 <= waited_s <= OLDEST_S else 0.0
