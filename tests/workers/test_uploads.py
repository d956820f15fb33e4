"""Uploads are taken over once, whatever happens in between. What is in a file is tests/slow/test_input_zoo.py's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from config import Settings
from rules.intake import FileFacts, Measured, Medium, StreamFacts, Trouble
from rules.lifecycle import SessionState
from rules.rights import Role
from store import database, people, takeupload, uploads
from store.files import Files
from store.models import Recording, Session, Upload, db
from store.uploads import Announced
from workers import examine
from workers import uploads as intake

CONTENT = b"the bytes of a film" * 100
PICTURE = StreamFacts(0, Medium.VIDEO, "h264", known_codec=True, width=640, height=360)
SEEN = Measured(0, "h264", 0.0, 90.0, 2250, decoded=True, width=640, height=360, active_fps=25.0)
FILM = FileFacts(demuxer="mov,mp4", declared_s=90.0, streams=(PICTURE,), video=SEEN)


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh installation."""
    return Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": "s" * 64})


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """A database with a school and a host."""
    made = database.bare_app(settings)
    with made.app_context():
        db.create_all()
        now = database.utc_now()
        school = people.create_school("Сосновская школа", "Asia/Krasnoyarsk", now)
        for name in ("host", "other"):
            people.create_person(f"{name}@tropa.example", name, "long enough", [(Role.HOST, school.id)], now)
        yield made
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(autouse=True)
def reads_film(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find a film of a minute and a half in every file."""
    monkeypatch.setattr(examine, "examine", lambda _path, _max_s: FILM)
    monkeypatch.setattr(examine, "opens", lambda _path, _streams: True)


def send(settings: Settings, who: str = "host", content: bytes = CONTENT, **words: object) -> str:
    """Lay down a file that has come whole; returns its upload's id."""
    now = database.utc_now()
    person = people.person_by_email(f"{who}@tropa.example")
    facts = {"session_id": None, "filename": "IMG_0001.MOV", "title": "", **words}
    file = Announced(person.id, people.schools()[0].id, length=len(content), **facts)
    made = uploads.announce(file, now, timedelta(days=7), 100).id
    path = uploads.part_path(settings, made)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    uploads.mark_received(made, hashlib.sha256(content).hexdigest(), now)
    return made


def stored(settings: Settings) -> list[str]:
    """List the files in storage."""
    root = settings.data / "files"
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


def test_a_file_becomes_a_lesson_that_is_over(app: Flask, settings: Settings) -> None:
    """Its title, host and length are the lesson's; the original is in storage, what was sent is gone."""
    upload_id = send(settings, title="Реки и озёра", subject="География", grades="5+6")
    assert intake.scan(settings) == 1
    row = uploads.find(upload_id)
    recording = db.session.get(Recording, row.recording_id)
    lesson = recording.session
    assert (row.state, lesson.title, lesson.state) == ("taken", "Реки и озёра", SessionState.ENDED)
    assert (lesson.grades, lesson.minutes, lesson.host_person_id) == ("5+6", 2, row.person_id)
    assert [one.kind for one in recording.renditions] == ["video_small", "video_compat"]
    assert stored(settings) == [f"recordings/{recording.id}/source/segment-0001.mp4"]
    assert not uploads.part_path(settings, upload_id).exists()


def test_a_file_without_a_title_is_called_as_it_came(app: Flask, settings: Settings) -> None:
    """Better the camera's name than none."""
    upload_id = send(settings)
    intake.scan(settings)
    assert uploads.find(upload_id).session.title == "IMG_0001"


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (examine, "examine"),
        (Files, "adopt"),
        (takeupload, "take"),
        (intake, "_remove_taken"),
    ],
)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_step_costs_nothing_and_doubles_nothing(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, after: bool
) -> None:
    """Whichever step was the last, the next scan leads to one recording with one file in storage."""
    upload_id = send(settings)
    whole = getattr(owner, name)

    def killed(*args: object, **more: object) -> None:
        if after:
            whole(*args, **more)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, killed)
        with pytest.raises(Killed):
            intake.scan(settings)
    db.session.rollback()
    intake.scan(settings)
    assert db.session.query(Recording).count() == 1
    assert db.session.query(Session).count() == 1
    assert uploads.find(upload_id).state == "taken"
    assert len(stored(settings)) == 1
    assert not uploads.part_path(settings, upload_id).exists()


def test_the_same_bytes_of_one_person_are_one_recording(app: Flask, settings: Settings) -> None:
    """Another person's file of the same bytes is their own."""
    first, again, other = send(settings), send(settings), send(settings, "other")
    intake.scan(settings)
    rows = {one: uploads.find(one) for one in (first, again, other)}
    assert rows[first].recording_id == rows[again].recording_id != rows[other].recording_id
    assert {row.state for row in rows.values()} == {"taken"}
    assert db.session.query(Recording).count() == 2
    assert len(stored(settings)) == 2


def test_who_comes_second_leaves_nothing_behind(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where another machine was quicker with the same file, its recording counts and this one's copy goes."""
    send(settings)
    again = send(settings)
    monkeypatch.setattr(intake.takeupload, "same_file", _not_at_first(takeupload.same_file, 2))
    intake.scan(settings)
    assert db.session.query(Recording).count() == 1
    assert uploads.find(again).state == "taken"
    assert len(stored(settings)) == 1


def _not_at_first(real, times: int):
    """Answer None so many times for the second upload's first look, then as it is."""
    asked: list[Upload] = []

    def look(row: Upload) -> str | None:
        asked.append(row)
        return real(row) if len(asked) > times + 1 else None

    return look


def test_what_cannot_be_a_lesson_stays_for_its_owner(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes are where they were, the reason is in the row, for as long as the policy says."""
    monkeypatch.setattr(examine, "examine", lambda _path, _max_s: FileFacts(Trouble.NOT_MEDIA))
    upload_id = send(settings)
    assert intake.scan(settings) == 1
    row = uploads.find(upload_id)
    assert (row.state, row.failure) == ("refused", "not_media")
    assert uploads.part_path(settings, upload_id).read_bytes() == CONTENT
    assert timedelta(days=29) < row.expires_at - database.utc_now() < timedelta(days=31)
    assert stored(settings) == []


def test_what_the_encoders_cannot_open_is_refused_at_once(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two versions of FFmpeg read a file; what the second one refuses must not fail hours later as damaged."""
    asked = []
    monkeypatch.setattr(examine, "opens", lambda path, streams: asked.append((path.stem, streams)))
    upload_id = send(settings)
    intake.scan(settings)
    assert (uploads.find(upload_id).state, uploads.find(upload_id).failure) == ("refused", "undecodable")
    assert asked == [(upload_id, [FILM.video.index])]
    assert stored(settings) == []


def test_a_file_that_changed_on_the_disk_is_refused(app: Flask, settings: Settings) -> None:
    """What the sender sent is not what lies here: nothing is made of it."""
    upload_id = send(settings)
    uploads.part_path(settings, upload_id).write_bytes(b"x" * len(CONTENT))
    intake.scan(settings)
    assert (uploads.find(upload_id).state, uploads.find(upload_id).failure) == ("refused", "checksum")
    assert stored(settings) == []


def test_what_a_dead_reader_says_is_not_believed() -> None:
    """Half an answer, or none, counts as a file that was too much for its reader."""
    assert examine.facts_of(b"").trouble is Trouble.TOO_COSTLY
    assert examine.facts_of(b'{"trouble": null}').trouble is Trouble.TOO_COSTLY
