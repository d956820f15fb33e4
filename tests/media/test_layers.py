"""Temporal layers: told by each codec's packets, dropped without a gap, begun anew only where nothing is missing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.ingest import STORE_PACKETS, Track, TrackPacket
from media.layers import TOP_LAYER, LayerReader, LayerTrack, within_reach
from media.payload import Layer, layer
from media.payload.dependency import DescriptorReader
from media.payload.vp8 import bare
from media.rtp import MalformedPacket, RtpPacket
from tests.media.packetizers import obu, vp8_payloads, vp9_payloads

PATTERN = (0, 2, 1, 2)
"""L1T3: the layers of four pictures in a row."""


class Bits:
    """Write fields, most significant bit first."""

    def __init__(self) -> None:
        self.text = ""

    def put(self, value: int, count: int) -> Bits:
        """Append one field."""
        self.text += format(value, f"0{count}b")
        return self

    def bytes(self) -> bytes:
        """Return what was written, filled up with zeros."""
        text = self.text + "0" * (-len(self.text) % 8)
        return int(text, 2).to_bytes(len(text) // 8)


def descriptor(template: int) -> bytes:
    """Return a descriptor of three bytes."""
    return Bits().put(0b11, 2).put(template, 6).put(7, 16).bytes()


def structure(template: int, offset: int, custom: int = 0) -> bytes:
    """Return a keyframe's descriptor with the templates of L1T3 as browsers send them: T0, T0, T1, T2, T2."""
    bits = Bits().put(0b11, 2).put(template, 6).put(7, 16)
    bits.put(1, 1).put(0, 1).put(custom, 1).put(0, 2).put(offset, 6).put(3 - 1, 5)
    for following in (0, 1, 1, 0, 3):
        bits.put(following, 2)
    for indications in ((2, 2, 2), (2, 2, 2), (0, 1, 2), (0, 0, 1), (0, 0, 1)):
        for one in indications:
            bits.put(one, 2)
    return bits.put(0, 40).bytes()


def test_descriptor_tells_the_layer_by_its_template() -> None:
    """Templates come with the keyframe and hold until the next ones; the base layer with Switch opens all layers."""
    reader = DescriptorReader()
    assert reader.read(descriptor(3)) is None
    assert reader.read(structure(60, 60)) == Layer(0, opens=True)
    found = [reader.read(descriptor(number % 64)) for number in (61, 62, 63, 64, 65)]
    assert found == [Layer(0, opens=True), Layer(1), Layer(2), Layer(2), None]
    assert reader.read(structure(1, 1)) == Layer(0, opens=True)
    assert reader.read(descriptor(4)) == Layer(2)


def test_descriptor_with_indications_of_its_own_opens_nothing() -> None:
    """Custom indications are not read, so the frame is not taken for one to begin with; its layer holds."""
    assert DescriptorReader().read(structure(9, 9, custom=1)) == Layer(0)


@given(st.binary(max_size=40))
def test_any_descriptor_is_read_or_refused(data: bytes) -> None:
    """Whatever bytes come, a layer, None or MalformedPacket is the answer, and a layer is one of 64 at most."""
    try:
        found = DescriptorReader().read(data)
    except MalformedPacket:
        return
    assert found is None or 0 <= found.temporal_id < 64


def test_layers_stand_where_each_codec_puts_them() -> None:
    """VP8: TID and Y; VP9: TID and U; AV1: the descriptor before the OBU extension, and nothing by a broken one."""
    assert layer("VP8", b"\x90\xe0\x81\x23\x07\x60payload") == Layer(1, from_base=True)
    assert layer("VP8", vp8_payloads(bytes(20), 50, temporal=2)[0]) == Layer(2)
    vp9 = bytearray(vp9_payloads(b"\x82" + bytes(20), 50, key=False, temporal=0)[0])
    vp9[2] |= 0x10
    assert layer("VP9", bytes(vp9)) == Layer(0, opens=True)
    reader = LayerReader("AV1")
    extended = bytes([0x10]) + obu(6, bytes(9), temporal=2)
    assert reader.read(extended, None) == Layer(2)
    assert reader.read(extended, structure(0, 0)) == Layer(0, opens=True)
    assert reader.read(extended, b"\x00") is None


def test_vp8_is_sent_without_numbers_of_its_own() -> None:
    """PictureID, TL0PICIDX and TID go, start and partition bits stay; what has no extension is left as it is."""
    for payload in vp8_payloads(bytes(range(200)), 90, temporal=1):
        found = bare(payload)
        assert (found[0], found[1:]) == (payload[0] & 0x7F, payload[6:])
        assert bare(found) is found


def packets(
    count: int, lost: tuple[int, ...] = (), repaired: dict[int, int] | None = None, each: int = 2
) -> tuple[Track, list[TrackPacket]]:
    """Receive pictures of `each` packets in the pattern of L1T3 through a host's track, a keyframe each 16 pictures.

    Packets `lost` never come; `repaired` says behind which packet a late one comes.
    """
    track, made = Track("video", 90000), []

    def come(index: int) -> None:
        picture, part = divmod(index, each)
        told = PATTERN[picture % 4]
        packet = RtpPacket(96, index & 0xFFFF, picture * 6000, 1, index.to_bytes(4), part == each - 1)
        found = track.receive(packet, picture % 16 == 0 and part == 0, picture / 15, Layer(told, opens=told == 0))
        assert found is not None
        made.append(found)

    late = repaired or {}
    for index in range(count * each):
        if index not in lost and index not in late:
            come(index)
        for number in sorted(n for n, behind in late.items() if behind == index):
            come(number)
    return track, made


