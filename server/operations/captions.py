"""Read, replace and remove the captions of a recording, for whoever may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from rules import captions as rules
from rules import rights
from rules.captions import Cue
from rules.renditions import saved_name
from rules.rights import Actor
from rules.search import words
from server import access, captionwords
from server.operations.recordings import seen
from server.problems import Problem
from store import captions as store
from store import database
from store.lessontables import CaptionTrack
from store.models import Recording


@dataclass(frozen=True, slots=True)
class Moment:
    """The place of a recording where a searched word is said."""

    language: str
    cue: Cue


def readable(recording_id: str, language: str, actor: Actor) -> tuple[Recording, CaptionTrack]:
    """Load a track that the actor may see with its recording; 404 otherwise."""
    recording, _facts = seen(recording_id, actor)
    track = store.track(recording_id, language)
    access.require_known(track is not None)
    return recording, track


def changeable(recording_id: str, actor: Actor, language: str = "ru") -> Recording:
    """Load a recording whose captions the actor may change; 404 too for what is no language, 403 for readers."""
    recording, facts = seen(recording_id, actor)
    access.require_known(captionwords.is_language(language))
    access.require(
        rights.may_edit_captions(actor, facts),
        _("Only the lesson's host and coordinators may change captions. Nothing was changed."),
    )
    return recording


def save(recording: Recording, language: str, cues: Sequence[Cue], version: int | None, actor: Actor) -> CaptionTrack:
    """Save checked cues over the version that they were made from; raises store.captions.Changed."""
    return store.save(recording.id, language, cues, version, actor.person_id, database.utc_now())


def remove(recording: Recording, language: str, version: int | None) -> None:
    """Remove a track of this version (None: any); Problem 404 where there is none, 409 where another one is there."""
    try:
        there = store.delete(recording.id, language, version, database.utc_now())
    except store.Changed:
        raise changed_meanwhile() from None
    access.require_known(there)


def changed_meanwhile() -> Problem:
    """Say that somebody else has saved these captions in the meantime."""
    return Problem(
        409,
        _("Somebody else has changed these captions in the meantime. Their version is kept, and nothing was changed."),
        todo=_("Open the captions again and look at what is there now."),
        slug="changed-meanwhile",
    )


def file_name(recording: Recording, language: str, extension: str) -> str:
    """Return the name under which captions are saved."""
    day = recording.started_at.date().isoformat()
    return saved_name(f"{day} {recording.session.title}", f" ({language}).{extension}")


def moments(recordings: Iterable[Recording], text: str) -> dict[str, Moment]:
    """Find for each recording the caption that has the most of the searched words."""
    wanted = words(text)
    rows = store.tracks_of(row.id for row in recordings) if wanted else []
    found: dict[str, tuple[int, Moment]] = {}
    for row in rows:
        score = sum(word in row.search_text for word in wanted)
        if score <= found.get(row.recording_id, (0, None))[0]:
            continue
        cue = rules.moment(store.cues(row), wanted)
        if cue is not None:
            found[row.recording_id] = score, Moment(row.language, cue)
    return {recording_id: moment for recording_id, (_score, moment) in found.items()}
