"""What the page of uploads says: how each file stands, and the words of its script."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from flask_babel import gettext as _
from flask_babel import ngettext

from rules.lifecycle import UploadState
from rules.retention import MAX_DAYS
from server import keepwords, words
from store import database
from store.models import Upload


@dataclass(frozen=True, slots=True)
class UploadRow:
    """An upload as a list shows it."""

    upload: Upload
    offset: int
    size: str
    text: str
    sender: str
    place: str

    @property
    def running(self) -> bool:
        """Tell whether bytes are still to come."""
        return self.upload.state == UploadState.RECEIVING

    @property
    def removable(self) -> bool:
        """Tell whether it may be forgotten: no recording is or was made of it."""
        return self.upload.state not in (UploadState.RECEIVED, UploadState.TAKEN)


def row(upload: Upload, offset: int, reader_id: str) -> UploadRow:
    """Dress an upload of which `offset` bytes are there, for whoever reads the list."""
    return UploadRow(
        upload=upload,
        offset=offset,
        size=words.size(upload.length),
        text=state_text(upload, offset),
        sender=upload.person.name if upload.person_id != reader_id else "",
        place=upload.session.title if upload.session is not None else "",
    )


def state_text(upload: Upload, offset: int) -> str:
    """Say how an upload stands, and what to do next."""
    match UploadState(upload.state):
        case UploadState.RECEIVING:
            day = keepwords.day(upload.expires_at)
            if not offset:
                said = _("Nothing has come yet. Choose the file to send it; what you write is kept until %(day)s.")
                return said % {"day": day}
            said = _("%(have)s have come. Choose the same file again to go on; kept until %(day)s.")
            return said % {"have": words.size(offset), "day": day}
        case UploadState.RECEIVED:
            return _("All of it has come. The file is being looked at.")
        case UploadState.TAKEN:
            return _("All of it has come, and the recording is being made or ready.")
        case UploadState.REFUSED:
            reason = words.reason(upload.failure)
            # A policy that says "for ever" is kept as a day which nobody here will see (workers.uploads).
            if upload.expires_at - database.utc_now() > timedelta(days=MAX_DAYS):
                return _("No recording could be made of it: %(reason)s. The file is kept.", reason=reason)
            said = _("No recording could be made of it: %(reason)s. The file is kept until %(day)s.")
            return said % {"reason": reason, "day": keepwords.day(upload.expires_at)}
        case UploadState.EXPIRED:
            return _("Nothing came for too long, so its bytes were removed. Choose the same file to send it anew.")


def days(count: int) -> str:
    """Write a number of days."""
    return ngettext("%(num)d day", "%(num)d days", count)


def script_words() -> dict[str, str]:
    """Return the words of static/uploads.js by key; %(name)s is filled in by the script."""
    return {
        "waiting": _("Waiting for its turn."),
        "announcing": _("Saying what comes…"),
        "looking": _("Looking how much is there…"),
        "sending": _("%(have)s of %(all)s, %(rate)s, %(left)s left"),
        "starting": _("%(have)s of %(all)s"),
        "paused": _("Paused. %(have)s of %(all)s are safe on the server."),
        "again": _("The link broke. %(have)s are safe; trying again in %(s)s s."),
        "offline": _("This computer has no network. %(have)s are safe; sending goes on by itself."),
        "elsewhere": _("This file is being sent from another window or computer. Press “Go on” to send it from here."),
        "no_room": _("The server's disk is full. %(have)s are safe; trying again every minute."),
        "login": _("You have been logged out. Log in again in another window, then press “Go on”. Nothing is lost."),
        "refused": _("The server refused it: %(reason)s"),
        "changed": _("The file has changed or cannot be read. Choose it again."),
        "done": _("All of it has come. The file is being looked at."),
        "recording": _("The recording"),
        "taken": _("All of it has come, and the recording is being made or ready."),
        "not_made": _("No recording could be made of it: %(reason)s. The file is kept."),
        "removed": _("Removed."),
        "sure": _("Remove this file from the server? What has come of it is lost."),
        "pause": _("Pause"),
        "resume": _("Go on"),
        "remove": _("Remove"),
        "saved": _("Saved."),
        "saving": _("Saving…"),
        "not_saved": _("Not saved yet; it is kept in this browser and saved as soon as the server answers."),
        "leave": _("Files are being sent. If you leave, come back later and choose the same files again."),
        "kbps": _("%(n)s kbit/s"),
        "mbps": _("%(n)s Mbit/s"),
        "B": _("B"),
        "kB": _("kB"),
        "MB": _("MB"),
        "GB": _("GB"),
        "seconds": _("%(n)s s"),
        "minutes": _("%(n)s min"),
        "hours": _("%(n)s h %(m)s min"),
        "too_long": _("This file is larger than the %(most)s that are accepted here."),
    }
