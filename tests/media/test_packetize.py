"""Low rungs cut into RTP payloads and Opus packets joined: receivers put together what went in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.lowrung.opusjoin import NotJoinable, VoiceJoiner, frames, join_opus
from media.lowrung.packetize import MIN_PAYLOAD_BYTES, av1_payloads, payloads, vp8_payloads
from media.payload import Depacketizer, keyframe
from media.payload.opus import packet_samples
from media.rtp import MalformedPacket
from tests.media.packetizers import leb128, obu, rtp_packets

AV1_SEQUENCE = obu(1, bytes.fromhex("02000004a1e7f66257c802"))  # SVT-AV1's for 320 x 180
VP8_KEY = bytes.fromhex("9001009d012a4001b400")
DELIMITER = b"\x12\x00"
limits = st.integers(MIN_PAYLOAD_BYTES, 1200)
bodies = st.binary(min_size=1, max_size=3000)


def sized(one: bytes) -> bytes:
    """Write an OBU with its size field, as encoders do."""
    at = 2 if one[0] & 0x04 else 1
    return bytes([one[0] | 0x02]) + one[1:at] + leb128(len(one) - at) + one[at:]


def together(codec: str, cut: list[list[bytes]]):
    """Send frames through the Depacketizer."""
    depacketizer, found, number = Depacketizer(codec), [], 0
    for index, parts in enumerate(cut):
        for packet in rtp_packets(parts, number, 3000 * index):
            found += depacketizer.push(number, packet)
            number += 1
    return found


@given(st.lists(bodies, min_size=1, max_size=6), st.booleans(), limits)
def test_av1_round_trip(tiles, with_layer, limit):
    """A keyframe and the frame behind it come out as they went in, whatever OBUs and limit; no payload is longer."""
    layer = 1 if with_layer else None
    first = [AV1_SEQUENCE, obu(6, b"\x10" + tiles[0], layer), *(obu(4, tile, layer) for tile in tiles[1:])]
    second = [obu(6, b"\x30" + tiles[-1], layer)]
    units = [DELIMITER + b"".join(map(sized, unit)) for unit in (first, second)]
    cut = [av1_payloads(units[0], True, limit), av1_payloads(units[1], False, limit)]
    assert [one.data for one in together("AV1", cut)] == units
    assert max(len(payload) for parts in cut for payload in parts) <= limit


@given(st.binary(max_size=4000), limits)
def test_vp8_round_trip(body, limit):
    """A VP8 keyframe comes out as it went in; descriptors have one byte and no payload is longer than asked."""
    cut = vp8_payloads(VP8_KEY + body, limit)
    assert [(one.data, one.keyframe, one.size) for one in together("VP8", [cut])] == [
        (VP8_KEY + body, True, (320, 180))
    ]
    assert [payload[0] for payload in cut] == [0x10] + [0] * (len(cut) - 1)
    assert max(map(len, cut)) <= limit


def test_new_sequence_is_told_once():
    """N stands on the first packet of a keyframe alone, else decoders would forget their references (section 4.4)."""
    unit = DELIMITER + sized(AV1_SEQUENCE) + sized(obu(6, b"\x10" + bytes(500)))
    first, *rest = av1_payloads(unit, True, 100)
    assert first[0] & 0x08 and rest and not any(payload[0] & 0x08 for payload in rest)
    assert keyframe("AV1", first)
    assert not av1_payloads(DELIMITER + sized(obu(6, b"\x30" + bytes(50))), False, 100)[0][0] & 0x08


def test_no_size_fields_and_nothing_ignored_is_sent():
    """Temporal delimiters, padding and size fields stay at home; the last of three elements needs no length."""
    unit = DELIMITER + sized(AV1_SEQUENCE) + sized(obu(6, b"\x10\x20")) + sized(obu(15, bytes(40)))
    assert av1_payloads(unit, True, 100) == [
        bytes([0x28, len(AV1_SEQUENCE)]) + AV1_SEQUENCE + obu(6, b"\x10\x20"),
    ]


def test_unknown_codec_and_senseless_limit_are_refused():
    """Nobody gets payloads that no receiver could read."""
    with pytest.raises(ValueError, match="no packetizer for H264"):
        payloads("H264", b"x", True, 500)
    with pytest.raises(ValueError, match="too few"):
        payloads("VP8", b"x", True, 4)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_av1_are_refused(data):
    """Anything is either cut or refused by name."""
    try:
        assert av1_payloads(data, True, MIN_PAYLOAD_BYTES)
    except MalformedPacket:
        return


# Opus. TOC 0x08 is SILK narrowband 20 ms, 0x18 SILK narrowband 60 ms, both mono.
NB_20, NB_60, WB_60_STEREO = 0x08, 0x18, 0x5C
opus_frames = st.lists(st.binary(max_size=300), min_size=1, max_size=6)


@given(opus_frames)
def test_opus_frames_survive_joining(parts):
    """Up to six packets of 20 ms become one that holds the same frames in order and plays as long."""
    packets = [bytes([NB_20]) + part for part in parts]
    joined = join_opus(packets)
    assert frames(joined) == parts
    assert packet_samples(joined) == 960 * len(parts)
    assert len(joined) <= sum(map(len, packets)) + 2 * len(parts)


@given(opus_frames.filter(lambda parts: len(parts) <= 3), opus_frames.filter(lambda parts: len(parts) <= 3))
def test_joined_packets_may_be_joined_again(first, second):
    """Packets of several frames are opened and joined like single ones."""
    both = [join_opus([bytes([NB_20]) + part for part in parts]) for parts in (first, second)]
    assert frames(join_opus(both)) == first + second


def test_two_long_packets_become_one_of_120_ms():
    """Two packets of 60 ms of equal length need no length at all (code 1)."""
    joined = join_opus([bytes([NB_60]) + b"aa", bytes([NB_60]) + b"bb"])
    assert (joined, packet_samples(joined)) == (bytes([NB_60 | 1]) + b"aabb", 5760)


@pytest.mark.parametrize(
    ("packets", "reason"),
    [
        ([], "no packets"),
        ([bytes([NB_20, 1]), bytes([NB_60, 1])], "different"),
        ([bytes([NB_60, 1]), bytes([WB_60_STEREO, 1])], "different"),
        ([bytes([NB_60, 1])] * 3, "120 ms"),
    ],
)
def test_what_may_not_be_joined_is_refused(packets, reason):
    """Different frames, or more than 120 ms, are no Opus packet."""
    with pytest.raises(NotJoinable, match=reason):
        join_opus(packets)


def test_padding_is_left_out():
    """Padding of a code 3 packet is not sent on, however long its length is written."""
    padded = bytes([NB_20 | 3, 0x40 | 2, 255, 1]) + b"aabb" + bytes(255)
    assert frames(padded) == [b"aa", b"bb"]
    assert join_opus([padded]) == bytes([NB_20 | 1]) + b"aabb"


@given(st.binary(max_size=80))
def test_any_bytes_are_opus_or_refused(data):
    """Parsing strangers' packets ends in frames that were in them, or in a refusal."""
    try:
        found = frames(data)
    except MalformedPacket:
        return
    assert sum(map(len, found)) < len(data)


