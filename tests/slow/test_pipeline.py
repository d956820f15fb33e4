"""From a sealed recording to published files: a real worker, beat, Redis and ffmpeg, and some of them killed."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pgserver
import psutil
import pytest
import redis

from rules.renditions import Kind
from store import recordings
from tests.slow import killing, lessonmedia
from tests.slow.workstage import WorkStage
from workers import probe

pytestmark = pytest.mark.slow

VOICE = [Kind.VOICE_OPUS, Kind.VOICE_AAC, Kind.PACK]
SECONDS = 45
PICTURES = [Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT]


def free_port() -> int:
    """Find a free loopback port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[WorkStage]:
    """A stage on SQLite, without worker and beat."""
    with WorkStage(tmp_path, free_port(), TROPA_WORKER_PROCESSES="1") as made:
        yield made


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segment of six seconds."""
    return lessonmedia.lesson(tmp_path_factory.mktemp("short") / "segment.mp4", 6)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A segment whose picture takes long enough to be interrupted."""
    return lessonmedia.lesson(tmp_path_factory.mktemp("long") / "segment.mp4", SECONDS, size="1280x720")


PATIENT_S = 300
"""Each kill costs a lease, a pause and what was half made."""


def assert_published_once(stage: WorkStage, recording_id: str, kinds: list[Kind], seconds: float) -> None:
    """Assert that exactly these files are published, whole, and that nothing else lies about."""
    recording = stage.wait_for_state(recording_id, "published")
    assert [(row.kind, row.state) for row in recording.renditions] == [(kind, "published") for kind in kinds]
    assert recording.duration_s == pytest.approx(seconds, abs=0.5)
    root = stage.data / "files"
    for row in recording.renditions:
        content = (root / row.key).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (row.bytes, row.sha256)
        assert row.duration_s == pytest.approx(seconds, abs=0.5)
        assert row.kind == Kind.PACK or probe.decode(root / row.key).errors == 0
    sources = {segment["key"] for segment in recording.segments}
    slides = {key for key in stage.stored() if "/slides/" in key}
    assert stage.stored() - slides == sources | {row.key for row in recording.renditions}
    stage.wait(lambda: list((stage.data / "tmp").iterdir()) == [], "no temporary folder is left")
    assert list((stage.data / "live").glob("*/*")) == []
    assert stage.encoders() == []


def test_a_sealed_recording_becomes_five_files_smallest_first(stage, short):
    """Files come in order, with digests and sizes; who came is noted, the session has ended, pages are told."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [short])
    listener = redis.Redis(port=stage.port).pubsub()
    listener.subscribe(f"tropa:events:{stage.session_id}")
    stage.start_worker()
    stage.start_beat()
    assert_published_once(stage, "rec1", VOICE + PICTURES, 6)
    rows = stage.recording("rec1").renditions
    assert [row.published_at for row in rows] == sorted(row.published_at for row in rows)
    assert [row.name for row in stage.attendance("rec1")] == ["Анна"]
    assert stage.session_state() == "ended"
    events = []
    while (message := listener.get_message(timeout=1)) is not None:
        if message["type"] == "message":
            events.append(json.loads(message["data"]))
    assert {"fetch", "encode", "verify", "publish"} <= {event["stage"] for event in events}
    assert {event["kind"] for event in events if event["state"] == "published"} == {*VOICE, *PICTURES}
    picture = rows[4]
    assert (picture.width, picture.height, picture.fps) == (640, 360, 12.5)
    assert redis.Redis(port=stage.port).exists("tropa:beat", f"tropa:worker:{socket.gethostname()}") == 2


def test_what_a_killed_worker_left_is_made_again_once(stage, long):
    """kill -9 of the worker in mid-encode ends its encoder too; a fresh one publishes every file exactly once."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [long])
    stage.start_beat()
    worker = stage.start_worker()
    stage.wait_for_encoding("rec1", Kind.VIDEO_SMALL)
    worker.kill()
    stage.wait(lambda: not stage.encoders(), "the encoder died with its worker")
    stage.start_worker()
    assert_published_once(stage, "rec1", VOICE + PICTURES, SECONDS)
    assert "died; somebody else goes on" in stage.log("worker")


