"""Pure: when the buttons to go live and to watch are shown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rules.airtime import AirFault, airtime
from rules.lifecycle import SessionState

WATCH_LEAD = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Doors:
    """Which buttons stand on a session's page; `*_opens` is the moment from which, where it lies ahead.

    `prepare`: the host's desk can be tried out before going live is possible.
    """

    prepare: bool
    host: bool
    watch: bool
    host_opens: datetime | None
    watch_opens: datetime | None


def doors(state: str, starts_at: datetime, minutes: int, now: datetime, *, may_host: bool, may_watch: bool) -> Doors:
    """Decide the buttons. A lesson that is live can be watched and taken over whatever the clock says."""
    if state == SessionState.CANCELLED:
        return Doors(False, False, False, None, None)
    live = state == SessionState.LIVE
    air = airtime(SessionState(state), starts_at, minutes, now)
    watch_at = starts_at - WATCH_LEAD
    # A host who ended by mistake may go live again; viewers need not wait at a door that was closed.
    watch = may_watch and (live or (state == SessionState.BOOKED and watch_at <= now < air.closes_at))
    early = air.fault is AirFault.TOO_EARLY
    return Doors(
        prepare=may_host and early,
        host=may_host and air.fault is None,
        watch=watch,
        host_opens=air.opens_at if may_host and early else None,
        watch_opens=watch_at if may_watch and not watch and now < watch_at else None,
    )
