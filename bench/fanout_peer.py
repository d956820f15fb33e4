"""Ends of WebRTC sessions that cost next to nothing: they connect, count what comes and say what arrived.

Nothing is decrypted: headers of SRTP are in the clear (RFC 3711 3.1). Feedback and reports are as real as a browser's.
Once connected a peer reads its socket when it has something to say: the kernel notes when each packet came, and a
server's system call wakes nobody, as none that sends to a network does.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aioice import stun

from bench.fanout_sdp import Local, Remote
from media import rtcp, twcc
from media.rtc import ice
from media.rtc.dtls import DtlsPeer, Identity

MAX_DATAGRAM_BYTES = 2048
FEEDBACK_S = 0.27
"""As Chromium does where the answer says `b=AS:30` (docs/rate-control.md)."""
REPORT_EACH, CONSENT_EACH = 4, 9
"""In feedbacks: a receiver report a second, a consent check each 2.5 s (RFC 7675 5.1 has 5 s, browsers 2.5)."""
CHECK_S = 0.1
WIRE_BYTES = 28
"""IPv4 and UDP."""
ONE_BYTE = 0xBEDE
SO_TIMESTAMPNS, STAMP = 35, struct.Struct("@qq")
"""The kernel notes when each datagram came (socket(7)): how long this busy process was late does not count."""
STAMP_SPACE = socket.CMSG_SPACE(STAMP.size)


@dataclass(slots=True)
class Stream:
    """What came of one source: packets, the highest unwrapped number, numbers that never came."""

    packets: int = 0
    highest: int = -1
    missing: set[int] = field(default_factory=set)

    def take(self, sequence: int) -> None:
        """Note one packet."""
        self.packets += 1
        ahead = (sequence - self.highest) & 0xFFFF if self.highest >= 0 else 1
        if ahead == 1:
            self.highest = self.highest + 1 if self.highest >= 0 else sequence
        elif ahead < 0x8000:
            self.missing.update(range(self.highest + 1, self.highest + ahead))
            self.highest += ahead
        else:
            self.missing.discard(self.highest - (0x10000 - ahead))


def consent_check(remote: Remote, local: Local) -> bytes:
    """Write a consent check that nominates at once (RFC 7675, RFC 8445 7.2.2)."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{remote.ufrag}:{local.ufrag}"
    request.attributes["PRIORITY"] = 2130706431
    request.attributes["ICE-CONTROLLING"] = 1
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(remote.password.encode())
    request.add_fingerprint()
    return bytes(request)


