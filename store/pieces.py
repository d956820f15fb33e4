"""Lead pieces of work (the plan of a lesson, stretches of a picture) to being done, and their files' progress with it.

As for whole files (store.recordings), every report is a compare-and-set on the lease's owner, and the recording's row
is locked first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import delete, select
from sqlalchemy.orm import Session as OrmSession

from rules import leases
from rules.leases import Verdict
from rules.lifecycle import OVER, PieceState, RenditionState
from rules.renditions import VIDEO_KINDS, Kind
from store import leased
from store.database import write
from store.models import Recording, Rendition, db
from store.piecemodels import Piece

# Share of a file's work that its pieces are; the rest is putting them together.
PIECES_SHARE = 0.95


class Sort(StrEnum):
    """What a piece of work is."""

    PLAN = "plan"
    STRETCH = "stretch"


@dataclass(frozen=True, slots=True)
class PieceWork:
    """What a worker must know of one piece; `segments` as store.models.Recording says, `plan` as store.plans."""

    id: str
    recording_id: str
    session_id: str
    rendition_id: str
    kind: Kind
    sort: Sort
    first_frame: int
    frames: int
    attempts: int
    deaths: int
    key: str
    source_sha256: str
    segments: tuple[dict, ...]
    plan: dict | None


@dataclass(frozen=True, slots=True)
class MadePiece:
    """A finished stretch in storage."""

    id: str
    first_frame: int
    frames: int
    key: str
    sha256: str


def next_pieces(now: datetime, limit: int) -> list[str]:
    """List ids of pieces that a worker may take now: files in their order, of one file the longest piece first."""
    free = leased.may_be_taken(Piece, (PieceState.WAITING,), now)
    query = select(Piece.id).join(Piece.rendition).where(free | leased.is_abandoned(Piece, (PieceState.WORKING,), now))
    order = (Rendition.position, Rendition.created_at, Piece.frames.desc(), Piece.first_frame)
    return list(db.session.scalars(query.order_by(*order).limit(limit)))


def work(piece_id: str) -> PieceWork | None:
    """Load what a worker must know of a piece, None for an unknown id."""
    row = db.session.get(Piece, piece_id, populate_existing=True)
    if row is None:
        return None
    recording = row.recording
    db.session.refresh(recording, ["plan"])
    return PieceWork(
        id=row.id,
        recording_id=row.recording_id,
        session_id=recording.session_id,
        rendition_id=row.rendition_id,
        kind=Kind(row.rendition.kind),
        sort=Sort(row.sort),
        first_frame=row.first_frame,
        frames=row.frames,
        attempts=row.attempts,
        deaths=row.deaths,
        key=row.key,
        source_sha256=recording.source_sha256,
        segments=tuple(recording.segments),
        plan=recording.plan,
    )


def leases_held(now: datetime) -> list[tuple[str, str]]:
    """List the pieces being worked on with the owners of their leases."""
    query = select(Piece.id, Piece.lease_owner)
    held = db.session.execute(query.where(Piece.state == PieceState.WORKING, Piece.lease_until > now))
    return [(piece_id, owner) for piece_id, owner in held]


def take(piece_id: str, owner: str, now: datetime) -> Verdict:
    """Take a piece under a lease; GIVE_UP has marked its file failed; OVER also stands for an unknown id."""
    with write() as session:
        row = _locked(session, piece_id)
        if row is None:
            return Verdict.OVER
        verdict = leased.judge(row, now)
        if verdict is Verdict.TAKE:
            leased.give(row, owner, now, leases.LEASE_S)
            if row.state != PieceState.WORKING:
                leased.step(row, PieceState.WORKING)
            _begin(session, row, now)
        elif verdict is Verdict.GIVE_UP:
            fail_files(session, row, row.error or "workers_died")
    return verdict


def progress(piece_id: str, owner: str, now: datetime, stage: str, percent: float) -> Rendition | None:
    """Report progress, renew the lease, and return the piece's file with its own progress; None: the lease is lost."""
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is None:
            return None
        row.percent = min(100.0, max(0.0, percent))
        leased.renew(row, now, leases.LEASE_S)
        file = row.rendition
        if row.sort == Sort.PLAN:
            file.percent, file.eta_s = row.percent, None
        else:
            _progress_of_file(session, file, now)
        file.stage = stage[:16] if row.sort == Sort.PLAN else "encode"
    return file


def intend(piece_id: str, owner: str, key: str) -> bool:
    """Note under which key a stretch is about to be put, so that what a kill leaves is found; False: lease lost."""
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is not None:
            row.key = key
    return row is not None


def done(piece_id: str, owner: str, now: datetime, key: str, size: int, sha256: str) -> bool:
    """Note a verified stretch that is in storage; False where the lease is lost."""
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is None:
            return False
        leased.step(row, PieceState.DONE)
        row.key, row.bytes, row.sha256, row.percent, row.error = key, size, sha256, 100.0, ""
        leased.let_go(row)
        session.flush()
        _progress_of_file(session, row.rendition, now)
    return True


