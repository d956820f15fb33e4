"""Tables. Times are aware UTC datetimes; ids are short random strings that may stand in a URL."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    ForeignKey,
    Index,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

# Named constraints, so that migrations can drop them on both databases.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Give every table the same naming of constraints."""

    metadata = MetaData(naming_convention=NAMING)


db = SQLAlchemy(model_class=Base)


class UtcDateTime(TypeDecorator):
    """Store aware datetimes as UTC; SQLite has no zones: dropped on the way in, put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime given to the database; times are aware and in UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Id = String(16)


class School(db.Model):
    """A school; its measured link in kbit/s is what bookings and downloads are judged by."""

    __tablename__ = "school"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    place: Mapped[str] = mapped_column(String(200), default="")
    timezone: Mapped[str] = mapped_column(String(64))
    link_down_kbps: Mapped[int | None]
    link_up_kbps: Mapped[int | None]
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Person(db.Model):
    """Somebody with an account; logins are rows of their own and can be ended one by one."""

    __tablename__ = "person"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    email: Mapped[str] = mapped_column(String(254), unique=True)  # lower case; RFC 5321 4.5.3.1.3
    name: Mapped[str] = mapped_column(String(200))
    password_hash: Mapped[str] = mapped_column(String(200))
    locale: Mapped[str] = mapped_column(String(2), default="ru")
    timezone: Mapped[str | None] = mapped_column(String(64))  # None: that of the first school, else the installation's
    calendar_secret: Mapped[str] = mapped_column(String(43), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    memberships: Mapped[list[Membership]] = relationship(back_populates="person", cascade="all, delete-orphan")


class Membership(db.Model):
    """A role of a person at a school, or for the whole district where school_id is NULL."""

    __tablename__ = "membership"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(16))  # rules.rights.Role
    person: Mapped[Person] = relationship(back_populates="memberships")
    school: Mapped[School | None] = relationship()


# NULLs are distinct in a UNIQUE constraint on both databases, so the district is spelled '' in the index.
Index(
    "uq_membership_person_school_role",
    Membership.person_id,
    func.coalesce(Membership.school_id, text("''")),
    Membership.role,
    unique=True,
)


class LoginSession(db.Model):
    """A browser that is logged in; the cookie holds the token, the row only its SHA-256."""

    __tablename__ = "login_session"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    user_agent: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    person: Mapped[Person] = relationship()


class ApiToken(db.Model):
    """A bearer token for the API; shown once, kept as SHA-256."""

    __tablename__ = "api_token"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    person: Mapped[Person] = relationship()


class Invitation(db.Model):
    """A one-time link that makes (or extends) an account with one role."""

    __tablename__ = "invitation"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(16))
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200), default="")
    email: Mapped[str] = mapped_column(String(254), default="")
    created_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    used_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    school: Mapped[School | None] = relationship()


class PasswordReset(db.Model):
    """A one-time link by which a person who has forgotten their password sets a new one; kept as SHA-256."""

    __tablename__ = "password_reset"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    token_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    created_by: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    person: Mapped[Person] = relationship(foreign_keys=[person_id])


class Seminar(db.Model):
    """A programme of sessions under one title."""

    __tablename__ = "seminar"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text, default="")
    organiser_school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id"))
    created_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    organiser_school: Mapped[School | None] = relationship()
    sessions: Mapped[list[Session]] = relationship(back_populates="seminar", order_by="Session.starts_at")


class Session(db.Model):
    """One programme item (занятие): booked on a channel, a host person and the host school's link."""

    __tablename__ = "session"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    seminar_id: Mapped[str | None] = mapped_column(ForeignKey("seminar.id"), index=True)
    kind: Mapped[str] = mapped_column(String(20))  # rules.lifecycle.SessionKind
    title: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    grades: Mapped[str] = mapped_column(String(40), default="")  # canonical text of rules.grades, e.g. "5+6" or "1-4"
    grades_mask: Mapped[int] = mapped_column(default=0)  # bit g for grade g, to be searched by
    search_text: Mapped[str] = mapped_column(Text, default="")  # rules.search.fold of title, subject, description
    host_school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), index=True)
    host_person_id: Mapped[str] = mapped_column(ForeignKey("person.id"), index=True)
    starts_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    minutes: Mapped[int]
    channel: Mapped[int]
    audience: Mapped[str] = mapped_column(String(10))  # "district" or "invited"
    state: Mapped[str] = mapped_column(String(12))  # rules.lifecycle.SessionState
    sequence: Mapped[int] = mapped_column(default=0)  # iTIP SEQUENCE, RFC 5546 2.1.4
    created_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    first_live_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_live_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    seminar: Mapped[Seminar | None] = relationship(back_populates="sessions")
    host_school: Mapped[School] = relationship()
    host_person: Mapped[Person] = relationship(foreign_keys=[host_person_id])
    invited: Mapped[list[SessionSchool]] = relationship(cascade="all, delete-orphan")
    recordings: Mapped[list[Recording]] = relationship(back_populates="session")


