"""The recorder on real RTP: what ffmpeg sends is recorded whole, decodes, keeps its length and survives any cut."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest

from media.payload import keyframe
from media.recorder import Recorder, recover
from media.recovery import seal_recovered
from tests.slow.rtp_source import Capture, capture

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 6
PORT = 21140
WAIT_S = 20
CONTAINERS = {"H264": "mp4", "AV1": "mp4", "VP9": "webm", "VP8": "webm", None: "mp4"}


@pytest.fixture(scope="module", params=["H264", "AV1", "VP9", "VP8", None], ids=str)
def sent(request) -> tuple[str | None, Capture]:
    """Give the codec (None: voice alone) and what ffmpeg sent in it."""
    port = PORT + 4 * list(CONTAINERS).index(request.param)
    return request.param, capture(request.param, SECONDS, port)


def record(folder: Path, codec: str | None, made: Capture, late_s: float = 0.0, seal: bool = True) -> Path:
    """Play a capture to a recorder; `late_s` keeps the picture's packets back by so much, as a slower path would."""
    events = [
        (at + (late_s if kind == "video" else 0), index, kind, one)
        for index, (kind, one, at) in enumerate(made.packets)
    ]
    events += [(at + (late_s if kind == "video" else 0), -1, kind, one) for kind, one, at in made.reports]
    events.sort(key=lambda event: event[:2])
    recorder = Recorder(folder, "s", "r", events[0][0], 8)
    recorder.host_connected(codec, True, events[0][0])
    for at_s, index, kind, one in events:
        if index < 0:
            recorder.on_sender_report(kind, one.unix_s, one.rtp_timestamp)
        else:
            recorder.on_rtp(kind, one, at_s)
    if not seal:
        recorder.suspend(events[-1][0]).result(WAIT_S)
        return folder / "s/r"
    return recorder.seal("ended", events[-1][0]).result(WAIT_S).parent


def decoded(path: Path) -> dict[str, list[float]]:
    """Decode everything and return the frames' times by kind; raises on any broken frame."""
    found: dict[str, list[float]] = {"audio": [], "video": []}
    with av.open(str(path)) as file:
        for stream in file.streams:
            stream.codec_context.options = {"err_detect": "explode"}
        for frame in file.decode():
            kind = "video" if isinstance(frame, av.VideoFrame) else "audio"
            found[kind].append(float(frame.pts * Fraction(frame.time_base)))
    return found


def test_recording_is_whole(sent, tmp_path):
    """Every frame is in the file and decodes; its length is right within 0.2 s; both tracks begin together."""
    codec, made = sent
    folder = record(tmp_path, codec, made)
    (segment,) = json.loads((folder / "manifest.json").read_text())["segments"]
    assert (segment["container"], segment["video_codec"]) == (CONTAINERS[codec], codec)
    found = decoded(folder / segment["file"])
    assert segment["duration_s"] == pytest.approx(SECONDS, abs=0.2)
    assert len(found["audio"]) == SECONDS * 1000 // 60 + 1 or len(found["audio"]) == SECONDS * 1000 // 60
    assert found["audio"][-1] + 0.06 == pytest.approx(SECONDS, abs=0.2)
    if codec is not None:
        assert (segment["width"], segment["height"]) == (320, 180)
        assert len(found["video"]) == SECONDS * 15
        assert found["video"][-1] + 1 / 15 == pytest.approx(SECONDS, abs=0.2)
        assert found["video"][0] == pytest.approx(found["audio"][0], abs=0.2)


def test_keyframes_of_real_encoders_are_told(sent):
    """At 30 frames a group the encoder's keyframes, and no others, are found in the packets."""
    codec, made = sent
    if codec is None:
        assert all(kind == "audio" for kind, _, _ in made.packets)
        return
    timestamps = sorted({packet.timestamp for kind, packet, _ in made.packets if kind == "video"})
    keys = {packet.timestamp for kind, packet, _ in made.packets if kind == "video" and keyframe(codec, packet.payload)}
    assert keys == set(timestamps[::30])


def test_a_late_picture_is_put_right_by_the_sender_reports(sent, tmp_path):
    """When the picture's way is 0.4 s longer, the manifest says that it must be moved back by that."""
    codec, made = sent
    if codec is None:
        assert not any(kind == "video" for kind, _, _ in made.reports)
        return
    delays = []
    for name, late_s in (("straight", 0.0), ("late", 0.4)):
        folder = record(tmp_path / name, codec, made, late_s)
        (segment,) = json.loads((folder / "manifest.json").read_text())["segments"]
        delays.append(segment["video_delay_s"])
    assert abs(delays[0]) < 0.2
    assert delays[1] - delays[0] == pytest.approx(-0.4, abs=0.05)


def test_every_cut_recovers(sent, tmp_path):
    """Cut at twelve random bytes, the recording is sealed with less than 1.5 s missing before the cut, and decodes."""
    codec, made = sent
    whole = record(tmp_path / "whole", codec, made, seal=False)
    (media,) = [path for path in whole.glob("segment-0001.*") if path.suffix != ".jsonl"]
    parts = [json.loads(line) for line in media.with_suffix(".jsonl").read_text().splitlines()[1:]]
    rng = random.Random(11)
    for number in range(12):
        live = tmp_path / f"cut-{number}"
        shutil.copytree(whole, live / "s/r")
        path = live / "s/r" / media.name
        cut = rng.randrange(parts[0]["offset"] + parts[0]["bytes"], path.stat().st_size)
        os.truncate(path, cut)
        written_s = max(part["start_s"] + part["duration_s"] for part in parts if part["offset"] < cut)
        (resumable,) = recover(live, made.packets[-1][2], 600).values()
        (segment,) = json.loads(seal_recovered(resumable).read_text())["segments"]
        found = decoded(path)
        assert written_s - segment["duration_s"] < 1.5
        assert max(found["audio"] + found["video"]) == pytest.approx(segment["duration_s"], abs=0.2)


@pytest.mark.parametrize("kind", ["video", "voice"])
@pytest.mark.parametrize("seconds", [2.3, 3.9])
def test_a_killed_process_loses_less_than_a_second_and_a_half(tmp_path, kind, seconds):
    """kill -9 in mid-lesson: everything up to 1.5 s before is recovered and can be read."""
    command = [sys.executable, "-m", "tests.slow.recorder_process", str(tmp_path), "60", kind]
    lesson = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    given_s = 0.0
    for line in lesson.stdout:
        given_s = float(line)
        if given_s >= seconds:
            break
    lesson.kill()
    lesson.communicate()
    (resumable,) = recover(tmp_path, time.time(), 600).values()
    made = json.loads(seal_recovered(resumable).read_text())
    (segment,) = made["segments"]
    assert given_s - segment["duration_s"] < 1.5
    with av.open(str(tmp_path / "s/r" / segment["file"])) as file:
        last_s = max(float(packet.pts * packet.time_base) for packet in file.demux() if packet.pts is not None)
    assert last_s == pytest.approx(segment["duration_s"], abs=0.2)
