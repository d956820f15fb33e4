"""Keep the rows of uploads from the first word about a file to the recording made of it. Bytes lie in files beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import joinedload

from config import Settings
from rules import lifecycle
from rules.lifecycle import UploadState
from rules.rights import Actor, Role, may_administer
from store.database import LOCK_PEOPLE, new_id, write
from store.models import Session, Upload, db

UNFINISHED = (UploadState.RECEIVING,)
# A page writes these; everything else follows from the bytes.
EDITABLE = ("title", "subject", "grades", "description", "held_at", "session_id", "school_id")


class TooMany(Exception):
    """The person has as many unfinished uploads as are allowed."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A file that somebody is about to send; texts are cleaned, rights were asked."""

    person_id: str
    school_id: str
    session_id: str | None
    filename: str
    length: int
    title: str
    filetype: str = ""
    fingerprint: str = ""
    subject: str = ""
    grades: str = ""
    description: str = ""
    held_at: datetime | None = None
    metadata_text: str = ""


def folder(settings: Settings) -> Path:
    """Return where the bytes of uploads lie: `<id>.part`, and `<id>.json` that says how many of them count."""
    return settings.data / "uploads"


def part_path(settings: Settings, upload_id: str) -> Path:
    """Return the file with an upload's bytes; whole once its row is `received`."""
    return paths(folder(settings), upload_id)[0]


def paths(uploads_folder: Path, upload_id: str) -> tuple[Path, Path]:
    """Return the file with an upload's bytes, and the one that says how many of them count."""
    return uploads_folder / f"{upload_id}.part", uploads_folder / f"{upload_id}.json"


def remove_files(uploads_folder: Path, upload_id: str) -> None:
    """Remove an upload's files, or what is left of them."""
    part, mark = paths(uploads_folder, upload_id)
    for path in (part, mark, mark.with_suffix(".new")):
        path.unlink(missing_ok=True)


def announce(file: Announced, now: datetime, keep: timedelta, most: int) -> Upload:
    """Make the row of a file before its first byte. Raises TooMany beyond `most` unfinished ones of a person."""
    with write(LOCK_PEOPLE) as session:
        unfinished = select(func.count()).select_from(Upload)
        unfinished = unfinished.where(Upload.person_id == file.person_id, Upload.state.in_(UNFINISHED))
        if session.scalar(unfinished) >= most:
            raise TooMany
        row = Upload(
            id=new_id(),
            **{name: getattr(file, name) for name in Announced.__slots__},
            state=UploadState.RECEIVING.value,
            created_at=now,
            updated_at=now,
            expires_at=now + keep,
        )
        session.add(row)
    return row


def find(upload_id: str) -> Upload | None:
    """Load an upload with its person, school and lesson."""
    return db.session.scalar(_with_everything().where(Upload.id == upload_id))


def waiting_for(person_id: str, fingerprint: str, length: int, session_id: str | None) -> Upload | None:
    """Find a person's unfinished upload of the same file for the same lesson; None without a fingerprint."""
    if not fingerprint:
        return None
    same = _with_everything().where(
        Upload.person_id == person_id,
        Upload.fingerprint == fingerprint,
        Upload.length == length,
        Upload.session_id == session_id if session_id is not None else Upload.session_id.is_(None),
        Upload.state.in_(UNFINISHED),
    )
    return db.session.scalar(same.order_by(Upload.created_at, Upload.id).limit(1))


def promised_bytes() -> int:
    """Return how many bytes of all unfinished uploads are still to come."""
    left = func.coalesce(func.sum(Upload.length - Upload.offset), 0)
    return int(db.session.scalar(select(left).where(Upload.state.in_(UNFINISHED))))


def listed(actor: Actor, limit: int = 100) -> list[Upload]:
    """List the uploads that an actor may manage, unfinished ones first, then the newest."""
    query = _with_everything()
    if not may_administer(actor):
        schools = [school for role, school in actor.memberships if role is Role.COORDINATOR]
        if None not in schools:
            query = query.where(or_(Upload.person_id == actor.person_id, Upload.school_id.in_(schools)))
    order = (Upload.state != UploadState.RECEIVING, Upload.created_at.desc(), Upload.id)
    return list(db.session.scalars(query.order_by(*order).limit(limit)))


def of_session(session_id: str) -> list[Upload]:
    """List what was or is uploaded for a lesson, the newest first."""
    query = _with_everything().where(Upload.session_id == session_id).order_by(Upload.created_at.desc(), Upload.id)
    return list(db.session.scalars(query))


