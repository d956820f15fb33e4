"""Give back the rest of a lesson's booked time when it ends early, and take it again when it goes on after all."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session as OrmSession

from rules import schedule
from store.models import BookingBucket, Session


def free_rest(session: OrmSession, session_id: str, ended_at: datetime) -> None:
    """Let others book what a lesson that has ended has not used. Call it in the transaction that ends the lesson."""
    rest = BookingBucket.bucket >= schedule.first_unused(ended_at)
    session.execute(delete(BookingBucket).where(BookingBucket.session_id == session_id, rest))


def take_rest(session: OrmSession, row: Session, now: datetime) -> None:
    """Take again what is still free of a lesson's time, as its host has come back.

    What others have booked meanwhile stays theirs, and the lesson goes on beside them until its end: cutting off a
    class costs more than a crowded quarter of an hour (rules/airtime.py). Call it within `write(LOCK_BOOKING)`.
    """
    names = (schedule.channel_resource(row.channel), *schedule.fixed_resources(row.host_school_id, row.host_person_id))
    span = schedule.unused(row.starts_at, row.minutes, now)
    query = select(BookingBucket.resource, BookingBucket.bucket).where(
        BookingBucket.resource.in_(names), BookingBucket.bucket.between(span.start, span.stop - 1)
    )
    taken = {(name, bucket) for name, bucket in session.execute(query)}
    wanted = [(name, bucket) for name in sorted(names) for bucket in span if (name, bucket) not in taken]
    if wanted:
        rows = [{"resource": name, "bucket": bucket, "session_id": row.id} for name, bucket in wanted]
        session.execute(insert(BookingBucket), rows)
