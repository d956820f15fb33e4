"""Say which state may follow which, for sessions, recordings, renditions and uploads.

A session is booked, goes live with its host's first packet, and ends; a booked one may be cancelled, or ends unheld
when its time has passed. A host who ended by mistake may go live again, which starts another recording; what was
cancelled stays so.

A recording waits until a worker begins, is worked on while any file is outstanding, and is then published, or failed
when no file at all could be made of it. Somebody may ask for a failed or partly failed one to be tried again.

A rendition waits, is encoded, verified, and published exactly once. A worker that dies or meets trouble that may pass
puts it back to waiting; after too many attempts it has failed, until somebody asks for another try. Published ends
only when the file is removed, by policy or by a person; while the source is there, it can be made again.

An upload is received piece by piece until its last byte is there, or expires where nobody goes on with it. A worker
makes a recording of what was received, or refuses it with a reason and keeps the file for its owner, who may have it
looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TypeVar

S = TypeVar("S", bound=StrEnum)


class SessionKind(StrEnum):
    """What sort of programme item a session is."""

    OPEN_LESSON = "open_lesson"
    EXTRACURRICULAR = "extracurricular"
    ROUND_TABLE = "round_table"
    WEBINAR = "webinar"


class SessionState(StrEnum):
    """Where a session stands."""

    BOOKED = "booked"
    LIVE = "live"
    ENDED = "ended"
    CANCELLED = "cancelled"


class RecordingState(StrEnum):
    """Where a recording stands."""

    WAITING = "waiting"
    WORKING = "working"
    PUBLISHED = "published"
    FAILED = "failed"


class RenditionState(StrEnum):
    """Where one file made of a recording stands."""

    WAITING = "waiting"
    ENCODING = "encoding"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    FAILED = "failed"
    REMOVED = "removed"


class UploadState(StrEnum):
    """Where an uploaded file stands."""

    RECEIVING = "receiving"
    RECEIVED = "received"
    TAKEN = "taken"
    REFUSED = "refused"
    EXPIRED = "expired"


SESSION: Mapping[SessionState, frozenset[SessionState]] = {
    SessionState.BOOKED: frozenset({SessionState.LIVE, SessionState.ENDED, SessionState.CANCELLED}),
    SessionState.LIVE: frozenset({SessionState.ENDED}),
    SessionState.ENDED: frozenset({SessionState.LIVE}),
    SessionState.CANCELLED: frozenset(),
}

RECORDING: Mapping[RecordingState, frozenset[RecordingState]] = {
    RecordingState.WAITING: frozenset({RecordingState.WORKING, RecordingState.FAILED}),
    RecordingState.WORKING: frozenset({RecordingState.WAITING, RecordingState.PUBLISHED, RecordingState.FAILED}),
    RecordingState.PUBLISHED: frozenset({RecordingState.WORKING}),
    RecordingState.FAILED: frozenset({RecordingState.WAITING, RecordingState.WORKING}),
}

RENDITION: Mapping[RenditionState, frozenset[RenditionState]] = {
    RenditionState.WAITING: frozenset({RenditionState.ENCODING, RenditionState.FAILED}),
    RenditionState.ENCODING: frozenset({RenditionState.VERIFYING, RenditionState.WAITING, RenditionState.FAILED}),
    RenditionState.VERIFYING: frozenset({RenditionState.PUBLISHED, RenditionState.WAITING, RenditionState.FAILED}),
    RenditionState.PUBLISHED: frozenset({RenditionState.REMOVED}),
    RenditionState.FAILED: frozenset({RenditionState.WAITING}),
    RenditionState.REMOVED: frozenset({RenditionState.WAITING}),
}

UPLOAD: Mapping[UploadState, frozenset[UploadState]] = {
    UploadState.RECEIVING: frozenset({UploadState.RECEIVED, UploadState.EXPIRED}),
    UploadState.RECEIVED: frozenset({UploadState.TAKEN, UploadState.REFUSED}),
    UploadState.TAKEN: frozenset(),
    UploadState.REFUSED: frozenset({UploadState.RECEIVED, UploadState.EXPIRED}),
    UploadState.EXPIRED: frozenset(),
}

_TABLES: Mapping[type[StrEnum], Mapping] = {
    SessionState: SESSION,
    RecordingState: RECORDING,
    RenditionState: RENDITION,
    UploadState: UPLOAD,
}


class IllegalTransition(ValueError):
    """A step that no table allows; `before` and `after` are the two states."""

    def __init__(self, before: StrEnum, after: StrEnum) -> None:
        super().__init__(f"{type(before).__name__}: {before.value} cannot become {after.value}")
        self.before = before
        self.after = after


def may_become(before: StrEnum, after: StrEnum) -> bool:
    """Tell whether `after` may follow `before`; both are members of the same state enumeration."""
    return after in _TABLES[type(before)][before]


def step(before: S, after: S) -> S:
    """Return `after`, or raise IllegalTransition where the table has no such step."""
    if not may_become(before, after):
        raise IllegalTransition(before, after)
    return after


def recording_state(renditions: Iterable[RenditionState]) -> RecordingState:
    """Conclude a recording's state from its renditions' states.

    A recording with some files published and the rest failed counts as published: what there is can be used. One whose
    files were removed stays so: the library tells what was there.
    """
    states = list(renditions)
    if not states or all(state is RenditionState.WAITING for state in states):
        return RecordingState.WAITING
    ended = (RenditionState.PUBLISHED, RenditionState.FAILED, RenditionState.REMOVED)
    if any(state not in ended for state in states):
        return RecordingState.WORKING
    if RenditionState.PUBLISHED in states or RenditionState.REMOVED in states:
        return RecordingState.PUBLISHED
    return RecordingState.FAILED
