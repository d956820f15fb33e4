"""Tables of what leaves for the schools: their terms, the PCs that fetch by themselves, receipts, podcast addresses."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from store.models import Id, School, UtcDateTime, db


class SchoolDownloads(db.Model):
    """When, how fast, how much and what a school downloads; a school without a row does so as it likes."""

    __tablename__ = "school_downloads"
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), primary_key=True)
    from_minute: Mapped[int | None]  # of the school's local day; with to_minute None: at any hour
    to_minute: Mapped[int | None]
    rate_kbps: Mapped[int | None]  # None: as fast as the link goes
    monthly_mb: Mapped[int | None]  # megabytes (10**6) on the wire a calendar month; None: no limit
    kinds: Mapped[list] = mapped_column(JSON, default=list)  # rules.renditions.Kind values; empty: the best file alone
    subjects: Mapped[list] = mapped_column(JSON, default=list)  # empty: all
    grades: Mapped[str] = mapped_column(String(40), default="")  # canonical text of rules.grades; "": all
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class SchoolMirror(db.Model):
    """A PC in a school that fetches lessons by itself; its token is shown once and kept as SHA-256."""

    __tablename__ = "school_mirror"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    month: Mapped[str] = mapped_column(String(7), default="")  # "2026-11", of the school's zone
    month_bytes: Mapped[int] = mapped_column(BigInteger, default=0)  # on the wire in that month, as the PC counts
    said: Mapped[str] = mapped_column(String(300), default="")  # what troubles it, in its own words
    school: Mapped[School] = relationship()


class Receipt(db.Model):
    """A file that has arrived at a school and was verified there."""

    __tablename__ = "receipt"
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), primary_key=True)
    rendition_id: Mapped[str] = mapped_column(
        ForeignKey("rendition.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    sha256: Mapped[str] = mapped_column(String(64))
    way: Mapped[str] = mapped_column(String(4))  # "net" or "usb"
    verified_at: Mapped[datetime] = mapped_column(UtcDateTime)  # by the school's clock
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    school: Mapped[School] = relationship()


class Feed(db.Model):
    """A person's podcast address; whoever knows the secret hears what the person may see. No row: no address."""

    __tablename__ = "feed"
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(String(43), unique=True)
    kind: Mapped[str] = mapped_column(String(16))  # rules.renditions.Kind of the files it brings
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
