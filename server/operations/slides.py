"""The slides of a recording's lesson: attach them as PDF, and set by hand when which stands and what chapters begin."""

from __future__ import annotations

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import structlog
from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from config import Settings
from rules import rights, timelinerows
from rules.lifecycle import OVER
from rules.renditions import Kind
from rules.rights import Actor
from rules.timelinerows import Entry, Fault
from server import access, words
from server.operations import recordings as recordings_of_lessons
from server.operations import uploads
from server.operations.outcome import Trouble, wrong
from server.problems import Problem
from store import materials
from store.files import COPY_BYTES, Files, NoSuchFile
from store.lessontables import Deck, LessonTimeline
from store.models import Recording

log = structlog.get_logger("server.slides")

# A PDF begins with its version, before which readers let some bytes pass (ISO 32000-1, annex H, note 13).
MARK, MARK_WITHIN_BYTES = b"%PDF-", 1024
MAX_NAME_CHARS = 200


@dataclass(frozen=True, slots=True)
class Slides:
    """What is known of a recording's slides; `version` is that of `hand`, 0 where nothing was set by hand."""

    recording: Recording
    deck: Deck | None
    hand: LessonTimeline | None
    version: int
    entries: tuple[Entry, ...]
    remaking: bool


def settings() -> Settings:
    """Return the installation's settings."""
    return current_app.config["TROPA"]


def deck_bytes(of: Settings) -> int:
    """Return how large a deck may be."""
    return of.deck_mb * 1_000_000


def changeable(recording_id: str, actor: Actor) -> Recording:
    """Load a recording whose slides the actor may set; 404, or 403 for those who may only see it."""
    recording, facts = recordings_of_lessons.seen(recording_id, actor)
    access.require(rights.may_set_slides(actor, facts), _("Only the lesson's host and coordinators may do that."))
    return recording


def shown(recording: Recording) -> Slides:
    """Return what is known: what was set by hand, and for the rest what the pack that is there goes by."""
    hand = materials.timeline(recording.id)
    found_pages, found_chapters = _found(recording)
    pages = [tuple(one) for one in hand.pages] if hand and hand.pages else found_pages
    chapters = [tuple(one) for one in hand.chapters] if hand and hand.chapters else found_chapters
    pack = _pack(recording)
    return Slides(
        recording=recording,
        deck=materials.deck(recording.session_id),
        hand=hand,
        version=hand.version if hand else 0,
        entries=timelinerows.entries(pages, chapters),
        remaking=pack is not None and pack.state not in OVER,
    )


def attach(recording: Recording, name: str, stream: IO[bytes], actor: Actor, now: datetime) -> Deck | Trouble:
    """Attach a PDF to the recording's lesson in the place of the one before. Raises Problem 507."""
    size = stream.seek(0, 2)
    stream.seek(0)
    if size > deck_bytes(settings()):
        return wrong("file", too_large(settings()))
    if MARK not in stream.read(MARK_WITHIN_BYTES):
        return wrong("file", _("This is no PDF. Save the slides as PDF and choose that file. What was there stays."))
    stream.seek(0)
    digest = _digest(stream)
    session_id = recording.session_id
    before = materials.deck(session_id)
    if before is not None and before.sha256 == digest and before.state != "refused":
        return before
    uploads.require_room(size)
    key = f"decks/{session_id}/{digest[:16]}/slides.pdf"
    try:
        _put(stream, key)
    except OSError:
        raise _no_room() from None
    left = materials.put_deck(session_id, _clean_name(name), key, size, digest, actor.person_id, now)
    _forget(left)
    return materials.deck(session_id)


def detach(recording: Recording, now: datetime) -> None:
    """Take the slides away from the recording's lesson; times set by hand stay."""
    _forget(materials.remove_deck(recording.session_id, now))


def most_pages(deck: Deck | None) -> int:
    """Return the largest number of a page that may be set: those of the deck, or as many as one may have."""
    return len(deck.pages) if deck is not None and deck.state == "ready" else settings().deck_pages


def save(slides: Slides, entries: Sequence[Entry], version: int, actor: Actor, now: datetime) -> LessonTimeline:
    """Save entries without faults over the version that they were made from. Raises store.materials.Changed.

    What is just as the server found it stays found, so that it follows another deck.
    """
    said = [one for one in entries if one.says_something]
    pages, chapters = timelinerows.pages(said), timelinerows.chapters(said)
    if not (slides.hand and slides.hand.pages) and pages == timelinerows.pages(slides.entries):
        pages = ()
    if not (slides.hand and slides.hand.chapters) and chapters == timelinerows.chapters(slides.entries):
        chapters = ()
    return materials.save_timeline(slides.recording.id, chapters, pages, version, actor.person_id, now)


