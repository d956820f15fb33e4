"""Lead each file of a recording to being published exactly once.

A worker takes a rendition with a lease and reports under its own name; every report is a compare-and-set on that name,
so that a worker that lost its lease changes nothing any more. The recording's row is locked first, as its state follows
from all of its files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.orm import Session as OrmSession

from rules import leases
from rules.leases import Verdict
from rules.lifecycle import OVER, PieceState, RenditionState
from rules.renditions import VIDEO_KINDS, VOICE_KINDS, Kind
from store import leased, pieces
from store.database import write
from store.models import Recording, Rendition, db
from store.piecemodels import Piece

_BUSY = (RenditionState.ENCODING, RenditionState.VERIFYING)
_FREE = (RenditionState.WAITING, RenditionState.PIECES)


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker must know to make one file; `segments` and `plan` as store.models.Recording says.

    `left_key` is where an earlier attempt may have left a file in storage, "" where none came so far.
    """

    rendition_id: str
    recording_id: str
    session_id: str
    kind: Kind
    attempts: int
    segments: tuple[dict, ...]
    plan: dict | None = None
    left_key: str = ""


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """A verified file in storage. `fps`, `width` and `height` are None for voice."""

    key: str
    content_type: str
    bytes: int
    sha256: str
    duration_s: float
    width: int | None = None
    height: int | None = None
    fps: float | None = None


def next_renditions(now: datetime, limit: int = 100) -> list[str]:
    """List ids of files that a worker may take now, smallest kind first: waiting, or left by a worker that is gone.

    Pictures are made in pieces (store.pieces) and come here when all of theirs are done.
    """
    free = leased.may_be_taken(Rendition, _FREE, now) & or_(Rendition.kind.not_in(VIDEO_KINDS), _pieces_are_done())
    query = select(Rendition.id).where(free | leased.is_abandoned(Rendition, _BUSY, now))
    return list(db.session.scalars(query.order_by(Rendition.position, Rendition.created_at).limit(limit)))


def _pieces_are_done() -> ColumnElement[bool]:
    """Select pictures that can be put together: they have stretches, and all of them are done."""
    own = Piece.rendition_id == Rendition.id
    return exists().where(own, Piece.sort == pieces.Sort.STRETCH) & ~exists().where(own, Piece.state != PieceState.DONE)


def known_failure(recording_id: str) -> str | None:
    """Return why a recording could not be taken over, "" where it was, None where it is not known at all."""
    recording = db.session.get(Recording, recording_id)
    if recording is None:
        return None
    return recording.failure or "unknown" if not recording.segments else ""


def work(rendition_id: str) -> Work | None:
    """Load what a worker must know of a file, None for an unknown id."""
    row = db.session.get(Rendition, rendition_id, populate_existing=True)
    if row is None:
        return None
    recording = row.recording
    db.session.refresh(recording, ["plan"])
    return Work(
        rendition_id=row.id,
        recording_id=row.recording_id,
        session_id=recording.session_id,
        kind=Kind(row.kind),
        attempts=row.attempts,
        segments=tuple(recording.segments),
        plan=recording.plan,
        left_key=row.key if row.state != RenditionState.PUBLISHED else "",
    )


def is_wanted(rendition_id: str, key: str) -> bool:
    """Tell whether what lies in storage under this key is a file's, or is about to be: its worker has said so."""
    row = db.session.get(Rendition, rendition_id, populate_existing=True)
    over = (RenditionState.FAILED, RenditionState.CANCELLED)
    return row is not None and row.key == key and row.state not in over


def published(recording_id: str, kind: Kind) -> Rendition | None:
    """Load a recording's published file of this kind."""
    query = select(Rendition).where(Rendition.recording_id == recording_id, Rendition.kind == kind)
    return db.session.scalar(query.where(Rendition.state == RenditionState.PUBLISHED))


def leases_held(now: datetime) -> list[tuple[str, str, Kind]]:
    """List the files being made, with the owners of their leases and the files' kinds."""
    query = select(Rendition.id, Rendition.lease_owner, Rendition.kind)
    held = db.session.execute(query.where(Rendition.state.in_(_BUSY), Rendition.lease_until > now))
    return [(rendition_id, owner, Kind(kind)) for rendition_id, owner, kind in held]


