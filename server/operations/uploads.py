"""Uploads: announce a file, change what is written about it, note how far it is, hand it over, remove it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from config import Settings
from rules import rights, tus
from rules.lifecycle import SessionState, UploadState
from rules.rights import Actor, Role, UploadFacts
from server import access, uploadfile, words
from server.operations.outcome import Trouble, wrong
from server.problems import Problem
from store import people, programme, space, uploads
from store.models import Session, Upload
from store.uploads import Announced, TooMany

log = structlog.get_logger("server.uploads")

GB = 1_000_000_000
# A lesson that is booked may be recorded offline and sent in before its time.
RECENT = timedelta(days=60)
AHEAD = timedelta(days=1)


def settings() -> Settings:
    """Return the installation's settings."""
    return current_app.config["TROPA"]


def keep() -> timedelta:
    """Return for how long an upload that nobody goes on with is kept."""
    return timedelta(days=settings().upload_days)


def most_bytes() -> int:
    """Return how long one file may be."""
    return settings().max_upload_gb * GB


def facts(row: Upload) -> UploadFacts:
    """Say what the rules of rights need to know of an upload."""
    return UploadFacts(row.id, row.person_id, row.school_id)


def managed(upload_id: str, actor: Actor) -> Upload:
    """Load an upload that the actor may manage; 404 (nobody: the login) otherwise, as if there were none."""
    row = uploads.find(upload_id)
    access.require_known(row is not None and rights.may_manage_upload(actor, facts(row)))
    return row


def downloadable(upload_id: str, actor: Actor) -> Upload:
    """Load a refused upload whose file the actor may have back; 404 otherwise."""
    row = managed(upload_id, actor)
    access.require_known(row.state == UploadState.REFUSED and uploads.part_path(settings(), row.id).is_file())
    return row


def offset(row: Upload) -> int:
    """Return how many bytes of an upload count now."""
    if row.state == UploadState.RECEIVING:
        return uploadfile.offset(uploads.folder(settings()), row.id)
    return 0 if row.state == UploadState.EXPIRED else row.length


def announce(data: dict, length: int, actor: Actor, now: datetime, written: str = "") -> Upload | Trouble:
    """Make the row of a file before its first byte, or find the one that waits for the same file.

    `data` is a checked server.uploadschemas.Announcement, `written` the metadata as a tus client wrote them.
    Raises Problem 413, 429, 507.
    """
    if length > most_bytes():
        raise Problem(413, _("A file may have %(most)s at most.", most=words.size(most_bytes())), slug="too-long")
    placed = _place(data, actor)
    if isinstance(placed, Trouble):
        return placed
    session_id, school_id = placed
    known = uploads.waiting_for(actor.person_id, data["fingerprint"], length, session_id)
    if known is not None:
        return known
    require_room(uploads.promised_bytes() + length)
    filename = data["filename"] or _("recording")
    told = {name: data[name] for name in ("subject", "grades", "description", "held_at", "fingerprint")}
    file = Announced(
        person_id=actor.person_id,
        school_id=school_id,
        session_id=session_id,
        filename=filename,
        filetype=data["filetype"][:100],
        length=length,
        title=data["title"] or tus.stem(filename)[:200],
        metadata_text=written,
        **told,
    )
    try:
        return uploads.announce(file, now, keep(), settings().uploads_per_person)
    except TooMany:
        text = ngettext(
            "%(num)d unfinished upload is allowed for each person.",
            "%(num)d unfinished uploads are allowed for each person.",
            settings().uploads_per_person,
        )
        raise Problem(
            429, text, todo=_("Finish one of them or remove it, then add the file again."), slug="too-many-uploads"
        ) from None


def require_room(needed_bytes: int) -> None:
    """Stop where so many more bytes would leave too little room on the disk: Problem 507 (RFC 4918 11.5)."""
    room = space.room_for(settings(), needed_bytes)
    if not room.fits:
        raise no_room(room.missing_bytes)


def no_room(missing_bytes: int) -> Problem:
    """Return the refusal for want of room."""
    detail = _("The server's disk is full. What was sent so far is kept.")
    if missing_bytes:
        detail = f"{detail} " + _("%(size)s more would be needed.", size=words.size(missing_bytes))
    return Problem(
        507,
        detail,
        title=_("There is no room"),
        todo=_("Ask the administrator to make room; the upload then goes on from where it is."),
        slug="no-room",
        headers={"Retry-After": "600"},
    )


