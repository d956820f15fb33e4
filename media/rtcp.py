"""Pure: RTCP (RFC 3550 section 6, RFC 4585, RFC 5104), REMB and the transport-wide feedback header.

Any bytes either parse or raise MalformedPacket, in time linear in their length. Kinds that nobody here uses are
skipped, as RFC 3550 section 6.1 demands. Reduced-size packets (RFC 5506) are accepted: the first need not be a report.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from media.rtp import VERSION, MalformedPacket

SR, RR, SDES, BYE, RTPFB, PSFB = 200, 201, 202, 203, 205, 206
FMT_NACK = 1
FMT_TRANSPORT_FEEDBACK = 15
FMT_PLI, FMT_FIR, FMT_AFB = 1, 4, 15
SDES_CNAME = 1
MAX_STATUSES = 8192
"""Packets that all transport feedback of one datagram may tell of: two bytes can name thousands that were lost."""
NTP_EPOCH_OFFSET_S = 2_208_988_800  # 1900-01-01 to 1970-01-01

_HEADER = struct.Struct("!BBH")
_SENDER_INFO = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IB3sIIII")
_PAIR = struct.Struct("!II")
_FEEDBACK_HEAD = struct.Struct("!HHI")


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What one receiver saw of one source (RFC 3550 6.4.1). Times are in 1/65536 s, jitter in RTP clock units."""

    ssrc: int
    fraction_lost: int  # of 256
    packets_lost: int  # signed, 24 bits
    highest_sequence: int  # with the count of wraps in the upper half
    jitter: int
    last_sr: int
    delay_since_last_sr: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """The sender's clocks and counts; `ntp_time` is 32.32 fixed point since 1900."""

    ssrc: int
    ntp_time: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()

    @property
    def unix_s(self) -> float:
        """Give the sender's wall clock as Unix seconds."""
        return ntp_to_unix(self.ntp_time)


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """Report blocks of one that sends nothing."""

    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Sdes:
    """Source descriptions: (ssrc, ((item type, text), …)) for every chunk."""

    chunks: tuple[tuple[int, tuple[tuple[int, bytes], ...]], ...]


@dataclass(frozen=True, slots=True)
class Bye:
    """Sources that leave."""

    sources: tuple[int, ...]
    reason: bytes = b""


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers that did not come (RFC 4585 6.2.1)."""

    sender_ssrc: int
    media_ssrc: int
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pli:
    """A wish for a keyframe (RFC 4585 6.3.1)."""

    sender_ssrc: int
    media_ssrc: int


@dataclass(frozen=True, slots=True)
class Fir:
    """A command for a keyframe: (ssrc, command number) of every target (RFC 5104 4.3.1)."""

    sender_ssrc: int
    media_ssrc: int
    entries: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Remb:
    """The receiver's estimate of what it can take (draft-alvestrand-rmcat-remb-03)."""

    sender_ssrc: int
    bitrate_bps: int
    ssrcs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """Arrival times by transport-wide number (draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1).

    `body` holds the status chunks, the receive deltas and padding; that they fit one another has been checked.
    """

    sender_ssrc: int
    media_ssrc: int
    base_sequence: int
    status_count: int
    reference_time: int  # in 64 ms, signed, 24 bits
    feedback_count: int
    body: bytes


RtcpPacket = SenderReport | ReceiverReport | Sdes | Bye | Nack | Pli | Fir | Remb | TransportFeedback


def ntp_to_unix(ntp_time: int) -> float:
    """Convert 32.32 fixed point since 1900 to Unix seconds."""
    return ntp_time / 4294967296 - NTP_EPOCH_OFFSET_S


def unix_to_ntp(unix_s: float) -> int:
    """Convert Unix seconds to 32.32 fixed point since 1900 (modulo its era of 136 years)."""
    return int((unix_s + NTP_EPOCH_OFFSET_S) * 4294967296) & 0xFFFFFFFFFFFFFFFF


