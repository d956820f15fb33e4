"""Say when a school may download: a window of the local day, on any clock, over midnight and over a change of clocks.

A window is told by two local times. Whether it is open is asked of the wall clock at each moment, so that a night in
which the clocks change is an hour shorter or longer and nothing else happens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MINUTES = 24 * 60
_CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True)
class Window:
    """From one minute of the local day up to another, which may be the next day's; both 0 to 1439, never equal."""

    from_minute: int
    to_minute: int

    def __post_init__(self) -> None:
        for minute in (self.from_minute, self.to_minute):
            if type(minute) is not int or not 0 <= minute < DAY_MINUTES:
                raise ValueError(f"{minute!r} is no minute of a day")
        if self.from_minute == self.to_minute:
            raise ValueError("a window that ends when it begins is none; no window at all means the whole day")

    @property
    def minutes(self) -> int:
        """How long it is open in a usual night."""
        return (self.to_minute - self.from_minute) % DAY_MINUTES


def parse_clock(text: str) -> int:
    """Read a time of day, "22:00" or "6:30", as minutes. Raises ValueError."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text[:20]!r} is no time of day like 22:00")
    return int(found[1]) * 60 + int(found[2])


def clock(minute: int) -> str:
    """Write a minute of the day: "06:30"."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def is_open(window: Window | None, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the window is open at a moment (aware); no window is always open."""
    if window is None:
        return True
    local = now.astimezone(zone)
    minute = local.hour * 60 + local.minute
    if window.from_minute < window.to_minute:
        return window.from_minute <= minute < window.to_minute
    return minute >= window.from_minute or minute < window.to_minute


def seconds_until_change(window: Window | None, now: datetime, zone: ZoneInfo) -> float | None:
    """Say in how many seconds the window opens or closes next; None where there is no window.

    Minute by minute, as the clocks of a zone may jump or be put back at any of them.
    """
    if window is None:
        return None
    state = is_open(window, now, zone)
    moment = now.astimezone(UTC).replace(second=0, microsecond=0)
    for _minute in range(2 * DAY_MINUTES):
        moment += timedelta(minutes=1)
        if is_open(window, moment, zone) != state:
            break
    return (moment - now).total_seconds()
