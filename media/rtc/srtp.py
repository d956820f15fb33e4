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
from typing import NamedTuple

import cffi
import numpy as np
import pylibsrtp

from media.cc.books import HISTORY, MASK
from media.rtc.crowd import STREAMS_PER_VIEWER, Crowd, Lane, Ledgers, Link, SendStream, Streams

SLOTS = 512
SLOT_BYTES = 1536
MAX_BODY_BYTES = 1468
"""What fits a slot beside 12 header bytes, the original sequence number of RTX and libsrtp's trailer room."""

RTP_HEADER = "!BBHII"
NUMBERED_HEADER = "!BBHIIIBHx"
"""The same with a header extension of one element (RFC 8285 4.2): mark and length, id, number, padding."""
PATIENT_HEADER = "!BBHIIIBHx4s"
"""The same with a second element of four bytes."""
ONE_ELEMENT, TWO_ELEMENTS = 0xBEDE0001, 0xBEDE0002
RTP_VERSION_2 = 0x80
HEAD = np.dtype(
    [
        ("first", ">u1"),
        ("kind", ">u1"),
        ("sequence", ">u2"),
        ("timestamp", ">u4"),
        ("ssrc", ">u4"),
        ("extensions", ">u4"),
        ("element", ">u1"),
        ("number", ">u2"),
        ("zero", ">u1"),
    ]
)
"""NUMBERED_HEADER by columns."""
MANY = 10
"""So many streams are written faster by columns than one after the other (docs/fanout.md)."""
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


class _Packet(NamedTuple):
    """One packet as the room has it; `first` and `mark` are the bits of its first two bytes that are alike for all."""

    sequence: int
    timestamp: int
    first: int
    mark: int
    body: bytes
    now_s: float


@functools.cache
def _writer(header: str, body_bytes: int) -> Callable[..., None]:
    """Return what writes header and body at one go; there are as many as there are lengths of packets."""
    return struct.Struct(f"{header}{body_bytes}s").pack_into


def srtp_handle(session: pylibsrtp.Session) -> object:
    """Return libsrtp's own handle of a session, for the low-level calls."""
    return session._srtp[0]