def parse_compound(data: bytes | memoryview) -> list[RtcpPacket]:
    """Parse everything in one datagram, in order, leaving out unknown kinds. Raises MalformedPacket."""
    data = bytes(data)
    if not data:
        raise MalformedPacket("empty RTCP packet")
    found: list[RtcpPacket] = []
    at = statuses = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise MalformedPacket(f"{len(data) - at} stray bytes behind an RTCP packet")
        first, kind, words = _HEADER.unpack_from(data, at)
        if first >> 6 != VERSION:
            raise MalformedPacket(f"RTCP version {first >> 6}, expected {VERSION}")
        end = at + 4 * (words + 1)
        if end > len(data):
            raise MalformedPacket(f"RTCP packet of {end - at} bytes in the {len(data) - at} that are left")
        body = data[at + _HEADER.size : end]
        if first & 0x20:
            body = _without_padding(body)
        packet = _parse_one(kind, first & 0x1F, body)
        if packet is not None:
            found.append(packet)
        if isinstance(packet, TransportFeedback):
            statuses += packet.status_count
            if statuses > MAX_STATUSES:
                raise MalformedPacket(f"transport feedback about more than {MAX_STATUSES} packets in one datagram")
        at = end
    return found


def _without_padding(body: bytes) -> bytes:
    """Cut the padding off; its last byte counts it (RFC 3550 6.4.1)."""
    if not body or not 0 < body[-1] <= len(body):
        raise MalformedPacket("RTCP padding does not fit its packet")
    return body[: -body[-1]]


def _parse_one(kind: int, count: int, body: bytes) -> RtcpPacket | None:
    if kind == SR:
        _need(body, 4 + _SENDER_INFO.size, "sender report")
        return SenderReport(
            int.from_bytes(body[:4]), *_SENDER_INFO.unpack_from(body, 4), _blocks(body, 4 + _SENDER_INFO.size, count)
        )
    if kind == RR:
        _need(body, 4, "receiver report")
        return ReceiverReport(int.from_bytes(body[:4]), _blocks(body, 4, count))
    parse = _OTHERS.get(kind)
    return None if parse is None else parse(body, count)


def _need(body: bytes, size: int, what: str) -> None:
    if len(body) < size:
        raise MalformedPacket(f"{what} needs {size} bytes, got {len(body)}")


def _blocks(body: bytes, at: int, count: int) -> tuple[ReportBlock, ...]:
    _need(body, at + count * _BLOCK.size, f"{count} report blocks")
    blocks = []
    for index in range(count):
        ssrc, fraction, lost, *rest = _BLOCK.unpack_from(body, at + index * _BLOCK.size)
        blocks.append(ReportBlock(ssrc, fraction, int.from_bytes(lost, signed=True), *rest))
    return tuple(blocks)


