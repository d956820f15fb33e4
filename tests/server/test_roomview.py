"""What the live pages are told."""

from __future__ import annotations

import pytest

from rules.lifecycle import SessionState
from server.roomview import differs, room_state, view

LIVE = {
    "state": "live",
    "since": 10.0,
    "viewers": 3,
    "recording": {"id": "r", "started_at": 1, "seconds": 12.34, "bytes": 9},
    "host": {"kbps": 210, "loss": 0.0},
}


@pytest.mark.parametrize(
    ("room", "session", "away", "state"),
    [
        (None, SessionState.BOOKED, False, "waiting"),
        (None, SessionState.BOOKED, True, "away"),
        (None, SessionState.LIVE, False, "waiting"),
        ({"state": "waiting"}, SessionState.BOOKED, False, "waiting"),
        ({"state": "live"}, SessionState.BOOKED, False, "live"),
        ({"state": "live"}, SessionState.ENDED, False, "live"),
        ({"state": "waiting"}, SessionState.ENDED, False, "waiting"),
        ({"state": "host_lost"}, SessionState.LIVE, False, "host_lost"),
        (None, SessionState.ENDED, True, "ended"),
        ({"state": "live"}, SessionState.CANCELLED, False, "cancelled"),
        (None, None, False, "waiting"),
    ],
)
def test_state(room: dict | None, session: SessionState | None, away: bool, state: str) -> None:
    """One word says how the lesson stands; it says "live" only with a room in which media arrives."""
    assert room_state(room, session, away) == state


def test_viewers_are_told_less_than_hosts() -> None:
    """Recording and uplink are the host's; a viewer's page gets what it shows."""
    told = view(LIVE, SessionState.LIVE, away=False, now_s=20.0, host=False)
    assert told == {"state": "live", "viewers": 3, "since": 10.0, "at": 20.0}
    told = view(LIVE, SessionState.LIVE, away=False, now_s=20.0, host=True)
    assert told["recording"] == {"seconds": 12.3, "trouble": None}
    full = LIVE | {"recording": LIVE["recording"] | {"trouble": "disk_full", "failure": "OSError: …"}}
    told = view(full, SessionState.LIVE, away=False, now_s=20.0, host=True)
    assert told["recording"]["trouble"] == "disk_full"
    assert told["host"] == {"kbps": 210, "loss": 0.0}


def test_only_changes_are_worth_sending() -> None:
    """A later report of the same is no news; another count of viewers is."""
    first = view(LIVE, SessionState.LIVE, away=False, now_s=20.0, host=False)
    assert differs(None, first)
    assert not differs(first, view(LIVE, SessionState.LIVE, away=False, now_s=25.0, host=False))
    assert differs(first, view(LIVE | {"viewers": 4}, SessionState.LIVE, away=False, now_s=25.0, host=False))
