"""Pure: what a school's computer does next: sleep until the night, ask the origin, fetch, report, or rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

# How often what is there is asked for anew while the window is open; unchanged, it costs some 700 bytes.
REFRESH_S = 1800.0
# The longest sleep: clocks are put right and imports begin meanwhile.
LONGEST_SLEEP_S = 60.0
FIRST_PAUSE_S = 2.0
LONGEST_PAUSE_S = 900.0
# What stays free on the disk, so that the computer goes on working.
SPARE_BYTES = 200_000_000


class Do(StrEnum):
    """What comes next."""

    SLEEP = "sleep"  # outside the window: nothing goes over the wire
    MONTH = "month"  # the month's megabytes are used up
    PAUSE = "pause"  # something went wrong a moment ago
    REFRESH = "refresh"
    REPORT = "report"
    FETCH = "fetch"
    DISK = "disk"  # the next file does not fit
    REST = "rest"  # everything is there


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision is made of. Seconds; `change_s` None: no window; `left_bytes` None: no monthly limit."""

    is_open: bool
    change_s: float | None
    left_bytes: int | None
    refreshed_ago_s: float | None
    pause_s: float
    reports: int
    next_bytes: int | None
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """What to do, and for how long at most where that is waiting."""

    do: Do
    wait_s: float = 0.0


def decide(facts: Facts) -> Step:
    """Choose the next step; the window comes before everything, then trouble, then the month."""
    if not facts.is_open:
        return Step(Do.SLEEP, _bounded(facts.change_s))
    if facts.pause_s > 0:
        return Step(Do.PAUSE, _bounded(facts.pause_s))
    if facts.left_bytes is not None and facts.left_bytes <= 0:
        return Step(Do.MONTH, LONGEST_SLEEP_S)
    if facts.refreshed_ago_s is None or facts.refreshed_ago_s >= REFRESH_S:
        return Step(Do.REFRESH)
    if facts.reports:
        return Step(Do.REPORT)
    if facts.next_bytes is None:
        return Step(Do.REST, _bounded(REFRESH_S - facts.refreshed_ago_s))
    if facts.next_bytes + SPARE_BYTES > facts.free_bytes:
        return Step(Do.DISK, LONGEST_SLEEP_S)
    return Step(Do.FETCH)


def pause_s(failures: int) -> float:
    """Say how long to wait after so many failures in a row: longer each time, up to a quarter of an hour."""
    return 0.0 if failures <= 0 else min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(failures - 1, 20))


def next_file(files: Iterable[tuple[str, int, int]], left_bytes: int | None) -> str | None:
    """Choose the file to fetch from (id, bytes missing, bytes there), given in the order of the subscription.

    One that was begun comes first; then the first that the month still pays for, else the first. None: none missing.
    """
    missing = [one for one in files if one[1] > 0]
    begun = [one for one in missing if one[2] > 0]
    paid = [one for one in missing if left_bytes is None or one[1] <= left_bytes]
    for choice in (begun, paid, missing):
        if choice:
            return choice[0][0]
    return None


def _bounded(wait_s: float | None) -> float:
    return LONGEST_SLEEP_S if wait_s is None else max(0.05, min(wait_s, LONGEST_SLEEP_S))
