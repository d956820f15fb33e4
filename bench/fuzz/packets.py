"""Make hostile packets: real ones damaged, shapes whose counts and lengths lie, and noise."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

from aioice import stun

from media import rtcp, twcc
from media.rtp import RtpPacket, serialize_rtp
from tests.media.mutation import mutate

Make = Callable[[random.Random], bytes]
MAX_DATAGRAM_BYTES = 2048
"""As much as the port reads of one datagram (media/rtc/port.py) or takes as one frame over TCP."""
PASSWORD = "w" * 24
COOKIE = 0x2112A442
FINGERPRINT = 0x8028
STUN_SIZES = {0x03: 4, 0x0C: 4, 0x0D: 4, 0x19: 4, 0x24: 4, 0x25: 0, 0x8029: 8, 0x802A: 8}
STUN_ADDRESSES = {0x01: 8, 0x04: 8, 0x05: 8, 0x12: 8, 0x16: 8, 0x20: 8, 0x802B: 8, 0x802C: 8}
STUN_SIZES |= STUN_ADDRESSES


def noise(rng: random.Random) -> bytes:
    """Return random bytes, mostly few."""
    return rng.randbytes(min(MAX_DATAGRAM_BYTES, int(rng.expovariate(1 / 80))))


def stretched(rng: random.Random, data: bytes) -> bytes:
    """Repeat a piece of the packet until the datagram is full: many elements, counts that no longer fit."""
    if not data:
        return data
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randint(1, 64)]
    room = MAX_DATAGRAM_BYTES - len(data)
    return data[:start] + piece * (max(0, room) // len(piece)) + data[start:]


def blend(seeds: Sequence[bytes], shaped: Make) -> Make:
    """Return a maker: half damaged seeds, a quarter shaped anew, the rest stretched seeds, shapes damaged, noise."""

    def make(rng: random.Random) -> bytes:
        dice = rng.random()
        if dice < 0.5:
            data = mutate(rng, rng.choice(seeds))
        elif dice < 0.75:
            data = shaped(rng)
        elif dice < 0.85:
            data = mutate(rng, shaped(rng))
        elif dice < 0.9:
            data = stretched(rng, rng.choice(seeds))
        else:
            data = noise(rng)
        return data[:MAX_DATAGRAM_BYTES]

    return make


def odd(rng: random.Random, high: int) -> int:
    """Return a number up to `high`, often one at an edge."""
    return rng.choice((0, 1, high, high - 1, high // 2, high // 2 + 1, rng.randint(0, high), rng.randint(0, 40) % high))


def _rtp_seeds() -> list[bytes]:
    short = ((3, b"\x12\x34"), (1, b"ab"))
    packets = [
        RtpPacket(111, 1, 2, 3, b"\x78" + bytes(40), extensions=short),
        RtpPacket(45, 65535, 2**32 - 1, 3, bytes(1100), True, ((14, bytes(16)), (5, b"x"))),
        RtpPacket(96, 9, 2, 3, b"", False, (), 255),
        RtpPacket(96, 9, 2, 3, b"abc", True, ((200, bytes(255)), (15, b"")), 1, tuple(range(15))),
    ]
    return [serialize_rtp(packet) for packet in packets]


def _rtp_shape(rng: random.Random) -> bytes:
    """Write a header whose CSRC count, extension length and padding are anything."""
    first = 0x80 | rng.randrange(64)
    head = struct.pack("!BBHII", first, rng.randrange(256), odd(rng, 0xFFFF), rng.getrandbits(32), rng.getrandbits(32))
    csrc = rng.randbytes(4 * rng.choice((first & 15, first & 15, rng.randrange(16))))
    block = rng.randbytes(rng.choice((0, 3, 4, 8, 40, 400)))
    words = rng.choice((len(block) // 4, odd(rng, 0xFFFF)))
    profile = rng.choice((0xBEDE, 0x1000, 0x100F, rng.getrandbits(16)))
    return head + csrc + struct.pack("!HH", profile, words) + block + rng.randbytes(odd(rng, 60))


def _rtcp_seeds() -> list[bytes]:
    block = rtcp.ReportBlock(1, 2, -3, 4, 5, 6, 7)
    packets = [
        rtcp.SenderReport(1, 2**63, 3, 4, 5, (block,)),
        rtcp.ReceiverReport(9, (block,) * 31),
        rtcp.Sdes(((1, ((1, b"cname"), (8, bytes(255)))), (2, ()))),
        rtcp.Nack(1, 2, (65530, 65535, 3, 100)),
        rtcp.Nack(1, 2, tuple(range(0, 65535, 137))),
        rtcp.Pli(1, 2),
        rtcp.Fir(1, 2, ((3, 4),)),
        rtcp.Remb(1, 64000, tuple(range(255))),
        rtcp.Bye((1, 2), b"gone"),
    ]
    single = [rtcp.serialize(packet) for packet in packets]
    many_lost = struct.pack("!BBHIIHHIHH", 0x8F, 205, 5, 1, 2, 0, 4096, 0, 0x1000, 0)
    return [*single, *_twcc_seeds(), many_lost * 85, b"".join(single)[:MAX_DATAGRAM_BYTES], b"\x80\xcb\0\0" * 500]


def _rtcp_shape(rng: random.Random) -> bytes:
    """Write up to forty packets of known kinds whose counts and lengths lie now and then."""
    parts = []
    for _ in range(rng.choice((1, 1, 2, 3, 40))):
        kind = rng.choice((rtcp.SR, rtcp.RR, rtcp.SDES, rtcp.BYE, rtcp.RTPFB, rtcp.PSFB, 204, 207))
        count = rng.choice((0, 1, 2, 4, 15, 31, rng.randrange(32)))
        body = rng.randbytes(4 * rng.choice((0, 1, 2, 3, 5, 6, 12, 30, 190)))
        if kind == rtcp.PSFB and rng.random() < 0.5:
            body = bytes(8) + b"REMB" + body
        words = len(body) // 4 if rng.random() < 0.9 else odd(rng, 0xFFFF)
        padding = 0x20 if rng.random() < 0.1 else 0
        parts.append(struct.pack("!BBH", 0x80 | padding | count, kind, words) + body)
    return b"".join(parts)


def _twcc_seeds() -> list[bytes]:
    steps = [1.0, None, 1.02, 1.5, None, None, *[2 + i / 50 for i in range(40)]]
    sparse = [i / 4 if i % 3 else None for i in range(1, 400)]
    return [twcc.serialize(1, 2, 10, 0, steps), twcc.serialize(1, 2, 65530, 255, sparse)]


def _twcc_shape(rng: random.Random) -> bytes:
    """Write a right header over chunks and deltas of any kind."""
    chunk = rng.choice((0x2000, 0x0000, 0x4000, 0x6000, 0x8000, 0xC000, 0xE000))
    chunks = b"".join(
        struct.pack("!H", (chunk | odd(rng, 0x1FFF)) & 0xFFFF) for _ in range(rng.choice((1, 2, 8, 300, 800)))
    )
    body = struct.pack("!IIHHI", 1, 2, odd(rng, 0xFFFF), odd(rng, 0xFFFF), rng.getrandbits(32))
    body += chunks + rng.randbytes(odd(rng, 200))
    body += bytes(-len(body) % 4)
    padding = 0x20 if rng.random() < 0.1 else 0
    return struct.pack("!BBH", 0x80 | padding | 15, 205, len(body) // 4) + body


def _stun_seeds() -> list[bytes]:
    seeds = []
    for more in ({}, {"USE-CANDIDATE": None}, {"ICE-CONTROLLED": 7, "SOFTWARE": "x" * 700}):
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, bytes(12))
        message.attributes = {"USERNAME": "ours:theirs", "PRIORITY": 1, **more}
        message.add_message_integrity(PASSWORD.encode())
        seeds.append(bytes(message))
    return seeds


def _stun_shape(rng: random.Random) -> bytes:
    """Write attributes of any type and length, half of the time signed, so that they are believed."""
    kinds = (*(kind for kind in stun.ATTRIBUTES_BY_TYPE if kind != FINGERPRINT), 0x001B, 0x7FFF, 0xC057, 0xFFFF)
    body = b"\0\6\0\4ours" if rng.random() < 0.8 else b""
    for _ in range(rng.choice((0, 1, 3, 10, 200))):
        kind = rng.choice(kinds)
        size = STUN_SIZES.get(kind, 20) if rng.random() < 0.9 else rng.choice((0, 1, 4, 8, 60))
        value = b"\0\1" + bytes(size - 2) if kind in STUN_ADDRESSES and size > 2 else bytes(size)
        told = size if rng.random() < 0.98 else odd(rng, 0xFFFF)
        body += struct.pack("!HH", kind, told) + value + bytes(-size % 4)
        if len(body) > MAX_DATAGRAM_BYTES - 128:
            break
    kind = rng.choice((0x0001, 0x0001, 0x0001, 0x0101, 0x0111, 0x0011, rng.getrandbits(14)))
    head = struct.pack("!HHI", kind, len(body), COOKIE) + bytes(12)
    if rng.random() < 0.7:
        head = stun.set_body_length(head, len(body) + 24)
        digest = stun.message_integrity(head + body, PASSWORD.encode())
        body += struct.pack("!HH", 8, len(digest)) + digest
    told = len(body) if rng.random() < 0.95 else odd(rng, 0xFFFF)
    return stun.set_body_length(head, told) + body


rtp = blend(_rtp_seeds(), _rtp_shape)
control = blend(_rtcp_seeds(), _rtcp_shape)
feedback = blend(_twcc_seeds(), _twcc_shape)
check = blend(_stun_seeds(), _stun_shape)


def stream(rng: random.Random) -> bytes:
    """Make a piece of a TCP stream as the port reads it: frames, empty ones, lengths that lie; up to 64 KB."""
    if rng.random() < 0.001:
        return bytes(rng.choice((65536, 4096)))
    parts = []
    for _ in range(rng.choice((1, 2, 5, 60))):
        packet = noise(rng)
        length = len(packet) if rng.random() < 0.97 else odd(rng, 0xFFFF)
        parts.append(struct.pack("!H", length) + packet)
    return mutate(rng, b"".join(parts)) if rng.random() < 0.5 else b"".join(parts)
