"""Book, move and cancel sessions. The rules decide; the primary key of (resource, bucket) has the last word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as OrmSession

from rules import grades, idempotency, lifecycle, schedule
from rules.idempotency import Repeat
from rules.lifecycle import SessionKind, SessionState
from rules.rights import Audience
from rules.schedule import Conflict, SlotFault, Suggestion
from rules.search import fold
from store.database import LOCK_BOOKING, new_id, write
from store.models import BookingBucket, IdempotencyKey, Person, School, Seminar, Session, SessionSchool, db


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants to book. `starts_at` is aware; `invited` school ids count where the audience is "invited"."""

    kind: SessionKind
    title: str
    subject: str
    host_school_id: str
    host_person_id: str
    starts_at: datetime
    minutes: int
    description: str = ""
    grades: frozenset[int] = frozenset()
    audience: Audience = Audience.DISTRICT
    invited: frozenset[str] = field(default_factory=frozenset)
    seminar_id: str | None = None


@dataclass(frozen=True, slots=True)
class Booked:
    """The session stands in the database. `repeated`: it did already, from the same request under the same key."""

    session_id: str
    channel: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Clash:
    """Something is taken: which resources by which sessions, and up to three free times, the nearest first."""

    conflicts: tuple[Conflict, ...]
    suggestions: tuple[Suggestion, ...]


@dataclass(frozen=True, slots=True)
class Invalid:
    """No time like this is ever booked."""

    faults: tuple[SlotFault, ...]


class NoSuch(ValueError):
    """A draft names something that does not exist (any more); `field` says which field of the draft."""

    def __init__(self, field: str) -> None:
        super().__init__(f"no such {field}")
        self.field = field


class KeyReused(ValueError):
    """An idempotency key came back with another request."""


class NotMovable(ValueError):
    """The time, host or school of a session that is no longer just booked cannot change; `state` says what it is."""

    def __init__(self, state: SessionState) -> None:
        super().__init__(f"a session that is {state.value} cannot be moved")
        self.state = state


def book(
    draft: Draft, actor_id: str, now: datetime, channels: int, idempotency_key: str | None = None
) -> Booked | Clash | Invalid:
    """Book a session in one transaction, or say what stands in the way.

    The same request under the same key (of one person, at most 64 characters) gives the same session again. Raises
    KeyReused for another request under a known key, and NoSuch. Rights are not asked here.
    """
    digest = idempotency.request_digest(
        {**asdict(draft), "invited": sorted(draft.invited), "grades": sorted(draft.grades)}
    )
    with write(LOCK_BOOKING) as session:
        repeated = _repeated(session, actor_id, idempotency_key, digest)
        if repeated is not None:
            return repeated
        faults = schedule.faults(draft.starts_at, draft.minutes, now)
        if faults:
            return Invalid(faults)
        _require_known(session, draft)
        row = Session(id=new_id(), state=SessionState.BOOKED.value, created_by=actor_id, created_at=now, sequence=0)
        _fill(row, draft, now)
        conflicts = _take(session, row, channels)
        if not conflicts:
            if idempotency_key is not None:
                _remember(session, actor_id, idempotency_key, digest, row.id, now)
            return Booked(row.id, row.channel)
    return Clash(conflicts, suggest(draft, now, channels))


def reschedule(session_id: str, draft: Draft, now: datetime, channels: int) -> Booked | Clash | Invalid:
    """Change a session in one transaction, its time too, or say what stands in the way and leave it as it was.

    Raises the calendar SEQUENCE. Where neither time nor host nor school change, it may be live or past. Raises NoSuch,
    NotMovable.
    """
    with write(LOCK_BOOKING) as session:
        row = session.get(Session, session_id, with_for_update=True)
        if row is None:
            raise NoSuch("session")
        moved = _slot(row) != (draft.starts_at, draft.minutes, draft.host_school_id, draft.host_person_id)
        state = SessionState(row.state)
        if state is SessionState.CANCELLED or (moved and state is not SessionState.BOOKED):
            raise NotMovable(state)
        faults = schedule.faults(draft.starts_at, draft.minutes, now) if moved else ()
        if faults:
            return Invalid(faults)
        _require_known(session, draft)
        if not moved:
            _change(row, draft, now)
            return Booked(row.id, row.channel)
        with session.begin_nested() as savepoint:
            _change(row, draft, now)
            conflicts = _take(session, row, channels)
            if conflicts:
                savepoint.rollback()
        if not conflicts:
            return Booked(row.id, row.channel)
    return Clash(conflicts, suggest(draft, now, channels, session_id))


def cancel(session_id: str, now: datetime) -> Session:
    """Cancel a booked session: its times are free at once, its calendar SEQUENCE rises.

    Raises NoSuch, and lifecycle.IllegalTransition where it is live, past or cancelled already.
    """
    with write(LOCK_BOOKING) as session:
        row = session.get(Session, session_id, with_for_update=True)
        if row is None:
            raise NoSuch("session")
        row.state = lifecycle.step(SessionState(row.state), SessionState.CANCELLED).value
        row.sequence += 1
        row.updated_at = now
        session.execute(delete(BookingBucket).where(BookingBucket.session_id == session_id))
    return row


def suggest(draft: Draft, now: datetime, channels: int, except_session_id: str = "") -> tuple[Suggestion, ...]:
    """Suggest free times near a draft's, by what is booked at this moment; a session to be moved does not count."""
    school = db.session.get(School, draft.host_school_id)
    if school is None:
        raise NoSuch("host_school_id")
    zone = ZoneInfo(school.timezone)
    needed = schedule.fixed_resources(draft.host_school_id, draft.host_person_id)
    span = schedule.suggestion_buckets(draft.starts_at, zone)
    taken = _taken(db.session(), span, needed, channels, except_session_id)
    busy = schedule.busy_buckets(taken)
    return schedule.nearest_free(draft.starts_at, draft.minutes, now, zone, busy, needed, channels)


