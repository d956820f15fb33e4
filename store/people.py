"""Keep schools, persons, their roles and passwords, and say who they are to the rules of rights."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import joinedload, selectinload

from rules.rights import NOBODY, Actor, Role
from store.database import LOCK_PEOPLE, new_id, new_token, write
from store.logins import end_every_login, revoke_every_token
from store.models import Guest, Membership, Person, School, db

# argon2-cffi's default is the second recommended option of RFC 9106 4: 64 MiB, 3 passes, 4 lanes.
HASHER = PasswordHasher()

_WITH_MEMBERSHIPS = (selectinload(Person.memberships).options(joinedload(Membership.school)),)

Roles = Iterable[tuple[Role, str | None]]


class Taken(ValueError):
    """A value that must be unique belongs to another row; `field` names it: "email" or "name"."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is taken")
        self.field = field


class LastAdministrator(ValueError):
    """The change would leave the district without an enabled administrator."""


def normal_email(email: str) -> str:
    """Spell an address as it is compared and kept: trimmed, in lower case."""
    return email.strip().lower()


# Schools


def schools() -> list[School]:
    """List every school by name."""
    return list(db.session.scalars(select(School).order_by(School.name)))


def school(school_id: str) -> School | None:
    return db.session.get(School, school_id)


def create_school(
    name: str,
    timezone: str,
    now: datetime,
    *,
    place: str = "",
    link_down_kbps: int | None = None,
    link_up_kbps: int | None = None,
) -> School:
    """Add a school; raises Taken("name")."""
    row = School(
        id=new_id(),
        name=name.strip(),
        place=place,
        timezone=timezone,
        link_down_kbps=link_down_kbps,
        link_up_kbps=link_up_kbps,
        created_at=now,
    )
    with write() as session:
        _insert(session, row, "name")
    return row


def update_school(
    school_id: str, *, name: str, place: str, timezone: str, link_down_kbps: int | None, link_up_kbps: int | None
) -> School | None:
    """Change a school's facts; returns None where there is no such school, raises Taken("name")."""
    with write() as session:
        row = session.get(School, school_id)
        if row is None:
            return None
        try:
            with session.begin_nested():
                row.name, row.place, row.timezone = name.strip(), place, timezone
                row.link_down_kbps, row.link_up_kbps = link_down_kbps, link_up_kbps
        except IntegrityError:
            raise Taken("name") from None
    return row


# Persons


def persons(school_id: str | None = None) -> list[Person]:
    """List persons by name with their memberships and schools; those with a role at one school where it is given."""
    query = select(Person).order_by(Person.name, Person.id).options(*_WITH_MEMBERSHIPS)
    if school_id is not None:
        query = query.where(Person.memberships.any(Membership.school_id == school_id))
    return list(db.session.scalars(query))


def possible_hosts(school_id: str | None = None) -> list[Person]:
    """List enabled persons who may host a school's session: hosts and coordinators, its own or the district's."""
    fits = Membership.role.in_([Role.HOST, Role.COORDINATOR, Role.ADMINISTRATOR])
    if school_id is not None:
        fits &= (Membership.school_id == school_id) | Membership.school_id.is_(None)
    query = select(Person).where(Person.disabled_at.is_(None), Person.memberships.any(fits)).order_by(Person.name)
    return list(db.session.scalars(query.options(*_WITH_MEMBERSHIPS)))


def person(person_id: str) -> Person | None:
    """Load a person with memberships and their schools."""
    return db.session.scalar(select(Person).where(Person.id == person_id).options(*_WITH_MEMBERSHIPS))


def person_by_email(email: str) -> Person | None:
    return db.session.scalar(select(Person).where(Person.email == normal_email(email)).options(*_WITH_MEMBERSHIPS))


def person_by_calendar_secret(secret: str) -> Person | None:
    """Find whose calendar address this is; None for unknown secrets and disabled persons."""
    query = select(Person).where(Person.calendar_secret == secret, Person.disabled_at.is_(None))
    return db.session.scalar(query.options(*_WITH_MEMBERSHIPS))


def create_person(
    email: str, name: str, password: str, memberships: Roles, now: datetime, *, locale: str = "ru"
) -> Person:
    """Make an account with these roles; raises Taken("email"). Hashing takes about 0.1 s, outside the transaction."""
    return add_person(email, name, HASHER.hash(password), memberships, now, locale=locale)


def add_person(
    email: str, name: str, password_hash: str, memberships: Roles, now: datetime, *, locale: str = "ru"
) -> Person:
    """Make an account from a password's argon2 hash; raises Taken("email")."""
    row = Person(
        id=new_id(),
        email=normal_email(email),
        name=name.strip(),
        password_hash=password_hash,
        locale=locale,
        calendar_secret=new_token(),
        created_at=now,
        memberships=[Membership(role=role.value, school_id=school_id) for role, school_id in set(memberships)],
    )
    with write() as session:
        _insert(session, row, "email")
    return row