def faults(slides: Slides, entries: Sequence[Entry]) -> dict[int, str]:
    """Say in words by its place what is wrong with each entry."""
    length_s = slides.recording.duration_s
    end_ms = round(length_s * 1000) if length_s else None
    most = most_pages(slides.deck)
    found = timelinerows.faults(entries, end_ms, most)
    return {index: _fault(fault, end_ms, most) for index, fault in found.items()}


def changed() -> Problem:
    """Return the refusal for who began with a version that is no longer the newest."""
    return Problem(
        409,
        _("Somebody else has saved other times meanwhile. Nothing of yours was saved."),
        todo=_("Fetch them anew, and change those."),
        slug="changed",
    )


def too_large(of: Settings) -> str:
    """Say that a PDF is too large, and what to do."""
    return _(
        "The PDF may have %(most)s at most. What was there stays. Save it with smaller pictures, or only this lesson's "
        "pages, and attach it again.",
        most=words.size(deck_bytes(of)),
    )


def _fault(fault: Fault, end_ms: int | None, most: int) -> str:
    match fault:
        case Fault.TIME:
            return _("Write the time as minutes and seconds, like 12:05.")
        case Fault.LATE:
            return _("The recording is only %(end)s long.", end=timelinerows.written_time(end_ms // 1000 * 1000))
        case Fault.PAGE:
            return ngettext("There is %(num)d page.", "Pages have numbers from 1 to %(num)d.", most)
        case Fault.TITLE:
            most = timelinerows.MAX_TITLE_CHARS
            return ngettext("At most %(num)s character fits here", "At most %(num)s characters fit here", most)
        case Fault.TWICE:
            return _("Another page begins at the same time.")
        case Fault.TOO_MANY:
            return _("There are too many rows or chapters; leave some out.")


def _pack(recording: Recording):
    return next((row for row in recording.renditions if row.kind == Kind.PACK), None)


def _found(recording: Recording) -> tuple[list[tuple[int, int | None]], list[tuple[int, str]]]:
    """Read from the pack that is there when which page stands and where chapters begin; nothing without a pack."""
    row = _pack(recording)
    if row is None or not row.is_available:
        return [], []
    try:
        with _files().open(row.file_key) as file, zipfile.ZipFile(file) as zipped:
            timeline = json.loads(zipped.read("timeline.json"))
        numbers = timeline.get("pages") or [None] * len(timeline["slides"])
        turns = [(timelinerows.rounded(at_s), numbers[index]) for at_s, index in timeline["turns"]]
        return turns, [(timelinerows.rounded(at_s), title) for at_s, title in timeline["chapters"]]
    except (NoSuchFile, OSError, zipfile.BadZipFile, LookupError, ValueError) as trouble:
        log.warning("pack_unreadable", recording=recording.id, trouble=str(trouble))
        return [], []


def _put(stream: IO[bytes], key: str) -> None:
    folder = settings().data / "tmp"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deck-", dir=folder) as place:
        path = Path(place, "slides.pdf")
        with path.open("wb") as target:
            while block := stream.read(COPY_BYTES):
                target.write(block)
        _files().put(path, key)


def _digest(stream: IO[bytes]) -> str:
    made = hashlib.sha256()
    while block := stream.read(COPY_BYTES):
        made.update(block)
    stream.seek(0)
    return made.hexdigest()


def _forget(keys: Iterable[str]) -> None:
    for key in keys:
        try:
            _files().delete(key)
        except OSError as trouble:  # nothing refers to it any more: it costs its room and no more
            log.warning("not_deleted", key=key, trouble=str(trouble))


def _files() -> Files:
    return current_app.extensions["tropa_files"]


def _clean_name(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(char for char in last if char.isprintable()).strip()[:MAX_NAME_CHARS] or "slides.pdf"


def _no_room() -> Problem:
    return Problem(
        507,
        _("The server's disk is full. The file was not kept."),
        title=_("There is no room"),
        todo=_("Ask the administrator to make room and send it again."),
        slug="no-room",
    )
