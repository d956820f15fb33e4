"""Keep letters until they are sent: written in the transaction that they tell of, sent at least once, in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from rules.leases import mail_delay_s
from store.database import write
from store.models import OutboxMail, db

MAX_ERROR_CHARS = 2000
# When a letter that was given up is tried again: never, but its row and error stay to be seen.
GIVEN_UP = datetime(9999, 1, 1, tzinfo=UTC)


def enqueue(to_address: str, subject: str, body: str, now: datetime) -> None:
    """Put a letter into the outbox. Inside a `write()` it is there if and only if the rest is."""
    with write() as session:
        # A line break in a subject would start another header.
        row = OutboxMail(to_address=to_address, subject=" ".join(subject.split())[:200], body=body)
        row.created_at = row.next_try_at = now
        session.add(row)


def due(now: datetime, limit: int = 50) -> list[OutboxMail]:
    """List letters to be sent now, the oldest first; those given up are no longer due."""
    query = select(OutboxMail).where(OutboxMail.sent_at.is_(None), OutboxMail.next_try_at <= now)
    return list(db.session.scalars(query.order_by(OutboxMail.id).limit(limit)))


def claim(mail_id: int, now: datetime, lease: timedelta = timedelta(minutes=5)) -> OutboxMail | None:
    """Take a due letter for sending, so that two workers don't both send it; None where another has it.

    A worker that dies in between leaves it due again after `lease`.
    """
    with write() as session:
        row = session.get(OutboxMail, mail_id, with_for_update=True)
        if row is None or row.sent_at is not None or row.next_try_at > now:
            return None
        row.next_try_at = now + lease
    return row


def mark_sent(mail_id: int, now: datetime) -> None:
    """Note that the mail server has accepted a letter."""
    with write() as session:
        row = session.get_one(OutboxMail, mail_id)
        row.sent_at, row.error = now, ""
        row.attempts += 1


def mark_failed(mail_id: int, now: datetime, error: str) -> datetime | None:
    """Note that a letter was not accepted; returns when it is tried again, None when it is given up."""
    with write() as session:
        row = session.get_one(OutboxMail, mail_id)
        row.attempts += 1
        row.error = error[:MAX_ERROR_CHARS]
        delay_s = mail_delay_s(row.attempts)
        row.next_try_at = GIVEN_UP if delay_s is None else now + timedelta(seconds=delay_s)
        return None if delay_s is None else row.next_try_at


def clean(before: datetime) -> int:
    """Delete letters sent before this moment; returns how many."""
    with write() as session:
        return session.execute(delete(OutboxMail).where(OutboxMail.sent_at < before)).rowcount