def test_what_a_killed_pool_process_left_is_made_again_once(stage, long):
    """kill -9 of the very process that encodes: the worker replaces it, and the file is published exactly once."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [long])
    stage.start_beat()
    stage.start_worker()
    stage.wait_for_encoding("rec1", Kind.VIDEO_SMALL)
    [encoder] = stage.encoders()
    psutil.Process(encoder.ppid()).kill()
    assert_published_once(stage, "rec1", VOICE + PICTURES, SECONDS)
    assert "died; somebody else goes on" in stage.log("worker")


def test_kills_at_random_moments_cost_time_and_nothing_else(tmp_path):
    """Four kills of workers, pool processes and encoders: every file is published once, and nothing is left over."""
    film = lessonmedia.lesson(tmp_path / "film.mp4", 45, size="320x180")
    with WorkStage(tmp_path, free_port(), TROPA_WORKER_PROCESSES="2") as stage:
        lessonmedia.seal(stage.data, stage.session_id, "rec1", [film])
        stage.start_beat()
        stage.start_worker()
        killing.kill_at_random(stage, random.Random(4), 4, 2.0, "rec1")
        stage.wait_for_state("rec1", "published", patience_s=PATIENT_S)
        stage.wait(lambda: killing.left_over(stage, "rec1") == [], "nothing is left over", patience_s=30)


def test_what_is_cancelled_stops_at_once_and_can_be_begun_again(stage, long):
    """The encoder ends, what is ready stays, nothing else is left; asked again, every file is made."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [long])
    stage.start_beat()
    stage.start_worker()
    stage.wait_for_encoding("rec1", Kind.VIDEO_SMALL)
    with stage.rows():
        assert recordings.cancel("rec1")
    stage.wait(lambda: not stage.encoders() and not stage.pieces("rec1"), "the work has ended")
    recording = stage.recording("rec1")
    assert {row.state for row in recording.renditions if row.kind in PICTURES} == {"cancelled"}
    assert not [key for key in stage.stored() if "/pieces/" in key or "/video_" in key]
    with stage.rows():
        recordings.retry("rec1")
    stage.wait_for_state("rec1", "published")
    stage.wait(lambda: killing.left_over(stage, "rec1") == [], "nothing is left over", patience_s=30)


