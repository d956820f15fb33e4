"""Keep podcast addresses: one a person, made on request, exchanged or given up at will."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload, selectinload

from rules.renditions import Kind
from store.database import new_token, write
from store.deliverymodels import Feed
from store.models import Membership, Person, db


def feed_of(person_id: str) -> Feed | None:
    """Return a person's podcast address, None where there is none."""
    return db.session.get(Feed, person_id)


def person_by_secret(secret: str) -> tuple[Person, Feed] | None:
    """Find whose address this is; None for unknown ones and disabled persons."""
    query = select(Person, Feed).join(Feed, Feed.person_id == Person.id)
    query = query.where(Feed.secret == secret, Person.disabled_at.is_(None))
    loading = selectinload(Person.memberships).options(joinedload(Membership.school))
    found = db.session.execute(query.options(loading)).first()
    return (found[0], found[1]) if found is not None else None


def set_kind(person_id: str, kind: Kind, now: datetime) -> Feed:
    """Choose which files the podcast brings; makes the address where there is none."""
    with write() as session:
        row = session.get(Feed, person_id)
        if row is None:
            row = Feed(person_id=person_id, secret=new_token(), kind=kind.value, created_at=now)
            session.add(row)
        row.kind = kind.value
    return row


def renew(person_id: str, now: datetime) -> bool:
    """Give the podcast a new address, the old one stops working; returns whether there was one."""
    with write() as session:
        row = session.get(Feed, person_id)
        if row is None:
            return False
        row.secret, row.created_at = new_token(), now
    return True


def remove(person_id: str) -> bool:
    """Give the address up; returns whether there was one."""
    with write() as session:
        return session.execute(delete(Feed).where(Feed.person_id == person_id)).rowcount == 1
