"""Clean-up removes what is old and nothing else."""

import os
from datetime import timedelta

from config import Settings
from rules.lifecycle import SessionKind
from rules.rights import Role
from store import booking, people, uploads
from store.database import bare_app, utc_now
from store.models import Session, db
from workers import upkeep


def test_folders_in_which_nothing_changes_any_more_are_removed(tmp_path):
    """An old folder goes; one with a file that is still being written stays, and so does a plain file."""
    for name in ("old", "busy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "made.mp4").write_bytes(b"x")
        os.utime(tmp_path / name / "made.mp4", (1000, 1000))
        os.utime(tmp_path / name, (1000, 1000))
    os.utime(tmp_path / "busy" / "made.mp4", (5000, 5000))
    (tmp_path / "note").write_text("kept")
    assert upkeep.remove_stale(tmp_path, 2000) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["busy", "note"]


def test_no_folder_is_no_trouble(tmp_path):
    """Before the first encode there is nothing to clean."""
    assert upkeep.remove_stale(tmp_path / "tmp", 2000) == 0


def test_folders_of_lessons_whose_recordings_were_taken_over_go(tmp_path):
    """An empty folder goes once it is old; a new one and one that holds a recording stay."""
    for name in ("old", "new", "full/r1"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "file").write_text("")
    for name in ("old", "full", "file"):
        os.utime(tmp_path / name, (1000.0, 1000.0))
    assert upkeep.remove_empty(tmp_path, 2000.0) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "full", "new"]
    assert upkeep.remove_empty(tmp_path / "nothing", 2000.0) == 0


def test_lessons_that_nobody_held_end_by_clean_up(tmp_path):
    """A lesson booked for yesterday that never went live has ended; the one of tomorrow is still booked."""
    settings = Settings.from_env({"TROPA_DATA": str(tmp_path)})
    now = utc_now()
    with bare_app(settings).app_context():
        db.create_all()
        school = people.create_school("Школа", "Europe/Moscow", now)
        host = people.add_person("host@tropa.example", "Ведущая", "", [(Role.HOST, school.id)], now)
        draft = {"kind": SessionKind.WEBINAR, "title": "Т", "subject": "П", "minutes": 45}
        draft |= {"host_school_id": school.id, "host_person_id": host.id}
        made = [
            booking.book(
                booking.Draft(**draft, starts_at=now + timedelta(days=days)), host.id, now - timedelta(days=2), 1
            )
            for days in (-1, 1)
        ]
        upkeep.clean(settings)
        assert [db.session.get(Session, one.session_id).state for one in made] == ["ended", "booked"]
        db.session.remove()
        db.engine.dispose()


def test_uploads_that_nobody_goes_on_with_lose_their_bytes_and_keep_their_words(tmp_path):
    """The expired one's file and one without a row go; the one that was prolonged stays whole."""
    settings = Settings.from_env({"TROPA_DATA": str(tmp_path)})
    now, week = utc_now(), timedelta(days=7)
    with bare_app(settings).app_context():
        db.create_all()
        school = people.create_school("Школа", "Europe/Moscow", now)
        host = people.add_person("host@tropa.example", "Ведущая", "", [(Role.HOST, school.id)], now)
        file = uploads.Announced(host.id, school.id, None, "урок.mp4", 10, "Урок")
        old, kept = (uploads.announce(file, now - timedelta(days=8), week, 9).id for _ in range(2))
        uploads.progress(kept, 4, now, week)
        uploads.folder(settings).mkdir()
        for name in (old, kept, "norowhere000"):
            for path in uploads.paths(uploads.folder(settings), name):
                path.write_bytes(b"x")
        assert upkeep.expire_uploads(settings, now) == 2
        assert sorted(path.stem for path in uploads.folder(settings).iterdir()) == [kept, kept]
        assert (uploads.find(old).state, uploads.find(old).title) == ("expired", "Урок")
        assert upkeep.expire_uploads(settings, now) == 0
