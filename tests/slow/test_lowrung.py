"""Low rungs with real codecs in a real child process."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from itertools import pairwise
from pathlib import Path

import av
import pytest
from aiortc.codecs.vpx import Vp8Decoder, VpxPayloadDescriptor
from aiortc.jitterbuffer import JitterFrame

from media.lowrung.client import LowRungs
from media.lowrung.opusjoin import frames as opus_frames
from media.lowrung.opusjoin import join_opus
from media.lowrung.pace import DEPTH_S
from media.lowrung.picture import Encoder, Scaler
from media.lowrung.rungs import SPECS, STILL_INTERVAL_S, Rung
from media.lowrung.streams import MovingStream
from media.payload import Frame
from media.payload.opus import packet_samples
from tests.slow.lowrunghost import FPS, Camera, Viewer, begin, film, picture, voice

pytestmark = pytest.mark.slow
PACE = 3
"""Trials run faster than life where only the RTP clock counts."""


def children() -> list[int]:
    """Return the processes that encode low rungs for this one."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if b"media.lowrung" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


def bits_in_two_seconds(frames) -> float:
    """Return the most bits of payload in any two seconds of the RTP clock."""
    times = [(frame.timestamp, 8 * sum(map(len, frame.payloads))) for frame in frames]
    return max(sum(bits for at, bits in times if begin <= at < begin + 180_000) for begin, _ in times)


@pytest.fixture
async def stage():
    """A viewer, the rungs, and a camera that can be changed; the camera hears the requests for keyframes."""
    viewer, cameras = Viewer(), []
    low = LowRungs(viewer.on_frame, viewer.on_voice, lambda: [camera.ask_keyframe() for camera in cameras])
    yield viewer, low, cameras
    await low.close()
    for camera in cameras:
        camera.close()
    assert children() == []


@pytest.mark.parametrize("codec", ["AV1", "VP8"])
async def test_rungs_decode_and_hold_their_rates(stage, codec):
    """LOW and MIDDLE begin with a keyframe, decode, and take no more than their rate in any two seconds."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1"))
    low.start(Rung.LOW, codec)
    low.start(Rung.MIDDLE, codec)
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], 15 * FPS, PACE)
    await viewer.until(lambda: viewer.of(Rung.LOW, codec)[-1].timestamp > 14 * 90_000)
    for rung in (Rung.LOW, Rung.MIDDLE):
        frames, spec = viewer.of(rung, codec), SPECS[rung]
        pictures = viewer.decoded(rung, codec)
        assert frames[0].keyframe and len(pictures) == len(frames)
        assert {(one.width, one.height) for one in pictures} == {(spec.width, spec.height)}
        assert all(a.timestamp < b.timestamp for a, b in pairwise(frames))
        largest = 8 * max(sum(map(len, frame.payloads)) for frame in frames)
        assert bits_in_two_seconds(frames) <= (2 + DEPTH_S) * 1.1 * spec.rate_bps + largest
        assert max(len(payload) for frame in frames for payload in frame.payloads) <= spec.max_payload_bytes
        assert len(frames) >= 0.5 * spec.fps * (frames[-1].timestamp - frames[0].timestamp) / 90_000
    first = viewer.of(Rung.LOW, codec)[0]
    assert 8 * sum(map(len, first.payloads)) <= SPECS[Rung.LOW].rate_bps


@pytest.mark.parametrize("codec", ["AV1", "VP8"])
async def test_forced_keyframe_comes_and_stays_small(stage, codec):
    """Several requests give one keyframe that takes a second of the rung's rate at most."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1"))
    low.start(Rung.LOW, codec)
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], 4 * FPS, PACE)
    for _ in range(3):
        low.force_keyframe(Rung.LOW, codec)
    await film(low, cameras[0], 4 * FPS, PACE)
    await viewer.until(lambda: viewer.of(Rung.LOW, codec)[-1].timestamp > 7.5 * 90_000)
    keyframes = [frame for frame in viewer.of(Rung.LOW, codec) if frame.keyframe]
    assert len(keyframes) == 2
    assert 4 * 90_000 <= keyframes[1].timestamp <= 5.5 * 90_000
    assert 8 * sum(map(len, keyframes[1].payloads)) <= SPECS[Rung.LOW].rate_bps
    assert len(viewer.decoded(Rung.LOW, codec)) == len(viewer.of(Rung.LOW, codec))


@pytest.mark.parametrize("host", ["VP9", "H264", "VP8"])
async def test_host_in_another_codec(stage, host):
    """A host may send what its browser gives."""
    viewer, low, cameras = stage
    cameras.append(Camera(host, (320, 240)))
    low.start(Rung.LOW, "VP8")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], 2 * FPS, PACE)
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "VP8")) >= 8)
    assert {(one.width, one.height) for one in viewer.decoded(Rung.LOW, "VP8")} == {(168, 126)}


