"""Decide when a session's host may go live, and how the session's state follows what the live plane reports.

A host may begin a quarter of an hour before the booked start, to try things out with whoever is early, and until the
reserve after the booked end is used up. A lesson that is already live may be taken up again at any time: overrunning is
bad manners, but cutting off a class because the link broke in the last minute would cost the lesson.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rules.lifecycle import SessionState

EARLY = timedelta(minutes=15)
RESERVE = timedelta(minutes=15)


class AirFault(StrEnum):
    """Why a host may not go live now."""

    TOO_EARLY = "too_early"
    TOO_LATE = "too_late"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Airtime:
    """When a session may be on air, and what stands against it now (None: nothing)."""

    opens_at: datetime
    closes_at: datetime
    fault: AirFault | None


def airtime(state: SessionState, starts_at: datetime, minutes: int, now: datetime) -> Airtime:
    """Say whether the host may go live at `now`; `minutes` is the booked length. Times are aware."""
    opens_at = starts_at - EARLY
    closes_at = starts_at + timedelta(minutes=minutes) + RESERVE
    fault = None
    if state is SessionState.CANCELLED:
        fault = AirFault.CANCELLED
    elif state is not SessionState.LIVE:
        if now < opens_at:
            fault = AirFault.TOO_EARLY
        elif now >= closes_at:
            fault = AirFault.TOO_LATE
    return Airtime(opens_at, closes_at, fault)


@dataclass(frozen=True, slots=True)
class SessionOnFile:
    """What the database knows of a session that may be on air."""

    id: str
    state: SessionState
    ended_at_s: float | None


@dataclass(frozen=True, slots=True)
class Changes:
    """Which sessions the database should now call live and ended."""

    live: frozenset[str]
    ended: frozenset[str]


def reconcile(
    sessions: Mapping[str, SessionOnFile],
    on_air: Mapping[str, float],
    absent_since_s: Mapping[str, float],
    now_s: float,
    grace_s: float,
) -> Changes:
    """Compare the database with the rooms and say what to change in the database.

    `on_air` maps sessions whose media arrives to the Unix second since when; `absent_since_s` maps sessions that are
    live in the database but have no room to the second when that was first seen. A session that ended goes live again
    only with media that came after its end: a report from before it would undo the host's decision. A live one without
    a room has ended once the grace for its host is over.
    """
    live = {
        id
        for id, since_s in on_air.items()
        if (session := sessions.get(id)) is not None
        and (
            session.state is SessionState.BOOKED
            or (session.state is SessionState.ENDED and since_s > (session.ended_at_s or 0.0))
        )
    }
    ended = {
        id
        for id, since_s in absent_since_s.items()
        if id not in on_air
        and (session := sessions.get(id)) is not None
        and session.state is SessionState.LIVE
        and now_s - since_s > grace_s
    }
    return Changes(frozenset(live), frozenset(ended))