class SessionSchool(db.Model):
    """A school that was invited to a session."""

    __tablename__ = "session_school"
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"), primary_key=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), primary_key=True, index=True)
    school: Mapped[School] = relationship()


class BookingBucket(db.Model):
    """Five minutes of one resource, taken by one session. The primary key is what refuses a double booking."""

    __tablename__ = "booking_bucket"
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)  # "channel:1", "host:<person>", "link:<school>"
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # Unix time // 300
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"), index=True)


class IdempotencyKey(db.Model):
    """The answer already given to a POST that creates, so that a repeated click creates once."""

    __tablename__ = "idempotency_key"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(64))
    request_sha256: Mapped[str] = mapped_column(String(64))
    result_id: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    __table_args__ = (UniqueConstraint("person_id", "key"),)


class Guest(db.Model):
    """A teacher without an account, let into one session by a personal signed link."""

    __tablename__ = "guest"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"), index=True)
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id", ondelete="SET NULL"))
    name: Mapped[str] = mapped_column(String(200))
    created_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    school: Mapped[School | None] = relationship()


class LinkTest(db.Model):
    """One measurement of a link: for a school, or for the tester alone where school_id is NULL. No address is kept."""

    __tablename__ = "link_test"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id", ondelete="CASCADE"), index=True)
    tester_key: Mapped[str] = mapped_column(String(40), index=True)  # "person:<id>" or "guest:<id>"
    name: Mapped[str] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(8))  # "running", "done" or "stopped"
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    media_down: Mapped[str] = mapped_column(String(64), default="")  # the measurements in the media process
    media_up: Mapped[str] = mapped_column(String(64), default="")
    given_bytes: Mapped[int] = mapped_column(default=0)  # over HTTP
    taken_bytes: Mapped[int] = mapped_column(default=0)
    way: Mapped[str] = mapped_column(String(4), default="")  # rules.linktest.Way
    down_kbps: Mapped[int | None]
    up_kbps: Mapped[int | None]
    rtt_ms: Mapped[int | None]
    loss_percent: Mapped[float | None]
    school: Mapped[School | None] = relationship()


class Attendance(db.Model):
    """One stay of one viewer in a live session, taken over from the recording's manifest."""

    __tablename__ = "attendance"
    id: Mapped[int] = mapped_column(primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"), index=True)
    recording_id: Mapped[str] = mapped_column(Id)
    viewer_key: Mapped[str] = mapped_column(String(40))  # "person:<id>" or "guest:<id>"
    name: Mapped[str] = mapped_column(String(200))
    school_id: Mapped[str | None] = mapped_column(ForeignKey("school.id", ondelete="SET NULL"))
    joined_at: Mapped[datetime] = mapped_column(UtcDateTime)
    left_at: Mapped[datetime] = mapped_column(UtcDateTime)
    school: Mapped[School | None] = relationship()
    __table_args__ = (UniqueConstraint("recording_id", "viewer_key", "joined_at"),)


class Leased:
    """Columns of what workers take under a lease (rules.leases). `deaths` of the `attempts` ended with their worker."""

    percent: Mapped[float] = mapped_column(default=0.0)
    attempts: Mapped[int] = mapped_column(default=0)
    deaths: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str] = mapped_column(String(80), default="")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the pause after a failure
    error: Mapped[str] = mapped_column(Text, default="")


class Recording(db.Model):
    """What was recorded of a session, from the sealed manifest onwards."""

    __tablename__ = "recording"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("session.id"), index=True)
    state: Mapped[str] = mapped_column(String(12))  # rules.lifecycle.RecordingState
    failure: Mapped[str] = mapped_column(Text, default="")
    started_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime] = mapped_column(UtcDateTime)
    duration_s: Mapped[float | None]
    has_video: Mapped[bool] = mapped_column(default=True)
    origin: Mapped[str] = mapped_column(String(8), default="live", server_default="live")  # or "upload"
    # What people should know of it: [{"code": rules.intake.Note, …its numbers}]
    notes: Mapped[list] = mapped_column(JSON, default=list, server_default="[]")
    # [{"key", "bytes", "sha256", "duration_s", "video_delay_s", "container", "video_codec"}], in order; an upload's has
    # "tracks": {"audio", "video"} too, the facts (workers.plan.TrackFacts) that were found out when it was taken
    segments: Mapped[list] = mapped_column(JSON, default=list)
    # [{"at_s": place in the finished recording, "seconds": length of the interruption}]
    gaps: Mapped[list] = mapped_column(JSON, default=list)
    source_sha256: Mapped[str] = mapped_column(String(64))  # over the segments' digests in order
    plan: Mapped[dict | None] = mapped_column(JSON(none_as_null=True), deferred=True)  # store.plans
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)  # of the first rendition
    # Somebody said that nothing of this recording is to go by itself.
    kept_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    kept_by: Mapped[str | None] = mapped_column(Id)  # a person's id, also when the person is gone
    # The source is gone: its segments stay listed, with "removed": true once their file is.
    source_removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    source_removed_why: Mapped[str] = mapped_column(String(20), default="", server_default="")
    session: Mapped[Session] = relationship(back_populates="recordings")
    renditions: Mapped[list[Rendition]] = relationship(back_populates="recording", order_by="Rendition.position")


