"""How long files are kept: the policy, what goes when, keeping and removing by hand, making again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask_babel import gettext as _

import rules.space
from config import Settings
from rules import retention, rights
from rules.lifecycle import RenditionState
from rules.retention import Sort, Verdict
from rules.rights import Actor
from rules.space import Disk, Level, Work
from server import access
from server.operations import recordings as recordings_of_lessons
from server.problems import Problem
from store import library, space
from store import retention as store
from store.models import Recording, Rendition

# What goes within these days is listed.
AHEAD = timedelta(days=60)
MOST_LISTED = 200
SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Leaving:
    """A file that goes by the policy, with its recording."""

    recording: Recording
    sort: Sort
    at: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class DiskState:
    """One disk with what is kept free of it."""

    disk: Disk
    reserve_bytes: int
    level: Level
    refused: tuple[Work, ...]


def disks(settings: Settings) -> list[DiskState]:
    """Measure the installation's disks; none where they cannot be."""
    kept = space.reserve(settings)
    try:
        found = space.disks(settings)
    except OSError:
        return []
    return [
        DiskState(disk, kept.of(disk), rules.space.level(disk, kept), rules.space.refused(disk, kept)) for disk in found
    ]


def leaving(actor: Actor, now: datetime) -> list[Leaving]:
    """List what goes soon by the policy, of the lessons that the actor may edit."""
    found = []
    for one in store.going(now + AHEAD, MOST_LISTED):
        recording = library.recording(one.recording_id)
        if recording is not None and may_change(recording, actor):
            found.append(Leaving(recording, one.sort, one.at, one.bytes))
    return found


def set_policy(wanted: Mapping[Sort, int | None], actor: Actor, now: datetime) -> None:
    """Change how long sorts of files are kept; for the district's coordinators."""
    access.require(
        rights.coordinates(actor, None),
        _("How long files are kept is decided by the district's coordinators. Nothing was changed."),
    )
    store.set_policy(wanted, actor.person_id or "", now)


def may_change(recording: Recording, actor: Actor) -> bool:
    """Tell whether the actor may keep and remove files of a recording."""
    return rights.may_edit_session(actor, library.recording_facts(recording).session)


def changeable(recording_id: str, actor: Actor) -> Recording:
    """Load a recording whose files the actor may keep and remove; 404, or 403 for those who may only see it."""
    recording, facts = recordings_of_lessons.seen(recording_id, actor)
    access.require(
        rights.may_edit_session(actor, facts.session), _("Only the lesson's host and coordinators may do that.")
    )
    return recording


def verdicts(recording: Recording) -> tuple[Verdict, ...]:
    """Say of every file of a recording that is there when it goes, or why it stays."""
    return retention.verdicts(store.facts(recording), store.policy())


def keep(recording_id: str, wanted: bool, actor: Actor, now: datetime) -> Recording:
    """Keep a recording's files whatever the policy says, or leave them to it again."""
    recording = changeable(recording_id, actor)
    store.keep(recording.id, actor.person_id if wanted else None, now)
    return recording


def file_of(recording: Recording, file_id: str) -> Verdict:
    """Find one file that is there, by its rendition's id or "source"; 404 otherwise."""
    held = "" if file_id == SOURCE else file_id
    found = next((one for one in verdicts(recording) if one.file.id == held), None)
    access.require_known(found is not None)
    return found


def is_last_copy(recording: Recording, verdict: Verdict) -> bool:
    """Tell whether the lesson's picture or sound would be lost with this file."""
    facts = store.facts(recording)
    return retention.is_last_copy(verdict.file, facts.files, facts.has_video)


def remove(recording_id: str, file_id: str, confirmed: bool, actor: Actor, now: datetime) -> Recording:
    """Remove a file; the last copy only where that was confirmed. Upkeep deletes its bytes soon."""
    recording = changeable(recording_id, actor)
    verdict = file_of(recording, file_id)
    try:
        done = store.remove(recording.id, verdict.file.id, now, last_copy_confirmed=confirmed)
    except store.LastCopy:
        raise Problem(
            409,
            _("This is the last copy: without it nobody can see or hear this lesson again. Nothing was removed."),
            todo=_("If you mean it, say so by the tick on the page, or by last_copy over the API."),
            slug="last-copy",
        ) from None
    if not done:
        raise Problem(
            409,
            _("Files are being made of it at the moment. Nothing was removed."),
            todo=_("Try again when they are ready."),
            slug="in-use",
        )
    return recording


def remake(recording_id: str, rendition_id: str, actor: Actor) -> Recording:
    """Have a removed file made again, while the source is there."""
    recording = changeable(recording_id, actor)
    access.require_known(any(row.id == rendition_id for row in recording.renditions))
    if not store.remake(rendition_id):
        raise Problem(
            409,
            _("This file cannot be made again: it is there, its source was removed, or it was removed only just now."),
            todo=_("If it was removed just now, try again in a few minutes."),
            slug="not-possible",
        )
    return recording


def removed(recording: Recording) -> list[Rendition]:
    """List a recording's files that were removed."""
    return [row for row in recording.renditions if row.state == RenditionState.REMOVED]
