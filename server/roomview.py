"""Pure: what the live pages are told of a lesson, from the media process's room and the session's state on file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rules.lifecycle import SessionState

AWAY = "away"  # no media process answers
WAITING = "waiting"  # nobody is on air yet, or whoever was has not come back
LIVE = "live"
HOST_LOST = "host_lost"
ENDED = "ended"
CANCELLED = "cancelled"


def room_state(room: Mapping[str, Any] | None, session: SessionState | None, away: bool) -> str:
    """Name the lesson's state in one word for the pages.

    A room outweighs the session's state: a host who ended by mistake and goes live again is live.
    """
    if session is SessionState.CANCELLED:
        return CANCELLED
    if room is not None and room.get("state") in (LIVE, HOST_LOST):
        return room["state"]
    if session is SessionState.ENDED and room is None:
        return ENDED
    return AWAY if away else WAITING


def view(
    room: Mapping[str, Any] | None, session: SessionState | None, *, away: bool, now_s: float, host: bool
) -> dict[str, Any]:
    """Return the body of a "room" event: state, since and at (Unix seconds), viewers; for hosts recording and link too.

    Watchers on 32 kbit/s get nothing that their page does not show.
    """
    shown: dict[str, Any] = {
        "state": room_state(room, session, away),
        "viewers": int(room["viewers"]) if room else 0,
        "since": room.get("since") if room else None,
        "at": round(now_s, 1),
    }
    if host:
        recording = room.get("recording") if room else None
        shown["recording"] = (
            {"seconds": round(recording["seconds"], 1), "trouble": recording.get("trouble")} if recording else None
        )
        shown["host"] = room.get("host") if room else None
    return shown


def differs(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Say whether a page would show something else: the moment of the report itself does not count."""
    if before is None:
        return True
    return any(before.get(key) != after[key] for key in after if key != "at")
