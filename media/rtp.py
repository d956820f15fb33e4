"""Pure: RTP packets (RFC 3550 section 5) with header extensions (RFC 8285), and arithmetic on their wrapping numbers.

Any bytes either parse or raise MalformedPacket, in time linear in their length.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

VERSION = 2
FIXED_HEADER_BYTES = 12
ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000  # the low four bits ("appbits") are ours to ignore
SEQUENCE_BITS = 16
TIMESTAMP_BITS = 32

_FIXED = struct.Struct("!BBHII")
_EXTENSION = struct.Struct("!HH")


class MalformedPacket(ValueError):
    """Bytes that are not the packet they were taken for; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet. `padding` counts the padding bytes with the count byte; `extensions` are (id, data) pairs."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes = b""
    marker: bool = False
    extensions: tuple[tuple[int, bytes], ...] = ()
    padding: int = 0
    csrc: tuple[int, ...] = ()

    def extension(self, extension_id: int) -> bytes | None:
        """Return the data of the first header extension with this id, None where it is absent."""
        for found_id, data in self.extensions:
            if found_id == extension_id:
                return data
        return None


def is_rtcp(data: bytes | memoryview) -> bool:
    """Tell RTCP from RTP on a shared port by the second byte (RFC 5761 section 4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse_rtp(data: bytes | memoryview) -> RtpPacket:
    """Parse one packet.

    Header extensions of an unknown profile are skipped, as RFC 3550 section 5.3.1 demands. Raises MalformedPacket.
    """
    size = len(data)
    if size < FIXED_HEADER_BYTES:
        raise MalformedPacket(f"RTP header needs {FIXED_HEADER_BYTES} bytes, got {size}")
    first, second, sequence, timestamp, ssrc = _FIXED.unpack_from(data)
    if first >> 6 != VERSION:
        raise MalformedPacket(f"RTP version {first >> 6}, expected {VERSION}")
    csrc_count = first & 0x0F
    start = FIXED_HEADER_BYTES + 4 * csrc_count
    if start > size:
        raise MalformedPacket(f"{csrc_count} CSRCs announced, the packet has {size} bytes")
    csrc = struct.unpack_from(f"!{csrc_count}I", data, FIXED_HEADER_BYTES) if csrc_count else ()
    extensions: tuple[tuple[int, bytes], ...] = ()
    if first & 0x10:
        extensions, start = _parse_extension_block(data, start)
    padding = 0
    if first & 0x20:
        padding = data[size - 1]
        if padding == 0 or start + padding > size:
            raise MalformedPacket(f"padding of {padding} bytes does not fit the {size - start} bytes after the header")
    return RtpPacket(
        payload_type=second & 0x7F,
        sequence=sequence,
        timestamp=timestamp,
        ssrc=ssrc,
        payload=bytes(data[start : size - padding]),
        marker=bool(second & 0x80),
        extensions=extensions,
        padding=padding,
        csrc=csrc,
    )


def _parse_extension_block(data: bytes | memoryview, start: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    """Return the extensions and the offset behind the block that begins at `start`."""
    if start + _EXTENSION.size > len(data):
        raise MalformedPacket("header extension announced, but cut off")
    profile, words = _EXTENSION.unpack_from(data, start)
    start += _EXTENSION.size
    end = start + 4 * words
    if end > len(data):
        raise MalformedPacket(f"header extension of {4 * words} bytes does not fit the packet")
    if profile == ONE_BYTE_PROFILE:
        return _parse_one_byte(data, start, end), end
    if profile & 0xFFF0 == TWO_BYTE_PROFILE:
        return _parse_two_byte(data, start, end), end
    return (), end


def _parse_one_byte(data: bytes | memoryview, at: int, end: int) -> tuple[tuple[int, bytes], ...]:
    """Parse elements with one-byte headers (RFC 8285 section 4.2)."""
    found = []
    while at < end:
        head = data[at]
        at += 1
        if head == 0:  # padding between elements
            continue
        element_id, size = head >> 4, (head & 0x0F) + 1
        if element_id in (0, 15):  # 4.2: both end the processing of the whole block
            break
        if at + size > end:
            raise MalformedPacket(f"header extension {element_id} of {size} bytes runs out of its block")
        found.append((element_id, bytes(data[at : at + size])))
        at += size
    return tuple(found)


def _parse_two_byte(data: bytes | memoryview, at: int, end: int) -> tuple[tuple[int, bytes], ...]:
    """Parse elements with two-byte headers (RFC 8285 section 4.3)."""
    found = []
    while at < end:
        element_id = data[at]
        at += 1
        if element_id == 0:
            continue
        if at >= end:
            raise MalformedPacket(f"header extension {element_id} has no length byte")
        size = data[at]
        at += 1
        if at + size > end:
            raise MalformedPacket(f"header extension {element_id} of {size} bytes runs out of its block")
        found.append((element_id, bytes(data[at : at + size])))
        at += size
    return tuple(found)


def serialize_rtp(packet: RtpPacket) -> bytes:
    """Write the packet; one-byte extension headers where all elements fit them, else two-byte ones.

    Raises ValueError when a field is out of its range.
    """
    if len(packet.csrc) > 15 or not 0 <= packet.padding <= 255 or not 0 <= packet.payload_type <= 127:
        raise ValueError("RTP field out of range: at most 15 CSRCs, 255 padding bytes, payload type 127")
    first = VERSION << 6 | (0x20 if packet.padding else 0) | (0x10 if packet.extensions else 0) | len(packet.csrc)
    try:
        parts = [
            _FIXED.pack(
                first,
                packet.marker << 7 | packet.payload_type,
                packet.sequence,
                packet.timestamp,
                packet.ssrc,
            ),
            struct.pack(f"!{len(packet.csrc)}I", *packet.csrc),
        ]
    except struct.error as error:
        raise ValueError(f"RTP field out of range: {error}") from None
    if packet.extensions:
        parts.append(serialize_extensions(packet.extensions))
    parts.append(packet.payload)
    if packet.padding:
        parts.append(bytes(packet.padding - 1) + bytes([packet.padding]))
    return b"".join(parts)


def serialize_extensions(extensions: tuple[tuple[int, bytes], ...]) -> bytes:
    """Write the block with its profile and length; raises ValueError when an element fits neither form."""
    if all(1 <= element_id <= 14 and 1 <= len(data) <= 16 for element_id, data in extensions):
        profile = ONE_BYTE_PROFILE
        body = b"".join(bytes([element_id << 4 | len(data) - 1]) + data for element_id, data in extensions)
    elif all(1 <= element_id <= 255 and len(data) <= 255 for element_id, data in extensions):
        profile = TWO_BYTE_PROFILE
        body = b"".join(bytes([element_id, len(data)]) + data for element_id, data in extensions)
    else:
        raise ValueError("header extension ids are 1 to 255 and their data at most 255 bytes")
    body += bytes(-len(body) % 4)
    if len(body) // 4 > 0xFFFF:
        raise ValueError("header extensions take more than 65535 words")
    return _EXTENSION.pack(profile, len(body) // 4) + body


def seq_diff(a: int, b: int) -> int:
    """Return how far sequence number `a` is ahead of `b`, from -32768 to 32767, across the wrap."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def seq_newer(a: int, b: int) -> bool:
    """Say whether sequence number `a` comes after `b`."""
    return seq_diff(a, b) > 0


def newer_stamp(a: int, b: int) -> bool:
    """Say whether RTP timestamp `a` comes after `b`, across the wrap."""
    return 0 < (a - b) & 0xFFFFFFFF < 0x80000000


class Unwrapper:
    """Turn a wrapping counter into one that grows without end, choosing each time the nearest to the newest seen.

    A number that is late comes out lower, and does not move the reference. A wrap backwards may give negative values.
    """

    __slots__ = ("_half", "_newest", "_size")

    def __init__(self, bits: int = SEQUENCE_BITS) -> None:
        self._size = 1 << bits
        self._half = self._size >> 1
        self._newest: int | None = None

    def unwrap(self, value: int) -> int:
        """Return the unwrapped form of `value`."""
        if self._newest is None:
            self._newest = value
            return value
        difference = (value - self._newest + self._half) % self._size - self._half
        unwrapped = self._newest + difference
        if difference > 0:
            self._newest = unwrapped
        return unwrapped
