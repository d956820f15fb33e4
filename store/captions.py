"""Keep captions, one track for each recording and language, so that of two editors nobody's work is lost unseen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import select

from rules.captions import Cue
from rules.search import fold
from store import materials
from store.database import write
from store.lessontables import CaptionTrack
from store.models import Recording, db


class Changed(Exception):
    """Somebody else has saved another version meanwhile; nothing was changed."""


def track(recording_id: str, language: str) -> CaptionTrack | None:
    """Load one track."""
    return db.session.get(CaptionTrack, (recording_id, language), populate_existing=True)


def tracks(recording_id: str) -> list[CaptionTrack]:
    """List a recording's tracks by language."""
    query = select(CaptionTrack).where(CaptionTrack.recording_id == recording_id)
    return list(db.session.scalars(query.order_by(CaptionTrack.language)))


def tracks_of(recording_ids: Iterable[str]) -> list[CaptionTrack]:
    """List the tracks of several recordings."""
    return list(db.session.scalars(select(CaptionTrack).where(CaptionTrack.recording_id.in_(list(recording_ids)))))


def cues(row: CaptionTrack) -> tuple[Cue, ...]:
    """Return a track's cues in order."""
    return tuple(Cue(*one) for one in row.cues)


def save(
    recording_id: str, language: str, made: Sequence[Cue], version: int | None, person_id: str | None, now: datetime
) -> CaptionTrack:
    """Save checked cues over the version that they were made from (0: there was none; None: whatever is there).

    Raises Changed where another version is there. The recording's pack is made again.
    """
    with write() as session:
        # Two savers take turns on the recording's row; a track that does not exist yet cannot be locked.
        session.scalar(select(Recording.id).where(Recording.id == recording_id).with_for_update())
        row = session.get(CaptionTrack, (recording_id, language), with_for_update=True)
        if version is not None and version != (row.version if row is not None else 0):
            raise Changed
        if row is None:
            row = CaptionTrack(recording_id=recording_id, language=language, version=0)
            session.add(row)
        row.version += 1
        row.cues = [[cue.start_ms, cue.end_ms, cue.text] for cue in made]
        row.search_text = fold("\n".join(cue.text for cue in made))
        row.updated_by, row.updated_at = person_id, now
        materials.remake_pack(recording_id, now)
    return row


def delete(recording_id: str, language: str, version: int | None, now: datetime) -> bool:
    """Delete a track of this version (None: whichever); returns whether there was one. Raises Changed."""
    with write() as session:
        session.scalar(select(Recording.id).where(Recording.id == recording_id).with_for_update())
        row = session.get(CaptionTrack, (recording_id, language), with_for_update=True)
        if row is None:
            return False
        if version is not None and version != row.version:
            raise Changed
        session.delete(row)
        materials.remake_pack(recording_id, now)
    return True
