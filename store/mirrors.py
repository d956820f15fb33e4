"""Keep what schools download by, the PCs that fetch for them, and what has arrived where."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.orm import contains_eager, joinedload

from rules import grades
from rules.downloads import MEGABYTE, Terms
from rules.lifecycle import RenditionState
from rules.nightwindow import Window
from rules.renditions import Kind
from rules.rights import Audience
from store.database import new_id, new_token, token_digest, write
from store.deliverymodels import Receipt, SchoolDownloads, SchoolMirror
from store.models import Recording, Rendition, School, Session, SessionSchool, db

# The newest lessons; a school that was away for a year does not begin with the oldest.
MAX_FILES = 500
SEEN_EVERY = timedelta(minutes=1)
MAX_SAID_CHARS = 300


@dataclass(frozen=True, slots=True)
class Choice:
    """What a school has chosen: when, how fast, how much a month, and of what; None and empty leave a field open."""

    window: Window | None = None
    rate_kbps: int | None = None
    monthly_mb: int | None = None
    kinds: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    grades: str = ""


def choice(school_id: str) -> Choice:
    """Return what a school has chosen, everything open where it has not."""
    row = db.session.get(SchoolDownloads, school_id)
    if row is None:
        return Choice()
    window = None if row.from_minute is None or row.to_minute is None else Window(row.from_minute, row.to_minute)
    return Choice(window, row.rate_kbps, row.monthly_mb, tuple(row.kinds), tuple(row.subjects), row.grades)


def choose(school_id: str, wanted: Choice, now: datetime) -> None:
    """Keep what a school has chosen."""
    with write() as session:
        row = session.get(SchoolDownloads, school_id)
        if row is None:
            row = SchoolDownloads(school_id=school_id)
            session.add(row)
        row.from_minute = wanted.window.from_minute if wanted.window else None
        row.to_minute = wanted.window.to_minute if wanted.window else None
        row.rate_kbps, row.monthly_mb = wanted.rate_kbps, wanted.monthly_mb
        row.kinds, row.subjects, row.grades = list(wanted.kinds), list(wanted.subjects), wanted.grades
        row.updated_at = now


def terms(school: School, month: str) -> Terms:
    """Say what a school downloads by; of its month ("2026-11") that is left which its PCs have not told as used."""
    chosen = choice(school.id)
    left = None
    if chosen.monthly_mb is not None:
        used = sum(row.month_bytes for row in mirrors(school.id) if row.month == month)
        left = max(0, chosen.monthly_mb * MEGABYTE - used)
    return Terms(school.link_down_kbps, chosen.rate_kbps, chosen.window, left)


# The PCs


def create(school_id: str, name: str, person_id: str | None, now: datetime) -> tuple[SchoolMirror, str]:
    """Let a PC of a school fetch by itself; returns the row and the token, which cannot be had again."""
    token = new_token()
    row = SchoolMirror(
        id=new_id(),
        school_id=school_id,
        name=name.strip(),
        token_sha256=token_digest(token),
        created_by=person_id,
        created_at=now,
    )
    with write() as session:
        session.add(row)
    return row, token


def find(token: str, now: datetime) -> SchoolMirror | None:
    """Find whose token this is, with its school; None for unknown and revoked ones. Notes that it was seen."""
    query = select(SchoolMirror).where(
        SchoolMirror.token_sha256 == token_digest(token), SchoolMirror.revoked_at.is_(None)
    )
    row = db.session.scalar(query.options(joinedload(SchoolMirror.school)))
    if row is not None and (row.last_seen_at is None or now - row.last_seen_at >= SEEN_EVERY):
        with write() as session:
            session.execute(update(SchoolMirror).where(SchoolMirror.id == row.id).values(last_seen_at=now))
    return row


def mirrors(school_id: str) -> list[SchoolMirror]:
    """List a school's PCs that may fetch, the oldest first."""
    query = select(SchoolMirror).where(SchoolMirror.school_id == school_id, SchoolMirror.revoked_at.is_(None))
    return list(db.session.scalars(query.order_by(SchoolMirror.created_at)))


