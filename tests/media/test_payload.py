"""Payloads of AV1, VP9, VP8, H.264 and Opus: keyframes, layers, sizes, frames put together, damage refused."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.payload import Depacketizer, keyframe, layer, opus
from media.payload.video import CODECS
from media.rtp import MalformedPacket, RtpPacket
from tests.media.mutation import mutate
from tests.media.packetizers import av1_payloads, h264_payloads, leb128, obu, rtp_packets, vp8_payloads, vp9_payloads

FUZZ_INPUTS = 20_000
# As encoders wrote them for 320 x 180 pictures (SVT-AV1's sequence header, x264's parameter sets).
AV1_SEQUENCE = obu(1, bytes.fromhex("02000004a1e7f66257c802"))
SPS = bytes.fromhex("6742c00cda05067e7c04400000030040000007a3c50aa8")
PPS = bytes.fromhex("68ce0fc8")
VP8_KEY = bytes.fromhex("9001009d012a4001b400") + bytes(range(200))
VP9_KEY = bytes.fromhex("82498342") + (0b0010 << 36 | 319 << 20 | 179 << 4).to_bytes(5) + bytes(range(200))
FRAMES = {
    "AV1": av1_payloads([AV1_SEQUENCE, obu(6, b"\x10" + bytes(500), temporal=0)], 200, True),
    "VP8": vp8_payloads(VP8_KEY, 100, temporal=0),
    "VP9": vp9_payloads(VP9_KEY, 100, key=True, temporal=0),
    "H264": h264_payloads([SPS, PPS, b"\x65\x88" + bytes(range(1, 200))], 100),
}
DELTAS = {
    "AV1": av1_payloads([obu(6, b"\x30" + bytes(300), temporal=2)], 200, False),
    "VP8": vp8_payloads(b"\x91" + bytes(150), 100, temporal=2),
    "VP9": vp9_payloads(b"\x86" + bytes(150), 100, key=False, temporal=2),
    "H264": h264_payloads([b"\x61\x9a" + bytes(range(1, 150))], 100),
}
WHOLE = {
    "AV1": b"\x12\0" + b"\x0a\x0b" + AV1_SEQUENCE[1:] + b"\x36\0" + leb128(501) + b"\x10" + bytes(500),
    "VP8": VP8_KEY,
    "VP9": VP9_KEY,
    "H264": b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS + b"\0\0\0\1\x65\x88" + bytes(range(1, 200)),
}
codecs = pytest.mark.parametrize("codec", sorted(CODECS))


@codecs
def test_keyframe_is_told_by_its_first_packet(codec):
    """A keyframe is told by its first packet (H.264: parameter sets and first slice), a dependent frame by none."""
    first = 2 if codec == "H264" else 1
    expected = [index < first for index in range(len(FRAMES[codec]))]
    assert [keyframe(codec, payload) for payload in FRAMES[codec]] == expected
    assert not any(keyframe(codec, payload) for payload in DELTAS[codec])


@codecs
def test_temporal_layer(codec):
    """The layer stands in the descriptor, or in AV1's first packet of the frame; H.264 has none."""
    found = layer(codec, DELTAS[codec][0])
    assert (found and found.temporal_id) == (None if codec == "H264" else 2)


def test_temporal_layer_not_given():
    """Descriptors without a layer give None, as do AV1 fragments."""
    assert layer("VP8", vp8_payloads(VP8_KEY, 100)[0]) is None
    assert layer("VP9", vp9_payloads(VP9_KEY, 100, key=True)[0]) is None
    assert layer("AV1", FRAMES["AV1"][1]) is None


@codecs
def test_frame_is_put_together(codec):
    """Packets in order give the frame as the muxers want it, with its size and its RTP timestamp."""
    depacketizer = Depacketizer(codec)
    frames = [
        frame
        for number, packet in enumerate(rtp_packets(FRAMES[codec], 10, 777))
        for frame in depacketizer.push(number, packet)
    ]
    assert [(frame.timestamp, frame.keyframe, frame.size) for frame in frames] == [(777, True, (320, 180))]
    assert frames[0].data == WHOLE[codec]
    assert not depacketizer.broken