def end_lease(rendition_id: str, owner: str, now: datetime) -> bool:
    """End the lease of an owner that is known to be dead, so that nobody waits for it to run out."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        leased.step(row, RenditionState.WAITING)
        leased.bury(row, now)
        leased.conclude(session, row.recording)
    return True


def take(rendition_id: str, owner: str, now: datetime, lease_s: float = leases.LEASE_S) -> Verdict:
    """Take a file to be made under a lease for `owner` (a name no other worker process has, at most 80 characters).

    Only Verdict.TAKE gives the lease; GIVE_UP has marked the file failed; OVER also stands for an unknown id.
    """
    with write() as session:
        row = _locked(session, rendition_id)
        if row is None:
            return Verdict.OVER
        verdict = leased.judge(row, now)
        if row.state in _FREE and row.kind in VIDEO_KINDS and not _is_ready(session, row):
            return Verdict.LATER
        if verdict is Verdict.TAKE:
            leased.give(row, owner, now, lease_s)
            if row.state in _BUSY:
                leased.step(row, RenditionState.WAITING)
            leased.step(row, RenditionState.ENCODING)
            row.stage, row.eta_s = "", None
        elif verdict is Verdict.GIVE_UP:
            _fail(session, row, row.error or "workers_died")
        leased.conclude(session, row.recording)
    return verdict


def _is_ready(session: OrmSession, row: Rendition) -> bool:
    return session.scalar(select(Rendition.id).where(Rendition.id == row.id, _pieces_are_done())) is not None


def progress(
    rendition_id: str,
    owner: str,
    now: datetime,
    *,
    state: RenditionState,
    stage: str,
    percent: float,
    eta_s: float | None = None,
    lease_s: float = leases.LEASE_S,
) -> bool:
    """Report progress and renew the lease; returns False where the lease is lost: stop, and leave the file alone."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        if row.state != state:
            leased.step(row, state)
        row.stage, row.percent, row.eta_s = stage[:16], min(100.0, max(0.0, percent)), eta_s
        leased.renew(row, now, lease_s)
    return True


def intend(rendition_id: str, owner: str, key: str) -> bool:
    """Note under which key a file is about to be put, so that what a kill leaves is found; False: lease lost."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is not None:
            row.key = key
    return row is not None


def publish(rendition_id: str, owner: str, now: datetime, file: PublishedFile) -> bool:
    """Publish a verified file; returns False where the lease is lost or it is published already.

    A file that is still marked as being encoded passes through verifying: what is published has been verified.
    """
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        if row.state == RenditionState.ENCODING:
            leased.step(row, RenditionState.VERIFYING)
        leased.step(row, RenditionState.PUBLISHED)
        row.former_key = ""
        row.key, row.content_type, row.bytes, row.sha256 = file.key, file.content_type, file.bytes, file.sha256
        row.duration_s, row.width, row.height, row.fps = file.duration_s, file.width, file.height, file.fps
        row.stage, row.percent, row.eta_s, row.error, row.published_at = "", 100.0, None, "", now
        leased.let_go(row)
        pieces.drop_all(session, [row.id])
        row.recording.published_at = row.recording.published_at or now
        if row.recording.duration_s is None:
            row.recording.duration_s = file.duration_s
        leased.conclude(session, row.recording)
    return True


def fail(rendition_id: str, owner: str, now: datetime, error: str, *, permanent: bool = False) -> float | None:
    """Report that a file could not be made; returns the seconds until it is to be tried again, None for never.

    None also where the lease is lost, and then nothing changes.
    """
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return None
        delay_s = leased.trouble(row, now, error, permanent=permanent)
        if delay_s is None:
            _fail(session, row, row.error)
        else:
            leased.step(row, RenditionState.WAITING)
        leased.conclude(session, row.recording)
    return delay_s


def _fail(session: OrmSession, row: Rendition, error: str) -> None:
    leased.step(row, RenditionState.FAILED)
    row.error = error
    leased.let_go(row)
    pieces.drop_all(session, [row.id])


def release(rendition_id: str, owner: str) -> bool:
    """Put a file back that its worker must leave because it is told to stop: this attempt does not count."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        leased.step(row, RenditionState.WAITING)
        row.attempts -= 1
        row.stage, row.percent, row.eta_s = "", 0.0, None
        leased.let_go(row)
        leased.conclude(session, row.recording)
    return True


