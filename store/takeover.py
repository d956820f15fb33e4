"""Take recordings over from sealed manifests: rows of the recording, its planned files and who came, exactly once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as OrmSession

from rules import lifecycle, renditions
from rules.lifecycle import RecordingState, RenditionState, SessionState
from rules.renditions import Kind
from store.buckets import free_rest
from store.database import new_id, write
from store.models import Attendance, Guest, Membership, Recording, Rendition, School, Session


class NoSuchSession(ValueError):
    """A manifest tells of a session that is not in the database."""


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of one viewer: `key` is "person:<id>" or "guest:<id>", `school` an id, a name or ""."""

    key: str
    name: str
    school: str
    joined_at: datetime
    left_at: datetime


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed recording whose segments are in storage; `segments` and `gaps` as store.models.Recording says.

    With a `failure` (the code of a reason) nothing can be made of it: no file is planned, the recording has failed.
    """

    id: str
    session_id: str
    started_at: datetime
    ended_at: datetime
    has_video: bool
    segments: Sequence[dict]
    gaps: Sequence[dict] = ()
    attendance: Sequence[Stay] = ()
    duration_s: float | None = None
    has_audio: bool = True
    failure: str = ""


def create_recording(sealed: Sealed, now: datetime) -> bool:
    """Make the rows of a sealed recording with its planned files, end its session, note who came.

    Returns False, changing nothing, where the recording is known. Raises NoSuchSession.
    """
    with write() as session:
        if session.get(Recording, sealed.id) is not None:
            return False
        lesson = session.get(Session, sealed.session_id, with_for_update=True)
        if lesson is None:
            raise NoSuchSession(sealed.session_id)
        try:
            with session.begin_nested():
                session.add(recording_row(sealed, now))
                session.flush()
                session.add_all(planned_rows(sealed, now))
                session.add_all(_attendance(session, sealed))
        except IntegrityError:
            # Another worker has taken the same manifest over meanwhile; anything else is an error.
            if session.get(Recording, sealed.id) is None:
                raise
            return False
        if _end(lesson, sealed):
            free_rest(session, lesson.id, lesson.ended_at)
    return True


def recording_row(sealed: Sealed, now: datetime) -> Recording:
    """Make the row of a recording, not yet added to any transaction."""
    digests = "".join(segment["sha256"] for segment in sealed.segments)
    return Recording(
        id=sealed.id,
        session_id=sealed.session_id,
        state=(RecordingState.FAILED if sealed.failure else RecordingState.WAITING).value,
        failure=sealed.failure,
        started_at=sealed.started_at,
        ended_at=sealed.ended_at,
        duration_s=sealed.duration_s,
        has_video=sealed.has_video,
        segments=list(sealed.segments),
        gaps=list(sealed.gaps),
        source_sha256=hashlib.sha256(digests.encode()).hexdigest(),
        created_at=now,
    )


def planned_rows(sealed: Sealed, now: datetime) -> list[Rendition]:
    """Make the rows of the files that will be made of a recording."""
    return [
        Rendition(
            id=new_id(),
            recording_id=sealed.id,
            kind=kind.value,
            position=position,
            preset_version=renditions.PRESET_VERSION,
            state=RenditionState.WAITING.value,
            created_at=now,
        )
        for position, kind in enumerate(_kinds(sealed))
    ]


def _kinds(sealed: Sealed) -> tuple[Kind, ...]:
    if sealed.failure:
        return ()
    planned = renditions.planned_kinds(sealed.has_video)
    return tuple(kind for kind in planned if sealed.has_audio or kind in renditions.VIDEO_KINDS)


def _attendance(session: OrmSession, sealed: Sealed) -> list[Attendance]:
    # The same viewer cannot have joined twice at one moment; a manifest that says so counts once.
    stays = {(stay.key, stay.joined_at): stay for stay in sealed.attendance}.values()
    school_ids = _school_ids(session, stays)
    return [
        Attendance(
            session_id=sealed.session_id,
            recording_id=sealed.id,
            viewer_key=stay.key[:40],
            name=stay.name[:200],
            school_id=school_ids.get(stay.school) or school_ids.get(stay.key),
            joined_at=stay.joined_at,
            left_at=stay.left_at,
        )
        for stay in stays
    ]


def _school_ids(session: OrmSession, stays) -> dict[str, str]:
    """Map what tickets say of schools (ids or names), and viewers' keys for lack of that, to school ids."""
    said = {stay.school for stay in stays if stay.school}
    found: dict[str, str] = {}
    for row in session.scalars(select(School).where(School.id.in_(said) | School.name.in_(said))):
        found[row.id] = found[row.name] = row.id
    ids = {stay.key.partition(":")[2] for stay in stays}
    guests = select(Guest.id, Guest.school_id).where(Guest.id.in_(ids), Guest.school_id.is_not(None))
    found |= {f"guest:{guest}": school for guest, school in session.execute(guests)}
    held = select(Membership.person_id, Membership.school_id).where(
        Membership.person_id.in_(ids), Membership.school_id.is_not(None)
    )
    found |= {f"person:{person}": school for person, school in session.execute(held.order_by(Membership.id.desc()))}
    return found


def _end(lesson: Session, sealed: Sealed) -> bool:
    """Note when a lesson was on air; returns whether this is what ends it."""
    lesson.first_live_at = min(lesson.first_live_at or sealed.started_at, sealed.started_at)
    lesson.ended_at = max(lesson.ended_at or sealed.ended_at, sealed.ended_at)
    live_again = lesson.last_live_at is not None and lesson.last_live_at > sealed.ended_at
    ends = lesson.state in (SessionState.BOOKED, SessionState.LIVE) and not live_again
    if ends:
        lesson.state = lifecycle.step(SessionState(lesson.state), SessionState.ENDED).value
    return ends
