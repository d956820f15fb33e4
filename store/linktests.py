"""Measurements of links: begun, counted, finished; the newest result becomes the school's link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from rules.linktest import CEILING_KBPS, Measured
from store.database import new_id, write
from store.models import LinkTest, School, db

RUNNING, DONE, STOPPED = "running", "done", "stopped"
LASTS = timedelta(seconds=60)
"""A measurement takes 20 s; one that has not ended after this long was left."""
HOUR = timedelta(hours=1)


class TooMany(Exception):
    """The limit of an hour is reached; `whose` is "person" or "school", `wait` how long until one more may begin."""

    def __init__(self, whose: str, wait: timedelta) -> None:
        super().__init__(whose)
        self.whose = whose
        self.wait = wait


class InUse(Exception):
    """Somebody else measures the same school's link; both would be wrong. `name` is who."""

    def __init__(self, name: str, wait: timedelta) -> None:
        super().__init__(name)
        self.name = name
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Limits:
    """Tests in an hour, and results kept for a school."""

    per_person: int
    per_school: int
    kept: int


def begin(tester_key: str, name: str, school_id: str | None, now: datetime, limits: Limits) -> LinkTest:
    """Make the row of a new test; the same person's running one is stopped. Raises TooMany, InUse."""
    with write() as session:
        _count("person", LinkTest.tester_key == tester_key, limits.per_person, now)
        if school_id is not None:
            _count("school", LinkTest.school_id == school_id, limits.per_school, now)
            other = session.scalar(
                select(LinkTest).where(
                    LinkTest.school_id == school_id,
                    LinkTest.tester_key != tester_key,
                    LinkTest.state == RUNNING,
                    LinkTest.started_at > now - LASTS,
                )
            )
            if other is not None:
                raise InUse(other.name, other.started_at + LASTS - now)
        mine = update(LinkTest).where(LinkTest.tester_key == tester_key, LinkTest.state == RUNNING)
        session.execute(mine.values(state=STOPPED, finished_at=now))
        row = LinkTest(
            id=new_id(), school_id=school_id, tester_key=tester_key, name=name, state=RUNNING, started_at=now
        )
        session.add(row)
    return row


def _count(whose: str, condition, most: int, now: datetime) -> None:
    found = select(LinkTest.started_at).where(condition, LinkTest.started_at > now - HOUR)
    moments = list(db.session.scalars(found.order_by(LinkTest.started_at.desc()).limit(most)))
    if len(moments) >= most:
        raise TooMany(whose, moments[-1] + HOUR - now)


def find(test_id: str) -> LinkTest | None:
    """Load one test."""
    return db.session.get(LinkTest, test_id)


def change(test_id: str, **facts: object) -> None:
    """Set columns of a test that runs; one that has ended stays as it is."""
    with write() as session:
        session.execute(update(LinkTest).where(LinkTest.id == test_id, LinkTest.state == RUNNING).values(**facts))


def spend(test_id: str, column: str, size_bytes: int, most_bytes: int) -> bool:
    """Add to `given_bytes` or `taken_bytes` unless that would go beyond the most; say whether it was added."""
    spent = getattr(LinkTest, column)
    query = update(LinkTest).where(LinkTest.id == test_id, LinkTest.state == RUNNING, spent <= most_bytes - size_bytes)
    with write() as session:
        return session.execute(query.values({column: spent + size_bytes})).rowcount == 1


def finish(test_id: str, found: Measured, now: datetime, kept: int) -> LinkTest | None:
    """Write a result down, make it the school's link, drop the oldest; None where the test has ended before."""
    with write() as session:
        row = session.get(LinkTest, test_id, with_for_update=True)
        if row is None or row.state != RUNNING:
            return None
        row.state, row.finished_at, row.way = DONE, now, found.way
        row.down_kbps, row.up_kbps = found.down_kbps, found.up_kbps
        row.rtt_ms, row.loss_percent = found.rtt_ms, found.loss_percent
        session.flush()
        if row.school_id is not None:
            _take_over(session.get(School, row.school_id), found)
            old = select(LinkTest.id).where(LinkTest.school_id == row.school_id, LinkTest.state == DONE)
            old = old.order_by(LinkTest.started_at.desc(), LinkTest.id).offset(kept)
            session.execute(delete(LinkTest).where(LinkTest.id.in_(list(session.scalars(old)))))
    return row


def _take_over(school: School, found: Measured) -> None:
    """Make the newest result the school's; a figure at the ceiling does not lower what somebody knew better."""
    for column, kbps in (("link_down_kbps", found.down_kbps), ("link_up_kbps", found.up_kbps)):
        known = getattr(school, column)
        if kbps is not None and not (kbps >= CEILING_KBPS and known is not None and known > kbps):
            setattr(school, column, kbps)


def stop(test_id: str, now: datetime) -> None:
    """End a test without a result."""
    change(test_id, state=STOPPED, finished_at=now)


def history(school_id: str, most: int) -> list[LinkTest]:
    """List a school's results, newest first."""
    query = select(LinkTest).where(LinkTest.school_id == school_id, LinkTest.state == DONE)
    return list(db.session.scalars(query.order_by(LinkTest.started_at.desc(), LinkTest.id).limit(most)))


def own(tester_key: str, most: int) -> list[LinkTest]:
    """List the results of somebody that count for no school, newest first."""
    query = select(LinkTest).where(
        LinkTest.tester_key == tester_key, LinkTest.school_id.is_(None), LinkTest.state == DONE
    )
    return list(db.session.scalars(query.order_by(LinkTest.started_at.desc(), LinkTest.id).limit(most)))


def last_measured() -> Mapping[str, datetime]:
    """Return when each school was measured last, by its id."""
    query = select(LinkTest.school_id, func.max(LinkTest.started_at)).where(
        LinkTest.state == DONE, LinkTest.school_id.is_not(None)
    )
    return {row[0]: row[1] for row in db.session.execute(query.group_by(LinkTest.school_id))}


def clean(before: datetime) -> int:
    """Delete tests that came to nothing, and those that count for no school, from before this moment."""
    stale = (LinkTest.state != DONE) | LinkTest.school_id.is_(None)
    with write() as session:
        return session.execute(delete(LinkTest).where(LinkTest.started_at < before, stale)).rowcount
