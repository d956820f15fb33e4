"""Pure: the calendar shapes that pages show: weeks, days, breaks, free channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)
FIRST_DAY, LAST_DAY = date(2000, 1, 3), date(2100, 1, 1)  # weeks outside are refused: no booking can be there


def read_day(text: str) -> date | None:
    """Read a day as date fields send it (2026-11-23) or as people write it here (23.11.2026); None for neither.

    Browsers of ten years ago have no date field and send what was typed.
    """
    for shape in ("%Y-%m-%d", "%d.%m.%Y"):
        try:
            return datetime.strptime(text.strip(), shape).date()
        except ValueError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time in which `free` channels are free."""

    starts_at: datetime
    ends_at: datetime
    free: int


@dataclass(frozen=True, slots=True)
class Pause:
    """A break of a programme, between two sessions of one day."""

    starts_at: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the viewer's zone with what happens on it, in order; `items` are sessions, or Pauses between them."""

    date: date
    items: tuple[Any, ...]


def monday_of(day: date) -> date:
    """Return the Monday of the week (ISO 8601) in which a day lies."""
    return day - timedelta(days=day.weekday())


def day_bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the UTC moments at which a day of a zone begins and ends; 23 or 25 hours apart where clocks change."""
    start = datetime.combine(day, time(), zone).astimezone(UTC)
    end = datetime.combine(day + timedelta(days=1), time(), zone).astimezone(UTC)
    return start, end


def split_by_day(sessions: Iterable[Any], first: date, days: int, zone: ZoneInfo) -> list[Day]:
    """Return `days` Days from `first` on with the sessions that begin on each, by start; others are left out."""
    by_date: dict[date, list[Any]] = {first + timedelta(days=n): [] for n in range(days)}
    for session in sorted(sessions, key=lambda s: s.starts_at):
        on = session.starts_at.astimezone(zone).date()
        if on in by_date:
            by_date[on].append(session)
    return [Day(day, tuple(items)) for day, items in by_date.items()]


def programme(sessions: Iterable[Any], zone: ZoneInfo) -> list[Day]:
    """Return the Days of a seminar that have sessions, with a Pause wherever two neighbours leave time between them."""
    by_date: dict[date, list[Any]] = {}
    for session in sorted(sessions, key=lambda s: s.starts_at):
        by_date.setdefault(session.starts_at.astimezone(zone).date(), []).append(session)
    return [Day(day, _with_pauses(items)) for day, items in sorted(by_date.items())]


def _with_pauses(sessions: Sequence[Any]) -> tuple[Any, ...]:
    items: list[Any] = []
    busy_until: datetime | None = None
    for session in sessions:
        if busy_until is not None and session.starts_at > busy_until:
            items.append(Pause(busy_until, int((session.starts_at - busy_until).total_seconds() // 60)))
        items.append(session)
        ends_at = session.starts_at + timedelta(minutes=session.minutes)
        busy_until = ends_at if busy_until is None else max(busy_until, ends_at)
    return tuple(items)


def taken_stretches(
    taken: Iterable[tuple[datetime, datetime]], channels: int, starts_at: datetime, ends_at: datetime
) -> list[Stretch]:
    """Return when, between two moments, fewer than all channels are free, neighbours with equal numbers merged.

    `taken` are (start, end) of every booking, whoever may see it: the number tells no more than that a channel is busy.
    """
    changes: dict[datetime, int] = {}
    for start, end in taken:
        start, end = max(start, starts_at), min(end, ends_at)
        if start < end:
            changes[start] = changes.get(start, 0) + 1
            changes[end] = changes.get(end, 0) - 1
    moments = sorted(moment for moment, change in changes.items() if change)
    stretches: list[Stretch] = []
    busy = 0
    for moment, following in pairwise(moments):
        busy += changes[moment]
        if busy:
            stretches.append(Stretch(moment, following, max(0, channels - busy)))
    return stretches


def phase_of(state: str, starts_at: datetime, minutes: int, now: datetime) -> str:
    """Say where a session stands: "cancelled", "ended", "live", "due" (its time, nobody live) or "next"."""
    if state in ("cancelled", "ended", "live"):
        return state
    if now < starts_at:
        return "next"
    return "due" if now < starts_at + timedelta(minutes=minutes) else "ended"
