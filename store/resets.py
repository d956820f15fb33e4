"""Keep links for forgotten passwords: each works once, for two days, and only the newest of a person."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update

from rules import rights
from rules.rights import Role
from store import people
from store.database import LOCK_PEOPLE, new_id, new_token, token_digest, write
from store.logins import end_every_login
from store.models import PasswordReset, Person, db

LASTS = timedelta(days=2)


class ResetRefused(ValueError):
    """A link that is unknown, used, replaced or too old, or whose maker may no longer manage the person."""


def make_reset(person_id: str, created_by: str, now: datetime) -> tuple[PasswordReset, str]:
    """Make a link for a person and end the earlier ones; returns the row and the token, which cannot be had again.

    Whether `created_by` may manage the person is asked when the link is used; asking it now too is the caller's part.
    """
    token = new_token()
    row = PasswordReset(
        id=new_id(),
        token_sha256=token_digest(token),
        person_id=person_id,
        created_by=created_by,
        created_at=now,
        expires_at=now + LASTS,
    )
    with write(LOCK_PEOPLE) as session:
        session.execute(delete(PasswordReset).where(PasswordReset.person_id == person_id))
        session.add(row)
    return row, token


def find_reset(token: str, now: datetime) -> PasswordReset:
    """Find the usable link of a token; raises ResetRefused.

    Rights may have changed since it was made: a link for a teacher must not open what has become an administrator's
    account, nor work for a coordinator who is none any more.
    """
    row = db.session.scalar(select(PasswordReset).where(PasswordReset.token_sha256 == token_digest(token), *_open(now)))
    person = None if row is None else people.person(row.person_id)
    if row is None or person is None or person.disabled_at is not None:
        raise ResetRefused
    if not rights.may_manage_person(people.actor_of_person(row.created_by), memberships(person)):
        raise ResetRefused
    return row


def accept_reset(token: str, password: str, now: datetime) -> Person:
    """Set the new password and end every login of the person, in one transaction; raises ResetRefused."""
    password_hash = people.HASHER.hash(password)
    with write(LOCK_PEOPLE) as session:
        row = find_reset(token, now)
        # The condition is judged by the database under a row lock: of two who come at once one is refused.
        query = update(PasswordReset).where(PasswordReset.id == row.id, *_open(now)).values(used_at=now)
        if session.execute(query).rowcount != 1:
            raise ResetRefused
        session.execute(update(Person).where(Person.id == row.person_id).values(password_hash=password_hash))
        end_every_login(row.person_id, now)
        return row.person


def memberships(row: Person) -> frozenset[tuple[Role, str | None]]:
    """Return a person's memberships as rules.rights takes them."""
    return frozenset((Role(held.role), held.school_id) for held in row.memberships)


def clean(before: datetime) -> int:
    """Delete links that expired before this moment; returns how many."""
    with write() as session:
        return session.execute(delete(PasswordReset).where(PasswordReset.expires_at < before)).rowcount


def _open(now: datetime) -> tuple:
    return PasswordReset.used_at.is_(None), PasswordReset.expires_at > now
