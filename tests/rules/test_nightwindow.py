"""Windows of the night: over midnight, over changes of clocks, at their edges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from rules import nightwindow
from rules.nightwindow import Window

BERLIN = ZoneInfo("Europe/Berlin")  # changes its clocks on 2026-03-29 and 2026-10-25, as Russia no longer does
OMSK = ZoneInfo("Asia/Omsk")
NIGHT = Window(22 * 60, 6 * 60)


def at(text: str, zone: ZoneInfo = OMSK) -> datetime:
    """Return a local wall time as a moment."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("2026-11-24T21:59:59", False),
        ("2026-11-24T22:00", True),
        ("2026-11-25T00:00", True),
        ("2026-11-25T05:59:59", True),
        ("2026-11-25T06:00", False),
        ("2026-11-25T12:00", False),
    ],
)
def test_a_night_goes_over_midnight(text: str, is_open: bool) -> None:
    """It is open from its first minute on and closed from its last one on."""
    assert nightwindow.is_open(NIGHT, at(text), OMSK) is is_open


def test_a_window_within_a_day() -> None:
    """One that begins after it ends the same day is not turned round."""
    noon = Window(12 * 60, 13 * 60)
    assert [nightwindow.is_open(noon, at(f"2026-11-24T{hour}:30"), OMSK) for hour in (11, 12, 13)] == [
        False,
        True,
        False,
    ]
    assert (noon.minutes, NIGHT.minutes) == (60, 480)


def test_without_a_window_it_is_always_open() -> None:
    """No window opens or closes, and nothing has to be waited for."""
    assert nightwindow.is_open(None, at("2026-11-24T12:00"), OMSK)
    assert nightwindow.seconds_until_change(None, at("2026-11-24T12:00"), OMSK) is None


@pytest.mark.parametrize(
    ("now", "change"),
    [
        ("2026-11-24T12:00:30", "2026-11-24T22:00"),
        ("2026-11-24T22:00", "2026-11-25T06:00"),
        ("2026-11-24T23:59:59", "2026-11-25T06:00"),
    ],
)
def test_the_next_change_is_known_to_the_second(now: str, change: str) -> None:
    """Whoever sleeps until then wakes at the edge."""
    found = nightwindow.seconds_until_change(NIGHT, at(now), OMSK)
    assert at(now) + timedelta(seconds=found) == at(change)


def test_a_night_with_a_change_of_clocks() -> None:
    """In spring it is an hour shorter, in autumn an hour longer; both edges stay where the wall clock says."""
    for evening, hours in (("2026-03-28T22:00", 7), ("2026-10-24T22:00", 9), ("2026-06-01T22:00", 8)):
        assert nightwindow.seconds_until_change(NIGHT, at(evening, BERLIN), BERLIN) == hours * 3600


def test_an_edge_that_is_skipped_or_passed_twice() -> None:
    """A night that ends in the hour that spring skips ends with the jump; in autumn the hour counts both times."""
    short = Window(22 * 60, 2 * 60 + 30)
    spring = nightwindow.seconds_until_change(short, at("2026-03-29T01:00", BERLIN), BERLIN)
    assert spring == 3600
    after_first_end = datetime(2026, 10, 25, 0, 35, tzinfo=UTC)  # 02:35 summer time
    assert not nightwindow.is_open(short, after_first_end, BERLIN)
    assert nightwindow.seconds_until_change(short, after_first_end, BERLIN) == 25 * 60  # 02:00 winter time


@pytest.mark.parametrize("bad", [(0, 0), (-1, 5), (5, 1440), (True, 3), (1.5, 3)])
def test_windows_that_are_none(bad: tuple) -> None:
    """Minutes beyond the day and windows without length are refused."""
    with pytest.raises(ValueError):
        Window(*bad)


def test_clocks_are_read_and_written() -> None:
    """Times of day as forms send them, and nothing else."""
    assert [nightwindow.parse_clock(text) for text in ("22:00", "6:30", " 00:00 ")] == [1320, 390, 0]
    assert nightwindow.clock(390) == "06:30"
    for text in ("24:00", "6:60", "630", "", "٢٢:٠٠"):
        with pytest.raises(ValueError):
            nightwindow.parse_clock(text)