def unfinished() -> list[tuple[str, int]]:
    """List (id, length) of every upload whose last byte has not been noted."""
    query = select(Upload.id, Upload.length).where(Upload.state.in_(UNFINISHED))
    return [(upload_id, length) for upload_id, length in db.session.execute(query)]


def describe(upload_id: str, now: datetime, words: Mapping[str, object]) -> Upload | None:
    """Change what is written about a file, of EDITABLE, until a recording was made of it; None where it is too late."""
    with write() as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state == UploadState.TAKEN:
            return None
        for name in EDITABLE:
            if name in words:
                setattr(row, name, words[name])
        row.updated_at = now
    return row


def progress(upload_id: str, offset: int, now: datetime, keep: timedelta) -> None:
    """Note how far a file is; every piece of it prolongs the time that it is kept."""
    query = update(Upload).where(Upload.id == upload_id, Upload.state == UploadState.RECEIVING)
    with write() as session:
        session.execute(query.values(offset=offset, updated_at=now, expires_at=now + keep))


def mark_received(upload_id: str, sha256: str, now: datetime) -> bool:
    """Note that the last byte is there, with the digest of the whole; returns whether it was news."""
    with write() as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state != UploadState.RECEIVING:
            return False
        row.state = lifecycle.step(UploadState(row.state), UploadState.RECEIVED).value
        row.offset, row.sha256, row.received_at, row.updated_at = row.length, sha256, now, now
    return True


def received(limit: int = 100) -> list[str]:
    """List ids of uploads that wait to be made a recording of, the oldest first."""
    query = select(Upload.id).where(Upload.state == UploadState.RECEIVED)
    return list(db.session.scalars(query.order_by(Upload.received_at, Upload.id).limit(limit)))


def mark_taken(upload_id: str, recording_id: str, session_id: str, now: datetime) -> bool:
    """Note which recording was made of an upload (or was there, of the same file); returns whether it was news."""
    with write() as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state != UploadState.RECEIVED:
            return False
        row.state = lifecycle.step(UploadState(row.state), UploadState.TAKEN).value
        row.recording_id, row.session_id, row.failure, row.updated_at = recording_id, session_id, "", now
    return True


def mark_refused(upload_id: str, failure: str, now: datetime, keep: timedelta) -> bool:
    """Note why no recording can be made of an upload; the file stays for its owner. Returns whether it was news."""
    with write() as session:
        row = session.get(Upload, upload_id, with_for_update=True)
        if row is None or row.state != UploadState.RECEIVED:
            return False
        row.state = lifecycle.step(UploadState(row.state), UploadState.REFUSED).value
        row.failure, row.updated_at, row.expires_at = failure, now, now + keep
    return True


def try_again(upload_id: str, now: datetime) -> bool:
    """Have a refused file looked at again; returns whether it was one."""
    query = update(Upload).where(Upload.id == upload_id, Upload.state == UploadState.REFUSED)
    values = {"state": UploadState.RECEIVED.value, "failure": "", "updated_at": now}
    with write() as session:
        return session.execute(query.values(**values)).rowcount == 1


def remove(upload_id: str) -> bool:
    """Forget an upload that no recording was made of; returns whether there was one. Its file is the caller's."""
    gone = delete(Upload).where(Upload.id == upload_id, Upload.state.notin_((UploadState.TAKEN, UploadState.RECEIVED)))
    with write() as session:
        return session.execute(gone).rowcount == 1


def expire(now: datetime) -> list[str]:
    """Mark uploads that nobody went on with as expired; returns their ids. What was written about them stays."""
    query = select(Upload).where(
        Upload.state.in_((UploadState.RECEIVING, UploadState.REFUSED)), Upload.expires_at <= now
    )
    with write() as session:
        rows = list(session.scalars(query.with_for_update()))
        for row in rows:
            row.state = lifecycle.step(UploadState(row.state), UploadState.EXPIRED).value
            row.offset = 0
    return [row.id for row in rows]


def clean(before: datetime) -> int:
    """Delete rows of uploads that expired before this moment; returns how many."""
    gone = delete(Upload).where(Upload.state == UploadState.EXPIRED, Upload.expires_at < before)
    with write() as session:
        return session.execute(gone).rowcount


def _with_everything():
    lesson = joinedload(Upload.session).joinedload(Session.host_school)
    return select(Upload).options(joinedload(Upload.person), joinedload(Upload.school), lesson)
