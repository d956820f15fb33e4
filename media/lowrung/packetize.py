"""Pure: whole coded pictures cut into RTP payloads: AV1 (AOM's RTP Payload Format For AV1, v1.0) and VP8 (RFC 7741).

The smallest rungs ask for short payloads, so that a voice packet never waits long behind part of a picture: 500 bytes
and their headers hold a link of 64 kbit/s for 70 ms.
"""

from __future__ import annotations

from media.payload.av1 import (
    OBU_SEQUENCE_HEADER,
    OBU_TEMPORAL_DELIMITER,
    OBU_TILE_LIST,
    read_leb128,
    write_leb128,
)
from media.rtp import MalformedPacket

OBU_PADDING = 15
UNSENT_OBUS = (OBU_TEMPORAL_DELIMITER, OBU_TILE_LIST, OBU_PADDING)  # AV1 RTP section 5: a receiver ignores them
MAX_COUNTED_ELEMENTS = 3  # W has two bits; 0 means that every element has its length
VP8_DESCRIPTOR_BYTES = 1
MIN_PAYLOAD_BYTES = 64
"""Enough for a sequence header and the first bytes of its keyframe, by which receivers know it."""


def payloads(codec: str, frame: bytes, keyframe: bool, max_payload_bytes: int) -> list[bytes]:
    """Cut one frame of "AV1" or "VP8" into payloads, in order; the RTP marker belongs to the last.

    Raises MalformedPacket where an AV1 temporal unit cannot be parsed, ValueError for another codec or limit.
    """
    if max_payload_bytes < MIN_PAYLOAD_BYTES:
        raise ValueError(f"{max_payload_bytes} bytes are too few for a payload")
    if codec == "AV1":
        return av1_payloads(frame, keyframe, max_payload_bytes)
    if codec == "VP8":
        return vp8_payloads(frame, max_payload_bytes)
    raise ValueError(f"no packetizer for {codec}")


def vp8_payloads(frame: bytes, max_payload_bytes: int) -> list[bytes]:
    """Cut a VP8 frame; descriptors have their one mandatory byte (RFC 7741 section 4.2), as all VP8 that is sent on.

    A PictureID would have to go on from that of the stream that a viewer had before.
    """
    step = max_payload_bytes - VP8_DESCRIPTOR_BYTES
    return [(b"\x10" if at == 0 else b"\x00") + frame[at : at + step] for at in range(0, max(1, len(frame)), step)]


def av1_payloads(temporal_unit: bytes, keyframe: bool, max_payload_bytes: int) -> list[bytes]:
    """Cut a temporal unit (low-overhead format, AV1 5.2); N is set on the first packet of a keyframe's unit."""
    packets = _fill(_bare_obus(temporal_unit), max_payload_bytes - 1)
    begins_sequence = keyframe and any(
        _obu_type(part) == OBU_SEQUENCE_HEADER for part, continues, _ in packets[0] if part and not continues
    )
    return [_payload(elements, begins_sequence and index == 0) for index, elements in enumerate(packets)]


def _obu_type(obu: bytes) -> int:
    return obu[0] >> 3 & 0x0F


def _bare_obus(temporal_unit: bytes) -> list[bytes]:
    """Return the OBUs that are sent, without their size fields, as section 5 recommends."""
    obus, at = [], 0
    while at < len(temporal_unit):
        header = temporal_unit[at]
        extension = temporal_unit[at + 1 : at + 2] if header & 0x04 else b""
        body_at = at + 1 + len(extension)
        size = len(temporal_unit) - body_at
        if header & 0x02:
            size, body_at = read_leb128(temporal_unit, body_at)
        at = body_at + size
        if size < 0 or at > len(temporal_unit):
            raise MalformedPacket(f"OBU of {size} bytes runs out of its temporal unit")
        if header >> 3 & 0x0F not in UNSENT_OBUS:
            obus.append(bytes([header & ~0x02]) + extension + temporal_unit[body_at:at])
    if not obus:
        raise MalformedPacket("temporal unit without an OBU to send")
    return obus


Element = tuple[bytes, bool, bool]
"""A whole OBU or a fragment: its bytes, whether it continues one, whether it goes on in the next packet."""


def _fill(obus: list[bytes], room_bytes: int) -> list[list[Element]]:
    """Spread OBUs over packets, each filled before the next begins; `room_bytes` leaves out the aggregation header."""
    packets: list[list[Element]] = [[]]
    left = room_bytes
    for obu in obus:
        at = 0
        while at < len(obu):
            # The last element needs no length while W can count the elements; a longer list pays for every one.
            length_bytes = len(write_leb128(min(len(obu) - at, room_bytes)))
            if left <= length_bytes:
                packets.append([])
                left = room_bytes
            part = obu[at : at + left - length_bytes]
            packets[-1].append((part, at > 0, at + len(part) < len(obu)))
            at += len(part)
            left -= len(part) + length_bytes
    return packets


def _payload(elements: list[Element], begins_sequence: bool) -> bytes:
    """Write the aggregation header (section 4.4) and the elements."""
    counted = len(elements) if len(elements) <= MAX_COUNTED_ELEMENTS else 0
    head = (0x80 if elements[0][1] else 0) | (0x40 if elements[-1][2] else 0)
    head |= counted << 4 | (0x08 if begins_sequence else 0)
    out = bytearray([head])
    for index, (part, _, _) in enumerate(elements, 1):
        if index != counted:
            out += write_leb128(len(part))
        out += part
    return bytes(out)
