"""Pure: AV1 in RTP (AOM's RTP Payload Format For AV1, v1.0) and the few fields of the bitstream that matter here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from media.payload.bits import BitReader
from media.payload.layer import Layer
from media.rtp import MalformedPacket

OBU_SEQUENCE_HEADER, OBU_TEMPORAL_DELIMITER, OBU_FRAME_HEADER, OBU_FRAME = 1, 2, 3, 6
OBU_TILE_LIST = 8
TEMPORAL_DELIMITER = b"\x12\x00"  # with its size field; RTP leaves it out (section 5), files need it
MAX_SEQUENCE_HEADER_BYTES = 256
MAX_ELEMENTS = 128
"""OBU elements of one packet."""
MAX_UNITS = 1024
"""OBUs of one temporal unit; encoders write a dozen."""


def _aggregation(payload: bytes) -> tuple[bool, bool, int, bool]:
    """Return Z, Y, W and N of the aggregation header (section 4.4)."""
    if not payload:
        raise MalformedPacket("AV1 payload without an aggregation header")
    head = payload[0]
    return bool(head & 0x80), bool(head & 0x40), head >> 4 & 3, bool(head & 0x08)


def read_leb128(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at `at` and the offset behind it (AV1 4.10.5: at most eight bytes)."""
    value = 0
    for index in range(8):
        if at + index >= len(data):
            break
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            return value, at + index + 1
    raise MalformedPacket("leb128 number without an end")


