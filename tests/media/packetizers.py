"""Cut frames into RTP payloads as senders do, each by its specification, for tests of what puts them together."""

from __future__ import annotations

from media.rtp import RtpPacket


def leb128(value: int) -> bytes:
    """Write a number as AV1 does."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def obu(kind: int, body: bytes, temporal: int | None = None) -> bytes:
    """Build an OBU without a size field, with an extension where a temporal layer is given."""
    extension = b"" if temporal is None else bytes([temporal << 5])
    return bytes([kind << 3 | (0x04 if extension else 0)]) + extension + body


def av1_payloads(obus: list[bytes], limit: int, new_sequence: bool) -> list[bytes]:
    """Packetize OBUs with W = 0 (every element has its length), fragments of at most `limit` bytes."""
    pieces: list[list[tuple[bytes, bool, bool]]] = [[]]
    room = limit
    for one in obus:
        rest, continues = one, False
        while True:
            if room <= 0:
                pieces.append([])
                room = limit
            part, rest = rest[:room], rest[room:]
            pieces[-1].append((part, continues, bool(rest)))
            room -= len(part)
            continues = True
            if not rest:
                break
    payloads = []
    for index, piece in enumerate(pieces):
        head = (0x80 if piece[0][1] else 0) | (0x40 if piece[-1][2] else 0)
        head |= 0x08 if new_sequence and index == 0 else 0
        payloads.append(bytes([head]) + b"".join(leb128(len(part)) + part for part, _, _ in piece))
    return payloads


def vp8_payloads(frame: bytes, limit: int, temporal: int | None = None) -> list[bytes]:
    """Packetize with a 15-bit PictureID, and TL0PICIDX and TID where a layer is given (RFC 7741 4.2)."""
    descriptor = b"\x80" if temporal is None else b"\xe0"
    extra = b"\x81\x23" + (bytes([7, temporal << 6]) if temporal is not None else b"")
    return [
        bytes([0x80 | (0x10 if at == 0 else 0)]) + descriptor + extra + frame[at : at + limit]
        for at in range(0, len(frame), limit)
    ]


def vp9_payloads(frame: bytes, limit: int, key: bool, temporal: int | None = None, spatial: int = 0) -> list[bytes]:
    """Packetize in non-flexible mode (RFC 9628 4.2)."""
    payloads = []
    for at in range(0, len(frame), limit):
        flags = 0x80 | (0 if key else 0x40) | (0x08 if at == 0 else 0) | (0x04 if at + limit >= len(frame) else 0)
        layer = b""
        if temporal is not None:
            flags |= 0x20
            layer = bytes([temporal << 5 | spatial << 1, 9])
        payloads.append(bytes([flags, 0x05]) + layer + frame[at : at + limit])
    return payloads


def h264_payloads(units: list[bytes], limit: int) -> list[bytes]:
    """Send small NAL units together as STAP-A where several go first, large ones as FU-A (RFC 6184 5.7.1, 5.8)."""
    payloads, small = [], []
    for unit in units:
        if len(unit) <= limit:
            small.append(unit)
            continue
        payloads += _stap(small)
        small = []
        header, body = unit[0], unit[1:]
        for at in range(0, len(body), limit):
            fu = header & 0x1F | (0x80 if at == 0 else 0) | (0x40 if at + limit >= len(body) else 0)
            payloads.append(bytes([header & 0xE0 | 28, fu]) + body[at : at + limit])
    return payloads + _stap(small)


def _stap(units: list[bytes]) -> list[bytes]:
    if len(units) < 2:
        return units
    return [b"\x78" + b"".join(len(unit).to_bytes(2) + unit for unit in units)]


def rtp_packets(payloads: list[bytes], sequence: int, timestamp: int, ssrc: int = 7) -> list[RtpPacket]:
    """Number the payloads of one frame; the last has the marker."""
    return [
        RtpPacket(96, (sequence + index) & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload, index == len(payloads) - 1)
        for index, payload in enumerate(payloads)
    ]