async def test_host_that_changes_size_and_codec(stage):
    """A new camera with another clock gives a keyframe of the new size; nothing has to be switched."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1", (320, 180)))
    low.start(Rung.LOW, "AV1")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], FPS, PACE)
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "AV1")) >= 4)
    cameras[0].close()
    cameras[0] = Camera("VP8", (320, 240), 0xF0000000)
    await film(low, cameras[0], FPS, PACE)
    await viewer.until(lambda: viewer.of(Rung.LOW, "AV1")[-1].timestamp > 0xF0000000 + 45_000)
    sizes = [(one.width, one.height) for one in viewer.decoded(Rung.LOW, "AV1")]
    assert sizes[0] == (224, 126) and sizes[-1] == (168, 126)


async def test_stills_keep_their_size_and_interval(stage):
    """Stills are keyframes of 6 KB at most, every ten seconds, and one more when asked for."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1"))
    low.start(Rung.STILL, "VP8")
    low.start(Rung.STILL, "AV1")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], 25 * FPS, PACE)
    low.force_keyframe(Rung.STILL, "AV1")
    await film(low, cameras[0], FPS, PACE)
    await viewer.until(lambda: len(viewer.of(Rung.STILL, "AV1")) >= 4)
    for codec in ("VP8", "AV1"):
        stills = viewer.of(Rung.STILL, codec)
        assert all(frame.keyframe and sum(map(len, frame.payloads)) < 6500 for frame in stills)
        assert len(viewer.decoded(Rung.STILL, codec)) == len(stills)
        gaps = [(b.timestamp - a.timestamp) / 90_000 for a, b in pairwise(stills)]
        assert gaps[:2] == pytest.approx([STILL_INTERVAL_S] * 2, abs=1)
    assert len(viewer.of(Rung.STILL, "AV1")) == 4 and len(viewer.of(Rung.STILL, "VP8")) == 3


async def test_keyframe_of_a_frozen_picture(stage):
    """A viewer who joins while the host sends nothing new gets the last picture all the same."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1"))
    low.start(Rung.LOW, "AV1")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], FPS, 1)
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "AV1")) >= 4)
    low.force_keyframe(Rung.LOW, "AV1")
    await viewer.until(lambda: viewer.of(Rung.LOW, "AV1")[-1].keyframe and len(viewer.of(Rung.LOW, "AV1")) > 4)
    frames = viewer.of(Rung.LOW, "AV1")
    assert frames[-1].timestamp - frames[0].timestamp >= 2 * 90_000


async def test_killed_child_comes_back(stage):
    """After kill -9 the rung goes on with a keyframe, without anybody's doing."""
    viewer, low, cameras = stage
    cameras.append(Camera("AV1"))
    low.start(Rung.LOW, "AV1")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], FPS, 1)
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "AV1")) >= 2)
    (child,) = children()
    os.kill(child, signal.SIGKILL)
    before = len(viewer.of(Rung.LOW, "AV1"))
    filming = asyncio.create_task(film(low, cameras[0], 10 * FPS, 1))
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "AV1")) >= before + 3)
    filming.cancel()
    assert viewer.of(Rung.LOW, "AV1")[before].keyframe
    assert low.stats.restarts == 1 and children() != [child]


async def test_broken_frames_are_skipped(stage):
    """Garbage in place of a picture is counted; the next keyframe brings the rung back."""
    viewer, low, cameras = stage
    cameras.append(Camera("VP8"))
    low.start(Rung.LOW, "VP8")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], FPS, PACE)
    low.picture("VP8", Frame(b"\x00\x00\x00garbage", 200_000, True, (320, 180)))
    low.picture("AV1", Frame(b"\xff" * 500, 210_000, True, (320, 180)))
    low.picture("H264", Frame(b"\0\0\0\1\x67\xff\xff", 220_000, True, (320, 180)))
    before = len(viewer.of(Rung.LOW, "VP8"))
    filming = asyncio.create_task(film(low, cameras[0], 10 * FPS, 1))
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "VP8")) >= before + 12 and low.stats.pictures_broken > 0)
    filming.cancel()
    assert low.stats.restarts == 0


async def test_unused_child_ends(stage):
    """With all rungs off the child is kept for a moment, then it ends; it returns when needed."""
    viewer, low, cameras = stage
    cameras.append(Camera("VP8", (320, 180)))
    for count in (1, 2):
        low.start(Rung.LOW, "VP8")
        filming = asyncio.create_task(film(low, cameras[0], 10 * FPS, 1))
        await viewer.until(lambda count=count: sum(one.keyframe for one in viewer.of(Rung.LOW, "VP8")) >= count)
        filming.cancel()
        low.stop(Rung.LOW, "VP8")
        assert len(children()) == 1
        for _ in range(75):
            if not children():
                break
            await asyncio.sleep(0.2)
        assert children() == []
    assert low.stats.restarts == 0 and not low.stats.running