def retry(recording_id: str) -> list[str]:
    """Have a recording's failed and cancelled files made again; returns their ids."""
    return _all_of(recording_id, (RenditionState.FAILED, RenditionState.CANCELLED), RenditionState.WAITING)


def cancel(recording_id: str) -> list[str]:
    """Stop the work on everything of a recording that is not over; returns the files' ids.

    Whoever works on them loses its lease, and notices with its next report. What is published stays.
    """
    unfinished = tuple(state for state in RenditionState if state not in OVER)
    return _all_of(recording_id, unfinished, RenditionState.CANCELLED)


def _all_of(recording_id: str, states: Sequence[RenditionState], to: RenditionState) -> list[str]:
    with write() as session:
        recording = session.get(Recording, recording_id, with_for_update=True)
        if recording is None:
            return []
        rows = [row for row in recording.renditions if row.state in states]
        for row in rows:
            leased.step(row, to)
            leased.start_over(row)
            row.stage, row.eta_s, row.began_at = "", None, None
        pieces.drop_all(session, [row.id for row in rows])
        if rows:
            leased.conclude(session, recording)
    return [row.id for row in rows]


def remake(rendition_id: str, not_before: datetime) -> bool:
    """Have a file made again from this moment on because what it is made of has changed; False for an unknown id.

    The file that is published stays downloadable until the new one takes its place. An attempt that is under way loses
    its lease with this, as it began from what was there before. What was removed or cancelled stays so.
    """
    with write() as session:
        row = _locked(session, rendition_id)
        if row is None or row.state in (RenditionState.REMOVED, RenditionState.CANCELLED):
            return False
        if row.state == RenditionState.PUBLISHED:
            row.former_key, row.key = row.key, ""
        if row.state != RenditionState.WAITING:
            leased.step(row, RenditionState.WAITING)
        leased.start_over(row)
        leased.let_go(row)
        row.not_before, row.stage, row.percent, row.eta_s = not_before, "", 0.0, None
        leased.conclude(session, row.recording)
    return True


def former_key(rendition_id: str) -> str:
    """Return where the file lies that the one being made will replace, "" where there is none."""
    return db.session.scalar(select(Rendition.former_key).where(Rendition.id == rendition_id)) or ""


def voice_is_over(recording_id: str) -> bool:
    """Tell whether nothing more is being made of a recording's voice: what is made from it may begin."""
    query = select(Rendition.id).where(Rendition.recording_id == recording_id, Rendition.kind.in_(VOICE_KINDS))
    return db.session.scalar(query.where(Rendition.state.not_in(OVER)).limit(1)) is None


def leftovers(limit: int) -> list[tuple[str, str]]:
    """List failed and cancelled files of which something may be left in storage, with the keys."""
    over = (RenditionState.FAILED, RenditionState.CANCELLED)
    query = select(Rendition.id, Rendition.key).where(Rendition.state.in_(over), Rendition.key != "").limit(limit)
    return [(rendition_id, key) for rendition_id, key in db.session.execute(query)]


def forget_leftover(rendition_id: str, key: str) -> None:
    """Note that nothing is left in storage of a file that is not to be."""
    with write() as session:
        row = _locked(session, rendition_id)
        if row is not None and row.key == key and row.state in (RenditionState.FAILED, RenditionState.CANCELLED):
            row.key = ""


def _locked(session: OrmSession, rendition_id: str) -> Rendition | None:
    """Load a rendition after locking its recording, in this order everywhere, so that nobody waits in a circle."""
    owner = select(Rendition.recording_id).where(Rendition.id == rendition_id).scalar_subquery()
    if session.scalar(select(Recording).where(Recording.id == owner).with_for_update()) is None:
        return None
    return session.get(Rendition, rendition_id, with_for_update=True)


def _owned(session: OrmSession, rendition_id: str, owner: str) -> Rendition | None:
    row = _locked(session, rendition_id)
    return row if row is not None and row.lease_owner == owner and row.state in _BUSY else None
