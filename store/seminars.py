"""Keep seminars: programmes of sessions under one title, organised by a school or the district."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import joinedload, selectinload

from rules.lifecycle import SessionState
from rules.rights import Actor, coordinates
from store.database import new_id, write
from store.models import Seminar, Session, SessionSchool, db
from store.programme import visible


def create_seminar(
    title: str, description: str, organiser_school_id: str | None, created_by: str, now: datetime
) -> Seminar:
    """Add a seminar without sessions yet; organiser None is the district."""
    row = Seminar(
        id=new_id(),
        title=title,
        description=description,
        organiser_school_id=organiser_school_id,
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    with write() as session:
        session.add(row)
    return row


def update_seminar(
    seminar_id: str, *, title: str, description: str, organiser_school_id: str | None, now: datetime
) -> Seminar | None:
    """Change a seminar; None where there is no such."""
    with write() as session:
        row = session.get(Seminar, seminar_id)
        if row is None:
            return None
        row.title, row.description, row.organiser_school_id = title, description, organiser_school_id
        row.updated_at = now
    return row


def get_seminar(seminar_id: str) -> Seminar | None:
    """Load a seminar with its organiser."""
    query = select(Seminar).where(Seminar.id == seminar_id).options(joinedload(Seminar.organiser_school))
    return db.session.scalar(query)


def seminars(actor: Actor, limit: int = 200) -> list[tuple[Seminar, datetime | None, int]]:
    """List the seminars that an actor may see with their first start and number of visible sessions, the latest first.

    One whose every session is hidden is hidden too, unless the actor coordinates its organiser.
    """
    inside = (Session.seminar_id == Seminar.id) & (Session.state != SessionState.CANCELLED) & visible(actor)
    first, count = func.min(Session.starts_at), func.count(Session.id)
    facts = select(Session.seminar_id, first.label("first"), count.label("count")).select_from(Session)
    facts = facts.join(Seminar, inside).group_by(Session.seminar_id).subquery()
    query = select(Seminar, facts.c.first, func.coalesce(facts.c.count, 0))
    query = query.outerjoin(facts, facts.c.seminar_id == Seminar.id).options(joinedload(Seminar.organiser_school))
    rows = db.session.execute(query.order_by(Seminar.created_at.desc()).limit(limit))
    return [
        (row, starts_at, count)
        for row, starts_at, count in rows
        if count or (actor.is_member and coordinates(actor, row.organiser_school_id))
    ]


def seminar_sessions(seminar_id: str, actor: Actor, *, cancelled: bool = False) -> list[Session]:
    """List a seminar's sessions that an actor may see, in order; cancelled ones on request (calendar files)."""
    query = select(Session).where(Session.seminar_id == seminar_id, visible(actor)).order_by(Session.starts_at)
    if not cancelled:
        query = query.where(Session.state != SessionState.CANCELLED)
    query = query.options(
        joinedload(Session.host_school),
        joinedload(Session.host_person),
        selectinload(Session.invited).joinedload(SessionSchool.school),
    )
    return list(db.session.scalars(query))
