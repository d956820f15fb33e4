"""A lesson of Sosnovka school for itself alone, with recording, files, a guest and a seminar."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from flask import Flask

from rules import tickets
from rules.lifecycle import RecordingState, RenditionState, SessionKind
from rules.renditions import CONTAINERS, Kind, planned_kinds
from rules.rights import Audience
from rules.tickets import Action, Ticket
from store import booking, database, guests, seminars, uploads
from store.booking import Draft
from store.models import Attendance, Recording, Rendition, db

BODY = bytes(range(256)) * 40
TITLE = "Дроби: повторение"


@dataclass(frozen=True, slots=True)
class Lessons:
    """Ids of the sample: a booked session for Sosnovka alone, one for the district, and what belongs to the first."""

    session: str
    open_session: str
    seminar: str
    guest: str
    guest_ticket: str
    recording: str
    rendition: str
    failed_rendition: str
    file_url: str
    upload: str
    refused_upload: str


def next_lesson_start() -> datetime:
    """Return ten o'clock in Krasnoyarsk, two days ahead."""
    return (datetime.now(UTC) + timedelta(days=2)).replace(hour=3, minute=0, second=0, microsecond=0)


def lesson_draft(district, **changes) -> Draft:
    """Return a draft of a lesson that Sosnovka hosts for itself."""
    facts = {
        "kind": SessionKind.OPEN_LESSON,
        "title": TITLE,
        "subject": "Математика",
        "host_school_id": district.schools["sosnovka"],
        "host_person_id": district.people["host"],
        "starts_at": next_lesson_start(),
        "minutes": 45,
        "description": "Приносите тетради",
        "grades": frozenset({5, 6}),
        "audience": Audience.INVITED,
        "invited": frozenset({district.schools["sosnovka"]}),
    }
    return Draft(**facts | changes)


def make_lessons(app: Flask, district) -> Lessons:
    """Fill the tables and the storage."""
    now = database.utc_now()
    with app.app_context():
        seminar = seminars.create_seminar(
            "Методический день", "", district.schools["sosnovka"], district.people["school_coordinator"], now
        )
        first = booking.book(lesson_draft(district, seminar_id=seminar.id), district.people["coordinator"], now, 4)
        later = next_lesson_start() + timedelta(hours=3)
        other = booking.book(
            lesson_draft(district, starts_at=later, audience=Audience.DISTRICT, invited=frozenset()),
            district.people["coordinator"],
            now,
            4,
        )
        assert isinstance(first, booking.Booked) and isinstance(other, booking.Booked)
        expires_at = next_lesson_start() + timedelta(days=1)
        guest = guests.add_guest(
            first.session_id, district.schools["sosnovka"], "Гость", district.people["host"], now, expires_at
        )
        key = tickets.derive(app.config["TROPA"].secret_key, "tickets")
        ticket = Ticket(Action.JOIN, first.session_id, f"guest:{guest.id}", "Гость", "", int(expires_at.timestamp()))
        recording, rendition, failed = _record(app, first.session_id, now)
        return Lessons(
            session=first.session_id,
            open_session=other.session_id,
            seminar=seminar.id,
            guest=guest.id,
            guest_ticket=tickets.make(ticket, key),
            recording=recording,
            rendition=rendition,
            failed_rendition=failed,
            file_url=f"/files/{rendition}/x",
            upload=_announce(district, first.session_id, now),
            refused_upload=_refused(app, district, now),
        )


def _announce(district, session_id: str | None, now: datetime) -> str:
    file = uploads.Announced(
        person_id=district.people["host"],
        school_id=district.schools["sosnovka"],
        session_id=session_id,
        filename="урок.mp4",
        length=1000,
        title="Урок",
    )
    return uploads.announce(file, now, timedelta(days=7), 20).id


def _refused(app: Flask, district, now: datetime) -> str:
    made = _announce(district, None, now)
    kept = uploads.part_path(app.config["TROPA"], made)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(bytes(1000))
    uploads.mark_received(made, "0" * 64, now)
    uploads.mark_refused(made, "no_sound_or_picture", now, timedelta(days=7))
    return made


def _record(app: Flask, session_id: str, now: datetime) -> tuple[str, str, str]:
    recording = Recording(
        id=database.new_id(),
        session_id=session_id,
        state=RecordingState.WORKING.value,
        started_at=now,
        ended_at=now + timedelta(minutes=40),
        duration_s=2400.0,
        gaps=[{"at_s": 61.0, "seconds": 12.0}],
        source_sha256="0" * 64,
        created_at=now,
        published_at=now,
    )
    made = {}
    with database.write() as session:
        session.add(recording)
        for position, kind in enumerate(planned_kinds(True)):
            made[kind] = _rendition(recording.id, kind, position, now)
            session.add(made[kind])
        stay = Attendance(
            session_id=session_id,
            recording_id=recording.id,
            viewer_key="guest:x",
            name="Гость",
            joined_at=now,
            left_at=now + timedelta(minutes=30),
        )
        session.add(stay)
    voice = made[Kind.VOICE_OPUS]
    path = Path(app.config["TROPA"].data, "files", voice.key)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BODY)
    return recording.id, voice.id, made[Kind.VIDEO_COMPAT].id


def _rendition(recording_id: str, kind: Kind, position: int, now: datetime) -> Rendition:
    states = {Kind.VOICE_OPUS: RenditionState.PUBLISHED, Kind.VIDEO_SMALL: RenditionState.ENCODING}
    state = states.get(kind, RenditionState.FAILED if kind is Kind.VIDEO_COMPAT else RenditionState.WAITING)
    row = Rendition(
        id=database.new_id(),
        recording_id=recording_id,
        kind=kind.value,
        position=position,
        preset_version=1,
        state=state.value,
        created_at=now,
    )
    if state is RenditionState.PUBLISHED:
        row.key = f"recordings/{recording_id}/{kind.value}-0123456789abcdef.{CONTAINERS[kind].extension}"
        row.content_type = CONTAINERS[kind].content_type
        row.bytes, row.sha256, row.duration_s = len(BODY), hashlib.sha256(BODY).hexdigest(), 2400.0
        row.published_at = now
    elif state is RenditionState.ENCODING:
        row.stage, row.percent, row.eta_s = "encode", 42.0, 90.0
    elif state is RenditionState.FAILED:
        row.error = "<b>no picture</b>"
    return row


def close(app: Flask) -> None:
    """Let go of the database's connections, so that its file can be exchanged."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()
