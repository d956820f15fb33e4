"""Tables of what goes with a recording: the deck, captions, chapters and slide times, slides found in the picture."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from store.models import Id, UtcDateTime, db


class Deck(db.Model):
    """The slides of a lesson as its host made them (PDF); `pages` are filled in by a worker."""

    __tablename__ = "deck"
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    key: Mapped[str] = mapped_column(String(200))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(12))  # "waiting", "ready" or "refused"
    error: Mapped[str] = mapped_column(String(40), default="")  # the code of a reason
    # [{"key", "extension", "bytes", "sha256", "width", "height", "text"}], in the order of the pages
    pages: Mapped[list] = mapped_column(JSON, default=list)
    uploaded_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    uploaded_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CaptionTrack(db.Model):
    """The captions of a recording in one language; `version` rises with every change."""

    __tablename__ = "caption_track"
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    version: Mapped[int]
    cues: Mapped[list] = mapped_column(JSON, default=list)  # [[start_ms, end_ms, text]], in order
    search_text: Mapped[str] = mapped_column(Text, default="")  # rules.search.fold of all the text
    updated_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LessonTimeline(db.Model):
    """What somebody set by hand for a recording: chapters, and which page of the deck stands when."""

    __tablename__ = "lesson_timeline"
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int]
    chapters: Mapped[list] = mapped_column(JSON, default=list)  # [[at_ms, title]]
    pages: Mapped[list] = mapped_column(JSON, default=list)  # [[at_ms, page from 1]]; empty: found by the server
    updated_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class FoundSlides(db.Model):
    """The slides that a worker found in a recording's picture, so that it is looked through once."""

    __tablename__ = "found_slides"
    recording_id: Mapped[str] = mapped_column(Id, ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True)
    finder_version: Mapped[int]
    # [{"at_s", "key", "extension", "bytes", "sha256", "width", "height"}], in order; the same key where a slide returns
    slides: Mapped[list] = mapped_column(JSON, default=list)
    found_at: Mapped[datetime] = mapped_column(UtcDateTime)