class Batch:
    """The packets on their way out: at most SLOTS, sent when full or when `flush` is called.

    Drop policy: what a full socket buffer refuses is dropped and counted. Waiting would hold up everybody's voice for
    one burst; retransmission repairs the rest.

    `table` and `ledgers` are the columns of all viewers' streams and accounts (media/rtc/crowd.py).
    """

    def __init__(self, sock: socket.socket, viewers: int = 64) -> None:
        self.counters = EgressCounters()
        self.table = Streams(viewers * STREAMS_PER_VIEWER)
        self.ledgers = Ledgers(viewers)
        self._fd = sock.fileno()
        self._count = 0
        self._memory = _ffi.new("char[]", SLOTS * SLOT_BYTES)
        base = int(_ffi.cast("uintptr_t", self._memory))
        whole = memoryview(_ffi.buffer(self._memory))
        self._slots = [self._memory + i * SLOT_BYTES for i in range(SLOTS)]
        self._views = [whole[i * SLOT_BYTES : (i + 1) * SLOT_BYTES] for i in range(SLOTS)]
        self._bytes = np.frombuffer(whole, np.uint8).reshape(SLOTS, SLOT_BYTES)
        heads = np.ndarray(SLOTS, HEAD, whole, strides=(SLOT_BYTES,))
        self._heads = tuple(heads[field] for field in HEAD.names)
        lengths = _ffi.new("int[]", SLOTS)
        self._length_at = [lengths + i for i in range(SLOTS)]
        self._lengths = np.frombuffer(_ffi.buffer(lengths), np.intc)
        self._length = memoryview(self._lengths)
        self._iovecs = _os.new("struct iovec[]", SLOTS)
        self._messages = _os.new("struct mmsghdr[]", SLOTS)
        self._links: set[Link] = set()
        name_bytes = 28 if sock.family == socket.AF_INET6 else 16
        for i in range(SLOTS):
            self._iovecs[i].iov_base = _os.cast("void *", base + i * SLOT_BYTES)
            header = self._messages[i].msg_hdr
            header.msg_namelen = name_bytes
            header.msg_iov = _os.addressof(self._iovecs, i)
            header.msg_iovlen = 1
        self._sizes = _column(self._iovecs, "struct iovec", "iov_len")
        self._names = _column(self._messages, "struct mmsghdr", "msg_hdr", "msg_name")
        # Single numbers are written faster through these than through cffi or numpy.
        self._size_at, self._name_at = memoryview(self._sizes), memoryview(self._names)

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
        Where many streams have one source, those that are alike are written by columns.
        """
        if len(body) > MAX_BODY_BYTES:
            self.counters.dropped_srtp += 1
            return
        first = RTP_VERSION_2 | (0x20 if padding else 0)
        packet = _Packet(sequence, timestamp, first, 0x80 if marker else 0, body, now_s)
        if type(streams) is Crowd and len(streams) >= MANY:
            lane = streams.lane(self.table)
            if len(lane.alike) >= MANY:
                streams = lane.others
                if paced:
                    lane = self._with_credit(lane, packet)
                for begin in range(0, len(lane.alike), SLOTS):
                    self._many(lane, begin, packet)
        if streams:
            self._each(streams, packet, paced)

    def _with_credit(self, lane: Lane, packet: _Packet) -> Lane:
        """Return those of a lane who may have a picture's packet now; the others wait from here on."""
        waits = self.table.behind[lane.rows]
        short = self.ledgers.purses[lane.books] < 0
        short &= ~waits
        if short.any():
            for index in np.flatnonzero(short).tolist():
                stream = lane.alike[index]
                if stream.flow.refill(packet.now_s) < 0:
                    stream.behind, stream.cursor = True, packet.sequence
                    waits[index] = True
        return lane.without(waits) if waits.any() else lane

    def _many(self, lane: Lane, begin: int, packet: _Packet) -> None:
        """Queue one packet for SLOTS streams of a lane at most, from the one at `begin` on: column by column."""
        rows, books = lane.rows[begin : begin + SLOTS], lane.books[begin : begin + SLOTS]
        count, body_bytes, table = len(rows), len(packet.body), self.table
        if self._count + count > SLOTS:
            self.flush()
        i = self._count
        end = i + count
        plain_bytes = body_bytes + HEAD.itemsize
        numbers = self._note_sent(books, plain_bytes + WIRE_OVERHEAD_BYTES, packet.now_s)
        firsts, kinds, sequences, timestamps, ssrcs, marks, elements, sent, zeros = self._heads
        firsts[i:end] = packet.first | EXTENDED
        kinds[i:end] = table.payload_type[rows] | packet.mark
        sequences[i:end] = table.sequence_delta[rows] + np.uint16(packet.sequence & 0xFFFF)
        timestamps[i:end] = table.timestamp_delta[rows] + np.uint32(packet.timestamp & 0xFFFFFFFF)
        ssrcs[i:end] = table.ssrc[rows]
        marks[i:end] = ONE_ELEMENT
        elements[i:end] = table.extension[rows]
        sent[i:end] = numbers
        zeros[i:end] = 0
        self._bytes[i:end, HEAD.itemsize : plain_bytes] = np.frombuffer(packet.body, np.uint8)
        self._lengths[i:end] = plain_bytes
        failed = list(
            map(_lib.srtp_protect, lane.sessions[begin : begin + SLOTS], self._slots[i:end], self._length_at[i:end])
        )
        table.packets[rows] += 1
        table.octets[rows] += body_bytes
        self._names[i:end] = table.name[rows]
        if any(failed):
            end = self._close_ranks(i, failed)
        self._sizes[i:end] = self._lengths[i:end]
        self._count = end

    def _note_sent(self, books: np.ndarray, wire_bytes: int, now_s: float) -> np.ndarray:
        """Write one packet into these books as `Books.sent` does, and take it out of the purses; return its numbers."""
        ledgers = self.ledgers
        numbers = ledgers.next[books]
        places = (numbers & MASK) + books * HISTORY
        ledgers.in_flight[books] += wire_bytes - ledgers.all_sizes[places].astype(np.int64)
        ledgers.all_sizes[places] = wire_bytes
        ledgers.all_times[places] = now_s
        ledgers.next[books] = numbers + 1
        ledgers.purses[books] -= wire_bytes
        return (numbers & 0xFFFF).astype(np.uint16)

    def _close_ranks(self, begin: int, failed: list[int]) -> int:
        """Leave out of the slots from `begin` on those that could not be encrypted; return the end of what is left."""
        good = begin + np.flatnonzero(np.array(failed) == 0)
        self.counters.dropped_srtp += len(failed) - len(good)
        end = begin + len(good)
        self._bytes[begin:end], self._lengths[begin:end] = self._bytes[good], self._lengths[good]
        self._names[begin:end] = self._names[good]
        return end

    def _each(self, streams: Iterable[SendStream], packet: _Packet, paced: bool) -> None:
        """Queue one packet for one stream after the other, whatever they are like. Hot too: names are local."""
        sequence, timestamp, first, mark, body, now_s = packet
        length_bytes = len(body)
        plain_bytes, numbered_bytes = length_bytes + 12, length_bytes + HEAD.itemsize
        wire_bytes = numbered_bytes + WIRE_OVERHEAD_BYTES
        extended = first | EXTENDED
        views, slots, lengths, length = self._views, self._slots, self._length_at, self._length
        pack, pack_numbered = _writer(RTP_HEADER, length_bytes), _writer(NUMBERED_HEADER, length_bytes)
        protect = _lib.srtp_protect
        i = self._count
        for stream in streams:
            if stream.name is None:
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
            if stream.patience_left:
                _writer(PATIENT_HEADER, length_bytes)(
                    view,
                    0,
                    extended,
                    stream.payload_type | mark,
                    number,
                    stamp,
                    stream.ssrc,
                    TWO_ELEMENTS,
                    stream.extension,
                    flow.sent(wire_bytes + len(stream.patience), now_s),
                    stream.patience,
                    body,
                )
                length[i] = numbered_bytes + len(stream.patience)
                stream.asked_patience()
            elif stream.extension:
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
                length[i] = numbered_bytes
            else:
                pack(view, 0, first, stream.payload_type | mark, number, stamp, stream.ssrc, body)
                length[i] = plain_bytes
            if protect(stream.session, slots[i], lengths[i]):
                self.counters.dropped_srtp += 1
                continue
            stream.packets += 1
            stream.octets += length_bytes
            if stream.link is not None:
                self._hand_over(stream.link, view, length[i], stream.urgent)
                continue
            self._size_at[i], self._name_at[i] = length[i], stream.name
            i += 1
        self._count = i

    def _hand_over(self, link: Link, view: memoryview, length: int, urgent: bool) -> None:
        """Give one encrypted packet to a TCP connection; its slot is free again."""
        link.take(bytes(view[:length]), urgent)
        self._links.add(link)
        self.counters.linked += 1

    def rtcp(self, session: object, name: int, data: bytes, link: Link | None = None) -> None:
        """Queue one RTCP compound packet, encrypted for the peer whose sockaddr stands at `name`, or over a link."""
        if len(data) > MAX_BODY_BYTES:
            self.counters.dropped_srtp += 1
            return
        if self._count == SLOTS:
            self.flush()
        i = self._count
        self._views[i][: len(data)] = data
        self._length[i] = len(data)
        if _lib.srtp_protect_rtcp(session, self._slots[i], self._length_at[i]):
            self.counters.dropped_srtp += 1
            return
        if link is not None:
            self._hand_over(link, self._views[i], self._length[i], urgent=True)
            return
        self._size_at[i], self._name_at[i] = self._length[i], name
        self._count = i + 1

    def plain(self, name: int, data: bytes) -> None:
        """Queue a short datagram as it is: an answer to a consent check, which may wait for the others."""
        if self._count == SLOTS:
            self.flush()
        i = self._count
        self._views[i][: len(data)] = data
        self._size_at[i], self._name_at[i] = len(data), name
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
                counters.bytes += int(self._sizes[sent : sent + done].sum())
                sent += done
                continue
            if _os.errno in (errno.EAGAIN, errno.ENOBUFS, errno.EINTR):
                counters.dropped_full += total - sent
                return
            # The first of the rest cannot be sent (no route, refused by a filter): skip it alone.
            counters.dropped_unreachable += 1
            sent += 1


def _column(structs: object, kind: str, *fields: str) -> np.ndarray:
    """Return one 64-bit field of an array of C structs as a column."""
    whole = np.frombuffer(_os.buffer(structs), np.uint8)
    at, step = _os.offsetof(kind, *fields), _os.sizeof(kind)
    return np.ndarray(SLOTS, np.uint64, whole, at, (step,))
