"""The recorder from packets to a sealed folder, with made-up VP8 and Opus packets (the muxer looks into neither)."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import threading
from pathlib import Path

import av
import pytest

from media import remux, writer
from media.recorder import Recorder, recover
from media.recovery import seal_recovered
from media.rtp import RtpPacket
from rules.space import Reserve
from tests.media.packetizers import rtp_packets, vp8_payloads

START = 1_800_000_000.0
VOICE = b"\x18" + bytes(range(60))  # SILK, 60 ms
WAIT_S = 20
INTERVAL_S = {"audio": 0.06, "video": 1 / 15}


def key_frame(width: int = 320, height: int = 180) -> bytes:
    """Make the beginning of a VP8 key frame of this size."""
    return b"\x10\0\0\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + bytes(400)


class Host:
    """A scripted host: 60 ms of voice a packet, 15 pictures a second, a keyframe every three seconds or when asked."""

    def __init__(self, recorder: Recorder, video: bool = True, ssrc: int = 1, start_s: float = START) -> None:
        self.recorder = recorder
        self.now_s = start_s
        self.video = video
        self.ssrc = ssrc
        self.sequence = {"audio": 65500, "video": 65000}
        self.ticks = {"audio": 0xFFFFFF00, "video": 0xFFFF0000}
        self.frame = 0
        self.start_s = start_s
        self.sent = {"audio": 0, "video": 0}
        self.size = (320, 180)
        self.lose: set[tuple[str, int]] = set()

    def send(self, seconds: float, silent: bool = False, no_keyframe: bool = False) -> None:
        """Send this much; while `silent`, no voice."""
        end_s = self.now_s + seconds
        while True:
            kind = min(INTERVAL_S, key=self._due_s)
            if self._due_s(kind) > end_s - 1e-3:
                break
            self.now_s = self._due_s(kind)
            self.sent[kind] += 1
            if kind == "audio":
                if not silent:
                    self.deliver("audio", [VOICE])
                self.ticks[kind] += 2880
            else:
                if self.video:
                    self._picture(no_keyframe)
                self.ticks[kind] += 6000
        self.now_s = end_s

    def _due_s(self, kind: str) -> float:
        return self.start_s + self.sent[kind] * INTERVAL_S[kind]

    def _picture(self, no_keyframe: bool) -> None:
        wanted = self.frame % 45 == 0 or self.recorder.wants_keyframe()
        self.frame += 1
        frame = key_frame(*self.size) if wanted and not no_keyframe else b"\x11" + bytes(300)
        self.deliver("video", vp8_payloads(frame, 150))

    def deliver(self, kind: str, payloads: list[bytes]) -> None:
        """Hand over the packets of one frame, but for those that are to be lost."""
        for packet in rtp_packets(payloads, self.sequence[kind], self.ticks[kind], self.ssrc):
            if (kind, packet.sequence) not in self.lose:
                self.recorder.on_rtp(kind, packet, self.now_s)
        self.sequence[kind] += len(payloads)


def begin(folder: Path, codec: str | None = "VP8", audio: bool = True, max_hours: float = 8) -> Recorder:
    """Begin a recording with a host."""
    recorder = Recorder(folder, "s1", "r1", START, max_hours)
    recorder.host_connected(codec, audio, START)
    return recorder


def sealed(recorder: Recorder, reason: str, now_s: float) -> dict:
    """Seal and read the manifest."""
    return json.loads(recorder.seal(reason, now_s).result(WAIT_S).read_text("utf-8"))


def times(path: Path) -> dict[str, list[float]]:
    """Return the times of all packets of a file by kind, in seconds."""
    with av.open(str(path)) as file:
        found: dict[str, list[float]] = {"audio": [], "video": []}
        for packet in file.demux():
            if packet.pts is not None:
                found[packet.stream.type].append(float(packet.pts * packet.time_base))
    return found


def test_a_lesson_becomes_one_segment(tmp_path):
    """Seven seconds of picture and voice: one WebM of that length with every frame, as its manifest says."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    recorder.viewer_joined("person:1", "Анна", "s9", START + 1)
    host.send(7)
    recorder.viewer_left("person:1", START + 6)
    made = sealed(recorder, "ended", host.now_s)
    (segment,) = made["segments"]
    path = tmp_path / "s1/r1" / segment["file"]
    found = times(path)
    assert (segment["container"], segment["video_codec"], segment["width"], segment["height"]) == (
        "webm",
        "VP8",
        320,
        180,
    )
    assert segment["duration_s"] == pytest.approx(7, abs=0.1)
    assert (len(found["audio"]), len(found["video"])) == (117, 105)
    assert found["video"][0] == pytest.approx(0, abs=0.02)
    assert segment["bytes"] == path.stat().st_size
    assert segment["parts"] >= 7
    assert made["gaps"] == []
    assert made["attendance"] == [
        {"key": "person:1", "name": "Анна", "school": "s9", "joined_at": START + 1, "left_at": START + 6}
    ]
    assert recorder.status()["failure"] is None