def write_leb128(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def elements(payload: bytes) -> Iterator[bytes]:
    """Yield the OBU elements of one packet; the first and the last may be fragments. Raises MalformedPacket."""
    _, _, count, _ = _aggregation(payload)
    at, index = 1, 0
    while at < len(payload):
        index += 1
        if count and index == count:  # the last of W elements has no length
            yield payload[at:]
            return
        if index > MAX_ELEMENTS:
            raise MalformedPacket(f"more than {MAX_ELEMENTS} OBU elements in one packet")
        size, at = read_leb128(payload, at)
        if at + size > len(payload):
            raise MalformedPacket(f"OBU element of {size} bytes in the {len(payload) - at} that are left")
        yield payload[at : at + size]
        at += size
    if count and index < count:
        raise MalformedPacket(f"{count} OBU elements announced, {index} found")


def _obu_body(obu: bytes) -> bytes:
    """Return what stands behind the OBU header and its optional size field."""
    at = 2 if obu[0] & 0x04 else 1
    if at > len(obu):
        raise MalformedPacket("OBU extension header cut off")
    if not obu[0] & 0x02:
        return obu[at:]
    size, at = read_leb128(obu, at)
    if at + size > len(obu):
        raise MalformedPacket(f"OBU of {size} bytes in the {len(obu) - at} that are left")
    return obu[at : at + size]


def _obu_type(obu: bytes) -> int:
    return obu[0] >> 3 & 0x0F


def starts_keyframe(payload: bytes) -> bool:
    """Say whether a coded video sequence begins here: a sequence header, and no frame but a key frame behind it."""
    continues, _, _, new_sequence = _aggregation(payload)
    if continues:
        return False
    has_sequence_header = False
    for obu in elements(payload):
        if not obu:
            continue
        kind = _obu_type(obu)
        if kind == OBU_SEQUENCE_HEADER:
            has_sequence_header = True
        elif kind in (OBU_FRAME, OBU_FRAME_HEADER) and has_sequence_header:
            at = 2 if obu[0] & 0x04 else 1
            if obu[0] & 0x02:
                _, at = read_leb128(obu, at)
            # show_existing_frame = 0 and frame_type = KEY_FRAME (AV1 5.9.2) are three zero bits.
            return at < len(obu) and obu[at] >> 5 == 0
    return has_sequence_header and new_sequence


def layer(payload: bytes) -> Layer | None:
    """Return the layer of the first OBU with an extension header (AV1 5.3.3) that begins in this packet.

    It says nothing of what may be begun with; in the structures of the specification (6.7.5) the base layer opens all.
    """
    continues, _, _, _ = _aggregation(payload)
    for index, obu in enumerate(elements(payload)):
        if index == 0 and continues:
            continue
        if len(obu) >= 2 and obu[0] & 0x04:
            return Layer(obu[1] >> 5, opens=obu[1] >> 5 == 0)
    return None


def assemble(payloads: Sequence[bytes]) -> bytes:
    """Join the packets of one temporal unit into a temporal delimiter and OBUs with size fields (AV1 5.2).

    Raises MalformedPacket when fragments do not meet.
    """
    obus: list[bytes] = []
    open_parts: list[bytes] | None = None
    for payload in payloads:
        continues, will_continue, _, _ = _aggregation(payload)
        if continues != (open_parts is not None):
            raise MalformedPacket("an OBU fragment without its neighbour")
        found = list(elements(payload))
        if not found:
            raise MalformedPacket("AV1 packet without OBU elements")
        for index, part in enumerate(found):
            parts = open_parts if index == 0 and open_parts is not None else []
            parts.append(part)
            open_parts = None
            if index == len(found) - 1 and will_continue:
                open_parts = parts
            else:
                obus.append(b"".join(parts))
        if len(obus) > MAX_UNITS:
            raise MalformedPacket(f"a temporal unit of more than {MAX_UNITS} OBUs")
    if open_parts is not None:
        raise MalformedPacket("the last OBU of the temporal unit has no end")
    return TEMPORAL_DELIMITER + b"".join(_with_size(obu) for obu in obus if obu and _is_kept(obu))


def _is_kept(obu: bytes) -> bool:
    """Leave out what a receiver ignores (section 5): temporal delimiters and tile lists."""
    return _obu_type(obu) not in (OBU_TEMPORAL_DELIMITER, OBU_TILE_LIST)


def _with_size(obu: bytes) -> bytes:
    """Write the OBU with obu_has_size_field set."""
    if obu[0] & 0x80:
        raise MalformedPacket("forbidden bit of an OBU header is set")
    header = bytes([obu[0] | 0x02]) + (obu[1:2] if obu[0] & 0x04 else b"")
    body = _obu_body(obu)
    return header + write_leb128(len(body)) + body


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Return width and height of the sequence header in an assembled temporal unit, None where it has none."""
    at = 0
    while at < len(frame):
        header = frame[at]
        body_at = at + (2 if header & 0x04 else 1)
        size, body_at = read_leb128(frame, body_at)
        if header >> 3 & 0x0F == OBU_SEQUENCE_HEADER:
            return _sequence_size(frame[body_at : body_at + min(size, MAX_SEQUENCE_HEADER_BYTES)])
        at = body_at + size
    return None


def _sequence_size(body: bytes) -> tuple[int, int]:
    """Read up to max_frame_height_minus_1 (AV1 5.5.1)."""
    bits = BitReader(body)
    bits.skip(4)  # seq_profile, still_picture
    if bits.read(1):  # reduced_still_picture_header
        bits.skip(5)
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
    return bits.read(width_bits) + 1, bits.read(height_bits) + 1


def _skip_operating_points(bits: BitReader) -> None:
    """Pass over timing, decoder model and operating points (AV1 5.5.1, 5.5.3, 5.5.4, 5.5.5)."""
    delay_bits = 0
    if bits.read(1):  # timing_info_present_flag
        bits.skip(64)
        if bits.read(1):  # equal_picture_interval
            bits.exp_golomb()
        if bits.read(1):  # decoder_model_info_present_flag
            delay_bits = bits.read(5) + 1
            bits.skip(32 + 5 + 5)
    initial_display_delay = bits.read(1)
    for _ in range(bits.read(5) + 1):
        bits.skip(12)
        if bits.read(5) > 7:  # seq_level_idx, then seq_tier
            bits.skip(1)
        if delay_bits and bits.read(1):
            bits.skip(2 * delay_bits + 1)
        if initial_display_delay and bits.read(1):
            bits.skip(4)
