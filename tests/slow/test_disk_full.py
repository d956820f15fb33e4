"""A disk that is really full: what happens is said, nothing is damaged, and everything goes on when there is room."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from config import Settings
from media.recorder import Recorder, recover
from media.recovery import seal_recovered
from rules.renditions import Kind
from rules.space import Reserve
from server.app import create_app
from server.asgi import ROUTES
from server.intake import Limits
from server.shell import Shell
from server.uploading import Uploads
from store import materials, uploads
from store.database import utc_now, write
from store.files import Files
from store.models import Rendition, db
from store.piecemodels import Piece
from tests.media.test_recorder import START, Host, drain, sealed
from tests.server.conftest import make_district
from tests.server.test_tus import CHUNK, Sender
from tests.slow import lessonmedia
from tests.slow.smalldisk import SmallDisk, small_disk
from tests.slow.workstage import WorkStage
from workers import decks, probe

pytestmark = pytest.mark.slow

MB = 1_000_000
PATIENCE_S = 600


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """A disk of 64 MB."""
    with small_disk(tmp_path / "disk", 64) as made:
        yield made


def free_port() -> int:
    """Find a free loopback port."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


async def test_an_upload_waits_for_room_and_goes_on(disk: SmallDisk):
    """Both the guard and the disk itself answer 507 with words; what had come counts, and the whole is bit-exact."""
    settings = Settings.from_env({"TROPA_DATA": str(disk.folder / "data"), "SECRET_KEY": "s" * 64})
    settings = replace(settings, free_mb=8, free_percent=0, log_level="CRITICAL")
    app = create_app(settings, TESTING=True, RATELIMIT_ENABLED=False, PROPAGATE_EXCEPTIONS=False)
    with app.app_context():
        db.create_all()
    district = make_district(app)
    shell = Shell(app, Limits(1000, ROUTES), lambda _key: None)
    site = Uploads(app, settings, shell)
    sender = Sender(site, district.tokens["host"])
    content = os.urandom(6 * MB)
    url = await sender.announce(len(content), filename="урок.mp4")
    upload_id = url.rpartition("/")[2]
    first = await sender.tus("PATCH", url, content[:MB], Upload_Offset=0, **CHUNK)
    assert first.headers["upload-offset"] == str(MB)

    disk.fill(leave_bytes=4 * MB)
    refused = await sender.tus("PATCH", url, content[MB:], Upload_Offset=MB, **CHUNK)
    assert (refused.status, json.loads(refused.body)["type"]) == (507, "urn:tropa:problem:no-room")
    assert json.loads(refused.body)["detail"]
    assert (await sender.tus("POST", "/uploads/", Upload_Length=5)).status == 507

    # Somebody else takes the room while the bytes come: now it is the disk that refuses.
    site._receiver._has_room = lambda _bytes: True
    disk.fill(leave_bytes=2 * MB)
    full = await sender.tus("PATCH", url, *(content[at : at + 65536] for at in range(MB, len(content), 65536)),
                            Upload_Offset=MB, **CHUNK)  # fmt: skip
    assert full.status == 507
    kept = int((await sender.tus("HEAD", url)).headers["upload-offset"])
    assert MB <= kept < 4 * MB

    disk.make_room()
    last = await sender.tus("PATCH", url, content[kept:], Upload_Offset=kept, **CHUNK)
    assert last.headers["upload-offset"] == str(len(content))
    with app.app_context():
        row = uploads.find(upload_id)
        assert (row.state, row.sha256) == ("received", hashlib.sha256(content).hexdigest())
        assert uploads.part_path(settings, upload_id).read_bytes() == content
        db.session.remove()
        db.engine.dispose()
    shell.close()


