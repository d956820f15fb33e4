"""Keep the plan of a lesson with its recording, and make its pictures' pieces of it.

`recording.plan` grows as the work goes on: {"version", "heard": rules.soundplan.Heard, "line": workers.plan.Timeline,
"length_s", "bounds_s": moments at which pictures are cut, "entries_s": for each segment, where it can be entered,
"pictures": {kind: {"width", "height", "fps"}}, "lesson": rules.lessonplan}. Workers write and read it; one of another
version is made anew. A picture is laid out as soon as it is among "pictures".
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlalchemy import exists, select
from sqlalchemy.orm import Session as OrmSession

from rules import pieces as cutting
from rules.lifecycle import PieceState, RenditionState
from rules.renditions import PRESET_VERSION, VIDEO_KINDS, Kind
from store import leased
from store.database import new_id, write
from store.models import Recording, Rendition, db
from store.piecemodels import Piece
from store.pieces import Sort

VERSION = 1
# Recordings whose work is laid out in one go; the next sweep goes on.
LIMIT = 50


def current(plan: dict | None) -> dict:
    """Return a plan that this version can read, {} for any other."""
    return plan if plan is not None and plan.get("version") == VERSION else {}


def digest(source_sha256: str, plan: dict, kind: Kind) -> str:
    """Name what the stretches of a picture are made of: the source, and its part of the plan; 16 hex digits."""
    lesson = plan.get("lesson") if kind is Kind.VIDEO_SMALL else None
    parts = [source_sha256, plan["line"], plan["bounds_s"], plan["pictures"][kind], lesson, PRESET_VERSION]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def lay_out(now: datetime) -> int:
    """Make the pieces that waiting pictures lack: first the plan of their lesson, then, with a plan, the stretches.

    Returns how many were made. A picture that still has pieces, dropped ones included, is left alone.
    """
    has_pieces = exists().where(Piece.rendition_id == Rendition.id)
    # Whoever makes the plan lays out what it allows.
    in_hand = (PieceState.WAITING, PieceState.WORKING)
    is_planned = exists().where(
        Piece.recording_id == Rendition.recording_id, Piece.sort == Sort.PLAN, Piece.state.in_(in_hand)
    )
    query = select(Rendition.recording_id).where(
        Rendition.state == RenditionState.WAITING, Rendition.kind.in_(VIDEO_KINDS), ~has_pieces, ~is_planned
    )
    made = 0
    for recording_id in db.session.scalars(query.distinct().limit(LIMIT)).all():
        with write() as session:
            recording = session.get(Recording, recording_id, with_for_update=True)
            made += _lay_out(session, recording, now) if recording is not None else 0
    return made


def _lay_out(session: OrmSession, recording: Recording, now: datetime) -> int:
    known = list(session.scalars(select(Piece).where(Piece.recording_id == recording.id)))
    busy = {piece.rendition_id for piece in known}
    free = [
        row
        for row in recording.renditions
        if row.kind in VIDEO_KINDS and row.state == RenditionState.WAITING and row.id not in busy
    ]
    if not free:
        return 0
    plan = current(recording.plan)
    ready = [row for row in free if row.kind in plan.get("pictures", {})]
    made = [piece for row in ready for piece in _stretches(row, plan, now)]
    is_planned = any(piece.sort == Sort.PLAN and piece.state != PieceState.DROPPED for piece in known)
    if len(ready) < len(free) and not is_planned:
        made.append(_piece(next(row for row in free if row not in ready), Sort.PLAN, now))
    session.add_all(made)
    return len(made)


def _stretches(row: Rendition, plan: dict, now: datetime) -> list[Piece]:
    fps = plan["pictures"][row.kind]["fps"]
    found = cutting.stretches(plan["length_s"], fps, plan["bounds_s"])
    row.began_at = None
    return [_piece(row, Sort.STRETCH, now, one) for one in found]


def _piece(row: Rendition, sort: Sort, now: datetime, stretch: cutting.Stretch | None = None) -> Piece:
    return Piece(
        id=new_id(),
        recording_id=row.recording_id,
        rendition_id=row.id,
        sort=sort.value,
        state=PieceState.WAITING.value,
        first_frame=stretch.first if stretch else 0,
        frames=stretch.count if stretch else 0,
        created_at=now,
    )


def note(recording_id: str, now: datetime, **parts: Any) -> None:
    """Add to a recording's plan what has become known, and lay out the pictures for which that is enough."""
    with write() as session:
        recording = session.get(Recording, recording_id, with_for_update=True)
        if recording is not None:
            recording.plan = {**current(recording.plan), "version": VERSION, **parts}
            _lay_out(session, recording, now)


def keep(piece_id: str, owner: str, now: datetime, **parts: Any) -> bool:
    """Complete the plan that a piece of work was for, and lay its pictures out; False: the lease is lost."""
    with write() as session:
        from_piece = select(Piece.recording_id).where(Piece.id == piece_id).scalar_subquery()
        recording = session.scalar(select(Recording).where(Recording.id == from_piece).with_for_update())
        piece = session.get(Piece, piece_id, with_for_update=True) if recording is not None else None
        if piece is None or piece.lease_owner != owner or piece.state != PieceState.WORKING:
            return False
        file = piece.rendition
        session.delete(piece)
        session.flush()
        if file.state == RenditionState.PIECES:
            leased.step(file, RenditionState.WAITING)
            file.stage, file.percent, file.eta_s = "", 0.0, None
            leased.conclude(session, recording)
        recording.plan = {**current(recording.plan), "version": VERSION, **parts}
        _lay_out(session, recording, now)
    return True


def forget(recording_id: str) -> None:
    """Throw a plan away that cannot be read any more, with all that was made by it; it is made anew."""
    with write() as session:
        recording = session.get(Recording, recording_id, with_for_update=True)
        if recording is None:
            return
        recording.plan = None
        for piece in session.scalars(select(Piece).where(Piece.recording_id == recording_id)):
            if piece.state != PieceState.DROPPED:
                leased.step(piece, PieceState.DROPPED)
                leased.let_go(piece)
        for row in recording.renditions:
            if row.state == RenditionState.PIECES:
                leased.step(row, RenditionState.WAITING)