def update_profile(person_id: str, *, name: str, locale: str) -> None:
    """Change how a person is called and which language they are spoken to in ("ru" or "en")."""
    with write() as session:
        session.execute(update(Person).where(Person.id == person_id).values(name=name.strip(), locale=locale))


def set_timezone(person_id: str, timezone: str | None) -> None:
    """Show somebody all times in this zone; None: in that of their school, else the installation's."""
    with write() as session:
        session.execute(update(Person).where(Person.id == person_id).values(timezone=timezone))


def renew_calendar_secret(person_id: str) -> str:
    """Give the person a new calendar address; the old one stops working."""
    secret = new_token()
    with write() as session:
        session.execute(update(Person).where(Person.id == person_id).values(calendar_secret=secret))
    return secret


def grant(person_id: str, role: Role, school_id: str | None) -> None:
    """Give a person a role at a school or in the district; one held already stays as it is."""
    with write() as session:
        held = select(Membership.id).where(
            Membership.person_id == person_id,
            Membership.role == role.value,
            Membership.school_id.is_(None) if school_id is None else Membership.school_id == school_id,
        )
        if session.scalar(held) is not None:
            return
        try:
            with session.begin_nested():
                session.add(Membership(person_id=person_id, role=role.value, school_id=school_id))
        except IntegrityError:
            # Somebody else gave the same role at the same moment, which is as good; or there is no such person.
            if session.scalar(held) is None:
                raise


def revoke_membership(membership_id: int) -> None:
    """Take a role away; raises LastAdministrator."""
    with write(LOCK_PEOPLE) as session:
        row = session.get(Membership, membership_id)
        if row is None:
            return
        session.delete(row)
        session.flush()
        if row.role == Role.ADMINISTRATOR:
            _require_administrator(session)


def set_disabled(person_id: str, disabled: bool, now: datetime) -> None:
    """Disable or enable an account. Disabling ends its logins and API tokens at once; raises LastAdministrator."""
    with write(LOCK_PEOPLE) as session:
        row = session.get(Person, person_id)
        if row is None or (row.disabled_at is not None) == disabled:
            return
        row.disabled_at = now if disabled else None
        session.flush()
        if disabled:
            if any(membership.role == Role.ADMINISTRATOR for membership in row.memberships):
                _require_administrator(session)
            end_every_login(person_id, now)
            revoke_every_token(person_id, now)


def set_password(person_id: str, password: str, now: datetime, *, keep_login_id: str | None = None) -> None:
    """Change a password and end every login but the one that did it."""
    password_hash = HASHER.hash(password)
    with write() as session:
        session.execute(update(Person).where(Person.id == person_id).values(password_hash=password_hash))
        end_every_login(person_id, now, keep_login_id=keep_login_id)


def authenticate(email: str, password: str) -> Person | None:
    """Return whose e-mail and password these are; None for wrong ones and disabled accounts alike.

    An unknown e-mail costs a hash too, so that the time taken does not tell who has an account.
    """
    row = person_by_email(email)
    stored = row.password_hash if row is not None else _dummy_hash()
    db.session.commit()  # no transaction stays open while the hash is computed
    if not verify_password(stored, password) or row is None or row.disabled_at is not None:
        return None
    if HASHER.check_needs_rehash(stored):
        fresh = HASHER.hash(password)
        with write() as session:
            session.execute(update(Person).where(Person.id == row.id).values(password_hash=fresh))
    return row


def verify_password(password_hash: str, password: str) -> bool:
    """Compare a password with its argon2 hash in constant time."""
    try:
        return HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


# Actors


def actor_of(row: Person) -> Actor:
    """Say who a person is to the rules of rights: NOBODY when disabled."""
    if row.disabled_at is not None:
        return NOBODY
    held = frozenset((Role(membership.role), membership.school_id) for membership in row.memberships)
    return Actor(person_id=row.id, name=row.name, memberships=held)


def actor_of_person(person_id: str) -> Actor:
    """Load the actor of a person id, NOBODY where there is none."""
    row = person(person_id)
    return NOBODY if row is None else actor_of(row)


def actor_of_guest(guest_id: str, now: datetime) -> Actor:
    """Load the actor of a guest; NOBODY when unknown, revoked or past its time."""
    row = db.session.get(Guest, guest_id)
    if row is None or row.revoked_at is not None or row.expires_at <= now:
        return NOBODY
    return Actor(guest_id=row.id, guest_session_id=row.session_id, guest_school_id=row.school_id, name=row.name)


def _insert(session: OrmSession, row: Person | School, unique_field: str) -> None:
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        raise Taken(unique_field) from None


def _require_administrator(session: OrmSession) -> None:
    enabled = (
        select(Membership.id).join(Person).where(Membership.role == Role.ADMINISTRATOR, Membership.school_id.is_(None))
    )
    if session.scalar(enabled.where(Person.disabled_at.is_(None)).limit(1)) is None:
        raise LastAdministrator


@functools.cache
def _dummy_hash() -> str:
    return HASHER.hash(new_token())