def taken_times(first: datetime, end: datetime) -> list[tuple[datetime, datetime]]:
    """List (start, end) of every booking that touches a time, whoever may see it: for how many channels are free."""
    query = select(Session.starts_at, Session.minutes, Session.state, Session.ended_at).where(
        Session.state != SessionState.CANCELLED,
        Session.starts_at < end,
        Session.starts_at > first - timedelta(minutes=schedule.MAX_MINUTES),
    )
    found = []
    for start, minutes, state, ended_at in db.session.execute(query):
        until = schedule.taken_until(start, minutes, ended_at if state == SessionState.ENDED else None)
        if until > max(start, first):
            found.append((start, until))
    return found


def _take(session: OrmSession, row: Session, channels: int) -> tuple[Conflict, ...]:
    """Insert (or move) a session with its buckets on the lowest free channel; returns what is in the way otherwise.

    Ends: a refused insert means that somebody else's booking has been committed, which the next look sees.
    """
    span = schedule.buckets(row.starts_at, row.minutes)
    needed = schedule.fixed_resources(row.host_school_id, row.host_person_id)
    while True:
        with session.no_autoflush:
            taken = _taken(session, span, needed, channels, row.id)
        conflicts = schedule.conflicts(span, needed, taken, channels)
        channel = schedule.free_channel(span, schedule.busy_buckets(taken), channels)
        if conflicts or channel is None:
            return conflicts
        try:
            with session.begin_nested():
                row.channel = channel
                session.add(row)
                session.flush()
                session.execute(delete(BookingBucket).where(BookingBucket.session_id == row.id))
                # In one order for everybody, so that two who insert at once never wait for each other.
                names = sorted((schedule.channel_resource(channel), *needed))
                rows = [{"resource": name, "bucket": n, "session_id": row.id} for name in names for n in span]
                session.execute(insert(BookingBucket), rows)
            return ()
        except IntegrityError:
            continue


def _taken(
    session: OrmSession, span: range, needed: Iterable[str], channels: int, except_session_id: str
) -> dict[tuple[str, int], str]:
    names = [*needed, *(schedule.channel_resource(channel) for channel in range(1, channels + 1))]
    query = select(BookingBucket.resource, BookingBucket.bucket, BookingBucket.session_id).where(
        BookingBucket.resource.in_(names),
        BookingBucket.bucket.between(span.start, span.stop - 1),
        BookingBucket.session_id != except_session_id,
    )
    return {(name, bucket): holder for name, bucket, holder in session.execute(query)}


def _repeated(session: OrmSession, actor_id: str, key: str | None, digest: str) -> Booked | None:
    if key is None:
        return None
    query = select(IdempotencyKey).where(IdempotencyKey.person_id == actor_id, IdempotencyKey.key == key)
    kept = session.scalar(query)
    match idempotency.judge(kept.request_sha256 if kept is not None else None, digest):
        case Repeat.NEW:
            return None
        case Repeat.DIFFERENT:
            raise KeyReused
        case Repeat.SAME:
            row = session.get_one(Session, kept.result_id)
            return Booked(row.id, row.channel, repeated=True)


def _remember(session: OrmSession, actor_id: str, key: str, digest: str, session_id: str, now: datetime) -> None:
    kept = IdempotencyKey(person_id=actor_id, key=key, request_sha256=digest, result_id=session_id, created_at=now)
    session.add(kept)


def _require_known(session: OrmSession, draft: Draft) -> None:
    if session.get(School, draft.host_school_id) is None:
        raise NoSuch("host_school_id")
    host = session.get(Person, draft.host_person_id)
    if host is None or host.disabled_at is not None:
        raise NoSuch("host_person_id")
    if draft.seminar_id is not None and session.get(Seminar, draft.seminar_id) is None:
        raise NoSuch("seminar_id")
    known = set(session.scalars(select(School.id).where(School.id.in_(draft.invited))))
    if known != draft.invited:
        raise NoSuch("invited")


def _slot(row: Session) -> tuple[datetime, int, str, str]:
    return row.starts_at, row.minutes, row.host_school_id, row.host_person_id


def _change(row: Session, draft: Draft, now: datetime) -> None:
    _fill(row, draft, now)
    row.sequence += 1


def _fill(row: Session, draft: Draft, now: datetime) -> None:
    row.seminar_id = draft.seminar_id
    row.kind = draft.kind.value
    row.title = draft.title
    row.subject = draft.subject
    row.description = draft.description
    row.grades = grades.canonical(draft.grades)
    row.grades_mask = grades.mask(draft.grades)
    row.search_text = fold(f"{draft.title} {draft.subject} {draft.description}")
    row.host_school_id = draft.host_school_id
    row.host_person_id = draft.host_person_id
    row.starts_at = draft.starts_at
    row.minutes = draft.minutes
    row.audience = draft.audience.value
    row.updated_at = now
    kept = {invited.school_id: invited for invited in row.invited}
    row.invited = [kept.get(school_id) or SessionSchool(school_id=school_id) for school_id in sorted(draft.invited)]


def clean_keys(before: datetime) -> int:
    """Delete idempotency keys made before this moment; returns how many."""
    with write() as session:
        return session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < before)).rowcount
