"""Keep invitations: links that work once, and the first start's link, which makes the first coordinator."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from flask import has_app_context
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from config import Settings
from rules.rights import Role
from store import people
from store.database import LOCK_PEOPLE, bare_app, new_id, new_token, token_digest, utc_now, write
from store.models import Invitation, Membership, Person, db

# What the row of a first-start link has for a role. It stands for coordinator and administrator of the district:
# whoever comes first must be able to make every other role, and only an administrator makes administrators.
FIRST = "first"
FIRST_ROLES = ((Role.COORDINATOR, None), (Role.ADMINISTRATOR, None))
FIRST_LINK_DAYS = 7


class Refusal(StrEnum):
    """Why an invitation cannot be used."""

    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"


class InvitationRefused(ValueError):
    """An invitation that cannot be used; `reason` says why."""

    def __init__(self, reason: Refusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


def invite(
    role: Role,
    school_id: str | None,
    created_by: str | None,
    now: datetime,
    days: int,
    *,
    name: str = "",
    email: str = "",
) -> tuple[Invitation, str]:
    """Make a one-time link into one role; returns the row and the token, which cannot be had again."""
    return _add(role.value, school_id, created_by, now, days, name=name.strip(), email=people.normal_email(email))


def find_invitation(token: str, now: datetime) -> Invitation:
    """Find the usable invitation of a link, with its school; raises InvitationRefused."""
    row = _find(token)
    if row is None or row.role == FIRST:
        raise InvitationRefused(Refusal.UNKNOWN)
    _require_usable(row, now)
    return row


def invitations(now: datetime, school_id: str | None = None) -> list[Invitation]:
    """List open invitations, the newest first; those into one school where it is given."""
    query = select(Invitation).where(Invitation.role != FIRST, *_open(now)).options(joinedload(Invitation.school))
    if school_id is not None:
        query = query.where(Invitation.school_id == school_id)
    return list(db.session.scalars(query.order_by(Invitation.created_at.desc())))


def invitation(invitation_id: str) -> Invitation | None:
    """Load an invitation by its id, for whoever wants to revoke it."""
    return db.session.get(Invitation, invitation_id)


def revoke_invitation(invitation_id: str, now: datetime) -> bool:
    """Make an invitation that nobody has used unusable; returns whether it was so."""
    with write() as session:
        query = update(Invitation).where(Invitation.id == invitation_id, *_open(now)).values(revoked_at=now)
        return session.execute(query).rowcount == 1


def accept_invitation(token: str, now: datetime, *, email: str, name: str, password: str, locale: str = "ru") -> Person:
    """Make an account with the invitation's role, in one transaction.

    Raises InvitationRefused, and people.Taken("email") where the account exists: its owner logs in and uses
    `accept_invitation_as`. Nothing is used up by a refusal.
    """
    password_hash = people.HASHER.hash(password)
    with write(LOCK_PEOPLE) as session:
        row = _use(session, find_invitation(token, now), now)
        person = people.add_person(email, name, password_hash, [(Role(row.role), row.school_id)], now, locale=locale)
        row.used_by = person.id
    return person


def accept_invitation_as(token: str, now: datetime, person_id: str) -> Person | None:
    """Give somebody who has an account the invitation's role; raises InvitationRefused."""
    with write(LOCK_PEOPLE) as session:
        row = _use(session, find_invitation(token, now), now)
        people.grant(person_id, Role(row.role), row.school_id)
        row.used_by = person_id
    return people.person(person_id)


def has_coordinator() -> bool:
    """Tell whether anybody coordinates yet; the first-start link works only while nobody does."""
    leading = Membership.role.in_([Role.COORDINATOR, Role.ADMINISTRATOR])
    return db.session.scalar(select(Membership.id).where(leading).limit(1)) is not None


def first_link_token(settings: Settings, now: datetime | None = None) -> str | None:
    """Make a fresh token for /first/<token>, or None where somebody coordinates already. Earlier ones stop working.

    For the supervisor, which has no application: opens the database by itself unless an application is active.
    """
    if not has_app_context():
        with bare_app(settings).app_context():
            return first_link_token(settings, now)
    moment = now or utc_now()
    with write(LOCK_PEOPLE) as session:
        if has_coordinator():
            return None
        stale = (Invitation.role == FIRST) & Invitation.used_at.is_(None) & Invitation.revoked_at.is_(None)
        session.execute(update(Invitation).where(stale).values(revoked_at=moment))
        _, token = _add(FIRST, None, None, moment, FIRST_LINK_DAYS)
    return token


def check_first_link(token: str, now: datetime) -> None:
    """Raise InvitationRefused unless this is the newest first-start link and nobody coordinates yet."""
    _find_first(token, now)


def accept_first(token: str, now: datetime, *, email: str, name: str, password: str, locale: str = "ru") -> Person:
    """Make the first coordinator, who is the administrator too; raises InvitationRefused and people.Taken("email")."""
    password_hash = people.HASHER.hash(password)
    with write(LOCK_PEOPLE) as session:
        row = _use(session, _find_first(token, now), now)
        person = people.add_person(email, name, password_hash, FIRST_ROLES, now, locale=locale)
        row.used_by = person.id
    return person


def _find_first(token: str, now: datetime) -> Invitation:
    row = _find(token)
    if row is None or row.role != FIRST:
        raise InvitationRefused(Refusal.UNKNOWN)
    _require_usable(row, now)
    if has_coordinator():
        raise InvitationRefused(Refusal.USED)
    return row


def _add(
    role: str, school_id: str | None, created_by: str | None, now: datetime, days: int, name: str = "", email: str = ""
) -> tuple[Invitation, str]:
    token = new_token()
    row = Invitation(
        id=new_id(),
        token_sha256=token_digest(token),
        role=role,
        school_id=school_id,
        name=name,
        email=email,
        created_by=created_by,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    with write() as session:
        session.add(row)
    return row, token


def _find(token: str) -> Invitation | None:
    query = select(Invitation).where(Invitation.token_sha256 == token_digest(token))
    return db.session.scalar(query.options(joinedload(Invitation.school)))


def _require_usable(row: Invitation, now: datetime) -> None:
    if row.used_at is not None:
        raise InvitationRefused(Refusal.USED)
    if row.revoked_at is not None:
        raise InvitationRefused(Refusal.REVOKED)
    if row.expires_at <= now:
        raise InvitationRefused(Refusal.EXPIRED)


def _use(session, row: Invitation, now: datetime) -> Invitation:
    # The condition is judged by the database under a row lock: of two who come at once one is refused.
    query = update(Invitation).where(Invitation.id == row.id, *_open(now)).values(used_at=now)
    if session.execute(query).rowcount != 1:
        raise InvitationRefused(Refusal.USED)
    return row


def _open(now: datetime) -> tuple:
    return Invitation.used_at.is_(None), Invitation.revoked_at.is_(None), Invitation.expires_at > now
