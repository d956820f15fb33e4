"""When a host may go live, and what the database learns from the rooms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rules.airtime import EARLY, RESERVE, AirFault, SessionOnFile, airtime, reconcile
from rules.lifecycle import SessionState

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
END = START + timedelta(minutes=45)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("state", "now", "fault"),
    [
        (SessionState.BOOKED, START - EARLY - SECOND, AirFault.TOO_EARLY),
        (SessionState.BOOKED, START - EARLY, None),
        (SessionState.BOOKED, START, None),
        (SessionState.BOOKED, END + RESERVE - SECOND, None),
        (SessionState.BOOKED, END + RESERVE, AirFault.TOO_LATE),
        (SessionState.ENDED, END, None),
        (SessionState.ENDED, END + RESERVE, AirFault.TOO_LATE),
        (SessionState.LIVE, END + timedelta(hours=3), None),
        (SessionState.LIVE, START - timedelta(hours=3), None),
        (SessionState.CANCELLED, START, AirFault.CANCELLED),
    ],
)
def test_airtime(state: SessionState, now: datetime, fault: AirFault | None) -> None:
    """The window is closed before and after its hours, always for what was cancelled, never for what is live."""
    assert airtime(state, START, 45, now).fault is fault


def sessions(*states: SessionState) -> dict[str, SessionOnFile]:
    ended = {SessionState.ENDED: 100.0}
    return {f"s{n}": SessionOnFile(f"s{n}", state, ended.get(state)) for n, state in enumerate(states)}


def test_media_makes_a_booked_session_live() -> None:
    """Media in a booked session's room makes it live; in a cancelled one's or an unknown one's it changes nothing."""
    known = sessions(SessionState.BOOKED, SessionState.CANCELLED, SessionState.LIVE)
    changes = reconcile(known, {"s0": 50.0, "s1": 50.0, "s2": 50.0, "other": 50.0}, {}, 60.0, 600)
    assert changes.live == {"s0"}
    assert not changes.ended


def test_an_old_report_does_not_undo_the_end() -> None:
    """A session that ended goes live again only with media that began after its end."""
    known = sessions(SessionState.ENDED)
    assert not reconcile(known, {"s0": 99.0}, {}, 101.0, 600).live
    assert reconcile(known, {"s0": 100.5}, {}, 101.0, 600).live == {"s0"}


def test_a_live_session_without_a_room_ends_after_the_grace() -> None:
    """The host has the whole grace to come back; then the session has ended."""
    known = sessions(SessionState.LIVE)
    assert not reconcile(known, {}, {"s0": 0.0}, 600.0, 600).ended
    assert reconcile(known, {}, {"s0": 0.0}, 600.5, 600).ended == {"s0"}
    assert not reconcile(known, {"s0": 1.0}, {"s0": 0.0}, 700.0, 600).ended