class Peer:
    """One session. `link_bps` makes the viewer tell of arrivals as they would be behind a link of that rate.

    `numbered` is the extension's number in what the server sends, None where it sends none.
    """

    def __init__(self, identity: Identity, ip: str, link_bps: float = 0.0) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.socket.bind((ip, 0))
        ufrag, password = ice.credentials()
        self.local = Local(self.socket.getsockname(), ufrag, password, identity.fingerprint)
        self.streams: dict[int, Stream] = {}
        self.packets = self.bytes = 0
        self.resource = ""
        self.connected = asyncio.Event()
        self.dtls: DtlsPeer | None = None
        self._identity = identity
        self._link_bps = link_bps
        self._busy_until_s = 0.0
        self._remote: Remote | None = None
        self._ssrc = secrets.randbelow(0xFFFFFFFE) + 1
        self._arrivals: list[tuple[int, float]] = []
        self._next: int | None = None
        self._feedbacks = secrets.randbelow(CONSENT_EACH)
        self._checked = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def begin(self, remote: Remote, loop: asyncio.AbstractEventLoop) -> None:
        """Connect to a server that has been agreed with."""
        self._remote, self._loop = remote, loop
        self.socket.connect(remote.address)
        self.dtls = DtlsPeer(self._identity, "client", remote.fingerprints, self._send)
        loop.add_reader(self.socket.fileno(), self._readable)
        self._check()

    def vanish(self) -> None:
        """Be gone without a word."""
        if self._loop is not None:
            self._loop.remove_reader(self.socket.fileno())
        self.socket.close()

    def protect(self, packet: bytes) -> None:
        """Send one RTP packet."""
        self._send(self.dtls.sending.protect(packet))

    def tick(self, now_s: float) -> None:
        """Read what has come and run what is due, each FEEDBACK_S: feedback, now and then a report and a check."""
        while self._readable():
            pass
        if not self._checked:
            self._check()
        if self.dtls is None or not self.dtls.connected:
            if self.dtls is not None:
                self.dtls.timer(now_s)
            return
        self._feedbacks += 1
        if self._feedbacks % CONSENT_EACH == 0:
            self._check()
        if self._feedbacks % REPORT_EACH == 0:
            self._report()
        if self._arrivals:
            self._tell()

    def _report(self) -> None:
        blocks = tuple(
            rtcp.ReportBlock(ssrc, 0, 0, max(0, stream.highest) & 0xFFFFFFFF, 0, 0, 0)
            for ssrc, stream in self.streams.items()
        )
        report = rtcp.serialize(rtcp.ReceiverReport(self._ssrc, blocks[:31]))
        self._send(self.dtls.sending.protect_rtcp(report))

    def _tell(self) -> None:
        """Send feedback about all numbers since the last one; what is still on its (made-up) link waits."""
        arrivals = self._arrivals
        if self._link_bps:
            unix_s = time.time()
            arrivals = [one for one in arrivals if one[1] <= unix_s]
        self._arrivals = self._arrivals[len(arrivals) :]
        if not arrivals:
            return
        first = arrivals[0][0] if self._next is None else self._next
        at = {(number - first) & 0xFFFF: arrival_s for number, arrival_s in arrivals}
        count = max((offset for offset in at if offset < 0x8000), default=-1) + 1
        if not 0 < count < twcc.MAX_STATUS_COUNT:
            return
        told = [at.get(offset) for offset in range(count)]
        self._next = (first + count) & 0xFFFF
        data = twcc.serialize(self._ssrc, next(iter(self.streams)), first, self._feedbacks & 0xFF, told)
        self._send(self.dtls.sending.protect_rtcp(data))

    def _readable(self) -> bool:
        """Take in one datagram; false where there is none."""
        try:
            data, told, _flags, _address = self.socket.recvmsg(MAX_DATAGRAM_BYTES, STAMP_SPACE)
        except OSError:
            return False
        first = data[0]
        if first < 128:
            self._signal(data, first)
        elif not 192 <= data[1] <= 223:
            self._count(data, first, told[0][2] if told else b"")
        return True

    def _count(self, data: bytes, first: int, stamp: bytes) -> None:
        self.packets += 1
        self.bytes += len(data)
        ssrc = int.from_bytes(data[8:12])
        stream = self.streams.get(ssrc)
        if stream is None:
            stream = self.streams[ssrc] = Stream()
        stream.take(data[2] << 8 | data[3])
        # Only the servers' own form is read: one element, first in the block, of two bytes (RFC 8285 4.2).
        if first & 0x10 and data[12] << 8 | data[13] == ONE_BYTE and data[16] & 0x0F == 1:
            seconds, nanoseconds = STAMP.unpack(stamp)
            arrival_s = seconds + nanoseconds / 1e9
            if self._link_bps:
                begin_s = max(arrival_s, self._busy_until_s)
                arrival_s = self._busy_until_s = begin_s + (len(data) + WIRE_BYTES) * 8 / self._link_bps
            self._arrivals.append((data[17] << 8 | data[18], arrival_s))

    def _signal(self, data: bytes, first: int) -> None:
        if first >= 20:
            self.dtls.receive(data)
            if self.dtls.connected and not self.connected.is_set():
                self.connected.set()
                self._loop.remove_reader(self.socket.fileno())
            return
        try:
            message = stun.parse_message(data)
        except ValueError:
            return
        if message.message_class == stun.Class.REQUEST:
            self._respond(message)
        elif message.message_class == stun.Class.RESPONSE and not self._checked:
            self._checked = True
            self.dtls.begin(time.monotonic())

    def _check(self) -> None:
        """Ask for consent."""
        self._send(consent_check(self._remote, self.local))

    def _respond(self, request: stun.Message) -> None:
        """Answer a server that checks too."""
        reply = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        reply.attributes["XOR-MAPPED-ADDRESS"] = self._remote.address
        reply.add_message_integrity(self.local.password.encode())
        reply.add_fingerprint()
        self._send(bytes(reply))

    def _send(self, datagram: bytes) -> None:
        # A server that is gone answers with an error; a full buffer drops, as a network does.
        with contextlib.suppress(OSError):
            self.socket.send(datagram)


class Crowd:
    """Many peers on one event loop; their timers are spread evenly."""

    SLOTS = 27

    def __init__(self, ip: str) -> None:
        self.ip = ip
        self.peers: dict[Peer, int] = {}
        self.identity = Identity()
        self._loop = asyncio.get_running_loop()
        self._slots: list[dict[Peer, None]] = [{} for _ in range(self.SLOTS)]
        self._ticking = self._loop.create_task(self._tick(), name="crowd")

    async def join(self, agree: Callable, link_bps: float = 0.0, patience_s: float = 20.0) -> Peer:
        """Add one peer; `agree` takes it and returns the server's end. Raises TimeoutError."""
        peer = Peer(self.identity, self.ip, link_bps)
        slot = min(range(self.SLOTS), key=lambda index: len(self._slots[index]))
        try:
            peer.begin(await agree(peer), self._loop)
            self._slots[slot][peer] = None
            self.peers[peer] = slot
            async with asyncio.timeout(patience_s):
                await peer.connected.wait()
        except BaseException:
            self.drop(peer)
            raise
        return peer

    def drop(self, peer: Peer) -> None:
        """Let one peer vanish."""
        slot = self.peers.pop(peer, None)
        if slot is not None:
            del self._slots[slot][peer]
        peer.vanish()

    async def close(self) -> None:
        """Let all vanish."""
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)
        for peer in list(self.peers):
            self.drop(peer)

    @property
    def packets(self) -> int:
        """RTP packets that have come to all of them."""
        return sum(peer.packets for peer in self.peers)

    @property
    def bytes(self) -> int:
        """The same in bytes of UDP payload."""
        return sum(peer.bytes for peer in self.peers)

    @property
    def missing(self) -> int:
        """Numbers that never came, of all sources."""
        return sum(len(stream.missing) for peer in self.peers for stream in peer.streams.values())

    async def _tick(self) -> None:
        at_s, index = self._loop.time(), 0
        while True:
            for peer in list(self._slots[index]):
                peer.tick(time.monotonic())
            index = (index + 1) % self.SLOTS
            at_s = max(at_s + FEEDBACK_S / self.SLOTS, self._loop.time() - FEEDBACK_S)
            await asyncio.sleep(max(0.0, at_s - self._loop.time()))
