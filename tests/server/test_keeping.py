"""Keeping and removing files, and giving originals back."""

from __future__ import annotations

from pathlib import Path

from rules.lifecycle import RecordingState, RenditionState
from rules.renditions import Kind
from rules.space import Reserve
from store import database, retention
from store.models import Recording, Rendition
from tests.server.town import Town
from workers import keeping

ORIGINAL = b"as the camera wrote it"


def finish(town: Town, *, with_source: bool) -> dict[str, str]:
    """Have every file of the sample recording published; returns the files' ids by kind."""
    with town.app.app_context(), database.write() as session:
        recording = session.get_one(Recording, town.lessons.recording)
        recording.state = RecordingState.PUBLISHED.value
        if with_source:
            key = f"recordings/{recording.id}/source/segment-0001.mp4"
            path = Path(town.app.config["TROPA"].data, "files", key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ORIGINAL)
            recording.segments = [{"key": key, "bytes": len(ORIGINAL), "sha256": "1" * 64, "duration_s": 2400.0}]
        for row in recording.renditions:
            row.state, row.published_at, row.bytes = RenditionState.PUBLISHED.value, recording.created_at, 1000
            row.sha256 = "2" * 64
            row.key = row.key or f"recordings/{recording.id}/{row.kind}"
        return {row.kind: row.id for row in recording.renditions}


def state(town: Town, rendition_id: str) -> str:
    """Return a file's state as it is now."""
    with town.app.app_context():
        return database.db.session.get_one(Rendition, rendition_id).state


def test_a_removed_file_leaves_its_row_and_can_be_made_again(town: Town) -> None:
    """The page tells when it went; as soon as its bytes are gone the host has it made again."""
    files = finish(town, with_source=True)
    host, page = town.client("host"), f"/recordings/{town.lessons.recording}"
    assert host.post(f"{page}/remove/{files[Kind.VIDEO_COMPAT]}").status_code == 303
    assert state(town, files[Kind.VIDEO_COMPAT]) == "removed"
    assert "by hand" in town.client("teacher").get(page).get_data(as_text=True)
    remake = f"{page}/remake/{files[Kind.VIDEO_COMPAT]}"
    assert host.post(remake).status_code == 409
    with town.app.app_context():
        assert keeping.delete_removed(town.app.config["TROPA"]) == 1
    assert host.post(remake).status_code == 303
    assert state(town, files[Kind.VIDEO_COMPAT]) == "waiting"
    town.restore()


def test_the_last_copy_goes_only_when_that_is_meant(town: Town) -> None:
    """Without the source the last picture asks for a tick; without it nothing is removed."""
    files = finish(town, with_source=False)
    host, page = town.client("host"), f"/recordings/{town.lessons.recording}"
    assert host.post(f"{page}/remove/{files[Kind.VIDEO_COMPAT]}").status_code == 303
    last = f"{page}/remove/{files[Kind.VIDEO_SMALL]}"
    assert "last copy" in host.get(last).get_data(as_text=True)
    refused = host.post(last)
    assert refused.status_code == 409
    assert "Nothing was removed" in refused.get_data(as_text=True)
    assert state(town, files[Kind.VIDEO_SMALL]) == "published"
    assert host.post(last, data={"last_copy": "1"}).status_code == 303
    assert state(town, files[Kind.VIDEO_SMALL]) == "removed"
    town.restore()


def test_what_goes_is_announced_and_can_be_kept(town: Town) -> None:
    """A coordinator sets a day, sees what goes, keeps it, and upkeep leaves it alone; without that it goes."""
    files = finish(town, with_source=True)
    coordinator, page = town.client("coordinator"), f"/recordings/{town.lessons.recording}"
    assert coordinator.post("/storage", data={"video_compat": "1", "refused": "x"}).status_code == 422
    assert coordinator.post("/storage", data={"video_compat": "1", "refused": "30"}).status_code == 303
    said = coordinator.get("/storage").get_data(as_text=True)
    assert page in said
    assert "Video for old computers" in said
    with town.app.app_context():
        later = database.utc_now() + 2 * keeping.timedelta(days=1)
        assert len(keeping.listing(later)) == 1
        retention.keep(town.lessons.recording, town.district.people["host"], later)
        assert keeping.remove_due(later) == 0
        retention.keep(town.lessons.recording, None, later)
        assert keeping.remove_due(later) == 1
    assert state(town, files[Kind.VIDEO_COMPAT]) == "removed"
    town.restore()


def test_originals_come_back_to_those_who_may_have_them(town: Town) -> None:
    """The source of a recording and a refused upload are saved under a proper name, and shown to nobody else."""
    finish(town, with_source=True)
    source = f"/recordings/{town.lessons.recording}/source/1"
    given = town.client("host").get(source)
    assert (given.status_code, given.data) == (200, ORIGINAL)
    assert given.headers["Content-Type"] == "application/octet-stream"
    assert given.headers["Content-Disposition"].startswith("attachment")
    assert town.client("teacher").get(source).status_code == 404
    assert town.client("host").get(source[:-1] + "2").status_code == 404
    refused = town.client("host").get(f"/uploads/{town.lessons.refused_upload}/original")
    assert refused.data == bytes(1000)
    assert "%D1%83%D1%80%D0%BE%D0%BA.mp4" in refused.headers["Content-Disposition"]
    town.restore()


def test_coordinators_are_told_what_waits_for_room(town: Town, monkeypatch) -> None:
    """A disk below its reserve is said in words on the page of storage."""
    monkeypatch.setattr("store.space.reserve", lambda _settings: Reserve(1 << 60, 0))
    for path in ("/storage", "/"):
        said = town.client("coordinator").get(path).get_data(as_text=True)
        assert "Too little room. Waiting for it: uploads, the making of files" in said
    assert "Too little room" not in town.client("teacher").get("/").get_data(as_text=True)