def test_joiner_keeps_order_and_times():
    """Pairs of 60 ms go out together under the first one's timestamp; a gap and a silence end the waiting."""
    joiner = VoiceJoiner(5760)
    a, b, silent = bytes([NB_60]) + b"aa", bytes([NB_60]) + b"bb", bytes([NB_60])
    assert joiner.push(0, a) == []
    assert joiner.push(2880, b) == [(0, join_opus([a, b]))]
    assert joiner.push(5760, a) == []
    assert joiner.push(11520, b) == [(5760, a)]  # 8640 was lost
    assert joiner.push(14400, silent) == [(11520, join_opus([b, silent]))]
    assert joiner.push(33600, silent) == [(33600, silent)]
    assert joiner.push(36480, a) == [] and joiner.waiting == 1
    assert joiner.flush() == [(36480, a)] and joiner.flush() == []


@given(st.lists(st.sampled_from([NB_20, NB_60, WB_60_STEREO]), max_size=20))
def test_joiner_loses_nothing(kinds):
    """Whatever comes, every frame goes out once, in order, in packets of 120 ms at most."""
    joiner, timestamp, out = VoiceJoiner(5760), 0xFFFF0000, []
    for number, kind in enumerate(kinds):
        packet = bytes([kind, number, number, number])
        out += joiner.push(timestamp, packet)
        timestamp = (timestamp + packet_samples(packet)) & 0xFFFFFFFF
    out += joiner.flush()
    assert [frame[0] for _, payload in out for frame in frames(payload)] == list(range(len(kinds)))
    assert all(packet_samples(payload) <= 5760 for _, payload in out)
