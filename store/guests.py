"""Keep guests: teachers without an account, each let into one session by a personal link that can be revoked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from store.database import new_id, write
from store.models import Guest, db


def add_guest(
    session_id: str, school_id: str | None, name: str, created_by: str | None, now: datetime, expires_at: datetime
) -> Guest:
    """Add a guest to a session; the link itself is a "join" ticket of rules.tickets for bearer "guest:<id>"."""
    row = Guest(
        id=new_id(),
        session_id=session_id,
        school_id=school_id,
        name=name.strip(),
        created_by=created_by,
        created_at=now,
        expires_at=expires_at,
    )
    with write() as session:
        session.add(row)
    return row


def guests(session_id: str) -> list[Guest]:
    """List a session's guests who were not revoked, by name, with their schools."""
    query = select(Guest).where(Guest.session_id == session_id, Guest.revoked_at.is_(None)).order_by(Guest.name)
    return list(db.session.scalars(query.options(joinedload(Guest.school))))


def guest(guest_id: str) -> Guest | None:
    """Load a guest with the school; store.people.actor_of_guest says whether it may still come in."""
    return db.session.scalar(select(Guest).where(Guest.id == guest_id).options(joinedload(Guest.school)))


def revoke_guest(guest_id: str, now: datetime) -> bool:
    """Take a guest's link back; returns whether it was in force."""
    with write() as session:
        query = update(Guest).where(Guest.id == guest_id, Guest.revoked_at.is_(None)).values(revoked_at=now)
        return session.execute(query).rowcount == 1