def test_a_killed_redis_costs_no_file_and_no_attempt(stage, long):
    """kill -9 of a Redis that forgets everything: the encode goes on, and after its return the rest is made."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [long])
    stage.start_beat()
    stage.start_worker()
    stage.wait_for_encoding("rec1", Kind.VIDEO_SMALL)
    stage.redis.kill()
    stage.redis.wait()
    before = stage.rendition("rec1", Kind.VIDEO_SMALL).percent
    stage.wait(lambda: stage.rendition("rec1", Kind.VIDEO_SMALL).percent > before, "the encode goes on")
    stage.start_redis()
    assert_published_once(stage, "rec1", VOICE + PICTURES, SECONDS)
    assert [row.attempts for row in stage.recording("rec1").renditions] == [1, 1, 1, 1, 1]


def test_an_orderly_stop_gives_the_file_back_without_counting_the_attempt(stage, long):
    """SIGTERM in mid-encode ends the worker soon, and the next one starts the file as if for the first time."""
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [long])
    beat = stage.start_beat()
    worker = stage.start_worker()
    stage.wait_for_encoding("rec1", Kind.VIDEO_SMALL)
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    beat.kill()
    assert {(row.state, row.attempts) for row in stage.pieces("rec1")} == {("waiting", 0)}
    assert stage.encoders() == []


def test_two_workers_and_two_beats_make_every_file_once(tmp_path, short):
    """Twice everything, on three recordings at once, publishes each file once."""
    with WorkStage(tmp_path, free_port(), TROPA_WORKER_PROCESSES="2") as stage:
        for number in range(3):
            lessonmedia.seal(stage.data, stage.session_id, f"rec{number}", [short])
        for start in (stage.start_worker, stage.start_worker, stage.start_beat, stage.start_beat):
            start()
        for number in range(3):
            stage.wait_for_state(f"rec{number}", "published")
        rows = [row for number in range(3) for row in stage.recording(f"rec{number}").renditions]
        assert [row.attempts for row in rows] == [1] * 15
        assert len([key for key in stage.stored() if "/slides/" not in key]) == 3 * 6
        assert stage.log("worker").count("] published ") == 15


def test_sound_alone_gives_voice_and_a_picture_alone_gives_pictures(stage, tmp_path):
    """What a recording does not have is not planned, so nothing of it fails."""
    sound = lessonmedia.lesson(tmp_path / "sound.mp4", 4, with_video=False, sample_rate_hz=8000)
    picture = lessonmedia.lesson(tmp_path / "picture.webm", 4, with_audio=False, video="libvpx", size="641x481")
    lessonmedia.seal(stage.data, stage.session_id, "sound", [sound])
    lessonmedia.seal(stage.data, stage.session_id, "picture", [picture])
    stage.start_beat()
    stage.start_worker()
    heard = stage.wait_for_state("sound", "published")
    seen = stage.wait_for_state("picture", "published")
    assert [(row.kind, row.state) for row in heard.renditions] == [(kind, "published") for kind in VOICE]
    assert [(row.kind, row.state) for row in seen.renditions] == [(kind, "published") for kind in PICTURES]


def test_unusable_recordings_fail_with_the_reason_and_keep_their_files(stage, short, tmp_path):
    """A changed byte, noise and a broken manifest are failures at once; every byte is still there, others go on."""
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(os.urandom(100_000))
    lessonmedia.seal(stage.data, stage.session_id, "spoilt", [short], spoil=True)
    broken = lessonmedia.seal(stage.data, stage.session_id, "unread", [short])
    (broken / "manifest.json").write_text("{")
    shutil.copytree(broken, stage.data / "live" / "nosuchlesson" / "stray")
    folder = stage.data / "live" / stage.session_id / "noise"
    folder.mkdir()
    content = noise.read_bytes()
    (folder / "segment-0001.mp4").write_bytes(content)
    entry = {"file": "segment-0001.mp4", "sha256": hashlib.sha256(content).hexdigest(), "bytes": 1, "duration_s": 1}
    manifest = {"version": 1, "session": stage.session_id, "recording": "noise", "segments": [entry], "gaps": []}
    times = {"started_at": lessonmedia.STARTED, "ended_at": lessonmedia.ENDED, "attendance": []}
    (folder / "manifest.json").write_text(json.dumps(manifest | times))
    lessonmedia.seal(stage.data, stage.session_id, "whole", [short])
    stage.start_beat()
    stage.start_worker()
    reasons = {"spoilt": "checksum", "unread": "manifest_damaged", "noise": "no_sound_or_picture"}
    for recording_id, reason in reasons.items():
        recording = stage.wait_for_state(recording_id, "failed")
        assert (recording.failure, recording.renditions) == (reason, [])
    assert stage.wait_for_state("whole", "published").duration_s == pytest.approx(6, abs=0.2)
    kept = list((stage.data / "broken").glob("*/segment-0001.mp4"))
    assert len(kept) == 3
    assert content in [path.read_bytes() for path in kept]
    assert (stage.data / "live" / "nosuchlesson" / "stray" / "manifest.json").exists()


def test_a_reconnect_is_one_recording_whose_interruption_is_known(stage, short, tmp_path):
    """Two segments of different kinds become one file of both lengths; the gap stands where the first ends."""
    second = lessonmedia.lesson(tmp_path / "second.webm", 4, size="320x240", video="libvpx", fps=15)
    lessonmedia.seal(stage.data, stage.session_id, "rec1", [short, second])
    stage.start_beat()
    stage.start_worker()
    assert_published_once(stage, "rec1", VOICE + PICTURES, 10)
    [gap] = stage.recording("rec1").gaps
    assert gap["at_s"] == pytest.approx(6, abs=0.2)
    assert gap["seconds"] == 4.0


def test_the_same_pipeline_works_on_postgresql(tmp_path, short):
    """By DATABASE_URL alone the rows go to PostgreSQL, and everything else is the same."""
    # Not pytest's folder: the server runs as a user of its own who may not look in there.
    folder = tempfile.mkdtemp(prefix="tropa-pg-")
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        with WorkStage(tmp_path, free_port(), server.get_uri()) as stage:
            lessonmedia.seal(stage.data, stage.session_id, "rec1", [short])
            stage.start_beat()
            stage.start_worker()
            assert_published_once(stage, "rec1", VOICE + PICTURES, 6)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