@pytest.mark.parametrize(("limit", "left"), [(1, {0, 1}), (0, {0})])
def test_dropped_layers_leave_no_gap(limit: int, left: set[int]) -> None:
    """HALF and BASE have every packet of their layers under numbers in a row, payload and marker as they were."""
    whole, made = packets(64)
    thin = LayerTrack(Track("video", 90000), limit)
    taken = [found for packet in made if (found := thin.take(packet)) is not None]
    expected = [packet for packet in made if packet.layer.temporal_id in left]
    assert [found.number for found in taken] == list(range(taken[0].number, taken[0].number + len(expected)))
    assert [(f.payload, f.marker, f.timestamp) for f in taken] == [(p.payload, p.marker, p.timestamp) for p in expected]
    assert all(f.payload is p.payload for f, p in zip(taken, expected, strict=True))
    assert thin.gop.packets[0].timestamp == whole.gop.packets[0].timestamp


def test_a_late_packet_finds_its_place() -> None:
    """Missing numbers hold places: a kept one fills its place, one of a dropped layer leaves an empty packet there."""
    _, made = packets(16, repaired={2: 8, 4: 9, 5: 9})
    thin = LayerTrack(Track("video", 90000), 1)
    taken = {found.number: found for packet in made if (found := thin.take(packet)) is not None}
    numbers = sorted(taken)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert [int.from_bytes(taken[n].payload) for n in numbers if taken[n].padding] == [1]
    kept = [int.from_bytes(taken[n].payload) for n in numbers if not taken[n].padding]
    assert kept == [index for index in range(32) if PATTERN[index // 2 % 4] < 2]


def test_positions_lead_there_and_back() -> None:
    """The host's number leads to the same packet here or to the next; what the store has forgotten leads nowhere."""
    whole, made = packets(STORE_PACKETS)
    thin = LayerTrack(Track("video", 90000), 0)
    for packet in made:
        thin.take(packet)
    for packet in made[-200:]:
        here = thin.at(packet.number)
        origin = thin.origin(here)
        assert origin >= packet.number
        if packet.layer.temporal_id == 0:
            assert origin == packet.number
    assert thin.at(whole.highest + 1) == thin.highest + 1 and thin.origin(thin.highest + 1) == whole.highest + 1
    assert thin.at(made[0].number) is None and thin.origin(thin.highest - 3 * STORE_PACKETS) is None


def test_layers_that_begin_in_mid_lesson_have_the_pictures_since_the_keyframe() -> None:
    """A track that is made late begins with the host's last keyframe, so that others can begin with it at once."""
    whole, made = packets(20)
    thin = LayerTrack(whole, 1)
    assert thin.gop.packets[0].keyframe
    assert thin.gop.packets[0].timestamp == whole.gop.packets[0].timestamp == made[32].timestamp


@given(st.integers(0, 10**6), st.integers(0, 1))
def test_whatever_is_lost_or_late_numbers_close_up(seed: int, limit: int) -> None:
    """With packets lost and late every number is given once, in the host's order, and only losses leave holes."""
    chance = random.Random(seed)
    count = 60
    lost = tuple(i for i in range(1, count) if chance.random() < 0.1)
    late = {i: i + chance.randint(1, 9) for i in range(1, count - 10) if i not in lost and chance.random() < 0.1}
    late = {i: behind for i, behind in late.items() if behind not in lost and behind not in late}
    _, made = packets(count, lost, late, each=1)
    thin = LayerTrack(Track("video", 90000), limit)
    taken = [found for packet in made if (found := thin.take(packet)) is not None]
    numbers = [found.number for found in taken]
    assert len(set(numbers)) == len(numbers)
    in_order = [found.timestamp for found in sorted(taken, key=lambda found: found.number)]
    assert in_order == sorted(in_order)
    span = max(numbers) - min(numbers) + 1
    assert span - len(numbers) <= len(lost)


def test_only_pictures_that_miss_nothing_let_more_layers_in() -> None:
    """T0 that opens lets all in, VP8's T1 and T2 from the base alone let their own layer in, the rest nothing."""

    def picture(told: Layer | None, keyframe: bool = False) -> TrackPacket:
        return TrackPacket(1, 0, True, b"x", False, 0.0, keyframe, told)

    assert within_reach(0, picture(Layer(0, opens=True))) == TOP_LAYER
    assert within_reach(0, picture(Layer(0))) == 0
    assert within_reach(0, picture(Layer(0), keyframe=True)) == TOP_LAYER
    assert within_reach(0, picture(Layer(1, from_base=True))) == 1
    assert within_reach(0, picture(Layer(2, from_base=True))) == 0
    assert within_reach(1, picture(Layer(2, from_base=True))) == TOP_LAYER
    assert within_reach(0, picture(Layer(1, opens=True))) == 0
    assert within_reach(1, picture(Layer(1, opens=True))) == TOP_LAYER
    assert within_reach(0, picture(None)) == TOP_LAYER
