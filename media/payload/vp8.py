"""Pure: VP8 in RTP (RFC 7741)."""

from __future__ import annotations

from collections.abc import Sequence

from media.payload.layer import Layer
from media.rtp import MalformedPacket

START_CODE = b"\x9d\x01\x2a"


def _descriptor(payload: bytes) -> tuple[bool, Layer | None, int]:
    """Return whether the frame's first partition begins here, the temporal layer, the descriptor's length (4.2)."""
    if not payload:
        raise MalformedPacket("VP8 payload without a descriptor")
    first, at, layer = payload[0], 1, None
    if first & 0x80:
        flags = _byte(payload, at)
        at += 1
        if flags & 0x80:
            at += 2 if _byte(payload, at) & 0x80 else 1
        if flags & 0x40:
            at += 1
        if flags & 0x30:
            temporal = _byte(payload, at)
            at += 1
            if flags & 0x20:
                layer = Layer(temporal >> 6, from_base=bool(temporal & 0x20))
    if at >= len(payload):
        raise MalformedPacket("VP8 payload with nothing behind its descriptor")
    return first & 0x10 != 0 and first & 0x07 == 0, layer, at


def _byte(payload: bytes, at: int) -> int:
    if at >= len(payload):
        raise MalformedPacket("VP8 descriptor cut off")
    return payload[at]


def starts_keyframe(payload: bytes) -> bool:
    """Say whether this packet begins a key frame: its P bit (section 4.3) is clear."""
    begins, _, at = _descriptor(payload)
    return begins and not payload[at] & 0x01


def layer(payload: bytes) -> Layer | None:
    """Return TID with its Y bit, None where the descriptor has none."""
    return _descriptor(payload)[1]


def bare(payload: bytes) -> bytes:
    """Return the payload with the one mandatory byte of its descriptor (4.2).

    PictureID and TL0PICIDX must count on without a gap where layers are dropped or another stream follows. Without
    them the sequence numbers serve, as they do in the other codecs, and one payload does for all viewers.
    """
    _, _, at = _descriptor(payload)
    return payload if at == 1 else bytes([payload[0] & 0x7F]) + payload[at:]


def assemble(payloads: Sequence[bytes]) -> bytes:
    """Join the packets of one frame without their descriptors."""
    parts = []
    for index, payload in enumerate(payloads):
        begins, _, at = _descriptor(payload)
        if begins != (index == 0):
            raise MalformedPacket("VP8 frame whose first packet is not its start")
        parts.append(payload[at:])
    return b"".join(parts)


def frame_size(frame: bytes) -> tuple[int, int] | None:
    """Return width and height of a key frame (RFC 6386 9.1), None for another frame."""
    if len(frame) < 10 or frame[0] & 0x01 or frame[3:6] != START_CODE:
        return None
    return int.from_bytes(frame[6:8], "little") & 0x3FFF, int.from_bytes(frame[8:10], "little") & 0x3FFF
