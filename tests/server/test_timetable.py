"""Weeks, days, breaks and free channels."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.timetable import (
    Pause,
    day_bounds,
    monday_of,
    phase_of,
    programme,
    read_day,
    split_by_day,
    taken_stretches,
)

KRASNOYARSK = ZoneInfo("Asia/Krasnoyarsk")


@dataclass(frozen=True)
class Item:
    """A stand-in for a session."""

    starts_at: datetime
    minutes: int = 45


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """Return a moment of November 2026 in UTC."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def test_a_late_lesson_in_utc_stands_on_the_next_day_in_krasnoyarsk():
    """Days are those of the viewer's zone, not of UTC."""
    days = split_by_day([Item(at(23, 18))], date(2026, 11, 23), 7, KRASNOYARSK)
    assert [len(day.items) for day in days] == [0, 1, 0, 0, 0, 0, 0]


def test_a_week_begins_on_monday():
    """Any day of a week leads to the same Monday."""
    assert {monday_of(date(2026, 11, 23) + timedelta(days=n)) for n in range(7)} == {date(2026, 11, 23)}


def test_a_day_of_a_clock_change_has_its_real_length():
    """Berlin's last Sunday of October has 25 hours."""
    start, end = day_bounds(date(2026, 10, 25), ZoneInfo("Europe/Berlin"))
    assert end - start == timedelta(hours=25)


def test_breaks_stand_between_sessions_of_one_day_only():
    """A gap within a day is a break; the night is not, nor is an overlap."""
    days = programme([Item(at(24, 4)), Item(at(23, 3)), Item(at(23, 4)), Item(at(23, 4, 15))], KRASNOYARSK)
    assert [[type(i).__name__ for i in day.items] for day in days] == [["Item", "Pause", "Item", "Item"], ["Item"]]
    assert days[0].items[1] == Pause(at(23, 3, 45), 15)


def test_taken_channels_are_counted_stretch_by_stretch():
    """Overlapping bookings lower the number of free channels, and equal neighbours are one stretch."""
    taken = [(at(23, 3), at(23, 4)), (at(23, 3, 30), at(23, 4)), (at(23, 4), at(23, 5)), (at(22, 0), at(22, 1))]
    stretches = taken_stretches(taken, 2, *day_bounds(date(2026, 11, 23), KRASNOYARSK))
    assert [(s.starts_at, s.ends_at, s.free) for s in stretches] == [
        (at(23, 3), at(23, 3, 30), 1),
        (at(23, 3, 30), at(23, 4), 0),
        (at(23, 4), at(23, 5), 1),
    ]


@pytest.mark.parametrize(
    ("state", "hour", "phase"),
    [
        ("booked", 2, "next"),
        ("booked", 3, "due"),
        ("booked", 4, "ended"),
        ("live", 5, "live"),
        ("cancelled", 2, "cancelled"),
    ],
)
def test_the_phase_follows_state_and_clock(state, hour, phase):
    """A lesson that is live stays live however late; one that nobody began is over when its time is."""
    assert phase_of(state, at(23, 3), 45, at(23, hour)) == phase


@pytest.mark.parametrize("text", ["2026-11-30", "30.11.2026", " 30.11.2026 "])
def test_days_are_read_as_fields_send_them_and_as_people_write_them(text: str):
    """A browser without a date field sends what was typed."""
    assert read_day(text) == date(2026, 11, 30)


@pytest.mark.parametrize("text", ["", "30.11.26", "31.02.2026", "2026-02-30", "11/30/2026", "завтра", "2026-11-30T10"])
def test_what_is_no_day_is_none(text: str):
    """A day that the calendar lacks is refused, not moved."""
    assert read_day(text) is None
