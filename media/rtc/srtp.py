"""Encrypt packets in place and send them by the batch; the only user of pylibsrtp's insides.

Many packets leave by one `sendmmsg(2)`. A packet's payload is serialised once by the caller; per viewer twelve header
bytes are written, the slot is encrypted where it lies and its length noted. No object is made per packet and viewer.
"""

from __future__ import annotations

import errno
import functools
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import cffi
import pylibsrtp

SLOTS = 512
SLOT_BYTES = 1536
MAX_BODY_BYTES = 1472
"""What fits a slot beside 12 header bytes, the original sequence number of RTX and libsrtp's trailer room."""

RTP_HEADER = "!BBHII"
NUMBERED_HEADER = "!BBHIIIBHx"
"""The same with a header extension of one element (RFC 8285 4.2): mark and length, id, number, padding."""
ONE_ELEMENT = 0xBEDE0001
RTP_VERSION_2 = 0x80
EXTENDED = 0x10
WIRE_OVERHEAD_BYTES = 38
"""IPv4 (20), UDP (8) and the tag of AES128-CM-SHA1-80 (10): what a packet weighs on the link beyond its RTP part."""

_lib = pylibsrtp.lib
_ffi = pylibsrtp.ffi
_os = cffi.FFI()
_os.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr { void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
                    void *msg_control; size_t msg_controllen; int msg_flags; };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int sendmmsg(int sockfd, struct mmsghdr *msgvec, unsigned int vlen, int flags);
    """
)
_libc = _os.dlopen(None)


class Link(Protocol):
    """A path that is no address of the UDP socket: a TCP connection with a queue of its own."""

    def take(self, packet: bytes, urgent: bool) -> None: ...
    def flush(self) -> None: ...


class Flow(Protocol):
    """One viewer's rate control as the loop sees it.

    `credit` is in bytes on the wire; `refill` lets it grow up to now and returns it. `sent` notes a packet of so
    many bytes and returns its transport-wide number.
    """

    credit: float
    sent: Callable[[int, float], int]

    def refill(self, now_s: float) -> float: ...


class SendStream:
    """One RTP stream to one peer: what differs between viewers of the same packet, and where it goes.

    `sequence_delta` and `timestamp_delta` are added to the room's numbers (mod 2^16 and 2^32). `address` is a sockaddr,
    or the same as `link` where the path is one; an `urgent` stream (voice) overtakes the others there.
    """

    __slots__ = (
        "address",
        "behind",
        "cursor",
        "extension",
        "first",
        "flow",
        "link",
        "octets",
        "packets",
        "payload_type",
        "sequence_delta",
        "session",
        "ssrc",
        "timestamp_delta",
        "urgent",
    )

    def __init__(self, ssrc: int, payload_type: int, urgent: bool = False) -> None:
        self.ssrc = ssrc
        self.urgent = urgent
        self.payload_type = payload_type
        self.sequence_delta = 0
        self.timestamp_delta = 0
        self.packets = 0
        self.octets = 0
        self.session: object = None
        self.address: object = None
        self.link: Link | None = None
        self.flow: Flow | None = None
        self.extension = 0
        self.behind = False
        self.cursor = 0
        self.first = 0


@dataclass(slots=True)
class EgressCounters:
    """What left the socket and what did not, in packets and bytes (UDP payload) since the start.

    `linked` went to the queues of TCP connections, which count their own drops.
    """

    packets: int = 0
    linked: int = 0
    bytes: int = 0
    batches: int = 0
    dropped_full: int = 0
    dropped_unreachable: int = 0
    dropped_srtp: int = 0


@functools.cache
def _writer(header: str, body_bytes: int) -> Callable[..., None]:
    """Return what writes header and body at one go; there are as many as there are lengths of packets."""
    return struct.Struct(f"{header}{body_bytes}s").pack_into


def srtp_handle(session: pylibsrtp.Session) -> object:
    """Return libsrtp's own handle of a session, for the low-level calls."""
    return session._srtp[0]


def socket_address(family: int, address: tuple) -> object:
    """Return a `sockaddr` in memory of its own for an (ip, port, …) as `recvfrom` gave it."""
    port = struct.pack("!H", address[1])
    if family == socket.AF_INET6:
        flow, scope = (*address, 0, 0)[2:4]
        raw = struct.pack("=H", family) + port + struct.pack("!I", flow)
        raw += socket.inet_pton(family, address[0].partition("%")[0]) + struct.pack("=I", scope)
    else:
        raw = struct.pack("=H", family) + port + socket.inet_pton(family, address[0]) + bytes(8)
    return _os.new("char[]", raw)


