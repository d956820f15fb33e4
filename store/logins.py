"""Keep logins of browsers and tokens of the API: both are shown once and kept as SHA-256."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import joinedload

from store.database import new_id, new_token, token_digest, write
from store.models import ApiToken, LoginSession, Membership, Person, db

# How stale "last seen" may be; a write per request would be one too many.
SEEN_EVERY = timedelta(minutes=5)
MAX_USER_AGENT_CHARS = 300


def start_login(person_id: str, user_agent: str, now: datetime, days: int) -> tuple[LoginSession, str]:
    """Log a browser in for some days; returns the row and the token for its cookie."""
    token = new_token()
    row = LoginSession(
        id=new_id(),
        token_sha256=token_digest(token),
        person_id=person_id,
        user_agent=user_agent[:MAX_USER_AGENT_CHARS],
        created_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(days=days),
    )
    with write() as session:
        session.add(row)
    return row, token


def find_login(token: str, now: datetime) -> LoginSession | None:
    """Find the login of a cookie, with its person and their memberships.

    None where it is unknown, over or ended, or the person is disabled.
    """
    query = select(LoginSession).where(LoginSession.token_sha256 == token_digest(token), *_valid_login(now))
    row = db.session.scalar(query.options(_person_of(LoginSession.person)))
    if row is None or row.person.disabled_at is not None:
        return None
    if now - row.last_seen_at >= SEEN_EVERY:
        with write() as session:
            session.execute(update(LoginSession).where(LoginSession.id == row.id).values(last_seen_at=now))
    return row


def logins(person_id: str, now: datetime) -> list[LoginSession]:
    """List where a person is logged in, the latest seen first."""
    query = select(LoginSession).where(LoginSession.person_id == person_id, *_valid_login(now))
    return list(db.session.scalars(query.order_by(LoginSession.last_seen_at.desc())))


def end_login(login_id: str, person_id: str, now: datetime) -> bool:
    """End one login of this person; returns whether there was one to end."""
    mine = (LoginSession.id == login_id) & (LoginSession.person_id == person_id) & LoginSession.ended_at.is_(None)
    with write() as session:
        return session.execute(update(LoginSession).where(mine).values(ended_at=now)).rowcount == 1


def end_every_login(person_id: str, now: datetime, *, keep_login_id: str | None = None) -> None:
    """End a person's logins, all or all but one."""
    query = update(LoginSession).where(LoginSession.person_id == person_id, LoginSession.ended_at.is_(None))
    if keep_login_id is not None:
        query = query.where(LoginSession.id != keep_login_id)
    with write() as session:
        session.execute(query.values(ended_at=now))


def create_api_token(
    person_id: str, name: str, now: datetime, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make an API token; returns the row and the text, which cannot be had again."""
    text = new_token()
    row = ApiToken(
        id=new_id(),
        token_sha256=token_digest(text),
        person_id=person_id,
        name=name.strip(),
        created_at=now,
        expires_at=expires_at,
    )
    with write() as session:
        session.add(row)
    return row, text


def find_api_token(text: str, now: datetime) -> ApiToken | None:
    """Find a bearer's API token, with its person and their memberships; None as in `find_login`."""
    query = select(ApiToken).where(ApiToken.token_sha256 == token_digest(text), ApiToken.revoked_at.is_(None))
    row = db.session.scalar(query.options(_person_of(ApiToken.person)))
    if row is None or row.person.disabled_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if row.last_used_at is None or now - row.last_used_at >= SEEN_EVERY:
        with write() as session:
            session.execute(update(ApiToken).where(ApiToken.id == row.id).values(last_used_at=now))
    return row


def api_tokens(person_id: str) -> list[ApiToken]:
    """List a person's API tokens that were not revoked, the newest first."""
    query = select(ApiToken).where(ApiToken.person_id == person_id, ApiToken.revoked_at.is_(None))
    return list(db.session.scalars(query.order_by(ApiToken.created_at.desc())))


def revoke_api_token(token_id: str, person_id: str, now: datetime) -> bool:
    """Revoke one API token of this person; returns whether there was one."""
    mine = (ApiToken.id == token_id) & (ApiToken.person_id == person_id) & ApiToken.revoked_at.is_(None)
    with write() as session:
        return session.execute(update(ApiToken).where(mine).values(revoked_at=now)).rowcount == 1


def revoke_every_token(person_id: str, now: datetime) -> None:
    """Revoke all API tokens of a person."""
    live = (ApiToken.person_id == person_id) & ApiToken.revoked_at.is_(None)
    with write() as session:
        session.execute(update(ApiToken).where(live).values(revoked_at=now))


def clean_logins(before: datetime) -> int:
    """Delete logins that were over before this moment; returns how many."""
    with write() as session:
        over = (LoginSession.expires_at < before) | (LoginSession.ended_at < before)
        return session.execute(delete(LoginSession).where(over)).rowcount


def _valid_login(now: datetime) -> tuple:
    return LoginSession.ended_at.is_(None), LoginSession.expires_at > now


def _person_of(link):
    return joinedload(link).selectinload(Person.memberships).joinedload(Membership.school)
