"""What pages say of disks, of how long files are kept, and of files that are gone."""

from __future__ import annotations

from datetime import datetime

from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from rules.retention import Sort, Verdict, Why
from rules.space import Level, Work
from server import i18n, words
from store.models import Recording, Rendition

SORTS = {
    Sort.SOURCE: _l("The recording as it came"),
    Sort.VIDEO_COMPAT: _l("Video for old computers"),
    Sort.VIDEO_SMALL: _l("Small video"),
    Sort.VOICE: _l("Voice"),
    Sort.OTHER: _l("Other files"),
    Sort.REFUSED: _l("Uploads of which no lesson could be made"),
}
WORKS = {
    Work.UPLOAD: _l("uploads"),
    Work.ENCODE: _l("the making of files"),
    Work.RECORDING: _l("new recordings of lessons"),
    Work.RECORDED: _l("recordings that are going on"),
}
DISKS = {"data": _l("Disk of the data folder"), "storage": _l("Disk of the file storage")}


def day(moment: datetime) -> str:
    """Write a day with its year, in the reader's zone."""
    return format_date(i18n.local(moment), "d MMMM y", rebase=False)


def kept_for(days: int | None) -> str:
    """Write how long something is kept."""
    return _("for ever") if days is None else ngettext("%(num)d day", "%(num)d days", days)


def disk_level(level: Level, refused: tuple[Work, ...]) -> str:
    """Say how full a disk is and what follows from it."""
    if level is Level.OK:
        return _("There is enough room.")
    if level is Level.TIGHT:
        return _("Room gets scarce. Nothing is refused yet.")
    waiting = ", ".join(str(WORKS[work]) for work in refused)
    return _("Too little room. Waiting for it: %(works)s. Lessons themselves go on.", works=waiting)


def fate(verdict: Verdict, now: datetime) -> str:
    """Say when a file goes, or why it stays."""
    if verdict.at is not None:
        return _("goes within the hour") if verdict.at <= now else _("goes on %(day)s", day=day(verdict.at))
    return {
        Why.FOR_EVER: _("stays"),
        Why.KEPT: _("stays: somebody asked to keep it"),
        Why.BUSY: _("stays while files are being made of it"),
        Why.LAST_COPY: _("stays: it is the last copy of the lesson"),
    }[verdict.why]


def gone(row: Rendition) -> str:
    """Say of a removed file when and why it went."""
    return _gone(row.removed_at, row.removed_why)


def source_gone(recording: Recording) -> str:
    """Say when and why a recording's source went; "" while it is there."""
    if recording.source_removed_at is None:
        return ""
    return _gone(recording.source_removed_at, recording.source_removed_why)


def _gone(at: datetime, why: str) -> str:
    if why == Why.PERSON:
        return _("removed on %(day)s by hand", day=day(at))
    return _("removed on %(day)s: its time was over", day=day(at))


def room(free_bytes: int, total_bytes: int, reserve_bytes: int) -> str:
    """Write how much of a disk is free, and what is kept in reserve."""
    return _(
        "%(free)s of %(total)s are free, %(reserve)s are kept in reserve.",
        free=words.size(free_bytes),
        total=words.size(total_bytes),
        reserve=words.size(reserve_bytes),
    )