class Rendition(Leased, db.Model):
    """One file made of a recording. A row exists from planning on, so that progress can be shown."""

    __tablename__ = "rendition"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    recording_id: Mapped[str] = mapped_column(ForeignKey("recording.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # rules.renditions.Kind
    position: Mapped[int]  # smallest first
    preset_version: Mapped[int]
    state: Mapped[str] = mapped_column(String(12), index=True)  # rules.lifecycle.RenditionState
    stage: Mapped[str] = mapped_column(String(16), default="")
    eta_s: Mapped[float | None]
    key: Mapped[str] = mapped_column(String(200), default="")  # in file storage; noted before it is put there
    former_key: Mapped[str] = mapped_column(String(200), default="")  # of the published file that is made anew
    content_type: Mapped[str] = mapped_column(String(60), default="")
    bytes: Mapped[int | None] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), default="")
    duration_s: Mapped[float | None]
    width: Mapped[int | None]
    height: Mapped[int | None]
    fps: Mapped[float | None]
    began_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # the work on its pieces
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    published_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    removed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    removed_why: Mapped[str] = mapped_column(String(20), default="", server_default="")  # rules.retention.Why
    recording: Mapped[Recording] = relationship(back_populates="renditions")
    __table_args__ = (UniqueConstraint("recording_id", "kind"),)

    @property
    def is_available(self) -> bool:
        """Tell whether there is a file to download; a pack that is made anew has its last one until then."""
        return self.state == "published" or bool(self.former_key)

    @property
    def file_key(self) -> str:
        """Return where the file to download lies in storage; `bytes`, `sha256` and the rest are this file's."""
        return self.key if self.state == "published" else self.former_key


class Upload(db.Model):
    """A file that somebody sends piece by piece, for a lesson that was booked or for one that never was.

    The row exists before the first byte, so that what was written about the file is never lost. How many bytes are
    there is known by the file beside it alone (server/uploadfile.py); `offset` is what was told last, for lists.
    """

    __tablename__ = "upload"
    id: Mapped[str] = mapped_column(Id, primary_key=True)
    person_id: Mapped[str] = mapped_column(ForeignKey("person.id", ondelete="CASCADE"), index=True)
    school_id: Mapped[str] = mapped_column(ForeignKey("school.id"), index=True)
    session_id: Mapped[str | None] = mapped_column(ForeignKey("session.id", ondelete="SET NULL"), index=True)
    filename: Mapped[str] = mapped_column(String(255))
    filetype: Mapped[str] = mapped_column(String(100), default="")  # as the sender says it; nothing relies on it
    fingerprint: Mapped[str] = mapped_column(
        String(64), default=""
    )  # of the sender's, by which it finds its file again
    metadata_text: Mapped[str] = mapped_column(Text, default="")  # as a tus client wrote it, to be told it again
    # What a lesson that was never booked is made of.
    title: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str] = mapped_column(String(100), default="")
    grades: Mapped[str] = mapped_column(String(40), default="")  # canonical text of rules.grades
    description: Mapped[str] = mapped_column(Text, default="")
    held_at: Mapped[datetime | None] = mapped_column(UtcDateTime)  # when the lesson was; None: not known
    length: Mapped[int] = mapped_column(BigInteger)
    offset: Mapped[int] = mapped_column(BigInteger, default=0)
    sha256: Mapped[str] = mapped_column(String(64), default="")  # of the whole, once it is there
    state: Mapped[str] = mapped_column(String(12), index=True)  # rules.lifecycle.UploadState
    failure: Mapped[str] = mapped_column(Text, default="")  # a code of server.words.reason
    recording_id: Mapped[str | None] = mapped_column(ForeignKey("recording.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    received_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    person: Mapped[Person] = relationship()
    school: Mapped[School] = relationship()
    session: Mapped[Session | None] = relationship()


class Retention(db.Model):
    """How many days one sort of file is kept; None for ever. A sort without a row is kept as rules.retention says."""

    __tablename__ = "retention"
    sort: Mapped[str] = mapped_column(String(20), primary_key=True)  # rules.retention.Sort
    days: Mapped[int | None]
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    changed_by: Mapped[str | None] = mapped_column(ForeignKey("person.id", ondelete="SET NULL"))


class OutboxMail(db.Model):
    """A letter written in the same transaction as what it tells of, sent later, at least once."""

    __tablename__ = "outbox_mail"
    id: Mapped[int] = mapped_column(primary_key=True)
    to_address: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_try_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[str] = mapped_column(Text, default="")
