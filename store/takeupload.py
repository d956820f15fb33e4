"""Make a recording of an uploaded file, and a lesson where none was booked: in one transaction, and once per file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import PurePath

from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession

from rules import grades
from rules.lifecycle import SessionKind, SessionState, UploadState
from rules.rights import Audience
from rules.search import fold
from store import takeover, uploads
from store.database import LOCK_UPLOADS, new_id, write
from store.models import Recording, Session, Upload, db

NO_CHANNEL = 0
MAX_TITLE_CHARS = 200
UNTITLED = "Без названия"


@dataclass(frozen=True, slots=True)
class Original:
    """An uploaded file that is in storage: its one segment and notes as store.models.Recording says."""

    recording_id: str
    segment: dict
    duration_s: float
    has_audio: bool
    has_video: bool
    notes: Sequence[dict] = ()


def same_file(row: Upload) -> str | None:
    """Find the recording that was made of the same bytes for the same lesson of the same person; None where none was.

    One whose source has been removed meanwhile does not count: the file brings it back.
    """
    query = select(Recording.id).join(Upload, Upload.recording_id == Recording.id)
    query = query.where(
        Upload.state == UploadState.TAKEN,
        Upload.person_id == row.person_id,
        Upload.sha256 == row.sha256,
        Upload.id != row.id,
        Recording.source_removed_at.is_(None),
    )
    if row.session_id is not None:
        query = query.where(Recording.session_id == row.session_id)
    return db.session.scalar(query.order_by(Upload.received_at).limit(1))


def take(upload_id: str, original: Original, now: datetime) -> str | None:
    """Make the rows of an uploaded file and note them in its own; returns the id of its recording.

    That of an earlier recording of the same file where there is one: then nothing is made. None where the upload waits
    no longer.
    """
    with write(LOCK_UPLOADS) as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state != UploadState.RECEIVED:
            return row.recording_id if row is not None and row.state == UploadState.TAKEN else None
        earlier = same_file(row)
        if earlier is not None:
            known = session.get_one(Recording, earlier)
            uploads.mark_taken(upload_id, known.id, known.session_id, now)
            return known.id
        lesson = session.get(Session, row.session_id) if row.session_id else None
        if lesson is None:
            lesson = _lesson(row, original.duration_s, now)
            session.add(lesson)
            session.flush()
        _record(session, lesson, row, original, now)
        uploads.mark_taken(upload_id, original.recording_id, lesson.id, now)
    return original.recording_id


def take_as(upload_id: str, recording_id: str, now: datetime) -> bool:
    """Note that an upload is the same file as an earlier one; False where that has changed meanwhile."""
    with write(LOCK_UPLOADS) as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state != UploadState.RECEIVED or same_file(row) != recording_id:
            return False
        return uploads.mark_taken(upload_id, recording_id, session.get_one(Recording, recording_id).session_id, now)


def _lesson(row: Upload, duration_s: float, now: datetime) -> Session:
    """Make a lesson that was never booked: it took place without a live channel, and is over."""
    title = (row.title or PurePath(row.filename).stem).strip()[:MAX_TITLE_CHARS] or UNTITLED
    starts_at = row.held_at or row.received_at or now
    held = grades.parse(row.grades)
    return Session(
        id=new_id(),
        kind=SessionKind.OPEN_LESSON.value,
        title=title,
        subject=row.subject,
        description=row.description,
        grades=grades.canonical(held),
        grades_mask=grades.mask(held),
        search_text=fold(f"{title} {row.subject} {row.description}"),
        host_school_id=row.school_id,
        host_person_id=row.person_id,
        starts_at=starts_at,
        minutes=max(1, math.ceil(duration_s / 60)),
        channel=NO_CHANNEL,
        audience=Audience.DISTRICT.value,
        state=SessionState.ENDED.value,
        created_by=row.person_id,
        created_at=now,
        updated_at=now,
        ended_at=starts_at + timedelta(seconds=duration_s),
    )


def _record(session: OrmSession, lesson: Session, row: Upload, original: Original, now: datetime) -> None:
    """Make the recording with its planned files. The lesson's own state is not touched: it may be yet to come."""
    started_at = row.held_at or lesson.first_live_at or lesson.starts_at
    sealed = takeover.Sealed(
        id=original.recording_id,
        session_id=lesson.id,
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=original.duration_s),
        has_video=original.has_video,
        has_audio=original.has_audio,
        segments=[original.segment],
        duration_s=original.duration_s,
    )
    recording = takeover.recording_row(sealed, now)
    recording.origin, recording.notes = "upload", list(original.notes)
    session.add(recording)
    session.flush()
    session.add_all(takeover.planned_rows(sealed, now))
