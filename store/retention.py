"""Keep the policy of how long files are kept, and mark files as removed; the rows stay and tell what was there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as OrmSession
from sqlalchemy.orm import selectinload

from rules import lifecycle, retention
from rules.lifecycle import RecordingState, RenditionState
from rules.renditions import Kind
from rules.retention import DEFAULT_DAYS, Facts, Held, Sort, Why
from store.database import write
from store.models import Recording, Rendition, Retention, db

_DONE = (RecordingState.PUBLISHED, RecordingState.FAILED, RecordingState.CANCELLED)


class LastCopy(Exception):
    """What was to be removed is the only copy, and nobody has confirmed that."""


@dataclass(frozen=True, slots=True)
class Going:
    """A file that goes by policy: `rendition_id` is "" for the source."""

    recording_id: str
    rendition_id: str
    sort: Sort
    at: datetime
    bytes: int


def policy() -> dict[Sort, int | None]:
    """Return the days of every sort, None for ever."""
    kept = {row.sort: row.days for row in db.session.scalars(select(Retention))}
    return {sort: kept.get(sort.value, default) for sort, default in DEFAULT_DAYS.items()}


def days(sort: Sort) -> int | None:
    """Return the days of one sort, None for ever."""
    return policy()[sort]


def set_policy(wanted: Mapping[Sort, int | None], person_id: str, now: datetime) -> None:
    """Change the days of some sorts (1 to rules.retention.MAX_DAYS, None for ever)."""
    with write() as session:
        for sort, length in wanted.items():
            row = session.get(Retention, sort.value) or Retention(sort=sort.value)
            row.days, row.changed_at, row.changed_by = length, now, person_id
            session.add(row)


def facts(recording: Recording) -> Facts:
    """Gather what rules.retention judges by."""
    files = [
        Held(row.id, retention.sort_of(Kind(row.kind)), row.published_at, row.bytes or 0)
        for row in recording.renditions
        if row.state == RenditionState.PUBLISHED
    ]
    if recording.segments and recording.source_removed_at is None:
        size = sum(segment["bytes"] for segment in recording.segments)
        files.append(Held("", Sort.SOURCE, recording.created_at, size))
    return Facts(tuple(files), recording.has_video, recording.kept_at is not None, recording.state not in _DONE)


def going(until: datetime, limit: int = 1000) -> list[Going]:
    """List what goes by policy up to a moment, the earliest first; nothing where the policy keeps everything."""
    rules = policy()
    if all(length is None for sort, length in rules.items() if sort is not Sort.REFUSED):
        return []
    query = select(Recording).where(Recording.state.in_(_DONE), Recording.kept_at.is_(None))
    found = []
    for recording in db.session.scalars(query.options(selectinload(Recording.renditions))):
        for verdict in retention.verdicts(facts(recording), rules):
            if verdict.at is not None and verdict.at <= until:
                file = verdict.file
                found.append(Going(recording.id, file.id, file.sort, verdict.at, file.bytes))
    return sorted(found, key=lambda one: (one.at, one.recording_id, one.rendition_id))[:limit]


def keep(recording_id: str, person_id: str | None, now: datetime) -> None:
    """Note that nothing of a recording goes by itself; without a person, that it may again."""
    with write() as session:
        row = session.get_one(Recording, recording_id, with_for_update=True)
        row.kept_at, row.kept_by = (None, None) if person_id is None else (now, person_id)


def remove_due(one: Going, now: datetime) -> bool:
    """Mark a file removed if the policy still says so at this moment; its bytes are for `removed` to list."""
    with write() as session:
        recording = session.get(Recording, one.recording_id, with_for_update=True)
        if recording is None:
            return False
        judged = retention.verdicts(facts(recording), policy())
        due = any(
            verdict.file.id == one.rendition_id and verdict.at is not None and verdict.at <= now for verdict in judged
        )
        if due:
            _mark(session, recording, one.rendition_id, Why.POLICY, now)
    return due


def remove(recording_id: str, rendition_id: str, now: datetime, *, last_copy_confirmed: bool) -> bool:
    """Mark a file removed because a person says so ("": the source); False where it is not there or in use.

    Raises LastCopy where nothing else replaces it and that was not confirmed.
    """
    with write() as session:
        recording = session.get_one(Recording, recording_id, with_for_update=True)
        found = facts(recording)
        file = next((one for one in found.files if one.id == rendition_id), None)
        if file is None or (found.is_busy and file.sort is Sort.SOURCE):
            return False
        if retention.is_last_copy(file, found.files, found.has_video) and not last_copy_confirmed:
            raise LastCopy
        _mark(session, recording, rendition_id, Why.PERSON, now)
    return True


def remake(rendition_id: str) -> bool:
    """Have a removed file made again; False where its source is gone or its old bytes are not yet."""
    with write() as session:
        row = session.get_one(Rendition, rendition_id, with_for_update=True)
        possible = row.state == RenditionState.REMOVED and row.key == "" and row.recording.source_removed_at is None
        if possible:
            row.state = lifecycle.step(RenditionState(row.state), RenditionState.WAITING).value
            row.attempts, row.error, row.not_before = 0, "", None
            row.removed_at, row.removed_why = None, ""
            row.recording.state = lifecycle.step(RecordingState(row.recording.state), RecordingState.WORKING).value
    return possible


def removed() -> list[tuple[str, str, list[str]]]:
    """List (recording id, rendition id or "", storage keys) of what is marked removed and may still have its bytes."""
    query = select(Rendition).where(Rendition.state == RenditionState.REMOVED, Rendition.key != "")
    found = [(row.recording_id, row.id, [row.key]) for row in db.session.scalars(query)]
    for recording in db.session.scalars(select(Recording).where(Recording.source_removed_at.is_not(None))):
        keys = [segment["key"] for segment in recording.segments if not segment.get("removed")]
        if keys:
            found.append((recording.id, "", keys))
    return found


def note_deleted(recording_id: str, rendition_id: str) -> None:
    """Note that the bytes of a removed file are gone."""
    with write() as session:
        if rendition_id:
            row = session.get_one(Rendition, rendition_id, with_for_update=True)
            if row.state == RenditionState.REMOVED:
                row.key = ""
            return
        recording = session.get_one(Recording, recording_id, with_for_update=True)
        recording.segments = [{**segment, "removed": True} for segment in recording.segments]


def _mark(session: OrmSession, recording: Recording, rendition_id: str, why: Why, now: datetime) -> None:
    if not rendition_id:
        recording.source_removed_at, recording.source_removed_why = now, why.value
        return
    row = session.get_one(Rendition, rendition_id, with_for_update=True)
    row.state = lifecycle.step(RenditionState(row.state), RenditionState.REMOVED).value
    row.removed_at, row.removed_why = now, why.value