def revoke(mirror_id: str, school_id: str, now: datetime) -> bool:
    """Make a PC's token worthless; returns whether there was one."""
    mine = (SchoolMirror.id == mirror_id) & (SchoolMirror.school_id == school_id) & SchoolMirror.revoked_at.is_(None)
    with write() as session:
        return session.execute(update(SchoolMirror).where(mine).values(revoked_at=now)).rowcount == 1


def note_usage(mirror_id: str, month: str, month_bytes: int, said: str) -> None:
    """Keep what a PC says of its month and of its trouble."""
    values = {"month": month, "month_bytes": month_bytes, "said": said[:MAX_SAID_CHARS]}
    with write() as session:
        session.execute(update(SchoolMirror).where(SchoolMirror.id == mirror_id).values(**values))


# What they fetch


def files_for(school_id: str, wanted: Choice) -> list[Rendition]:
    """List the published files that are for a school and that it takes: the newest lesson first, its smallest first.

    Without chosen kinds every kind is listed, and whoever asks chooses one of each recording.
    """
    # rules.rights.school_may_see in SQL; a test holds the two together.
    for_school = or_(
        Session.audience == Audience.DISTRICT,
        Session.host_school_id == school_id,
        Session.invited.any(SessionSchool.school_id == school_id),
    )
    query = (
        select(Rendition)
        .join(Rendition.recording)
        .join(Recording.session)
        .where(Rendition.state == RenditionState.PUBLISHED, Rendition.kind != Kind.SOURCE.value, for_school)
    )
    if wanted.kinds:
        query = query.where(Rendition.kind.in_(wanted.kinds))
    if wanted.subjects:
        query = query.where(Session.subject.in_(wanted.subjects))
    if wanted.grades:
        # A lesson for no grade in particular is for all.
        mask = grades.mask(grades.parse(wanted.grades))
        query = query.where(or_(Session.grades_mask == 0, Session.grades_mask.bitwise_and(mask) != 0))
    loading = contains_eager(Rendition.recording).contains_eager(Recording.session)
    query = query.options(loading.joinedload(Session.host_school), loading.selectinload(Session.invited))
    query = query.order_by(Recording.started_at.desc(), Recording.id, Rendition.position).limit(MAX_FILES)
    return list(db.session.scalars(query))


# Receipts


def keep_receipt(
    school_id: str, rendition_id: str, sha256: str, way: str, verified_at: datetime, now: datetime
) -> None:
    """Keep that a file has arrived; a receipt that comes again changes nothing but the moment it was verified."""
    with write() as session:
        row = session.get(Receipt, (school_id, rendition_id))
        if row is None:
            row = Receipt(school_id=school_id, rendition_id=rendition_id, received_at=now)
            session.add(row)
        row.sha256, row.way, row.verified_at = sha256, way, verified_at


@dataclass(frozen=True, slots=True)
class Arrival:
    """One school that a lesson is for, and the receipts of its files there, by kind."""

    school: School
    receipts: dict[str, Receipt]


def arrivals(recording: Recording) -> list[Arrival]:
    """List the schools that a recording is for, its host's left out, with what has arrived there, by name."""
    session = recording.session
    query = select(School).where(School.id != session.host_school_id).order_by(School.name)
    if session.audience != Audience.DISTRICT:
        query = query.where(School.id.in_([row.school_id for row in session.invited]))
    files = {row.id: row for row in recording.renditions}
    found: dict[str, dict[str, Receipt]] = {}
    for row in db.session.scalars(select(Receipt).where(Receipt.rendition_id.in_(files))):
        if row.sha256 == files[row.rendition_id].sha256:  # else the file was made anew since
            found.setdefault(row.school_id, {})[files[row.rendition_id].kind] = row
    return [Arrival(school, found.get(school.id, {})) for school in db.session.scalars(query)]