def fail(piece_id: str, owner: str, now: datetime, error: str, *, permanent: bool = False) -> float | None:
    """Report that a piece could not be made; returns the seconds until the next try, None where its file has failed.

    None also where the lease is lost, and then nothing changes.
    """
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is None:
            return None
        delay_s = leased.trouble(row, now, error, permanent=permanent)
        if delay_s is None:
            fail_files(session, row, error)
        else:
            leased.step(row, PieceState.WAITING)
    return delay_s


def release(piece_id: str, owner: str) -> bool:
    """Put a piece back that its worker must leave because it is told to stop: this attempt does not count."""
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is None:
            return False
        leased.step(row, PieceState.WAITING)
        row.attempts -= 1
        row.percent = 0.0
        leased.let_go(row)
    return True


def end_lease(piece_id: str, owner: str, now: datetime) -> bool:
    """End the lease of an owner that is known to be dead."""
    with write() as session:
        row = _owned(session, piece_id, owner)
        if row is None:
            return False
        leased.step(row, PieceState.WAITING)
        leased.bury(row, now)
    return True


def redo(piece_id: str, sha256: str) -> None:
    """Have a stretch made again whose file in storage is not what was put there."""
    with write() as session:
        row = _locked(session, piece_id)
        if row is not None and row.state == PieceState.DONE and row.sha256 == sha256:
            leased.step(row, PieceState.WAITING)


def made(rendition_id: str) -> list[MadePiece]:
    """List a file's finished stretches in order."""
    query = select(Piece).where(Piece.rendition_id == rendition_id, Piece.state == PieceState.DONE)
    rows = db.session.scalars(query.order_by(Piece.first_frame))
    return [MadePiece(row.id, row.first_frame, row.frames, row.key, row.sha256) for row in rows]


def dropped(limit: int) -> list[tuple[str, str]]:
    """List pieces that nobody needs any more with their keys in storage, "" where nothing was put there."""
    query = select(Piece.id, Piece.key).where(Piece.state == PieceState.DROPPED).limit(limit)
    return [(piece_id, key) for piece_id, key in db.session.execute(query)]


def forget(piece_ids: Sequence[str]) -> None:
    """Remove rows of dropped pieces of which nothing is left in storage."""
    with write() as session:
        session.execute(delete(Piece).where(Piece.id.in_(piece_ids), Piece.state == PieceState.DROPPED))


def is_needed(piece_id: str) -> bool:
    """Tell whether a piece's file in storage may still be wanted."""
    state = db.session.scalar(select(Piece.state).where(Piece.id == piece_id))
    return state is not None and state != PieceState.DROPPED


def drop_all(session: OrmSession, rendition_ids: Sequence[str]) -> None:
    """Drop every piece of these files; whoever works on one loses its lease."""
    query = select(Piece).where(Piece.rendition_id.in_(rendition_ids), Piece.state != PieceState.DROPPED)
    for row in session.scalars(query):
        leased.step(row, PieceState.DROPPED)
        leased.let_go(row)


def fail_files(session: OrmSession, row: Piece, error: str) -> None:
    """Mark the file of a piece that cannot be made as failed; of a plan, every file that waits for it."""
    waits = (RenditionState.WAITING, RenditionState.PIECES)
    files = [row.rendition]
    if row.sort == Sort.PLAN:
        laid_out = set(session.scalars(select(Piece.rendition_id).where(Piece.recording_id == row.recording_id)))
        files += [
            one
            for one in row.recording.renditions
            if one.kind in VIDEO_KINDS and one.state in waits and one.id not in laid_out
        ]
    for file in files:
        if file.state not in OVER:
            leased.step(file, RenditionState.FAILED)
            file.error, file.stage, file.eta_s = error[: leased.MAX_ERROR_CHARS], "", None
            leased.let_go(file)
    drop_all(session, [file.id for file in files])
    leased.conclude(session, row.recording)


def _begin(session: OrmSession, row: Piece, now: datetime) -> None:
    file = row.rendition
    file.began_at = file.began_at or now
    if file.state == RenditionState.WAITING:
        leased.step(file, RenditionState.PIECES)
        file.stage, file.percent, file.eta_s = "", 0.0, None
        leased.conclude(session, row.recording)


def _progress_of_file(session: OrmSession, file: Rendition, now: datetime) -> None:
    """Sum up the pieces of a file, each weighing as many frames as it has, and estimate the time left."""
    session.flush()
    rows = session.execute(select(Piece.frames, Piece.percent).where(Piece.rendition_id == file.id)).all()
    total = sum(frames for frames, _ in rows) or 1
    share = sum(frames * percent for frames, percent in rows) / total / 100
    file.percent = round(100 * PIECES_SHARE * share, 1)
    spent_s = (now - file.began_at).total_seconds() if file.began_at else 0.0
    file.eta_s = spent_s * (1 - share) / share if share > 0.02 and spent_s > 1 else None


def _locked(session: OrmSession, piece_id: str) -> Piece | None:
    owner = select(Piece.recording_id).where(Piece.id == piece_id).scalar_subquery()
    if session.scalar(select(Recording).where(Recording.id == owner).with_for_update()) is None:
        return None
    return session.get(Piece, piece_id, with_for_update=True)


def _owned(session: OrmSession, piece_id: str, owner: str) -> Piece | None:
    row = _locked(session, piece_id)
    return row if row is not None and row.lease_owner == owner and row.state == PieceState.WORKING else None