def _parse_sdes(body: bytes, count: int) -> Sdes:
    """Parse the chunks (RFC 3550 6.5): each ends with a zero byte and fills up to a word."""
    chunks, at = [], 0
    for _ in range(count):
        _need(body, at + 4, "SDES chunk")
        ssrc, items = int.from_bytes(body[at : at + 4]), []
        at += 4
        while True:
            _need(body, at + 1, "end of an SDES chunk")
            item = body[at]
            if item == 0:
                at = (at // 4 + 1) * 4
                break
            _need(body, at + 2, "SDES item")
            size = body[at + 1]
            _need(body, at + 2 + size, "SDES item")
            items.append((item, body[at + 2 : at + 2 + size]))
            at += 2 + size
        chunks.append((ssrc, tuple(items)))
    return Sdes(tuple(chunks))


def _parse_bye(body: bytes, count: int) -> Bye:
    _need(body, 4 * count, "BYE")
    rest = body[4 * count :]
    if rest:
        _need(rest, 1 + rest[0], "reason of BYE")
    return Bye(struct.unpack_from(f"!{count}I", body), rest[1 : 1 + rest[0]] if rest else b"")


def _parse_transport_layer(body: bytes, fmt: int) -> Nack | TransportFeedback | None:
    if fmt not in (FMT_NACK, FMT_TRANSPORT_FEEDBACK):
        return None
    _need(body, _PAIR.size, "feedback")
    sender, media = _PAIR.unpack_from(body)
    entries = body[_PAIR.size :]
    if fmt == FMT_TRANSPORT_FEEDBACK:
        return _parse_transport_feedback(sender, media, entries)
    if not entries or len(entries) % 4:
        raise MalformedPacket(f"NACK with {len(entries)} bytes of entries, expected whole words")
    lost: list[int] = []
    for first, mask in struct.iter_unpack("!HH", entries):
        lost.append(first)
        if mask:
            lost.extend((first + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return Nack(sender, media, tuple(lost))


def _parse_transport_feedback(sender: int, media: int, rest: bytes) -> TransportFeedback:
    _need(rest, _FEEDBACK_HEAD.size, "transport feedback")
    base, status_count, tail = _FEEDBACK_HEAD.unpack_from(rest)
    body = rest[_FEEDBACK_HEAD.size :]
    _check_feedback_body(body, status_count)
    reference = int.from_bytes((tail >> 8).to_bytes(3), signed=True)
    return TransportFeedback(sender, media, base, status_count, reference, tail & 0xFF, body)


def _check_feedback_body(body: bytes, status_count: int) -> None:
    """Check that the chunks tell of `status_count` packets and that their deltas are there (3.1.1 to 3.1.5)."""
    at, left, delta_bytes = 0, status_count, 0
    while left > 0:
        _need(body, at + 2, "status chunk")
        chunk = body[at] << 8 | body[at + 1]
        at += 2
        if not chunk & 0x8000:  # run length: two bits of symbol, 13 bits of count
            symbols, covered = [(chunk >> 13) & 3], chunk & 0x1FFF
            if covered == 0:
                raise MalformedPacket("run of no packets in transport feedback")
            delta_bytes += _delta_size(symbols[0]) * min(covered, left)
        elif chunk & 0x4000:  # seven symbols of two bits
            symbols, covered = [(chunk >> shift) & 3 for shift in range(12, -1, -2)], 7
            delta_bytes += sum(map(_delta_size, symbols[:left]))
        else:  # fourteen symbols of one bit
            symbols, covered = [(chunk >> shift) & 1 for shift in range(13, -1, -1)], 14
            delta_bytes += sum(map(_delta_size, symbols[:left]))
        left -= covered
    _need(body, at + delta_bytes, "receive deltas")


def _delta_size(symbol: int) -> int:
    """Give the bytes of a delta: none for a lost packet, one for a small, two for a large or negative one."""
    if symbol == 3:
        raise MalformedPacket("reserved status symbol in transport feedback")
    return symbol


def _parse_payload_specific(body: bytes, fmt: int) -> Pli | Fir | Remb | None:
    if fmt not in (FMT_PLI, FMT_FIR, FMT_AFB):
        return None
    _need(body, _PAIR.size, "feedback")
    sender, media = _PAIR.unpack_from(body)
    entries = body[_PAIR.size :]
    if fmt == FMT_PLI:
        return Pli(sender, media)
    if fmt == FMT_FIR:
        if not entries or len(entries) % 8:
            raise MalformedPacket(f"FIR with {len(entries)} bytes of entries, expected eight each")
        return Fir(sender, media, tuple((ssrc, tail >> 24) for ssrc, tail in struct.iter_unpack("!II", entries)))
    return _parse_remb(sender, entries)


def _parse_remb(sender: int, entries: bytes) -> Remb | None:
    """Parse REMB; other application layer feedback (no "REMB" mark) is unknown, not wrong."""
    if entries[:4] != b"REMB":
        return None
    _need(entries, 8, "REMB")
    count, mantissa_word = entries[4], int.from_bytes(entries[5:8])
    _need(entries, 8 + 4 * count, "SSRCs of REMB")
    bitrate_bps = (mantissa_word & 0x3FFFF) << (mantissa_word >> 18)
    return Remb(sender, bitrate_bps, struct.unpack_from(f"!{count}I", entries, 8))


_OTHERS = {SDES: _parse_sdes, BYE: _parse_bye, RTPFB: _parse_transport_layer, PSFB: _parse_payload_specific}


def serialize_compound(packets: Iterable[RtcpPacket]) -> bytes:
    """Write packets one behind the other; raises ValueError when a field is out of its range."""
    return b"".join(map(serialize, packets))


def serialize(packet: RtcpPacket) -> bytes:
    """Write one packet; raises ValueError when a field is out of its range."""
    try:
        count, kind, body = _body(packet)
        if count > 31:
            raise ValueError(f"an RTCP packet counts to 31, not {count}")
        body += bytes(-len(body) % 4)
        return _HEADER.pack(VERSION << 6 | count, kind, len(body) // 4) + body
    except (struct.error, OverflowError) as error:
        raise ValueError(f"RTCP field out of range: {error}") from None


def _body(packet: RtcpPacket) -> tuple[int, int, bytes]:
    """Return the five-bit count (or format), the packet type and the body."""
    match packet:
        case SenderReport():
            info = _SENDER_INFO.pack(packet.ntp_time, packet.rtp_timestamp, packet.packets, packet.octets)
            return len(packet.reports), SR, packet.ssrc.to_bytes(4) + info + b"".join(map(_pack_block, packet.reports))
        case ReceiverReport():
            return len(packet.reports), RR, packet.ssrc.to_bytes(4) + b"".join(map(_pack_block, packet.reports))
        case Sdes():
            return len(packet.chunks), SDES, b"".join(map(_pack_chunk, packet.chunks))
        case Bye():
            sources = struct.pack(f"!{len(packet.sources)}I", *packet.sources)
            reason = len(packet.reason).to_bytes(1) + packet.reason if packet.reason else b""
            return len(packet.sources), BYE, sources + reason
        case Nack():
            return FMT_NACK, RTPFB, _PAIR.pack(packet.sender_ssrc, packet.media_ssrc) + _pack_lost(packet.lost)
        case Pli():
            return FMT_PLI, PSFB, _PAIR.pack(packet.sender_ssrc, packet.media_ssrc)
        case Fir():
            entries = b"".join(_PAIR.pack(ssrc, number << 24) for ssrc, number in packet.entries)
            return FMT_FIR, PSFB, _PAIR.pack(packet.sender_ssrc, packet.media_ssrc) + entries
        case Remb():
            return FMT_AFB, PSFB, _PAIR.pack(packet.sender_ssrc, 0) + _pack_remb(packet)
        case TransportFeedback():
            tail = int.from_bytes(packet.reference_time.to_bytes(3, signed=True)) << 8 | packet.feedback_count
            head = _FEEDBACK_HEAD.pack(packet.base_sequence, packet.status_count, tail)
            return FMT_TRANSPORT_FEEDBACK, RTPFB, _PAIR.pack(packet.sender_ssrc, packet.media_ssrc) + head + packet.body


def _pack_block(block: ReportBlock) -> bytes:
    lost = max(-0x800000, min(block.packets_lost, 0x7FFFFF))  # a count beyond 24 bits sticks at its end (RFC 3550 A.3)
    clocks = (block.highest_sequence, block.jitter, block.last_sr, block.delay_since_last_sr)
    return _BLOCK.pack(block.ssrc, block.fraction_lost, lost.to_bytes(3, signed=True), *clocks)


def _pack_chunk(chunk: tuple[int, tuple[tuple[int, bytes], ...]]) -> bytes:
    ssrc, items = chunk
    body = ssrc.to_bytes(4) + b"".join(bytes([item, len(text)]) + text for item, text in items) + b"\0"
    return body + bytes(-len(body) % 4)


def _pack_lost(lost: Sequence[int]) -> bytes:
    """Join neighbours of up to 16 numbers ahead, in the order given (the wrap included)."""
    entries: list[list[int]] = []
    for sequence in lost:
        ahead = (sequence - entries[-1][0]) & 0xFFFF if entries else 0
        if entries and 1 <= ahead <= 16:
            entries[-1][1] |= 1 << (ahead - 1)
        else:
            entries.append([sequence, 0])
    if not entries:
        raise ValueError("a NACK names at least one packet")
    return b"".join(struct.pack("!HH", first, mask) for first, mask in entries)


def _pack_remb(packet: Remb) -> bytes:
    """Write the rate as 18 bits of mantissa; what does not fit is rounded down."""
    exponent = max(0, packet.bitrate_bps.bit_length() - 18)
    word = exponent << 18 | packet.bitrate_bps >> exponent
    ssrcs = struct.pack(f"!{len(packet.ssrcs)}I", *packet.ssrcs)
    return b"REMB" + len(packet.ssrcs).to_bytes(1) + word.to_bytes(3) + ssrcs
