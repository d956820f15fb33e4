"""Pure: VP9 in RTP (RFC 9628), the base spatial layer of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from media.payload.bits import BitReader
from media.payload.layer import Layer
from media.rtp import MalformedPacket

SYNC_CODE = 0x498342
COLOR_SPACE_RGB = 7


@dataclass(frozen=True, slots=True)
class _Descriptor:
    begins: bool
    inter_predicted: bool
    layer: Layer | None
    spatial_id: int
    size: int


def _descriptor(payload: bytes) -> _Descriptor:
    """Parse the payload descriptor (section 4.2)."""
    reader = _Reader(payload)
    flags = reader.byte()
    flexible, inter_predicted = bool(flags & 0x10), bool(flags & 0x40)
    layer, spatial_id = None, 0
    if flags & 0x80 and reader.byte() & 0x80:  # PictureID of 15 bits
        reader.byte()
    if flags & 0x20:
        indices = reader.byte()
        layer, spatial_id = Layer(indices >> 5, opens=bool(indices & 0x10)), indices >> 1 & 7
        if not flexible:
            reader.byte()  # TL0PICIDX
    if flexible and inter_predicted:
        for _ in range(3):
            if not reader.byte() & 1:
                break
    if flags & 0x02:
        _skip_scalability_structure(reader)
    if reader.at >= len(payload):
        raise MalformedPacket("VP9 payload with nothing behind its descriptor")
    return _Descriptor(bool(flags & 0x08), inter_predicted, layer, spatial_id, reader.at)


class _Reader:
    __slots__ = ("at", "data")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def byte(self) -> int:
        if self.at >= len(self.data):
            raise MalformedPacket("VP9 descriptor cut off")
        self.at += 1
        return self.data[self.at - 1]


def _skip_scalability_structure(reader: _Reader) -> None:
    """Pass over the sizes of the spatial layers and the picture group (section 4.2.1)."""
    head = reader.byte()
    if head & 0x10:
        reader.at += 4 * ((head >> 5) + 1)
    if head & 0x08:
        for _ in range(reader.byte()):
            reader.at += reader.byte() >> 2 & 3


def starts_keyframe(payload: bytes) -> bool:
    """Say whether this packet begins a key frame (not merely an intra-only one) of the base layer."""
    descriptor = _descriptor(payload)
    if descriptor.inter_predicted or not descriptor.begins or descriptor.spatial_id:
        return False
    return _key_header(payload[descriptor.size : descriptor.size + 2]) is not None


def layer(payload: bytes) -> Layer | None:
    """Return TID with its U bit ("switching up point"), None where the descriptor has no layer indices."""
    return _descriptor(payload).layer


def assemble(payloads: Sequence[bytes]) -> bytes:
    """Join the packets of one picture's base layer; higher spatial layers are left out, the base needs none of them."""
    parts = []
    for payload in payloads:
        descriptor = _descriptor(payload)
        if descriptor.spatial_id:
            continue
        if descriptor.begins != (not parts):
            raise MalformedPacket("VP9 frame whose first packet is not its start")
        parts.append(payload[descriptor.size :])
    if not parts:
        raise MalformedPacket("VP9 picture without its base layer")
    return b"".join(parts)


def _key_header(frame: bytes) -> tuple[BitReader, int] | None:
    """Return a reader behind the frame type and the profile, None unless it is a key frame (VP9 bitstream 6.2)."""
    bits = BitReader(frame)
    if bits.read(2) != 2:
        return None
    low, high = bits.read(1), bits.read(1)
    profile = high << 1 | low
    if profile == 3:
        bits.skip(1)
    if bits.read(1) or bits.read(1):  # show_existing_frame, frame_type (0 is a key frame)
        return None
    return bits, profile


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Return width and height of a key frame, None for another frame."""
    header = _key_header(frame[:24])
    if header is None:
        return None
    bits, profile = header
    bits.skip(2)  # show_frame, error_resilient_mode
    if bits.read(24) != SYNC_CODE:
        return None
    if profile >= 2:
        bits.skip(1)  # ten_or_twelve_bit
    if bits.read(3) != COLOR_SPACE_RGB:
        bits.skip(1 + (3 if profile & 1 else 0))  # color_range, subsampling
    elif profile & 1:
        bits.skip(1)
    return bits.read(16) + 1, bits.read(16) + 1
