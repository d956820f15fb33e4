"""Find recordings and their files, and say what may be done with them."""

from __future__ import annotations

from urllib.parse import quote

from flask_babel import gettext as _

from rules import rights
from rules.lifecycle import OVER, RecordingState, RenditionState
from rules.renditions import CONTAINERS, Kind, download_name
from rules.rights import Actor, RecordingFacts
from server import access, words
from server.problems import Problem
from store import library, recordings
from store.models import Recording, Rendition


def seen(recording_id: str, actor: Actor) -> tuple[Recording, RecordingFacts]:
    """Load a recording that the actor may know of; 404 (nobody: the login) otherwise."""
    recording = library.recording(recording_id)
    facts = library.recording_facts(recording) if recording is not None else None
    access.require_known(facts is not None and rights.may_see_recording(actor, facts))
    return recording, facts


def allowed_file(rendition_id: str, actor: Actor) -> Rendition | None:
    """Load a file that the actor may have, published or not; None otherwise."""
    rendition = library.rendition(rendition_id)
    if rendition is None:
        return None
    facts = library.recording_facts(rendition.recording)
    rule = rights.may_download_source if rendition.kind == Kind.SOURCE else rights.may_see_recording
    return rendition if rule(actor, facts) else None


def downloadable(rendition_id: str, actor: Actor) -> Rendition:
    """Load a published file that the actor may have; 404 otherwise."""
    rendition = allowed_file(rendition_id, actor)
    access.require_known(rendition is not None)
    require_ready(rendition)
    return rendition


def require_ready(rendition: Rendition) -> None:
    """Go on only with a published file; raises Problem 404 that says where to look."""
    if not rendition.is_available:
        raise Problem(
            404,
            _("This file is not ready yet."),
            todo=_("The recording's page shows how far it is."),
            slug="not-ready",
        )


def shown_renditions(recording: Recording, actor: Actor, facts: RecordingFacts) -> list[Rendition]:
    """List a recording's files that the actor may know of."""
    source = rights.may_download_source(actor, facts)
    return [row for row in recording.renditions if source or row.kind != Kind.SOURCE]


def file_name(rendition: Rendition) -> str:
    """Return the name under which a file is saved: the day and the lesson's title."""
    session = rendition.recording.session
    kind = Kind(rendition.kind)
    extension = CONTAINERS[kind].extension if kind in CONTAINERS else rendition.key.rpartition(".")[2]
    day = rendition.recording.started_at.date().isoformat()
    return download_name(f"{day} {session.title}", kind, extension)


def file_url(rendition: Rendition) -> str:
    """Return the local address of a file, with its name at the end for tools that look there."""
    return f"/files/{rendition.id}/{quote(file_name(rendition), safe='')}"


def source_file(recording_id: str, number: int, actor: Actor) -> tuple[dict, str]:
    """Return one segment of a recording as it came, and the name to save it under; 404 where it is not there."""
    recording, facts = seen(recording_id, actor)
    there = recording.source_removed_at is None and 1 <= number <= len(recording.segments)
    access.require_known(there and rights.may_download_source(actor, facts))
    segment = recording.segments[number - 1]
    title = f"{recording.started_at.date().isoformat()} {recording.session.title}"
    if len(recording.segments) > 1:
        title = f"{title} {number}"
    return segment, download_name(title, Kind.SOURCE, segment["key"].rpartition(".")[2])


def source_sizes(recording: Recording) -> list[str]:
    """List the sizes of a recording's files as they came; none where they were removed."""
    return [] if recording.source_removed_at else [words.size(segment["bytes"]) for segment in recording.segments]


def may_retry(recording: Recording, actor: Actor, facts: RecordingFacts) -> bool:
    """Tell whether there is something to try again and the actor may ask for it."""
    ended = (RenditionState.FAILED, RenditionState.CANCELLED)
    return (
        recording.source_removed_at is None
        and any(row.state in ended for row in recording.renditions)
        and rights.may_retry_recording(actor, facts)
    )


def retry(recording_id: str, actor: Actor) -> Recording:
    """Have the failed and cancelled files of a recording made again; the workers' sweep finds them."""
    recording, facts = seen(recording_id, actor)
    access.require(
        rights.may_retry_recording(actor, facts), _("Only the lesson's host and coordinators may ask for that.")
    )
    if not recordings.retry(recording_id):
        raise Problem(
            409, _("No file of this recording has failed or was stopped. Nothing was changed."), slug="nothing-failed"
        )
    return recording


def may_cancel(recording: Recording, actor: Actor, facts: RecordingFacts) -> bool:
    """Tell whether there is work on a recording that could be stopped and the actor may ask for it."""
    return any(row.state not in OVER for row in recording.renditions) and rights.may_cancel_recording(actor, facts)


def cancel(recording_id: str, actor: Actor) -> Recording:
    """Stop the work on everything of a recording that is not finished; workers notice within a second or two."""
    recording, facts = seen(recording_id, actor)
    access.require(
        rights.may_cancel_recording(actor, facts), _("Only the lesson's host and coordinators may ask for that.")
    )
    if not recordings.cancel(recording_id):
        raise Problem(409, _("Nothing of this recording is being made. Nothing was changed."), slug="nothing-to-stop")
    return recording


def is_finished(recording: Recording) -> bool:
    """Tell whether nothing more is being made of a recording."""
    return recording.state in (RecordingState.PUBLISHED, RecordingState.FAILED, RecordingState.CANCELLED)
