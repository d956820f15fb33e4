"""Query the programme: what an actor may see of a week, of what is live and next, and how sessions go live and end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, false, or_, select, true, update
from sqlalchemy.orm import joinedload, selectinload

from rules import lifecycle
from rules.lifecycle import SessionState
from rules.rights import Actor, Audience, SessionFacts, coordinates
from rules.schedule import MAX_MINUTES
from store.buckets import free_rest, take_rest
from store.database import LOCK_BOOKING, write
from store.models import Attendance, Session, SessionSchool, db


def session_facts(row: Session) -> SessionFacts:
    """Say what the rules of rights need to know of a session."""
    return SessionFacts(
        id=row.id,
        host_school_id=row.host_school_id,
        host_person_id=row.host_person_id,
        audience=row.audience,
        invited=frozenset(invited.school_id for invited in row.invited),
        state=row.state,
    )


def get_session(session_id: str) -> Session | None:
    """Load a session with its schools, host and seminar."""
    return db.session.scalar(_with_everything(select(Session).where(Session.id == session_id)))


def sessions_between(actor: Actor, first: datetime, end: datetime, *, cancelled: bool = False) -> list[Session]:
    """List what an actor may see between `first` and `end`, touched by it or within; cancelled ones on request."""
    query = select(Session).where(
        Session.starts_at >= first - timedelta(minutes=MAX_MINUTES), Session.starts_at < end, visible(actor)
    )
    if not cancelled:
        query = query.where(Session.state != SessionState.CANCELLED)
    rows = db.session.scalars(_with_everything(query.order_by(Session.starts_at, Session.channel)))
    return [row for row in rows if row.starts_at + timedelta(minutes=row.minutes) > first]


def live_sessions(actor: Actor) -> list[Session]:
    """List what is live now and the actor may see."""
    query = select(Session).where(Session.state == SessionState.LIVE, visible(actor)).order_by(Session.starts_at)
    return list(db.session.scalars(_with_everything(query)))


def next_sessions(actor: Actor, now: datetime, limit: int = 10) -> list[Session]:
    """List the booked sessions that are next (or overdue by less than their longest length), the earliest first."""
    query = select(Session).where(
        Session.state == SessionState.BOOKED, Session.starts_at > now - timedelta(minutes=MAX_MINUTES), visible(actor)
    )
    rows = db.session.scalars(_with_everything(query.order_by(Session.starts_at).limit(limit + 50)))
    return [row for row in rows if row.starts_at + timedelta(minutes=row.minutes) > now][:limit]


def calendar_sessions(actor: Actor, since: datetime, limit: int = 2000) -> list[Session]:
    """List sessions for a calendar subscription: cancelled ones too, so that calendars learn of it."""
    query = select(Session).where(Session.starts_at >= since, visible(actor)).order_by(Session.starts_at).limit(limit)
    return list(db.session.scalars(_with_everything(query)))


def sessions_by_id(session_ids: Iterable[str]) -> dict[str, Session]:
    """Load several sessions at once, for instance those that a clash names."""
    query = select(Session).where(Session.id.in_(list(session_ids)))
    return {row.id: row for row in db.session.scalars(_with_everything(query))}


def visible(actor: Actor) -> ColumnElement[bool]:
    """Say `rules.rights.may_see_session` in SQL, for the database to cut lists; a test holds the two together."""
    if actor.is_guest:
        return Session.id == actor.guest_session_id
    if not actor.is_member:
        return false()
    if coordinates(actor, None):
        return true()
    schools = list(actor.schools)
    return or_(
        Session.audience == Audience.DISTRICT,
        Session.host_person_id == actor.person_id,
        Session.host_school_id.in_(schools),
        Session.invited.any(SessionSchool.school_id.in_(schools)),
    )


def mark_live(session_id: str, now: datetime) -> bool:
    """Note that a session's host is on the air; repeated calls change nothing. Returns whether it was not live before.

    One that had ended takes what is still free of its time again. Raises lifecycle.IllegalTransition for a cancelled
    session.
    """
    with write(LOCK_BOOKING) as session:
        row = session.get(Session, session_id, with_for_update=True)
        if row is None or row.state == SessionState.LIVE:
            return False
        returns = row.state == SessionState.ENDED
        row.state = lifecycle.step(SessionState(row.state), SessionState.LIVE).value
        if returns:
            take_rest(session, row, now)
        row.first_live_at = row.first_live_at or now
        row.last_live_at = now
    return True


def mark_ended(session_id: str, now: datetime) -> bool:
    """Note that a lesson is over and let others book the rest of its time; returns whether it was live.

    Repeated calls change nothing.
    """
    with write() as session:
        query = update(Session).where(Session.id == session_id, Session.state == SessionState.LIVE)
        ended = session.execute(query.values(state=SessionState.ENDED.value, ended_at=now)).rowcount == 1
        if ended:
            free_rest(session, session_id, now)
    return ended


def end_unheld(now: datetime, grace: timedelta = timedelta(hours=2)) -> int:
    """End booked sessions that nobody has held, some time after they should have been over; returns how many."""
    with write() as session:
        query = select(Session).where(Session.state == SessionState.BOOKED, Session.starts_at < now - grace)
        over = [row for row in session.scalars(query) if row.starts_at + timedelta(minutes=row.minutes) + grace <= now]
        for row in over:
            row.state = lifecycle.step(SessionState(row.state), SessionState.ENDED).value
    return len(over)


def attendance(session_id: str) -> list[Attendance]:
    """List who came to a session and for how long, by name and time; one row for every stay."""
    query = select(Attendance).where(Attendance.session_id == session_id).options(joinedload(Attendance.school))
    return list(db.session.scalars(query.order_by(Attendance.name, Attendance.joined_at)))


def _with_everything(query: Select) -> Select:
    return query.options(
        joinedload(Session.host_school),
        joinedload(Session.host_person),
        joinedload(Session.seminar),
        selectinload(Session.invited).joinedload(SessionSchool.school),
    )