@codecs
def test_loss_stops_the_picture_until_a_keyframe(codec):
    """After a lost packet nothing comes out until the next keyframe; the loss is counted once."""
    depacketizer = Depacketizer(codec)
    pictures = [FRAMES[codec], DELTAS[codec], DELTAS[codec], DELTAS[codec], FRAMES[codec], DELTAS[codec]]
    seen, number = [], 0
    for index, payloads in enumerate(pictures):
        for place, packet in enumerate(rtp_packets(payloads, number, 3000 * index)):
            if (index, place) != (2, 0):
                seen += [(frame.timestamp // 3000, frame.keyframe) for frame in depacketizer.push(number, packet)]
            number += 1
    assert seen == [(0, True), (1, False), (4, True), (5, False)]
    assert depacketizer.lost_frames == 1


@codecs
def test_nothing_before_the_first_keyframe(codec):
    """A recording cannot begin with a dependent frame."""
    depacketizer = Depacketizer(codec)
    for number, packet in enumerate(rtp_packets(DELTAS[codec], 0, 0)):
        assert depacketizer.push(number, packet) == []
    assert depacketizer.broken


@codecs
def test_padding_between_packets_is_no_loss(codec):
    """A packet without payload uses up its number and changes nothing."""
    depacketizer = Depacketizer(codec)
    first, *rest = rtp_packets(FRAMES[codec], 0, 0)
    assert depacketizer.push(0, first) == []
    assert depacketizer.push(1, RtpPacket(96, 1, 0, 7, padding=200)) == []
    frames = [frame for number, packet in enumerate(rest, 2) for frame in depacketizer.push(number, packet)]
    assert [frame.data for frame in frames] == [WHOLE[codec]]


def test_frame_without_a_marker_ends_with_the_next():
    """A sender that sets no marker still gives whole frames: the next timestamp ends them."""
    depacketizer = Depacketizer("VP8")
    assert depacketizer.push(0, RtpPacket(96, 0, 0, 7, vp8_payloads(VP8_KEY, 999)[0])) == []
    frames = depacketizer.push(1, RtpPacket(96, 1, 3000, 7, DELTAS["VP8"][0]))
    assert [frame.data for frame in frames] == [VP8_KEY]


def test_idr_without_parameter_sets_gets_the_last_ones():
    """An IDR picture that comes alone is recorded with the SPS and PPS known from before."""
    depacketizer = Depacketizer("H264")
    idr = [b"\x65\x88" + bytes(range(1, 200))]
    number = 0
    for timestamp, payloads in enumerate((FRAMES["H264"], h264_payloads(idr, 100))):
        for packet in rtp_packets(payloads, number, timestamp):
            frames = depacketizer.push(number, packet)
            number += 1
    assert frames[0].data == WHOLE["H264"]
    assert frames[0].size == (320, 180)


def test_only_the_base_layer_of_vp9_is_kept():
    """Of a picture with two spatial layers the base stands alone in the recording."""
    depacketizer = Depacketizer("VP9")
    base = vp9_payloads(VP9_KEY, 100, key=True, temporal=0)
    upper = vp9_payloads(b"\x86" + bytes(50), 100, key=True, temporal=0, spatial=1)
    frames = []
    for number, packet in enumerate(rtp_packets(base + upper, 0, 0)):
        frames += depacketizer.push(number, packet)
    assert [frame.data for frame in frames] == [VP9_KEY]
    assert not keyframe("VP9", upper[0])


def test_av1_elements_by_count():
    """With W = 2 the last of two elements has no length (AV1 RTP 4.4); the frame is the same."""
    frame = obu(6, b"\x10" + bytes(30))
    payload = b"\x28" + leb128(len(AV1_SEQUENCE)) + AV1_SEQUENCE + frame
    assert keyframe("AV1", payload)
    joined = CODECS["AV1"].assemble([payload])
    assert joined == b"\x12\0\x0a\x0b" + AV1_SEQUENCE[1:] + b"\x32" + leb128(31) + frame[1:]


@given(st.lists(st.binary(min_size=1, max_size=400), min_size=1, max_size=8), st.integers(1, 200))
def test_av1_round_trip(bodies, limit):
    """However OBUs are cut into packets, they come together again."""
    obus = [obu(6, body) for body in bodies]
    expected = b"\x12\0" + b"".join(b"\x32" + leb128(len(body)) + body for body in bodies)
    assert CODECS["AV1"].assemble(av1_payloads(obus, limit, False)) == expected


@given(
    st.lists(st.binary(min_size=2, max_size=400).filter(lambda body: b"\0\0\1" not in body), min_size=1, max_size=6),
    st.integers(1, 200),
)
def test_h264_round_trip(bodies, limit):
    """However NAL units are joined or cut, they come together again."""
    units = [b"\x61" + body for body in bodies]
    expected = b"".join(b"\0\0\0\1" + unit for unit in units)
    assert CODECS["H264"].assemble(h264_payloads(units, limit)) == expected


@codecs
def test_mutated_payloads_are_joined_or_dropped(codec):
    """Of 20,000 packets damaged at random none does more than break its frame, and good ones still come through."""
    rng = random.Random(codec)
    depacketizer = Depacketizer(codec)
    good = FRAMES[codec] + DELTAS[codec]
    frames = 0
    for number in range(FUZZ_INPUTS):
        payload = rng.choice(good)
        payload = mutate(rng, payload) if rng.random() < 0.5 else payload
        layer(codec, payload)
        keyframe(codec, payload)
        packet = RtpPacket(96, number & 0xFFFF, rng.choice((0, 0, 3000)), 7, payload, rng.random() < 0.4)
        frames += len(depacketizer.push(number, packet))
    assert frames > 0


@codecs
def test_mutated_frames_have_a_size_or_are_refused(codec):
    """Reading the size of damaged keyframes gives a size, nothing, or MalformedPacket."""
    rng = random.Random(codec)
    sizes = 0
    for _ in range(5_000):
        try:
            sizes += CODECS[codec].frame_size(mutate(rng, WHOLE[codec][:64])) is not None
        except MalformedPacket:
            continue
    assert sizes > 0


@pytest.mark.parametrize(
    ("payload", "samples"),
    [(b"\x18x", 2880), (b"\x08x", 960), (b"\x78x", 960), (b"\xe0x", 120), (b"\xfb\x03x", 2880), (b"\x19x", 5760)],
)
def test_opus_length(payload, samples):
    """The table of contents gives a packet's length (RFC 6716 table 2, 3.2)."""
    assert opus.packet_samples(payload) == samples
    assert opus.packet_samples(opus.filler(payload)) == samples


@pytest.mark.parametrize("payload", [b"", b"\xfb", b"\xfb\x00", b"\x1b\x3f"])
def test_opus_nonsense_is_refused(payload):
    """No bytes, no frames, or more than 120 ms are no Opus packet."""
    with pytest.raises(MalformedPacket):
        opus.packet_samples(payload)