def test_sound_is_not_lost_while_no_keyframe_comes(tmp_path):
    """Voice is kept from the first packet; the picture joins in a second segment that begins where the first ends."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.frame = 1
    host.send(3, no_keyframe=True)
    assert recorder.wants_keyframe()
    host.send(3)
    made = sealed(recorder, "ended", host.now_s)
    first, second = made["segments"]
    assert (first["video_codec"], first["container"], second["video_codec"]) == (None, "mp4", "VP8")
    assert first["duration_s"] + second["duration_s"] == pytest.approx(6, abs=0.15)
    assert second["started_at"] == pytest.approx(first["started_at"] + first["duration_s"], abs=0.01)
    assert made["gaps"] == []


def test_a_voice_only_host_gives_a_voice_only_segment(tmp_path):
    """Without video no keyframe is waited for or asked."""
    recorder = begin(tmp_path, codec=None)
    host = Host(recorder, video=False)
    host.send(3)
    assert not recorder.wants_keyframe()
    (segment,) = sealed(recorder, "ended", host.now_s)["segments"]
    assert (segment["video_codec"], segment["container"], segment["audio_codec"]) == (None, "mp4", "opus")
    assert segment["duration_s"] == pytest.approx(3, abs=0.07)


def test_a_host_without_sound_is_recorded(tmp_path):
    """Where voice was announced but never comes, the picture does not wait for ever."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(4, silent=True)
    (segment,) = sealed(recorder, "ended", host.now_s)["segments"]
    assert (segment["video_codec"], segment["audio_codec"]) == ("VP8", None)
    assert segment["duration_s"] == pytest.approx(4, abs=0.15)


def test_a_lost_packet_breaks_the_picture_until_the_next_keyframe(tmp_path):
    """A loss is waited for, then a keyframe is asked; the sound goes on and the segment stays the same."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(1)
    host.lose = {("video", host.sequence["video"] & 0xFFFF)}
    host.send(0.5)
    assert not recorder.wants_keyframe()
    host.send(4.5)
    assert not recorder.wants_keyframe()
    (segment,) = sealed(recorder, "ended", host.now_s)["segments"]
    found = times(tmp_path / "s1/r1" / segment["file"])
    assert len(found["audio"]) == 100
    missing = [after - before for before, after in zip(found["video"], found["video"][1:], strict=False)]
    assert 0.5 < max(missing) < 1.2


def test_silence_under_dtx_is_filled(tmp_path):
    """While the voice pauses the picture is written all the same, and the sound has no hole in it afterwards."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(1)
    host.send(3, silent=True)
    host.send(1)
    (segment,) = sealed(recorder, "ended", host.now_s)["segments"]
    found = times(tmp_path / "s1/r1" / segment["file"])
    steps = [after - before for before, after in zip(found["audio"], found["audio"][1:], strict=False)]
    assert max(steps) == pytest.approx(0.06, abs=0.003)
    assert found["audio"][-1] == pytest.approx(4.96, abs=0.07)