def describe(row: Upload, data: dict, actor: Actor, now: datetime) -> Upload | Trouble:
    """Change what is written about a file. `data` is a checked UploadWords, or a part of one."""
    changed = dict(data)
    if "title" in changed:
        changed["title"] = changed["title"] or tus.stem(row.filename)[:200]
    if "session_id" in changed or "school_id" in changed:
        wanted = {"session_id": row.session_id, **changed, "school_id": changed.get("school_id") or row.school_id}
        if (wanted["session_id"], wanted["school_id"]) != (row.session_id, row.school_id):
            placed = _place(wanted, actor)
            if isinstance(placed, Trouble):
                return placed
            wanted["session_id"], wanted["school_id"] = placed
        changed |= {"session_id": wanted["session_id"], "school_id": wanted["school_id"]}
    described = uploads.describe(row.id, now, changed)
    if described is None:
        raise Problem(
            409,
            _("A recording was already made of this file. Nothing was changed."),
            todo=_("Change the lesson itself."),
            slug="taken",
        )
    return uploads.find(row.id)


def remove(row: Upload) -> None:
    """Forget an upload with its bytes; 409 while a recording is being made of it, or was."""
    upload_id = row.id
    if not uploads.remove(upload_id):
        raise Problem(
            409, _("A recording is being made of this file, or was. Nothing was removed."), slug="handed-over"
        )
    uploads.remove_files(uploads.folder(settings()), upload_id)


def try_again(row: Upload, now: datetime) -> None:
    """Have a refused file looked at again; 409 where it was not refused."""
    if not uploads.try_again(row.id, now):
        raise Problem(409, _("This file was not refused. Nothing was changed."), slug="not-refused")


def note_progress(upload_id: str, offset: int, now: datetime) -> None:
    """Note how far a file is, which prolongs its time."""
    uploads.progress(upload_id, offset, now, keep())


def prolong(row: Upload, now: datetime) -> None:
    """Keep an upload that somebody goes on with: a request may take hours, and its bytes must not expire meanwhile."""
    # Half of the time is more than any request takes, and pieces need not each write to the database beforehand.
    if row.expires_at - now < keep() / 2:
        uploads.progress(row.id, row.offset, now, keep())


def finish(upload_id: str, sha256: str, now: datetime) -> None:
    """Note that the last byte is there; the workers' next sweep finds the file."""
    if uploads.mark_received(upload_id, sha256, now):
        log.info("upload_received", upload=upload_id)


def places(actor: Actor, now: datetime) -> list[Session]:
    """List the lessons that the actor may send a recording for: over or nearly so, the latest first."""
    found = programme.sessions_between(actor, now - RECENT, now + AHEAD)
    mine = [row for row in found if rights.may_upload_to(actor, programme.session_facts(row))]
    return sorted(mine, key=lambda row: row.starts_at, reverse=True)


def schools(actor: Actor) -> list:
    """List the schools for which the actor may send in a lesson that was never booked."""
    return [school for school in people.schools() if rights.may_upload(actor, school.id)]


def own_school(actor: Actor) -> str | None:
    """Return the school that an unbooked lesson of the actor's belongs to where none is named; None: it must be."""
    hosted = sorted(school for role, school in actor.memberships if role is Role.HOST and school is not None)
    others = sorted(school for school in actor.schools if rights.may_upload(actor, school))
    return next(iter([*hosted, *others]), None)


def _place(data: dict, actor: Actor) -> tuple[str | None, str] | Trouble:
    """Decide which lesson or school a file belongs to: (session id or None, school id)."""
    if data["session_id"] is not None:
        session = programme.get_session(data["session_id"])
        known = programme.session_facts(session) if session is not None else None
        if known is None or not rights.may_see_session(actor, known):
            return wrong("session_id", _("There is no such lesson."))
        if not rights.may_upload_to(actor, known):
            text = _("Only its host and coordinators may send in a recording of this lesson.")
            return Trouble(403, errors={"session_id": [text]}, message=text, slug="not-yours")
        if session.state == SessionState.CANCELLED:
            return wrong("session_id", _("This lesson was cancelled. Send the file as a lesson of its own."))
        return session.id, session.host_school_id
    school_id = data["school_id"] or own_school(actor)
    if school_id is None or people.school(school_id) is None:
        return wrong("school_id", _("Please choose one from the list."))
    if not rights.may_upload(actor, school_id):
        text = _("You may send in lessons of a school where you are a host or coordinator.")
        return Trouble(403, errors={"school_id": [text]}, message=text, slug="not-yours")
    return None, school_id
