"""RTCP: what is written is read back, and no bytes do more than be refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.rtcp import (
    Bye,
    Fir,
    Nack,
    Pli,
    ReceiverReport,
    Remb,
    ReportBlock,
    Sdes,
    SenderReport,
    TransportFeedback,
    ntp_to_unix,
    parse_compound,
    serialize,
    serialize_compound,
    unix_to_ntp,
)
from media.rtp import MalformedPacket
from tests.media.mutation import mutate

FUZZ_INPUTS = 20_000

u8, u16, u32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
blocks = st.lists(
    st.builds(ReportBlock, u32, u8, st.integers(-0x800000, 0x7FFFFF), u32, u32, u32, u32), max_size=31
).map(tuple)
items = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=4).map(tuple)
packets = st.one_of(
    st.builds(SenderReport, u32, st.integers(0, 2**64 - 1), u32, u32, u32, blocks),
    st.builds(ReceiverReport, u32, blocks),
    st.builds(Sdes, st.lists(st.tuples(u32, items), max_size=5).map(tuple)),
    st.builds(Bye, st.lists(u32, max_size=31).map(tuple), st.binary(max_size=255)),
    st.builds(Pli, u32, u32),
    st.builds(Fir, u32, u32, st.lists(st.tuples(u32, u8), min_size=1, max_size=5).map(tuple)),
    st.builds(Remb, u32, st.integers(0, 0x3FFFF), st.lists(u32, max_size=10).map(tuple)),
)
EVERY_KIND = [
    SenderReport(1, unix_to_ntp(1.8e9), 3, 4, 5, (ReportBlock(1, 2, -3, 4, 5, 6, 7),)),
    ReceiverReport(9, (ReportBlock(1, 2, 3, 4, 5, 6, 7),) * 2),
    Sdes(((1, ((1, b"cname"),)), (2, ()))),
    Nack(1, 2, (65530, 65535, 3, 100)),
    Pli(1, 2),
    Fir(1, 2, ((3, 4),)),
    Remb(1, 64000, (5, 6)),
    TransportFeedback(1, 2, 65530, 3, -5, 255, b"\x20\x03abc\0\0\0"),
    Bye((1, 2), b"gone"),
]


@given(st.lists(packets, min_size=1, max_size=4))
def test_round_trip(compound):
    """Everything that can be written is read back equal, one behind the other."""
    assert parse_compound(serialize_compound(compound)) == compound


@given(u32, u32, st.lists(u16, min_size=1, max_size=100))
def test_nack_names_the_same_packets(sender, media, lost):
    """However lost numbers lie around the wrap, the same set is read back."""
    (nack,) = parse_compound(serialize(Nack(sender, media, tuple(lost))))
    assert (nack.sender_ssrc, nack.media_ssrc, set(nack.lost)) == (sender, media, set(lost))


def test_nack_joins_neighbours_across_the_wrap():
    """Seventeen packets in a row cost one entry of four bytes, also where the numbers wrap."""
    lost = tuple((65530 + step) & 0xFFFF for step in range(17))
    assert len(serialize(Nack(1, 2, lost))) == 16
    assert parse_compound(serialize(Nack(1, 2, lost)))[0].lost == lost


@given(st.integers(0, 2**80))
def test_remb_rounds_down(bitrate_bps):
    """A rate beyond 18 bits loses less than one part in 2^17, never upwards."""
    (remb,) = parse_compound(serialize(Remb(1, bitrate_bps, (2,))))
    assert bitrate_bps * (1 - 2**-17) <= remb.bitrate_bps <= bitrate_bps


@given(st.floats(0, 4e9))
def test_ntp_time(unix_s):
    """Unix seconds survive the way to NTP and back within the float's own grain (until the era ends in 2036)."""
    expected = unix_s if unix_s < 2_085_978_496 else unix_s - 2**32
    assert ntp_to_unix(unix_to_ntp(unix_s)) == pytest.approx(expected, abs=1e-5)


def test_unknown_kinds_are_passed_over():
    """Extended reports, APP and formats nobody uses here do not hide what stands beside them."""
    unknown = b"\x80\xcf\0\1zzzz" + b"\x80\xcc\0\1zzzz" + b"\x83\xcd\0\2" + bytes(8) + b"\x8f\xce\0\3" + bytes(12)
    assert parse_compound(unknown + serialize(Pli(1, 2))) == [Pli(1, 2)]


def test_padding_is_taken_off():
    """The last packet may carry padding that counts itself (RFC 3550 6.4.1)."""
    assert parse_compound(b"\xa1\xce\0\3" + bytes([0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 4])) == [Pli(1, 2)]


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "empty"),
        (b"\x80\xc8\0", "stray"),
        (b"\x00\xc8\0\0", "version"),
        (b"\x80\xc8\0\7" + bytes(8), "bytes in the"),
        (b"\x81\xc9\0\1" + bytes(4), "report blocks"),
        (b"\x80\xc8\0\1" + bytes(4), "sender report"),
        (b"\x81\xca\0\1" + bytes(4), "SDES"),
        (b"\x81\xcb\0\0", "BYE"),
        (b"\x81\xcd\0\2" + bytes(8), "NACK"),
        (b"\x84\xce\0\2" + bytes(8), "FIR"),
        (b"\x8f\xce\0\4" + bytes(8) + b"REMB\x05\0\0\0", "REMB"),
        (b"\xa0\xc9\0\1\0\0\0\x09", "padding"),
        (b"\x8f\xcd\0\5" + bytes(10) + b"\0\1" + bytes(4) + b"\0\0\0\0", "no packets"),
        (b"\x8f\xcd\0\5" + bytes(10) + b"\0\1" + bytes(4) + b"\x60\1\0\0", "reserved"),
        (b"\x8f\xcd\0\5" + bytes(10) + b"\0\5" + bytes(4) + b"\x20\5\0\0", "deltas"),
    ],
)
def test_refusals_say_why(data, word):
    """What is broken is refused with its reason."""
    with pytest.raises(MalformedPacket, match=word):
        parse_compound(data)


@pytest.mark.parametrize(
    "packet",
    [
        Nack(1, 2, ()),
        Pli(-1, 2),
        Bye((1,) * 32),
        Nack(1, 2, (0x10000,)),
        Sdes(((1, ((1, bytes(256)),)),)),
        Remb(1, 2**90, ()),
    ],
)
def test_what_cannot_be_written_is_refused(packet):
    """Fields out of their range raise ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        serialize(packet)


def test_mutated_packets_parse_or_are_refused():
    """Of 20,000 mutated compounds each parses or raises MalformedPacket, and nothing else; some do either."""
    rng = random.Random(3)
    seeds = [serialize(packet) for packet in EVERY_KIND] + [serialize_compound(EVERY_KIND)]
    assert parse_compound(seeds[-1]) == EVERY_KIND
    parsed = 0
    for _ in range(FUZZ_INPUTS):
        try:
            parse_compound(mutate(rng, rng.choice(seeds)))
            parsed += 1
        except MalformedPacket:
            pass
    assert 0 < parsed < FUZZ_INPUTS