def test_a_recording_says_so_keeps_what_was_written_and_goes_on(disk: SmallDisk):
    """The lesson itself is not touched; afterwards there are two whole segments with a gap between them."""
    live = disk.folder / "live"
    recorder = Recorder(live, "s1", "r1", START, 8, Reserve(4 * MB, 0))
    recorder.host_connected("VP8", True, START)
    host = Host(recorder)
    host.send(5)
    drain(recorder)
    assert recorder.status()["trouble"] is None
    disk.fill()
    host.send(5)
    drain(recorder)
    said = recorder.status()
    assert said["trouble"] == "disk_full"
    assert said["seconds"] == pytest.approx(5, abs=1.1)
    disk.make_room()
    host.send(45)
    drain(recorder)
    assert recorder.status()["trouble"] is None
    made = sealed(recorder, "ended", host.now_s)
    assert len(made["segments"]) == 2
    assert made["gaps"][0]["seconds"] > 5
    for segment in made["segments"]:
        path = live / "s1/r1" / segment["file"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == segment["sha256"]
        assert all(track is not None for track in probe.tracks(path))


def test_a_lesson_that_ends_on_a_full_disk_is_sealed_by_the_next_start(disk: SmallDisk):
    """Even the manifest finds no room: what was recorded stays as it is, and becomes a recording later."""
    live = disk.folder / "live"
    recorder = Recorder(live, "s1", "r1", START, 8)
    recorder.host_connected("VP8", True, START)
    host = Host(recorder)
    host.send(5)
    drain(recorder)
    disk.fill()
    with pytest.raises(OSError) as refused:
        recorder.seal("ended", host.now_s).result(20)
    assert refused.value.errno == errno.ENOSPC
    disk.make_room()
    left = recover(live, START + 10, 600)
    manifest = json.loads(seal_recovered(left["s1"]).read_text("utf-8"))
    assert sum(segment["duration_s"] for segment in manifest["segments"]) == pytest.approx(5, abs=1.1)


def wake(stage: WorkStage) -> None:
    """End the pause after a refusal, as a minute would."""
    with stage.rows(), write() as session:
        for model in (Rendition, Piece):
            for row in session.query(model):
                row.not_before = None


@pytest.mark.parametrize("leave_kb", [3000, 1200], ids=["reserve", "disk"])
def test_encoding_waits_for_room_and_goes_on(tmp_path: Path, disk: SmallDisk, leave_kb: int):
    """Neither the guard's refusal nor a disk that is full in mid-encode costs an attempt or leaves anything behind."""
    free_mb = "8" if leave_kb == 3000 else "1"
    with WorkStage(disk.folder, free_port(), TROPA_FREE_MB=free_mb, TROPA_FREE_PERCENT="0") as stage:
        segment = lessonmedia.lesson(tmp_path / "segment.mp4", 10, size="854x480")
        lessonmedia.seal(stage.data, stage.session_id, "rec1", [segment])
        disk.fill(leave_bytes=leave_kb * 1000)
        stage.start_beat()
        stage.start_worker()
        if free_mb == "8":
            stage.wait(lambda: _waits(stage, Kind.VOICE_OPUS), "there is too little room, and that is said")
        else:
            full = "No space left on device"
            stage.wait(lambda: full in stage.log("worker") and "disk_full" in stage.log("worker"), "the disk is full")
        assert stage.recording("rec1").state in ("waiting", "working")
        disk.make_room()
        wake(stage)
        stage.wait(lambda: stage.recording("rec1").state == "published", "every file is made", PATIENCE_S)
        recording = stage.recording("rec1")
        for row in recording.renditions:
            assert row.state == "published", (row.kind, row.state, row.error)
            content = (stage.data / "files" / row.key).read_bytes()
            assert hashlib.sha256(content).hexdigest() == row.sha256
            if row.kind in ("voice_opus", "video_small", "video_compat"):
                assert probe.decode(stage.data / "files" / row.key).errors == 0
        assert not [key for key in stage.stored() if key.endswith(".part")]
        stage.wait(lambda: list((stage.data / "tmp").iterdir()) == [], "no temporary folder is left")


@pytest.mark.parametrize("free_mb", [8, 1], ids=["reserve", "disk"])
def test_slides_wait_for_room_and_are_drawn(disk: SmallDisk, free_mb: int):
    """A full disk is not the deck's fault: it is said, nothing is left behind, and the pages are drawn afterwards."""
    more = {"TROPA_FREE_MB": str(free_mb), "TROPA_FREE_PERCENT": "0"}
    stage = WorkStage(disk.folder, free_port(), **more)
    with stage.rows():
        db.create_all()
        session_id = stage._seed()
        pages = [Image.effect_noise((1280, 720), 90).convert("RGB") for _ in range(3)]
        deck = disk.folder / "deck.pdf"
        pages[0].save(deck, save_all=True, append_images=pages[1:])
        stored = Files(stage.settings.storage_url).put(deck, f"decks/{session_id}/slides.pdf")
        deck.unlink()
        materials.put_deck(session_id, "slides.pdf", stored.key, stored.bytes, stored.sha256, None, utc_now())
        disk.fill(leave_bytes=MB if free_mb == 1 else 3 * MB)
        if free_mb == 1:
            # Nothing is held back: now it is the disk that refuses, in the middle of the pages.
            decks.prepare(replace(stage.settings, free_mb=0), materials.deck(session_id))
        else:
            assert decks.render_waiting(stage.settings) == 1
        row = materials.deck(session_id)
        assert (row.state, row.error, row.pages) == ("waiting", "disk_full", [])
        assert stage.stored() == {stored.key}
        assert list((stage.data / "tmp").glob("*")) == []
        disk.make_room()
        assert decks.render_waiting(stage.settings) == 1
        row = materials.deck(session_id)
        assert (row.state, row.error, len(row.pages)) == ("ready", "", 3)
        db.session.remove()
        db.engine.dispose()


def _waits(stage: WorkStage, kind: Kind) -> bool:
    row = stage.rendition("rec1", kind)
    return row is not None and row.error == "disk_full" and row.state != "failed"