def test_a_new_size_begins_a_new_segment(tmp_path):
    """A host that turns its camera gets a new segment at the keyframe, without a gap and with all its sound."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(3)
    host.size = (180, 320)
    host.send(3)
    made = sealed(recorder, "ended", host.now_s)
    assert [(one["width"], one["height"]) for one in made["segments"]] == [(320, 180), (180, 320)]
    assert made["gaps"] == []
    voices = sum(len(times(tmp_path / "s1/r1" / one["file"])["audio"]) for one in made["segments"])
    assert voices == 100


def test_a_reconnecting_host_continues_the_recording(tmp_path):
    """The second connection is a second segment of the same recording; the time between them is the gap."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(4)
    recorder.host_lost(host.now_s + 3)
    recorder.host_connected("VP8", True, START + 20)
    again = Host(recorder, ssrc=9, start_s=START + 20)
    again.send(4)
    made = sealed(recorder, "host_left", again.now_s)
    assert len(made["segments"]) == 2
    (gap,) = made["gaps"]
    assert gap["after_segment"] == 1
    assert gap["at_s"] == pytest.approx(4, abs=0.1)
    assert gap["seconds"] == pytest.approx(16, abs=0.1)


def test_sender_reports_tell_the_pictures_delay(tmp_path):
    """The delay is in the manifest, and already in the lines of the parts, so that a crash keeps it."""
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(1)
    recorder.on_sender_report("audio", 5000.0, host.ticks["audio"] & 0xFFFFFFFF)
    recorder.on_sender_report("video", 5000.2, host.ticks["video"] & 0xFFFFFFFF)
    host.send(3)
    made = sealed(recorder, "ended", host.now_s)
    assert made["segments"][0]["video_delay_s"] == pytest.approx(0.2, abs=0.07)
    lines = (tmp_path / "s1/r1/segment-0001.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["video_delay_s"] == made["segments"][0]["video_delay_s"]


def test_the_limit_ends_the_recording(tmp_path):
    """At TROPA_MAX_LESSON_HOURS the recording is sealed with the reason "limit"; later packets change nothing."""
    recorder = begin(tmp_path, max_hours=2 / 3600)
    host = Host(recorder)
    host.send(5)
    made = json.loads(recorder.sealed.result(WAIT_S).read_text())
    assert made["reason"] == "limit"
    assert made["segments"][0]["duration_s"] == pytest.approx(2, abs=0.1)


def test_nothing_recorded_leaves_nothing(tmp_path):
    """A host from whom no media came leaves no folder for the worker to stumble over."""
    recorder = begin(tmp_path)
    assert recorder.seal("host_lost", START + 5).result(WAIT_S) is None
    assert not (tmp_path / "s1/r1").exists()


def test_damaged_packets_never_raise(tmp_path):
    """A host that sends noise under valid headers harms nothing but its own recording."""
    rng = random.Random(7)
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(1)
    for _ in range(3000):
        kind = rng.choice(("audio", "video"))
        noise = RtpPacket(96, rng.randrange(65536), rng.randrange(2**32), 1, rng.randbytes(rng.randrange(40)), True)
        host.now_s += 0.001
        recorder.on_rtp(kind, noise, host.now_s)
        recorder.on_sender_report(kind, rng.uniform(0, 4e9), rng.randrange(2**32))
    made = sealed(recorder, "ended", host.now_s)
    assert made["segments"][0]["duration_s"] >= 0.9


@pytest.fixture
def crashed(tmp_path) -> Path:
    """A folder as a kill leaves it: everything on disk, no manifest, one viewer there."""
    recorder = begin(tmp_path / "live")
    recorder.viewer_joined("guest:1", "Вера", "", START + 1)
    host = Host(recorder)
    host.send(6)
    recorder.suspend(host.now_s).result(WAIT_S)
    return tmp_path / "live"


def test_a_young_recording_is_resumed(crashed):
    """Within the grace it is offered, goes on in a second segment, and knows the gap and who had been there."""
    (resumable,) = recover(crashed, START + 30, 600).values()
    assert (resumable.identity.session, resumable.identity.recording) == ("s1", "r1")
    recorder = Recorder.resume(resumable, 8)
    recorder.host_connected("VP8", True, START + 30)
    host = Host(recorder, start_s=START + 30)
    host.send(3)
    made = sealed(recorder, "ended", host.now_s)
    assert [one["file"] for one in made["segments"]] == ["segment-0001.webm", "segment-0002.webm"]
    assert made["gaps"][0]["seconds"] == pytest.approx(24, abs=0.2)
    assert made["attendance"][0]["left_at"] == pytest.approx(START + 6, abs=0.1)
    assert made["started_at"] == START


def test_an_old_recording_is_sealed(crashed):
    """Beyond the grace it is sealed as "restart" and not offered; a second look changes nothing."""
    assert recover(crashed, START + 700, 600) == {}
    made = json.loads((crashed / "s1/r1/manifest.json").read_text())
    assert made["reason"] == "restart"
    assert made["ended_at"] == pytest.approx(START + 6, abs=0.1)
    assert recover(crashed, START + 700, 600) == {}


def test_of_two_recordings_the_newer_is_resumed(crashed):
    """A session with two unsealed recordings resumes the newer; the older is sealed."""
    newer = crashed / "s1/r2"
    shutil.copytree(crashed / "s1/r1", newer)
    about = json.loads((newer / "recording.json").read_text())
    (newer / "recording.json").write_text(json.dumps(about | {"recording": "r2", "started_at": START + 50}))
    lines = (newer / "segment-0001.jsonl").read_text()
    (newer / "segment-0001.jsonl").write_text(lines.replace(f'"started_at":{START}', f'"started_at":{START + 50}'))
    (resumable,) = recover(crashed, START + 60, 600).values()
    assert resumable.identity.recording == "r2"
    assert (crashed / "s1/r1/manifest.json").exists()


@pytest.mark.parametrize("seed", range(25))
def test_a_file_cut_anywhere_recovers_its_whole_parts(crashed, seed):
    """Cut at a random byte, the file keeps every whole part: less than 1.5 s before the cut is missing."""
    rng = random.Random(seed)
    folder = crashed / "s1/r1"
    path = folder / "segment-0001.webm"
    parts = [json.loads(line) for line in (folder / "segment-0001.jsonl").read_text().splitlines()[1:]]
    cut = rng.randrange(parts[0]["offset"] + parts[0]["bytes"], path.stat().st_size)
    os.truncate(path, cut)
    written_s = max(part["start_s"] + part["duration_s"] for part in parts if part["offset"] < cut)
    (resumable,) = recover(crashed, START + 10, 600).values()
    made = json.loads(seal_recovered(resumable).read_text())
    (segment,) = made["segments"]
    assert written_s - segment["duration_s"] < 1.5
    assert segment["bytes"] == path.stat().st_size <= cut
    found = times(path)
    assert max(found["video"]) == pytest.approx(segment["duration_s"], abs=0.15)


def test_damage_inside_the_file_ends_it_there(crashed):
    """A part that is not what its line says, and everything behind it, is cut off."""
    folder = crashed / "s1/r1"
    parts = [json.loads(line) for line in (folder / "segment-0001.jsonl").read_text().splitlines()[1:]]
    with open(folder / "segment-0001.webm", "r+b") as file:
        file.seek(parts[3]["offset"])
        file.write(b"\0\0\0\0")
    (resumable,) = recover(crashed, START + 10, 600).values()
    assert resumable.identity.segments[0].parts == 3


def test_a_folder_without_a_whole_part_is_removed(crashed):
    """A crash in the first half second leaves nothing to publish, and no trace."""
    os.truncate(crashed / "s1/r1/segment-0001.webm", 300)
    assert recover(crashed, START + 10, 600) == {}
    assert not (crashed / "s1/r1").exists()


def test_an_unreadable_recording_is_left_alone(crashed, caplog):
    """What cannot be understood is logged and kept for somebody to look at."""
    (crashed / "s1/r1/recording.json").write_text("{")
    assert recover(crashed, START + 10, 600) == {}
    assert (crashed / "s1/r1/segment-0001.webm").exists()
    assert "could not be recovered" in caplog.text


def test_a_full_disk_stops_the_recording_and_not_the_lesson(tmp_path, monkeypatch):
    """When the disk refuses, the state says so; what was whole is kept, a later try goes on in a new segment."""
    refusing = []
    write = remux._write_all

    def refuse(descriptor: int, data: bytes) -> None:
        if refusing:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(descriptor, data)

    monkeypatch.setattr(remux, "_write_all", refuse)
    recorder = begin(tmp_path)
    host = Host(recorder)
    host.send(3)
    drain(recorder)
    refusing.append(True)
    host.send(3)
    drain(recorder)
    assert "No space left" in recorder.status()["failure"]
    assert recorder.status()["trouble"] == "disk_full"
    refusing.clear()
    host.send(60)
    drain(recorder)
    assert recorder.status()["failure"] is None
    made = sealed(recorder, "ended", host.now_s)
    first, second = made["segments"]
    assert first["duration_s"] == pytest.approx(3, abs=0.8)
    assert second["duration_s"] > 20
    assert (tmp_path / "s1/r1" / first["file"]).stat().st_size == first["bytes"]
    assert made["gaps"][0]["seconds"] > 25


def test_the_recording_stops_before_the_disk_is_full(tmp_path):
    """While the disk has less than its reserve nothing is written, and the state says so; the lesson goes on."""
    recorder = Recorder(tmp_path, "s1", "r1", START, 8, Reserve(10**18, 0.0))
    recorder.host_connected("VP8", True, START)
    Host(recorder).send(3)
    drain(recorder)
    assert recorder.status()["trouble"] == "disk_full"
    assert recorder.status()["bytes"] == 0
    assert not list(tmp_path.rglob("segment-*"))


def test_a_picture_that_no_muxer_takes_does_not_cost_the_sound(tmp_path, monkeypatch):
    """After three refusals the voice is recorded alone, the state says why, and a new connection may try again."""
    write = remux.SegmentFile.write

    def refuse(self: remux.SegmentFile, sample: remux.Sample) -> None:
        if sample.kind == "video":
            raise av.error.InvalidDataError(1, "Invalid data found when processing input")
        write(self, sample)

    monkeypatch.setattr(remux.SegmentFile, "write", refuse)
    recorder = begin(tmp_path)
    host = Host(recorder)
    for _ in range(30):
        host.send(1)
        drain(recorder)
    assert "picture" in recorder.status()["failure"]
    assert not recorder.wants_keyframe()
    recorder.host_connected("VP8", True, host.now_s)
    assert recorder.status()["failure"] is None
    made = sealed(recorder, "ended", host.now_s)
    assert made["segments"][-1]["video_codec"] is None
    assert sum(one["duration_s"] for one in made["segments"]) > 20


def drain(recorder: Recorder) -> None:
    """Wait until the writer has carried out all its orders."""
    done = threading.Event()
    recorder._writer._order(done.set)
    assert done.wait(WAIT_S)


def test_the_queue_is_bounded(tmp_path, monkeypatch):
    """While the disk stands still, frames beyond the bound are dropped and counted, and a keyframe is asked for."""
    monkeypatch.setattr(writer, "MAX_QUEUED_SAMPLES", 150)
    recorder = begin(tmp_path)
    disk_moves = threading.Event()
    recorder._writer._order(disk_moves.wait)
    host = Host(recorder)
    host.send(12)
    assert recorder._writer.dropped_samples > 0
    assert recorder.wants_keyframe()
    disk_moves.set()
    drain(recorder)
    host.send(0.2)
    assert not recorder.wants_keyframe()
    assert sealed(recorder, "ended", host.now_s)["segments"]
