"""RTP: what is written is read back, and no bytes do more than be refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtp import MalformedPacket, RtpPacket, Unwrapper, is_rtcp, parse_rtp, seq_diff, seq_newer, serialize_rtp
from tests.media.mutation import mutate

FUZZ_INPUTS = 20_000

one_byte = st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16))
two_byte = st.tuples(st.integers(1, 255), st.binary(max_size=255))
packets = st.builds(
    RtpPacket,
    payload_type=st.integers(0, 127),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.integers(0, 0xFFFFFFFF),
    payload=st.binary(max_size=1500),
    marker=st.booleans(),
    extensions=st.one_of(st.lists(one_byte, max_size=6), st.lists(two_byte, max_size=6)).map(tuple),
    padding=st.integers(0, 255),
    csrc=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
)


@given(packets)
def test_round_trip(packet):
    """Every packet that can be written is read back equal, from bytes and from a memoryview."""
    data = serialize_rtp(packet)
    assert parse_rtp(data) == packet
    assert parse_rtp(memoryview(data)) == packet


def test_known_bytes():
    """A packet written by hand from RFC 3550 5.1 and RFC 8285 4.2 is read field by field."""
    data = bytes.fromhex("b1e1 0102 03040506 0708090a 0b0c0d0e bede0001 20aa00f0 cafe 000003")
    packet = parse_rtp(data)
    assert packet == RtpPacket(
        0x61, 0x0102, 0x03040506, 0x0708090A, b"\xca\xfe", True, ((2, b"\xaa"),), 3, (0x0B0C0D0E,)
    )
    assert packet.extension(2) == b"\xaa"
    assert packet.extension(3) is None


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"\x80" * 11, "needs 12"),
        (b"\x40" + bytes(11), "version"),
        (b"\x81" + bytes(11), "CSRC"),
        (b"\x90" + bytes(11), "cut off"),
        (b"\x90" + bytes(11) + b"\xbe\xde\0\1", "does not fit"),
        (b"\x90" + bytes(11) + b"\xbe\xde\0\1" + b"\x1f\0\0\0", "runs out"),
        (b"\x90" + bytes(11) + b"\x10\0\0\1" + b"\1\xff\0\0", "runs out"),
        (b"\xa0" + bytes(11) + b"\0", "padding"),
        (b"\xa0" + bytes(11) + b"\x09", "padding"),
    ],
)
def test_refusals_say_why(data, word):
    """What is broken is refused with its reason."""
    with pytest.raises(MalformedPacket, match=word):
        parse_rtp(data)


def test_unknown_extension_profile_is_skipped():
    """An extension of another profile is passed over, as RFC 3550 5.3.1 demands."""
    packet = parse_rtp(b"\x90" + bytes(11) + b"\xab\xcd\0\1zzzz" + b"payload")
    assert (packet.extensions, packet.payload) == ((), b"payload")


@pytest.mark.parametrize("first", [b"\xf0", b"\x0f"])
def test_reserved_ids_end_the_block(first):
    """Id 15, and id 0 with a length, end a one-byte block without an error (RFC 8285 4.2)."""
    packet = parse_rtp(b"\x90" + bytes(11) + b"\xbe\xde\0\2" + b"\x10\x07" + first + b"\xff" * 5 + b"x")
    assert (packet.extensions, packet.payload) == (((1, b"\x07"),), b"x")


@pytest.mark.parametrize(
    "packet",
    [
        RtpPacket(128, 0, 0, 0),
        RtpPacket(0, 0x10000, 0, 0),
        RtpPacket(0, 0, -1, 0),
        RtpPacket(0, 0, 0, 0, padding=256),
        RtpPacket(0, 0, 0, 0, csrc=(0,) * 16),
        RtpPacket(0, 0, 0, 0, extensions=((0, b"x"),)),
        RtpPacket(0, 0, 0, 0, extensions=((1, bytes(256)),)),
    ],
)
def test_what_cannot_be_written_is_refused(packet):
    """Fields out of their range raise ValueError instead of becoming another packet."""
    with pytest.raises(ValueError, match=r"range|extension"):
        serialize_rtp(packet)


def test_mutated_packets_parse_or_are_refused():
    """Of 20,000 mutated packets each parses or raises MalformedPacket, and nothing else; some do either."""
    rng = random.Random(2)
    seeds = [
        serialize_rtp(RtpPacket(96, 1, 2, 3, bytes(40), True, ((3, b"ab"), (5, b"c")), 4, (7, 8))),
        serialize_rtp(RtpPacket(96, 1, 2, 3, bytes(40), True, ((3, b""), (200, bytes(30))))),
        serialize_rtp(RtpPacket(45, 65535, 2, 3)),
    ]
    parsed = 0
    for _ in range(FUZZ_INPUTS):
        try:
            parse_rtp(mutate(rng, rng.choice(seeds)))
            parsed += 1
        except MalformedPacket:
            pass
    assert 0 < parsed < FUZZ_INPUTS


@given(st.integers(0, 0xFFFF), st.integers(-0x7FFF, 0x7FFF))
def test_sequence_arithmetic(base, step):
    """A number `step` ahead is that far ahead, across the wrap."""
    assert seq_diff((base + step) & 0xFFFF, base) == step
    assert seq_newer((base + step) & 0xFFFF, base) == (step > 0)


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(-1000, 0x7FFFFFF), max_size=50))
def test_unwrapper_follows(first, steps):
    """Whatever steps of less than half the range a counter makes, the unwrapped one makes the same."""
    unwrapper = Unwrapper(32)
    assert unwrapper.unwrap(first) == first
    expected = newest = first
    for step in steps:
        expected = newest + step
        newest = max(newest, expected)
        assert unwrapper.unwrap(expected & 0xFFFFFFFF) == expected


def test_rtcp_is_told_from_rtp():
    """Packet types 192 to 223 are RTCP (RFC 5761); AV1's payload type 45 with a marker is not."""
    assert is_rtcp(b"\x80\xc8\0\0")
    assert not is_rtcp(bytes([0x80, 0x80 | 45]) + bytes(10))
    assert not is_rtcp(b"\x80")
