"""Decide when a session may be held: limits, the resources it takes, clashes, and the nearest free times.

Time is cut into buckets of five minutes, Unix seconds // 300. A session takes every bucket that it touches, of three
resources: a live channel of the server ("channel:2"), its host ("host:<person>"), the host school's link
("link:<school>").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

BUCKET_S = 300
STEP = timedelta(seconds=BUCKET_S)
MIN_MINUTES = 10
MAX_MINUTES = 480
MAX_AHEAD = timedelta(days=400)
# Forms know whole minutes only: a lesson may be booked for the moment at which the form was opened.
PAST_GRACE = timedelta(minutes=5)
YEARS = range(2000, 2200)

OPENS = time(8, 0)
CLOSES = time(18, 0)
SUNDAY = 6
MAX_SUGGESTIONS = 3
SUGGEST_DAYS = 7


class SlotFault(StrEnum):
    """Why a time cannot be booked whatever else is booked."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    NOT_FIVE_MINUTES = "not_five_minutes"
    IN_THE_PAST = "in_the_past"
    TOO_FAR_AHEAD = "too_far_ahead"
    BAD_YEAR = "bad_year"


@dataclass(frozen=True, slots=True)
class Conflict:
    """A resource that is taken, and the session that has it. `resource` is "channel" when every channel is taken."""

    resource: str
    session_id: str


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A free time: when it starts (UTC) and how far from the wanted one that is, in minutes, negative if before."""

    starts_at: datetime
    minutes_away: int


def faults(starts_at: datetime, minutes: int, now: datetime) -> tuple[SlotFault, ...]:
    """List what is wrong with a start (aware) and a length in minutes; empty where nothing is."""
    found = []
    if minutes < MIN_MINUTES:
        found.append(SlotFault.TOO_SHORT)
    elif minutes > MAX_MINUTES:
        found.append(SlotFault.TOO_LONG)
    elif minutes * 60 % BUCKET_S:
        found.append(SlotFault.NOT_FIVE_MINUTES)
    if starts_at.year not in YEARS:  # first, as nothing can be added to the ends of the calendar
        found.append(SlotFault.BAD_YEAR)
    elif starts_at < now - PAST_GRACE:
        found.append(SlotFault.IN_THE_PAST)
    elif starts_at > now + MAX_AHEAD:
        found.append(SlotFault.TOO_FAR_AHEAD)
    return tuple(found)


def buckets(starts_at: datetime, minutes: int) -> range:
    """List the buckets that a session touches, partly used ones too; one that ends on a border leaves the next free."""
    first_s = int(starts_at.timestamp())
    return range(first_s // BUCKET_S, -((first_s + minutes * 60) // -BUCKET_S))


def first_unused(ended_at: datetime) -> int:
    """Return the first bucket that a lesson which ended at this moment has not touched."""
    return -int(ended_at.timestamp() // -BUCKET_S)


def unused(starts_at: datetime, minutes: int, now: datetime) -> range:
    """List the buckets of a session that are not over yet, the present one too."""
    span = buckets(starts_at, minutes)
    return range(min(max(span.start, int(now.timestamp()) // BUCKET_S), span.stop), span.stop)


def taken_until(starts_at: datetime, minutes: int, ended_at: datetime | None) -> datetime:
    """Return until when a session keeps its resources: its booked end, or that of an earlier end's bucket."""
    booked_end = starts_at + timedelta(minutes=minutes)
    if ended_at is None or ended_at >= booked_end:
        return booked_end
    bucket_end = datetime.fromtimestamp(first_unused(ended_at) * BUCKET_S, UTC)
    return min(booked_end, max(starts_at, bucket_end))


def channel_resource(channel: int) -> str:
    """Name a live channel, numbered from 1."""
    return f"channel:{channel}"


def fixed_resources(host_school_id: str, host_person_id: str) -> tuple[str, str]:
    """Name the resources of which a session needs exactly these, unlike the channel, of which any will do."""
    return f"host:{host_person_id}", f"link:{host_school_id}"


def free_channel(wanted: Iterable[int], busy: Mapping[str, Set[int]], channels: int) -> int | None:
    """Choose the lowest channel (from 1) whose wanted buckets are free; None where none is."""
    span = frozenset(wanted)
    for channel in range(1, channels + 1):
        if span.isdisjoint(busy.get(channel_resource(channel), frozenset())):
            return channel
    return None


