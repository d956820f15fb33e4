"""Query the library: recordings that an actor may see, by subject, grade, school, date and words (spoken ones too)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import joinedload, selectinload

from rules.rights import Actor, RecordingFacts
from rules.search import words
from store.lessontables import CaptionTrack
from store.models import Recording, Rendition, Session, SessionSchool, db
from store.programme import session_facts, visible

PER_PAGE = 20
MAX_PAGE = 10_000


@dataclass(frozen=True, slots=True)
class Filter:
    """What to look for; None and "" leave a field open. `before` is exclusive; moments are aware."""

    text: str = ""
    subject: str = ""
    grade: int | None = None
    school_id: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of recordings, pages counted from 1."""

    items: tuple[Recording, ...]
    total: int
    page: int
    pages: int


def search(actor: Actor, wanted: Filter, page: int = 1, per_page: int = PER_PAGE) -> Page:
    """Find recordings of which at least one file is published, the latest lessons first.

    A page past the end is the last one. Sessions, schools, hosts and files are loaded with them.
    """
    conditions = _conditions(actor, wanted)
    counting = select(func.count()).select_from(Recording).join(Recording.session).where(*conditions)
    total = db.session.scalar(counting) or 0
    pages = max(1, -(-total // per_page))
    page = min(max(1, page), pages, MAX_PAGE)
    query = select(Recording).join(Recording.session).where(*conditions)
    query = query.order_by(Recording.started_at.desc(), Recording.id).limit(per_page).offset((page - 1) * per_page)
    return Page(tuple(db.session.scalars(query.options(*_WITH_LESSON))), total, page, pages)


def subjects(actor: Actor) -> list[str]:
    """List the subjects of the recordings that an actor may see, for the filter."""
    query = select(Session.subject).distinct().join(Session.recordings).where(*_conditions(actor, Filter()))
    return list(db.session.scalars(query.order_by(Session.subject)))


def recording(recording_id: str) -> Recording | None:
    """Load a recording with its session, schools, host and files."""
    return db.session.scalar(select(Recording).where(Recording.id == recording_id).options(*_WITH_LESSON))


def recordings_of(session_id: str) -> list[Recording]:
    """List a session's recordings with their files, published or not, the earliest first."""
    query = select(Recording).where(Recording.session_id == session_id).order_by(Recording.started_at)
    return list(db.session.scalars(query.options(*_WITH_LESSON)))


def rendition(rendition_id: str) -> Rendition | None:
    """Load a file's row with its recording and session, for a download."""
    query = select(Rendition).where(Rendition.id == rendition_id)
    loading = joinedload(Rendition.recording).joinedload(Recording.session)
    return db.session.scalar(
        query.options(loading.selectinload(Session.invited), loading.joinedload(Session.host_school))
    )


def recording_facts(row: Recording) -> RecordingFacts:
    """Say what the rules of rights need to know of a recording."""
    return RecordingFacts(id=row.id, session=session_facts(row.session), state=row.state)


def _conditions(actor: Actor, wanted: Filter) -> list:
    # Guests see their one session's watch page; rules.rights.may_see_recording keeps them out of the library.
    found = [Recording.published_at.is_not(None), visible(actor) if actor.is_member else Recording.id.is_(None)]
    found += [
        or_(
            Session.search_text.contains(word, autoescape=True),
            exists().where(
                CaptionTrack.recording_id == Recording.id, CaptionTrack.search_text.contains(word, autoescape=True)
            ),
        )
        for word in words(wanted.text)
    ]
    if wanted.subject:
        found.append(Session.subject == wanted.subject)
    if wanted.grade is not None:
        found.append(Session.grades_mask.bitwise_and(1 << wanted.grade) != 0)
    if wanted.school_id is not None:
        found.append(Session.host_school_id == wanted.school_id)
    if wanted.since is not None:
        found.append(Recording.started_at >= wanted.since)
    if wanted.before is not None:
        found.append(Recording.started_at < wanted.before)
    return found


_WITH_LESSON = (
    joinedload(Recording.session).options(
        joinedload(Session.host_school),
        joinedload(Session.host_person),
        joinedload(Session.seminar),
        selectinload(Session.invited).joinedload(SessionSchool.school),
    ),
    selectinload(Recording.renditions),
)
