"""Lead each file of a recording to being published exactly once.

A worker takes a rendition with a lease and reports under its own name; every report is a compare-and-set on that name,
so that a worker that lost its lease changes nothing any more. The recording's row is locked first, as its state follows
from all of its files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session as OrmSession

from rules import leases, lifecycle
from rules.leases import Verdict
from rules.lifecycle import RecordingState, RenditionState
from rules.renditions import Kind
from store.database import write
from store.models import Recording, Rendition, db

MAX_ERROR_CHARS = 2000
_BUSY = (RenditionState.ENCODING, RenditionState.VERIFYING)


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker must know to make one file; `segments` as store.models.Recording says."""

    rendition_id: str
    recording_id: str
    session_id: str
    kind: Kind
    attempts: int
    segments: tuple[dict, ...]


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
    """List ids of files that a worker may take now, smallest kind first: waiting, or left by a worker that is gone."""
    waiting = (Rendition.state == RenditionState.WAITING) & or_(
        Rendition.not_before.is_(None), Rendition.not_before <= now
    )
    abandoned = Rendition.state.in_(_BUSY) & or_(Rendition.lease_until.is_(None), Rendition.lease_until <= now)
    query = select(Rendition.id).where(waiting | abandoned)
    return list(db.session.scalars(query.order_by(Rendition.position, Rendition.created_at).limit(limit)))


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
    segments = tuple(recording.segments)
    return Work(row.id, row.recording_id, recording.session_id, Kind(row.kind), row.attempts, segments)


def is_referenced(key: str) -> bool:
    """Tell whether a published file lies in storage under this key."""
    return db.session.scalar(select(Rendition.id).where(Rendition.key == key)) is not None


def leases_held(now: datetime) -> list[tuple[str, str, Kind]]:
    """List the files being made, with the owners of their leases and the files' kinds."""
    query = select(Rendition.id, Rendition.lease_owner, Rendition.kind)
    held = db.session.execute(query.where(Rendition.state.in_(_BUSY), Rendition.lease_until > now))
    return [(rendition_id, owner, Kind(kind)) for rendition_id, owner, kind in held]


def end_lease(rendition_id: str, owner: str) -> bool:
    """End the lease of an owner that is known to be dead, so that nobody waits for it to run out."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        _let_go(row)
    return True


def take(rendition_id: str, owner: str, now: datetime, lease_s: float = leases.LEASE_S) -> Verdict:
    """Take a file to be made under a lease for `owner` (a name no other worker process has, at most 80 characters).

    Only Verdict.TAKE gives the lease; GIVE_UP has marked the file failed; OVER also stands for an unknown id.
    """
    with write() as session:
        row = _locked(session, rendition_id)
        if row is None:
            return Verdict.OVER
        verdict = leases.judge(
            RenditionState(row.state), row.attempts, _unix(row.lease_until), _unix(row.not_before), now.timestamp()
        )
        if verdict is Verdict.TAKE:
            if row.state != RenditionState.WAITING:
                _step(row, RenditionState.WAITING)
            _step(row, RenditionState.ENCODING)
            row.attempts += 1
            row.lease_owner, row.lease_until = owner, now + timedelta(seconds=lease_s)
            row.stage, row.percent, row.eta_s, row.not_before = "", 0.0, None, None
        elif verdict is Verdict.GIVE_UP:
            _step(row, RenditionState.FAILED)
            row.error = row.error or "workers_died"
            _let_go(row)
        _conclude(session, row)
    return verdict


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
            _step(row, state)
        row.stage, row.percent, row.eta_s = stage[:16], min(100.0, max(0.0, percent)), eta_s
        row.lease_until = now + timedelta(seconds=lease_s)
    return True


def publish(rendition_id: str, owner: str, now: datetime, file: PublishedFile) -> bool:
    """Publish a verified file; returns False where the lease is lost or it is published already.

    A file that is still marked as being encoded passes through verifying: what is published has been verified.
    """
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        if row.state == RenditionState.ENCODING:
            _step(row, RenditionState.VERIFYING)
        _step(row, RenditionState.PUBLISHED)
        row.key, row.content_type, row.bytes, row.sha256 = file.key, file.content_type, file.bytes, file.sha256
        row.duration_s, row.width, row.height, row.fps = file.duration_s, file.width, file.height, file.fps
        row.stage, row.percent, row.eta_s, row.error, row.published_at = "", 100.0, None, "", now
        _let_go(row)
        row.recording.published_at = row.recording.published_at or now
        if row.recording.duration_s is None:
            row.recording.duration_s = file.duration_s
        _conclude(session, row)
    return True


def fail(rendition_id: str, owner: str, now: datetime, error: str, *, permanent: bool = False) -> float | None:
    """Report that a file could not be made; returns the seconds until it is to be tried again, None for never.

    None also where the lease is lost, and then nothing changes.
    """
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return None
        delay_s = leases.retry_delay_s(row.attempts, permanent)
        _step(row, RenditionState.FAILED if delay_s is None else RenditionState.WAITING)
        row.error = error[:MAX_ERROR_CHARS]
        row.not_before = None if delay_s is None else now + timedelta(seconds=delay_s)
        _let_go(row)
        _conclude(session, row)
    return delay_s


def release(rendition_id: str, owner: str) -> bool:
    """Put a file back that its worker must leave because it is told to stop: this attempt does not count."""
    with write() as session:
        row = _owned(session, rendition_id, owner)
        if row is None:
            return False
        _step(row, RenditionState.WAITING)
        row.attempts -= 1
        row.stage, row.percent, row.eta_s = "", 0.0, None
        _let_go(row)
        _conclude(session, row)
    return True


def retry_failed(recording_id: str) -> list[str]:
    """Have a recording's failed files made again; returns their ids."""
    with write() as session:
        recording = session.get(Recording, recording_id, with_for_update=True)
        if recording is None:
            return []
        failed = [row for row in recording.renditions if row.state == RenditionState.FAILED]
        for row in failed:
            _step(row, RenditionState.WAITING)
            row.attempts, row.error, row.not_before = 0, "", None
        for row in failed[:1]:
            _conclude(session, row)
    return [row.id for row in failed]


def _locked(session: OrmSession, rendition_id: str) -> Rendition | None:
    """Load a rendition after locking its recording, in this order everywhere, so that nobody waits in a circle."""
    owner = select(Rendition.recording_id).where(Rendition.id == rendition_id).scalar_subquery()
    if session.scalar(select(Recording).where(Recording.id == owner).with_for_update()) is None:
        return None
    return session.get(Rendition, rendition_id, with_for_update=True)


def _owned(session: OrmSession, rendition_id: str, owner: str) -> Rendition | None:
    row = _locked(session, rendition_id)
    return row if row is not None and row.lease_owner == owner and row.state in _BUSY else None


def _step(row: Rendition, state: RenditionState) -> None:
    row.state = lifecycle.step(RenditionState(row.state), state).value


def _let_go(row: Rendition) -> None:
    row.lease_owner, row.lease_until = "", None


def _conclude(session: OrmSession, row: Rendition) -> None:
    session.flush()
    states = session.scalars(select(Rendition.state).where(Rendition.recording_id == row.recording_id))
    state = lifecycle.recording_state(RenditionState(state) for state in states)
    recording = row.recording
    if recording.state != state:
        recording.state = lifecycle.step(RecordingState(recording.state), state).value
    recording.failure = row.error if state is RecordingState.FAILED else ""


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
