"""The recorder's pure parts: order, time, parts, and what the folder says."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import manifest
from media.parts import CLUSTER, PartSplitter, part_bytes
from media.reorder import MAX_PACKETS, ReorderBuffer
from media.rtp import RtpPacket
from media.timeline import Timeline, video_delay_s


def numbered(sequence: int) -> RtpPacket:
    """Make a packet with this number."""
    return RtpPacket(96, sequence & 0xFFFF, 0, 1)


def numbers(ready) -> list[int]:
    """Return the wire numbers of what came out."""
    return [packet.sequence for _, packet, _ in ready]


@given(st.integers(0, 0xFFFF), st.randoms(use_true_random=False))
def test_shuffled_packets_come_out_in_order(first, rng):
    """Packets out of order within the waiting time, some of them twice, come out in order and once."""
    expected = list(range(first, first + 60))
    sent = sorted([*expected, *rng.sample(expected, 10)], key=lambda number: number + rng.uniform(0, 12))
    sent.insert(0, first)
    buffer = ReorderBuffer(0.5)
    out = [sequence for at, number in enumerate(sent) for sequence, _, _ in buffer.push(numbered(number), at * 0.01)]
    out += [sequence for sequence, _, _ in buffer.flush()]
    assert out == expected


def test_a_hole_is_waited_for_and_then_jumped_over():
    """A missing packet holds up the ones behind it for half a second, no longer; when it comes later it is dropped."""
    buffer = ReorderBuffer(0.5)
    assert numbers(buffer.push(numbered(1), 0.0)) == [1]
    assert numbers(buffer.push(numbered(3), 0.1)) == []
    assert numbers(buffer.push(numbered(4), 0.59)) == []
    assert numbers(buffer.push(numbered(5), 0.6)) == [3, 4, 5]
    assert numbers(buffer.push(numbered(2), 0.7)) == []
    assert buffer.late == 1


def test_the_buffer_is_bounded():
    """However fast packets come behind a hole, no more than MAX_PACKETS wait."""
    buffer = ReorderBuffer(1e9)
    buffer.push(numbered(0), 0.0)
    out = [number for index in range(MAX_PACKETS + 1) for number in numbers(buffer.push(numbered(index + 2), 0.0))]
    assert out == list(range(2, MAX_PACKETS + 3))


def test_a_sender_that_begins_anew_is_followed():
    """After a jump far back the second packet in a row is believed, and what follows is in order and shows the jump."""
    buffer = ReorderBuffer(0.5)
    last = buffer.push(numbered(20000), 0.0)[-1][0]
    out = [made for number in range(5, 10) for made in buffer.push(numbered(number), 1.0)]
    assert numbers(out) == [6, 7, 8, 9]
    assert out[0][0] > last + 1


@given(st.integers(0, 0xFFFFFFFF), st.lists(st.integers(1, 5 * 90000), min_size=1, max_size=200))
def test_timestamps_give_the_time_across_the_wrap(first, steps):
    """Frames are placed by their timestamps from where the first arrived, whatever jitter their arrival has."""
    timeline = Timeline(90000)
    assert timeline.place(first, 1000.0) == 1000.0
    ticks = first
    for step in steps:
        ticks += step
        true_s = 1000.0 + (ticks - first) / 90000
        assert timeline.place(ticks & 0xFFFFFFFF, true_s + 0.3) == pytest.approx(true_s, abs=1e-6)


def test_a_senseless_timestamp_is_placed_by_its_arrival():
    """A sender whose timestamps jump goes on from where its packets arrive."""
    timeline = Timeline(48000)
    timeline.place(0, 100.0)
    assert timeline.place(48000 * 3600, 101.0) == 101.0
    assert timeline.place(48000 * 3600 + 48000, 102.2) == 102.0


@given(st.floats(-4, 4), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFFFFFF))
def test_picture_delay_comes_from_the_sender_reports(skew_s, audio_start, video_start):
    """A picture whose first packet was `skew_s` longer on its way than the sound's must be moved back by it."""
    audio, video = Timeline(48000), Timeline(90000)
    assert video_delay_s(audio, video) is None
    audio.place(audio_start, 50.0)
    video.place(video_start, 50.0 + skew_s)
    audio.report(2000.0, (audio_start + 2 * 48000) & 0xFFFFFFFF)
    video.report(2001.0, (video_start + 3 * 90000) & 0xFFFFFFFF)
    assert video_delay_s(audio, video) == pytest.approx(-skew_s, abs=1e-6)


def box(kind: bytes, body: bytes = b"") -> bytes:
    """Make an MP4 box."""
    return (8 + len(body)).to_bytes(4) + kind + body


def cluster(body: bytes) -> bytes:
    """Make a Cluster with an eight-byte size."""
    return CLUSTER.to_bytes(4) + (1 << 56 | len(body)).to_bytes(8) + body


HEAD = {
    "mp4": box(b"ftyp", b"isom") + box(b"moov", bytes(100)),
    "webm": b"\x1a\x45\xdf\xa3\x84abcd" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\x16\x54\xae\x6b\x83abc",
}
PARTS = {
    "mp4": [box(b"moof", bytes(50)) + box(b"mdat", bytes(size)) for size in (10, 0, 3000)],
    "webm": [cluster(bytes(size)) for size in (10, 0, 3000)],
}


