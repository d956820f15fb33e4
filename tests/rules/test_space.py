"""What may be begun on a disk that fills up."""

from __future__ import annotations

import pytest

from rules import space
from rules.space import Disk, Level, Reserve, Work

RESERVE = Reserve(1000, 0)


@pytest.mark.parametrize(
    ("free", "refused", "level"),
    [
        (5000, (), Level.OK),
        (1999, (), Level.TIGHT),
        (1000, (), Level.TIGHT),
        (999, (Work.UPLOAD,), Level.LOW),
        (749, (Work.UPLOAD, Work.ENCODE), Level.LOW),
        (499, (Work.UPLOAD, Work.ENCODE, Work.RECORDING), Level.LOW),
        (99, tuple(Work), Level.FULL),
    ],
)
def test_whoever_came_last_waits_first(free: int, refused: tuple[Work, ...], level: Level) -> None:
    """Uploads stop first, then encodes, then new recordings, and a recording in progress last."""
    disk = Disk("data", 100_000, free)
    assert space.refused(disk, RESERVE) == refused
    assert space.level(disk, RESERVE) is level


def test_what_is_needed_counts_on_top_of_what_is_kept() -> None:
    """An upload of 400 bytes fits while 1400 are free; of what is missing the person is told."""
    assert space.room(Disk("data", 100_000, 1400), RESERVE, Work.UPLOAD, 400).fits
    refused = space.room(Disk("data", 100_000, 1399), RESERVE, Work.UPLOAD, 400)
    assert (refused.fits, refused.missing_bytes) == (False, 1)


def test_the_larger_of_bytes_and_percent_is_kept() -> None:
    """Two percent of a large disk are more than the bytes; of a small one less."""
    reserve = Reserve(1000, 2)
    assert reserve.of(Disk("data", 1_000_000, 0)) == 20_000
    assert reserve.of(Disk("data", 10_000, 0)) == 1000


def test_the_disk_that_lacks_most_decides() -> None:
    """What fits on one of two disks alone does not fit."""
    rooms = [space.room(Disk(name, 10**6, free), RESERVE, Work.UPLOAD, 100) for name, free in (("a", 9999), ("b", 5))]
    assert space.tightest(rooms).disk.name == "b"
    assert space.worst([Level.OK, Level.LOW, Level.TIGHT]) is Level.LOW
    assert space.worst([]) is Level.OK
