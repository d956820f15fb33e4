"""Keep what a lesson pack is made of beside the recording: the deck, chapters and slide times, slides found."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from rules.lessonpack import FINDER_VERSION
from rules.lifecycle import RenditionState
from rules.renditions import Kind
from store import recordings
from store.database import write
from store.lessontables import Deck, FoundSlides, LessonTimeline
from store.models import Recording, Rendition, Session, db

# Whoever corrects captions saves again soon: the pack is made once they have paused for so long.
REMAKE_AFTER = timedelta(seconds=15)


# The reason of what waits for room; see rules.leases.PATIENT.
DISK_FULL = "disk_full"


class Changed(Exception):
    """Somebody else has saved another version meanwhile; nothing was changed."""


def remake_pack(recording_id: str, now: datetime) -> bool:
    """Have a recording's pack made again soon; the one that is published stays until then. False: none is planned."""
    with write():
        found = select(Rendition.id).where(Rendition.recording_id == recording_id, Rendition.kind == Kind.PACK.value)
        rendition_id = db.session.scalar(found)
        return rendition_id is not None and recordings.remake(rendition_id, now + REMAKE_AFTER)


def deck(session_id: str) -> Deck | None:
    """Load a lesson's deck."""
    return db.session.get(Deck, session_id, populate_existing=True)


def put_deck(
    session_id: str, name: str, key: str, size: int, sha256: str, person_id: str | None, now: datetime
) -> list[str]:
    """Attach a stored PDF to a lesson in the place of the one before; returns storage keys that nobody needs now."""
    with write() as session:
        lesson = session.get(Session, session_id, with_for_update=True)
        row = session.get(Deck, session_id)
        left = [] if row is None else _keys(row)
        if row is None:
            row = Deck(session_id=session_id)
            session.add(row)
        row.name, row.key, row.bytes, row.sha256 = name, key, size, sha256
        row.state, row.error, row.pages = "waiting", "", []
        row.uploaded_by, row.uploaded_at = person_id, now
        for recording_id in session.scalars(select(Recording.id).where(Recording.session_id == lesson.id)).all():
            remake_pack(recording_id, now)
    return [one for one in left if one != key]


def remove_deck(session_id: str, now: datetime) -> list[str]:
    """Take a lesson's deck away; returns the storage keys that nobody needs now."""
    with write() as session:
        session.get(Session, session_id, with_for_update=True)
        row = session.get(Deck, session_id)
        if row is None:
            return []
        left = _keys(row)
        session.delete(row)
        for recording_id in session.scalars(select(Recording.id).where(Recording.session_id == session_id)).all():
            remake_pack(recording_id, now)
    return left


def waiting_decks(limit: int = 10) -> list[Deck]:
    """List decks whose pages are not rendered yet, the oldest first."""
    query = select(Deck).where(Deck.state == "waiting").order_by(Deck.uploaded_at)
    return list(db.session.scalars(query.limit(limit)))


def note_deck(session_id: str, sha256: str, pages: Sequence[dict], error: str = "") -> bool:
    """Note a deck's rendered pages, or why it has none; False where another deck was attached meanwhile.

    A full disk is nothing wrong with the deck: it goes on waiting, with the reason.
    """
    with write() as session:
        row = session.get(Deck, session_id, with_for_update=True)
        if row is None or row.sha256 != sha256:
            return False
        state = {"": "ready", DISK_FULL: "waiting"}.get(error, "refused")
        row.state, row.error, row.pages = state, error, list(pages)
    return True


def timeline(recording_id: str) -> LessonTimeline | None:
    """Load what was set by hand for a recording."""
    return db.session.get(LessonTimeline, recording_id, populate_existing=True)


def save_timeline(
    recording_id: str,
    chapters: Sequence[tuple[int, str]],
    pages: Sequence[tuple[int, int]],
    version: int | None,
    person_id: str | None,
    now: datetime,
) -> LessonTimeline:
    """Save chapters (milliseconds, title) and pages (milliseconds, page from 1) over the version they were made from.

    Version 0: there was none; None: whatever is there. Raises Changed. The recording's pack is made again.
    """
    with write() as session:
        session.scalar(select(Recording.id).where(Recording.id == recording_id).with_for_update())
        row = session.get(LessonTimeline, recording_id, with_for_update=True)
        if version is not None and version != (row.version if row is not None else 0):
            raise Changed
        if row is None:
            row = LessonTimeline(recording_id=recording_id, version=0)
            session.add(row)
        row.version += 1
        row.chapters, row.pages = [list(one) for one in chapters], [list(one) for one in pages]
        row.updated_by, row.updated_at = person_id, now
        remake_pack(recording_id, now)
    return row


def found_slides(recording_id: str) -> list[dict] | None:
    """Return the slides found in a recording's picture; None where it is to be looked through (again)."""
    row = db.session.get(FoundSlides, recording_id, populate_existing=True)
    return None if row is None or row.finder_version != FINDER_VERSION else list(row.slides)


def note_found(recording_id: str, slides: Sequence[dict], now: datetime) -> None:
    """Keep what was found in a recording's picture."""
    with write() as session:
        row = session.get(FoundSlides, recording_id, with_for_update=True)
        if row is None:
            row = FoundSlides(recording_id=recording_id)
            session.add(row)
        row.finder_version, row.slides, row.found_at = FINDER_VERSION, list(slides), now


def lesson_of(recording_id: str) -> Recording | None:
    """Load a recording with its lesson, for the pack's title page."""
    return db.session.get(Recording, recording_id, populate_existing=True)


def published_file(recording_id: str, kind: Kind) -> Rendition | None:
    """Load a published file of a recording."""
    query = select(Rendition).where(
        Rendition.recording_id == recording_id,
        Rendition.kind == kind.value,
        Rendition.state == RenditionState.PUBLISHED.value,
    )
    return db.session.scalar(query)


def _keys(row: Deck) -> list[str]:
    return [row.key, *{page["key"] for page in row.pages}]