@pytest.mark.parametrize("container", ["mp4", "webm"])
@given(st.integers(0, 2**32))
def test_parts_are_found_however_they_come(container, seed):
    """Bytes in pieces of any length give the same whole parts; the head is in front of the first."""
    rng = random.Random(seed)
    data = HEAD[container] + b"".join(PARTS[container]) + PARTS[container][0][:-1]
    splitter = PartSplitter(container)
    found, at = [], 0
    while at < len(data):
        step = rng.randint(1, 400)
        found += splitter.feed(data[at : at + step])
        at += step
    assert found == [HEAD[container] + PARTS[container][0], *PARTS[container][1:]]
    assert splitter.head_bytes == len(HEAD[container])


def test_what_begins_a_part():
    """Only a moof or a Cluster begins a part; noise does not."""
    assert part_bytes("mp4", PARTS["mp4"][0]) == 58
    assert part_bytes("webm", PARTS["webm"][2]) == 3012
    assert part_bytes("mp4", HEAD["mp4"]) is None
    assert part_bytes("webm", bytes(32)) is None
    rng = random.Random(5)
    for _ in range(2000):
        noise = rng.randbytes(32)
        assert part_bytes("mp4", noise) is None
        assert part_bytes("webm", noise) is None


VOICE = manifest.SegmentHead("mp4", None, "opus", 1000.0, None, None)


def segment(number: int, started_at: float, duration_s: float) -> manifest.Segment:
    """Make a segment of one part."""
    head = manifest.SegmentHead("mp4", "AV1", "opus", started_at, 320, 180)
    part = manifest.Part(700, 300, 0.0, duration_s, True)
    return manifest.segment_of(manifest.segment_name(number, "mp4"), head, [part], "0" * 64)


def test_manifest_has_every_field_of_the_contract():
    """Two segments with a hole between them: all fields, the gap in the recording's own time, closed stays."""
    stays = [manifest.Stay("person:1", "Анна", "s1", 1001.0), manifest.Stay("guest:2", "Б", "", 1002.0, 1003.0)]
    made = manifest.manifest("s", "r", 1000.0, 1100.0, "ended", [segment(1, 1000, 10), segment(2, 1040, 60)], stays)
    assert json.loads(json.dumps(made)) == made
    assert made["gaps"] == [{"after_segment": 1, "at_s": 10.0, "seconds": 30.0}]
    assert [stay["left_at"] for stay in made["attendance"]] == [1100.0, 1003.0]
    assert set(made["segments"][0]) == {
        *("file", "container", "video_codec", "audio_codec", "started_at", "duration_s", "bytes", "sha256", "parts"),
        *("video_delay_s", "width", "height"),
    }
    assert (made["segments"][0]["bytes"], made["segments"][0]["parts"]) == (1000, 1)


def test_gaps_add_up_in_the_recordings_own_time():
    """Each gap stands at the sum of the segments before it; a codec change without a pause is none."""
    segments = [segment(1, 0, 10), segment(2, 10.05, 5), segment(3, 20, 5), segment(4, 26, 5)]
    assert manifest.gaps(segments) == [
        {"after_segment": 2, "at_s": 15.0, "seconds": 4.95},
        {"after_segment": 3, "at_s": 20.0, "seconds": 1.0},
    ]


def test_unknown_reason_is_refused():
    """Only the contract's reasons end a recording."""
    with pytest.raises(ValueError, match="tired"):
        manifest.manifest("s", "r", 0, 1, "tired", [], [])


@given(st.data())
def test_torn_lines_cost_only_themselves(data):
    """A segment's jsonl cut at any byte gives exactly the lines that are whole."""
    parts = [manifest.Part(100 + 50 * index, 50, index * 0.6, 0.6, index == 0, 0.25) for index in range(4)]
    lines = [manifest.to_line(one) for one in (VOICE, *parts)]
    text = "".join(lines)
    cut = data.draw(st.integers(0, len(text)))
    head, found = manifest.read_segment_lines(text[:cut])
    whole = text[:cut].count("\n")
    assert head == (VOICE if whole else None)
    assert found == parts[: max(0, whole - 1)]


def test_last_known_delay_is_the_segments():
    """The picture's delay is the last one that a part was told."""
    parts = [
        manifest.Part(9, 1, 0, 1, True),
        manifest.Part(10, 1, 1, 1, False, 0.1),
        manifest.Part(11, 1, 2, 1, False, 0.2),
    ]
    made = manifest.segment_of("x", VOICE, parts, "")
    assert (made.video_delay_s, made.duration_s, made.bytes) == (0.2, 3, 12)


def test_attendance_lines_are_joined():
    """A stay's second line brings its end; damaged lines and strange fields cost only what they tell."""
    stay = manifest.Stay("person:1", "Анна", "", 5.0)
    text = manifest.to_line(stay) + '{"other": 1}\n' + manifest.to_line(manifest.Stay("person:1", "Анна", "", 5.0, 9.0))
    assert manifest.read_attendance(text + '{"key": "torn') == [manifest.Stay("person:1", "Анна", "", 5.0, 9.0)]