def conflicts(
    wanted: Iterable[int], needed: Iterable[str], taken: Mapping[tuple[str, int], str], channels: int
) -> tuple[Conflict, ...]:
    """Describe what stands in the way: each fixed resource and session once, and the channels where all are taken.

    `taken` maps (resource, bucket) to the session that has it.
    """
    span = list(wanted)
    found = {Conflict(name, taken[name, bucket]): None for name in needed for bucket in span if (name, bucket) in taken}
    if free_channel(span, busy_buckets(taken), channels) is None:
        for channel in range(1, channels + 1):
            holders = (taken.get((channel_resource(channel), bucket)) for bucket in span)
            found |= {Conflict("channel", holder): None for holder in holders if holder is not None}
    return tuple(found)


def busy_buckets(taken: Iterable[tuple[str, int]]) -> dict[str, set[int]]:
    """Gather taken (resource, bucket) pairs by resource."""
    busy: dict[str, set[int]] = {}
    for name, bucket in taken:
        busy.setdefault(name, set()).add(bucket)
    return busy


def suggestion_buckets(wanted: datetime, zone: tzinfo) -> range:
    """Say for which buckets `nearest_free` needs to know what is taken: the wanted day and those that follow."""
    day = wanted.astimezone(zone).date()
    first = datetime.combine(day, time(0), zone)
    days = SUGGEST_DAYS + 2  # the last day's sessions may run past midnight
    return range(int(first.timestamp()) // BUCKET_S, int((first + timedelta(days=days)).timestamp()) // BUCKET_S)


def nearest_free(
    wanted: datetime,
    minutes: int,
    now: datetime,
    zone: tzinfo,
    busy: Mapping[str, Set[int]],
    needed: Collection[str],
    channels: int,
) -> tuple[Suggestion, ...]:
    """Suggest up to 3 free starts, nearest first: later and earlier on the wanted day, then the following days.

    Within 08:00 to 18:00 in `zone`, stretched where the wanted time itself lies outside; Sundays are skipped unless
    a Sunday was wanted. Starts are whole steps of five minutes from the wanted one; a following day gives the free
    time that is nearest to the wanted time of day.
    """

    def is_free(start: datetime) -> bool:
        span = buckets(start, minutes)
        if start < now or any(not busy.get(name, frozenset()).isdisjoint(span) for name in needed):
            return False
        return free_channel(span, busy, channels) is not None

    local = wanted.astimezone(zone)
    found: list[datetime] = []
    for direction in (1, -1):
        steps = _steps(local, minutes, local.date(), (direction,))
        found += _first(start for start in steps if start != wanted and is_free(start))
    for ahead in range(1, SUGGEST_DAYS + 1):
        day = local.date() + timedelta(days=ahead)
        if len(found) >= MAX_SUGGESTIONS:
            break
        if day.weekday() != SUNDAY or local.weekday() == SUNDAY:
            found += _first(start for start in _steps(local, minutes, day, (1, -1)) if is_free(start))
    # Of two as near as each other the later one first: it leaves more time to prepare.
    found.sort(key=lambda start: (abs(start - wanted), start < wanted))
    return tuple(Suggestion(start, round((start - wanted).total_seconds() / 60)) for start in found)


def _first(starts: Iterator[datetime]) -> list[datetime]:
    start = next(starts, None)
    return [] if start is None else [start]


def _steps(local: datetime, minutes: int, day: date, directions: tuple[int, ...]) -> Iterator[datetime]:
    """Walk outwards (UTC) from the wanted time of day, within the day's hours, until both ends are passed."""
    base = datetime.combine(day, local.timetz()).astimezone(UTC)
    length = timedelta(minutes=minutes)
    opens = min(datetime.combine(day, OPENS, local.tzinfo).astimezone(UTC), base)
    closes = max(datetime.combine(day, CLOSES, local.tzinfo).astimezone(UTC), base + length)
    for distance in range(int((closes - opens) / STEP) + 1):
        for direction in directions[: 2 if distance else 1]:
            start = base + direction * distance * STEP
            if opens <= start and start + length <= closes:
                yield start
