"""Make hostile RTP payloads: AV1, VP9, VP8, H.264 and Opus, damaged or shaped to lie where each format can."""

from __future__ import annotations

import random

from bench.fuzz.packets import Make, blend, odd
from tests.media.packetizers import av1_payloads, h264_payloads, leb128, obu, vp8_payloads, vp9_payloads

# As encoders wrote them for 320 x 180 pictures (SVT-AV1's sequence header, x264's parameter sets).
AV1_SEQUENCE = obu(1, bytes.fromhex("02000004a1e7f66257c802"))
SPS = bytes.fromhex("6742c00cda05067e7c04400000030040000007a3c50aa8")
PPS = bytes.fromhex("68ce0fc8")
VP8_KEY = bytes.fromhex("9001009d012a4001b400") + bytes(range(200))
VP9_KEY = bytes.fromhex("82498342") + (0b0010 << 36 | 319 << 20 | 179 << 4).to_bytes(5) + bytes(range(200))


def _av1_shape(rng: random.Random) -> bytes:
    """Write OBU elements whose leb128 lengths run over, have no end, or are zero."""
    parts = [bytes([rng.randrange(256)])]
    for _ in range(rng.choice((1, 2, 4, 30, 900))):
        dice = rng.random()
        if dice < 0.1:
            parts.append(b"\xff" * rng.randint(1, 10))
        elif dice < 0.2:
            parts.append(b"\0" * rng.randint(1, 40))
        else:
            body = bytes([rng.randrange(256)]) + rng.randbytes(rng.choice((0, 0, 1, 2, 12)))
            parts.append(leb128(len(body) if rng.random() < 0.95 else rng.getrandbits(rng.choice((8, 32, 56)))) + body)
    return b"".join(parts)


def _sequence_shape(rng: random.Random) -> bytes:
    """Write a sequence header of random fields in front of a key frame."""
    return b"".join((b"\x08", leb128(61), b"\x08", rng.randbytes(60), leb128(3), b"\x30\x10", rng.randbytes(1)))


def _h264_shape(rng: random.Random) -> bytes:
    """Write a STAP-A of zero or lying lengths, an FU-A cut off, or an SPS of random fields."""
    match rng.randrange(4):
        case 0:
            return b"\x78" + b"\0\0" * rng.choice((1, 10, 1000))
        case 1:
            units = (rng.randbytes(rng.choice((0, 1, 2, 30))) for _ in range(rng.choice((1, 3, 600))))
            return b"\x78" + b"".join(
                (len(unit) if rng.random() < 0.98 else odd(rng, 0xFFFF)).to_bytes(2) + unit for unit in units
            )
        case 2:
            return bytes([rng.randrange(256) & 0xE0 | 28, rng.randrange(256)]) + rng.randbytes(rng.randrange(4))
        case _:
            profile = rng.choice((66, 100, 244, rng.randrange(256)))
            return bytes([0x67, profile]) + rng.choice(
                (rng.randbytes(200), bytes(254), b"\xff" * 254, b"\x00\x01" * 90)
            )


def _vp9_shape(rng: random.Random) -> bytes:
    """Write a descriptor with a scalability structure that promises more than there is."""
    head = bytes([rng.randrange(256) | 0x02]) + rng.randbytes(rng.randrange(6))
    structure = bytes([rng.randrange(256) | 0x08]) + rng.randbytes(rng.choice((0, 4, 32)))
    return head + structure + bytes([odd(rng, 255)]) + rng.randbytes(odd(rng, 255))


def _vp8_shape(rng: random.Random) -> bytes:
    return bytes([rng.randrange(256), rng.randrange(256)]) + rng.randbytes(rng.randrange(12))


def _opus_shape(rng: random.Random) -> bytes:
    """Write a code 3 packet whose count, padding and frame lengths are anything."""
    head = bytes([rng.randrange(256) | 3, rng.randrange(256)])
    return head + b"\xff" * rng.choice((0, 0, 1, 2000)) + rng.randbytes(odd(rng, 300))


SHAPES: dict[str, tuple[list[bytes], Make]] = {
    "AV1": (
        [
            *av1_payloads([AV1_SEQUENCE, obu(6, b"\x10" + bytes(500), temporal=0)], 200, True),
            *av1_payloads([obu(6, b"\x30" + bytes(300), temporal=2)], 200, False),
        ],
        lambda rng: (_av1_shape if rng.random() < 0.6 else _sequence_shape)(rng),
    ),
    "VP9": (
        [
            *vp9_payloads(VP9_KEY, 100, key=True, temporal=0),
            *vp9_payloads(b"\x86" + bytes(150), 100, key=False, temporal=2),
        ],
        _vp9_shape,
    ),
    "VP8": (
        [*vp8_payloads(VP8_KEY, 100, temporal=0), *vp8_payloads(b"\x91" + bytes(150), 100, temporal=2)],
        _vp8_shape,
    ),
    "H264": (
        [
            *h264_payloads([SPS, PPS, b"\x65\x88" + bytes(range(1, 200))], 100),
            *h264_payloads([b"\x61\x9a" + bytes(range(1, 150))], 100),
            SPS,
        ],
        _h264_shape,
    ),
}


def _dependency_shape(rng: random.Random) -> bytes:
    """Write a Dependency Descriptor with up to 64 templates of up to 32 targets, cut off anywhere up to 255 bytes."""
    size = rng.choice((2, 3, 4, 20, 255))
    fill = rng.choice((rng.randbytes(size), b"\x00" * size, b"\x55" * size, b"\xaa" * size))
    return (bytes([rng.randrange(256), 0, 1, 0x80 | rng.randrange(128), rng.randrange(256)]) + fill)[:255]


dependency = blend(
    [bytes.fromhex(known) for known in ("c0000180032006", "800001c08000be4c", "c00002", "80000100")], _dependency_shape
)
payloads: dict[str, Make] = {codec: blend(*parts) for codec, parts in SHAPES.items()}
voice = blend(
    [b"\x18" + bytes(40), b"\x79" + bytes(60), b"\xfb\x03" + bytes(60), b"\xff\xc3\x05\x0a" + bytes(90)], _opus_shape
)
