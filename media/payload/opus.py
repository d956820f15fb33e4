"""Pure: what the first bytes of an Opus packet tell (RFC 6716 section 3.1), and packets that stand for silence."""

from __future__ import annotations

from media.rtp import MalformedPacket

CLOCK_HZ = 48000  # always, whatever was coded (RFC 7587 section 4.1)
MAX_PACKET_SAMPLES = 5760  # 120 ms, RFC 6716 section 3.2

_SILK_SAMPLES = (480, 960, 1920, 2880)
_HYBRID_SAMPLES = (480, 960)
_CELT_SAMPLES = (120, 240, 480, 960)


def _frame_samples(toc: int) -> int:
    config = toc >> 3
    if config < 12:
        return _SILK_SAMPLES[config & 3]
    if config < 16:
        return _HYBRID_SAMPLES[config & 1]
    return _CELT_SAMPLES[config & 3]


def packet_samples(payload: bytes) -> int:
    """Return how long the packet plays, in samples of 48 kHz. Raises MalformedPacket."""
    if not payload:
        raise MalformedPacket("empty Opus packet")
    code = payload[0] & 3
    if code == 3:
        if len(payload) < 2:
            raise MalformedPacket("Opus packet without its frame count")
        count = payload[1] & 0x3F
    else:
        count = 1 if code == 0 else 2
    samples = count * _frame_samples(payload[0])
    if not 0 < samples <= MAX_PACKET_SAMPLES:
        raise MalformedPacket(f"Opus packet of {samples} samples")
    return samples


def is_stereo(payload: bytes) -> bool:
    """Say whether the packet was coded in stereo."""
    return bool(payload) and payload[0] & 0x04 != 0


def filler(like: bytes) -> bytes:
    """Return a packet as long as `like` whose frames are empty: decoders conceal them as lost (RFC 6716 3.2.1)."""
    code = like[0] & 3
    if code == 0:
        return like[:1]
    count = like[1] & 0x3F if code == 3 else 2
    return bytes([like[0] | 3, count])  # constant rate, no padding, zero bytes a frame
