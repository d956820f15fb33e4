"""Say what may still be begun on a disk that fills up: whoever came last waits first, a lesson being recorded goes on.

A disk keeps a reserve: so many bytes, or so many percent of it, whichever is more. New uploads stop at the whole
reserve, encodes at three quarters of it, new recordings at half; a recording in progress may use all but a tenth, which
is the database's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Work(StrEnum):
    """What needs room, the first to be refused first."""

    UPLOAD = "upload"
    ENCODE = "encode"
    RECORDING = "recording"  # one that would begin now
    RECORDED = "recorded"  # one in progress


# The share of the reserve that must stay free of each sort of work.
KEPT = {Work.UPLOAD: 1.0, Work.ENCODE: 0.75, Work.RECORDING: 0.5, Work.RECORDED: 0.1}
# From twice the reserve on people are told, while nothing is refused yet.
WARN_SHARE = 2.0


class Level(StrEnum):
    """How full a disk is: enough room, a warning, something is refused, everything is."""

    OK = "ok"
    TIGHT = "tight"
    LOW = "low"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Disk:
    """One disk: a name for people, its size and what is free for us, in bytes."""

    name: str
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Reserve:
    """What an installation keeps free: bytes, or percent of the disk, whichever is more."""

    bytes: int
    percent: float

    def of(self, disk: Disk) -> int:
        """Return the reserve of this disk in bytes."""
        return max(self.bytes, int(disk.total_bytes * self.percent / 100))


@dataclass(frozen=True, slots=True)
class Room:
    """Whether something fits, and how many bytes more would have to be free where it does not."""

    fits: bool
    missing_bytes: int
    disk: Disk


def room(disk: Disk, reserve: Reserve, work: Work, needed_bytes: int) -> Room:
    """Decide whether work that will write `needed_bytes` may begin (or go on, for Work.RECORDED) on this disk."""
    missing = max(0, int(reserve.of(disk) * KEPT[work])) + max(0, needed_bytes) - disk.free_bytes
    return Room(missing <= 0, max(0, missing), disk)


def tightest(rooms: Iterable[Room]) -> Room:
    """Return the room that decides where several disks are written to: the one that lacks most, else has least."""
    return max(rooms, key=lambda one: (one.missing_bytes, -one.disk.free_bytes))


def refused(disk: Disk, reserve: Reserve) -> tuple[Work, ...]:
    """List the sorts of work that are refused now, however small they are."""
    return tuple(work for work in Work if not room(disk, reserve, work, 0).fits)


def level(disk: Disk, reserve: Reserve) -> Level:
    """Sum a disk up in one word."""
    stopped = refused(disk, reserve)
    if Work.RECORDED in stopped:
        return Level.FULL
    if stopped:
        return Level.LOW
    return Level.TIGHT if disk.free_bytes < WARN_SHARE * reserve.of(disk) else Level.OK


def worst(levels: Iterable[Level]) -> Level:
    """Return the worst of several disks' levels, OK of none."""
    order = list(Level)
    return max(levels, key=order.index, default=Level.OK)