class Batch:
    """The packets on their way out: at most SLOTS, sent when full or when `flush` is called.

    Drop policy: what a full socket buffer refuses is dropped and counted. Waiting would hold up everybody's voice for
    one burst; retransmission repairs the rest.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.counters = EgressCounters()
        self._fd = sock.fileno()
        self._count = 0
        self._memory = _ffi.new("char[]", SLOTS * SLOT_BYTES)
        base = int(_ffi.cast("uintptr_t", self._memory))
        whole = memoryview(_ffi.buffer(self._memory))
        self._slots = [self._memory + i * SLOT_BYTES for i in range(SLOTS)]
        self._views = [whole[i * SLOT_BYTES : (i + 1) * SLOT_BYTES] for i in range(SLOTS)]
        self._length = _ffi.new("int *")
        self._iovecs = _os.new("struct iovec[]", SLOTS)
        self._messages = _os.new("struct mmsghdr[]", SLOTS)
        self._names: list[object] = [None] * SLOTS
        self._sizes = [0] * SLOTS
        self._links: set[Link] = set()
        name_bytes = 28 if sock.family == socket.AF_INET6 else 16
        for i in range(SLOTS):
            self._iovecs[i].iov_base = _os.cast("void *", base + i * SLOT_BYTES)
            header = self._messages[i].msg_hdr
            header.msg_namelen = name_bytes
            header.msg_iov = _os.addressof(self._iovecs, i)
            header.msg_iovlen = 1
        self._iovec_at = [self._iovecs[i] for i in range(SLOTS)]
        self._header_at = [self._messages[i].msg_hdr for i in range(SLOTS)]

    def fan_out(
        self,
        sequence: int,
        timestamp: int,
        marker: bool,
        body: bytes,
        streams: Iterable[SendStream],
        padding: int,
        now_s: float,
        paced: bool = False,
    ) -> None:
        """Queue one packet for every stream: `body` is what follows the header (RFC 3550 5.1, no CSRC).

        `sequence` is the room's number. A `paced` packet waits where others wait already or where credit is used up.
        The loop is the hottest of the process: names are local, nothing is allocated.
        """
        length_bytes = len(body)
        if length_bytes > MAX_BODY_BYTES:
            self.counters.dropped_srtp += 1
            return
        plain_bytes, numbered_bytes = length_bytes + 12, length_bytes + 20
        wire_bytes = numbered_bytes + WIRE_OVERHEAD_BYTES
        first = RTP_VERSION_2 | (0x20 if padding else 0)
        extended = first | EXTENDED
        mark = 0x80 if marker else 0
        views, slots, names = self._views, self._slots, self._names
        iovecs, headers, length, sizes = self._iovec_at, self._header_at, self._length, self._sizes
        pack, pack_numbered = _writer(RTP_HEADER, length_bytes), _writer(NUMBERED_HEADER, length_bytes)
        protect = _lib.srtp_protect
        i = self._count
        for stream in streams:
            address = stream.address
            if address is None:
                continue
            flow = stream.flow
            if flow is not None:
                if paced:
                    if stream.behind:
                        continue
                    if flow.credit < 0 and flow.refill(now_s) < 0:
                        stream.behind, stream.cursor = True, sequence
                        continue
                flow.credit -= wire_bytes
            if i == SLOTS:
                self._count = i
                self.flush()
                i = 0
            view = views[i]
            number = (sequence + stream.sequence_delta) & 0xFFFF
            stamp = (timestamp + stream.timestamp_delta) & 0xFFFFFFFF
            if stream.extension:
                pack_numbered(
                    view,
                    0,
                    extended,
                    stream.payload_type | mark,
                    number,
                    stamp,
                    stream.ssrc,
                    ONE_ELEMENT,
                    stream.extension,
                    flow.sent(wire_bytes, now_s),
                    body,
                )
                length[0] = numbered_bytes
            else:
                pack(view, 0, first, stream.payload_type | mark, number, stamp, stream.ssrc, body)
                length[0] = plain_bytes
            if protect(stream.session, slots[i], length):
                self.counters.dropped_srtp += 1
                continue
            stream.packets += 1
            stream.octets += length_bytes
            if stream.link is not None:
                self._hand_over(stream.link, view, length[0], stream.urgent)
                continue
            size = length[0]
            # A slot often has the length and address of before; to write through cffi costs more than to look.
            if sizes[i] != size:
                sizes[i] = iovecs[i].iov_len = size
            # The list keeps the sockaddr alive until the batch has left: the peer may move in the meantime.
            if names[i] is not address:
                names[i] = headers[i].msg_name = address
            i += 1
        self._count = i

    def _hand_over(self, link: Link, view: memoryview, length: int, urgent: bool) -> None:
        """Give one encrypted packet to a TCP connection; its slot is free again."""
        link.take(bytes(view[:length]), urgent)
        self._links.add(link)
        self.counters.linked += 1

    def rtcp(self, session: object, address: object, data: bytes, link: Link | None = None) -> None:
        """Queue one RTCP compound packet, encrypted for the peer, whose path is an address or a link."""
        if len(data) > MAX_BODY_BYTES:
            self.counters.dropped_srtp += 1
            return
        if self._count == SLOTS:
            self.flush()
        i = self._count
        self._views[i][: len(data)] = data
        self._length[0] = len(data)
        if _lib.srtp_protect_rtcp(session, self._slots[i], self._length):
            self.counters.dropped_srtp += 1
            return
        if link is not None:
            self._hand_over(link, self._views[i], self._length[0], urgent=True)
            return
        self._sizes[i] = self._iovec_at[i].iov_len = self._length[0]
        self._names[i] = self._header_at[i].msg_name = address
        self._count = i + 1

    def flush(self) -> None:
        """Send what is queued. Never raises: what could not leave is counted."""
        if self._links:
            links, self._links = self._links, set()
            for link in links:
                link.flush()
        sent, total, counters = 0, self._count, self.counters
        self._count = 0
        while sent < total:
            done = _libc.sendmmsg(self._fd, self._messages + sent, total - sent, socket.MSG_DONTWAIT)
            counters.batches += 1
            if done > 0:
                counters.packets += done
                counters.bytes += sum(self._sizes[sent : sent + done])
                sent += done
                continue
            if _os.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                counters.dropped_full += total - sent
                return
            # The first of the rest cannot be sent (no route, refused by a filter): skip it alone.
            counters.dropped_unreachable += 1
            sent += 1
