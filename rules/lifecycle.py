"""Say which state may follow which, for sessions, recordings, renditions and uploads.

A session is booked, goes live with its host's first packet, and ends; a booked one may be cancelled, or ends unheld
when its time has passed. A host who ended by mistake may go live again, which starts another recording; what was
cancelled stays so.

A recording waits until a worker begins, is worked on while any file is outstanding, and is then published, or failed
when no file at all could be made of it. Somebody may ask for a failed or partly failed one to be tried again.

A rendition waits, is encoded, verified, and published exactly once. One whose picture is made in pieces stands at
"pieces" while workers make them; encoding then means putting them together. A worker that dies or meets trouble that
may pass puts it back to waiting; after too many attempts it has failed. Whoever may, cancels what is not published.
Failed and cancelled last until somebody asks for another try. Published ends when the file is removed, by policy or by
a person (while the source is there, it can be made again), or when what it is made of has changed (captions of a lesson
pack): then it waits again, and the file before stays until the next one is there.

A piece (the plan of a lesson, or a stretch of one file's picture) waits, is worked on, and is done; when its file is
published, cancelled or has failed, the piece is dropped, and goes when what it left in storage is removed.

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
    CANCELLED = "cancelled"


class RenditionState(StrEnum):
    """Where one file made of a recording stands."""

    WAITING = "waiting"
    PIECES = "pieces"
    ENCODING = "encoding"
    VERIFYING = "verifying"
    PUBLISHED = "published"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REMOVED = "removed"


class PieceState(StrEnum):
    """Where one piece of work stands."""

    WAITING = "waiting"
    WORKING = "working"
    DONE = "done"
    DROPPED = "dropped"


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
    RecordingState.WAITING: frozenset({RecordingState.WORKING, RecordingState.FAILED, RecordingState.CANCELLED}),
    RecordingState.WORKING: frozenset(set(RecordingState) - {RecordingState.WORKING}),
    RecordingState.PUBLISHED: frozenset({RecordingState.WORKING}),
    RecordingState.FAILED: frozenset({RecordingState.WAITING, RecordingState.WORKING}),
    RecordingState.CANCELLED: frozenset({RecordingState.WAITING, RecordingState.WORKING}),
}

# Where every file that is not published yet may go from wherever it stands.
_ENDS = frozenset({RenditionState.FAILED, RenditionState.CANCELLED})

RENDITION: Mapping[RenditionState, frozenset[RenditionState]] = {
    RenditionState.WAITING: _ENDS | {RenditionState.PIECES, RenditionState.ENCODING},
    RenditionState.PIECES: _ENDS | {RenditionState.ENCODING, RenditionState.WAITING},
    RenditionState.ENCODING: _ENDS | {RenditionState.VERIFYING, RenditionState.WAITING},
    RenditionState.VERIFYING: _ENDS | {RenditionState.PUBLISHED, RenditionState.WAITING},
    RenditionState.PUBLISHED: frozenset({RenditionState.REMOVED, RenditionState.WAITING}),
    RenditionState.FAILED: frozenset({RenditionState.WAITING}),
    RenditionState.CANCELLED: frozenset({RenditionState.WAITING}),
    RenditionState.REMOVED: frozenset({RenditionState.WAITING}),
}

# What a file has come to when nothing more is done for it.
OVER = frozenset({RenditionState.PUBLISHED, RenditionState.REMOVED}) | _ENDS

PIECE: Mapping[PieceState, frozenset[PieceState]] = {
    PieceState.WAITING: frozenset({PieceState.WORKING, PieceState.DROPPED}),
    PieceState.WORKING: frozenset({PieceState.WAITING, PieceState.DONE, PieceState.DROPPED}),
    PieceState.DONE: frozenset({PieceState.WAITING, PieceState.DROPPED}),
    PieceState.DROPPED: frozenset(),
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
    PieceState: PIECE,
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

    A recording with some files published and the rest failed or cancelled counts as published: what there is can be
    used. One whose files were removed stays so: the library tells what was there.
    """
    states = list(renditions)
    if not states or all(state is RenditionState.WAITING for state in states):
        return RecordingState.WAITING
    if any(state not in OVER for state in states):
        return RecordingState.WORKING
    if RenditionState.PUBLISHED in states or RenditionState.REMOVED in states:
        return RecordingState.PUBLISHED
    return RecordingState.CANCELLED if RenditionState.CANCELLED in states else RecordingState.FAILED
