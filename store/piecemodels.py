"""The table of pieces of work that are shorter than a whole file: the plan of a lesson, stretches of a picture."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.models import Id, Leased, Recording, Rendition, UtcDateTime, db


class Piece(Leased, db.Model):
    """One piece of work, which goes when it is no longer needed and nothing of it is left in storage."""

    __tablename__ = "piece"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), index=True)
    # The file that it is a piece of; of a plan the first of those that wait for it.
    rendition_id: Mapped[str] = mapped_column(ForeignKey("rendition.id", ondelete="CASCADE"), index=True)
    sort: Mapped[str] = mapped_column(String(8))  # store.pieces.Sort
    state: Mapped[str] = mapped_column(String(12), index=True)  # rules.lifecycle.PieceState
    first_frame: Mapped[int] = mapped_column(default=0)  # of the file's grid; a plan has no frames
    frames: Mapped[int] = mapped_column(default=0)
    key: Mapped[str] = mapped_column(String(200), default="")  # in file storage; noted before it is put there
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    recording: Mapped[Recording] = relationship()
    rendition: Mapped[Rendition] = relationship()