@pytest.mark.parametrize(("frame_ms", "stereo"), [(20, False), (60, False), (60, True)])
async def test_low_voice(stage, frame_ms, stereo):
    """The host's voice comes out mono at 60 ms, at its own timestamps, within its rate, and sounds as long."""
    viewer, low, _ = stage
    packets = voice(6, frame_ms, stereo)
    low.start(Rung.VOICE)
    for timestamp, payload in packets:
        low.voice((timestamp + 0xFFFFF000) & 0xFFFFFFFF, payload)
    await viewer.until(lambda: len(viewer.voice) >= 100)
    assert [packet.timestamp for packet in viewer.voice] == [(0xFFFFF000 + 2880 * n) & 0xFFFFFFFF for n in range(100)]
    assert {packet_samples(packet.payload) for packet in viewer.voice} == {2880}
    assert sum(len(packet.payload) for packet in viewer.voice) * 8 / 6 <= 13_000
    decoder = av.CodecContext.create("libopus", "r")
    pairs = [join_opus([a.payload, b.payload]) for a, b in zip(viewer.voice[::2], viewer.voice[1::2], strict=True)]
    assert all(len(opus_frames(pair)) == 2 for pair in pairs)
    assert sum(frame.samples for pair in pairs for frame in decoder.decode(av.Packet(pair))) == 6 * 48_000


async def test_lost_voice_stays_lost_and_silence_passes(stage):
    """A gap of the host gives a gap at the same place; packets that stand for silence come through as they are."""
    viewer, low, _ = stage
    packets = voice(3, 60)
    del packets[20:25]
    silent = (packets[-1][0] + 2880, packets[-1][1][:1])
    low.start(Rung.VOICE)
    for timestamp, payload in [*packets, silent]:
        low.voice(timestamp, payload)
    await viewer.until(lambda: len(viewer.voice) >= 46)
    assert [packet.timestamp for packet in viewer.voice] == [timestamp for timestamp, _ in [*packets, silent]]
    assert viewer.voice[-1].payload == silent[1]


async def test_aiortc_decodes_the_low_rung(stage):
    """aiortc's own depacketizer and decoder take our VP8, which has no PictureID."""
    viewer, low, cameras = stage
    cameras.append(Camera("VP8", (320, 180)))
    low.start(Rung.LOW, "VP8")
    await begin(low, cameras[0], viewer)
    await film(low, cameras[0], 2 * FPS, PACE)
    await viewer.until(lambda: len(viewer.of(Rung.LOW, "VP8")) >= 8)
    decoder, shown = Vp8Decoder(), 0
    for frame in viewer.of(Rung.LOW, "VP8"):
        parsed = [VpxPayloadDescriptor.parse(payload) for payload in frame.payloads]
        assert {descriptor.picture_id for descriptor, _ in parsed} == {None}
        shown += len(decoder.decode(JitterFrame(b"".join(rest for _, rest in parsed), frame.timestamp)))
    assert shown == len(viewer.of(Rung.LOW, "VP8"))


@pytest.mark.parametrize("codec", ["AV1", "VP8"])
def test_turned_page_does_not_fill_the_link(codec):
    """A page of text that appears at once comes as a new keyframe, far smaller than what the encoder makes of it."""
    chance, stream = random.Random(1), MovingStream(Rung.LOW, codec, SPECS[Rung.LOW].rate_bps)
    pages = [picture(0, (640, 360)), picture(0, (640, 360))]
    plane = pages[1].planes[0]
    letters = b"".join(bytes([chance.choice((30, 220))]) * 8 for _ in range(plane.line_size // 8 + 1))[
        : plane.line_size
    ]
    plane.update(b"".join((letters if row % 24 < 10 else bytes([220]) * plane.line_size) for row in range(360)))
    spec, scaler = SPECS[Rung.LOW], Scaler()
    bare = Encoder(codec, (spec.width, spec.height), spec.fps, spec.rate_bps)
    coded, plain = [], []
    for second in range(12):
        page = pages[second // 6]
        coded.append(stream.push(page, 90_000 * second))
        plain.append(bare.encode(scaler.scale(page, bare.size), False)[0])
    stream.close()
    bare.close()
    assert [one.keyframe for one in coded] == [second in (0, 6) for second in range(12)]
    assert len(coded[6].data) < 0.7 * len(plain[6])
