"""Booking times: buckets, limits, clashes, and the nearest free times."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.schedule import (
    BUCKET_S,
    CLOSES,
    MAX_SUGGESTIONS,
    OPENS,
    STEP,
    Conflict,
    SlotFault,
    buckets,
    busy_buckets,
    conflicts,
    faults,
    first_unused,
    fixed_resources,
    free_channel,
    nearest_free,
    suggestion_buckets,
    taken_until,
    unused,
)

NOW = datetime(2026, 9, 7, 3, 0, tzinfo=UTC)  # a Monday
ZONE = ZoneInfo("Asia/Krasnoyarsk")
TEN = datetime(2026, 9, 8, 10, 0, tzinfo=ZONE).astimezone(UTC)
NEEDED = fixed_resources("s", "p")

moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
lengths = st.integers(2, 96).map(lambda n: n * 5)


@given(moments, lengths, st.integers(-60, 600))
def test_an_early_end_frees_what_was_not_touched(start, minutes, after):
    """The bucket of the end stays taken, later ones are free; what goes on then takes the present one and the rest."""
    end = start + timedelta(minutes=after)
    span, free = buckets(start, minutes), first_unused(end)
    assert (free - 1) * BUCKET_S < end.timestamp() <= free * BUCKET_S
    assert list(unused(start, minutes, end)) == [n for n in span if (n + 1) * BUCKET_S > end.timestamp()]
    until = taken_until(start, minutes, end)
    assert start <= until <= start + timedelta(minutes=minutes)
    assert until == start or until >= min(end, start + timedelta(minutes=minutes))


def test_without_an_end_the_booked_end_counts():
    """A session that has not ended keeps its whole time."""
    assert taken_until(TEN, 45, None) == TEN + timedelta(minutes=45)
    assert taken_until(TEN, 45, TEN + timedelta(minutes=22)) == TEN + timedelta(minutes=25)


@given(moments, lengths)
def test_buckets_cover_the_session_and_no_more(start, minutes):
    """The first bucket holds the first second and the last bucket the last one."""
    span = buckets(start, minutes)
    first_s = int(start.timestamp())
    assert span[0] == first_s // BUCKET_S
    assert span[-1] == (first_s + minutes * 60 - 1) // BUCKET_S


@given(moments, lengths, moments, lengths)
def test_sessions_that_overlap_share_a_bucket(start, minutes, other, other_minutes):
    """No two sessions that overlap for a second can both be booked on one resource."""
    end, other_end = start + timedelta(minutes=minutes), other + timedelta(minutes=other_minutes)
    overlap = max(start, other) + timedelta(seconds=1) <= min(end, other_end)
    if overlap:
        assert set(buckets(start, minutes)) & set(buckets(other, other_minutes))


def test_back_to_back_sessions_share_no_bucket():
    """A session that begins on the border where another ends is free to."""
    assert not set(buckets(TEN, 45)) & set(buckets(TEN + timedelta(minutes=45), 45))


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        (TEN, 45, ()),
        (NOW, 10, ()),
        (NOW - timedelta(minutes=5), 480, ()),
        (TEN, 5, (SlotFault.TOO_SHORT,)),
        (TEN, -45, (SlotFault.TOO_SHORT,)),
        (TEN, 485, (SlotFault.TOO_LONG,)),
        (TEN, 10**18, (SlotFault.TOO_LONG,)),
        (TEN, 42, (SlotFault.NOT_FIVE_MINUTES,)),
        (NOW - timedelta(minutes=6), 45, (SlotFault.IN_THE_PAST,)),
        (NOW + timedelta(days=401), 45, (SlotFault.TOO_FAR_AHEAD,)),
        (datetime(1900, 1, 1, tzinfo=UTC), 0, (SlotFault.TOO_SHORT, SlotFault.BAD_YEAR)),
        (datetime.max.replace(tzinfo=UTC), 45, (SlotFault.BAD_YEAR,)),
        (datetime.min.replace(tzinfo=UTC), 45, (SlotFault.BAD_YEAR,)),
    ],
)
def test_limits(start, minutes, expected):
    """Lengths from 10 to 480 whole five minutes, starts from now to 400 days ahead; each fault has its code."""
    assert faults(start, minutes, NOW) == expected


def test_the_lowest_free_channel_is_chosen():
    """A channel that is busy outside the wanted time counts as free; none free is None."""
    busy = {"channel:1": {5}, "channel:2": {9}}
    assert free_channel([4, 5, 6], busy, 2) == 2
    assert free_channel([6, 7], busy, 2) == 1
    assert free_channel([5, 9], busy, 2) is None


def test_conflicts_name_each_session_once():
    """A clash names host and link with the session that has them; channels only where every one is taken."""
    taken = {(name, bucket): "a" for name in (*NEEDED, "channel:1") for bucket in (1, 2, 3)}
    assert conflicts([2, 3], NEEDED, taken, 2) == (Conflict("host:p", "a"), Conflict("link:s", "a"))
    taken |= {("channel:2", 3): "b"}
    assert conflicts([2, 3], (), taken, 2) == (Conflict("channel", "a"), Conflict("channel", "b"))
    assert conflicts([4], NEEDED, taken, 1) == ()


def booked(*sessions: tuple[datetime, int, int], names=NEEDED) -> dict[str, set[int]]:
    taken = [
        (name, bucket)
        for start, minutes, channel in sessions
        for name in (*names, f"channel:{channel}")
        for bucket in buckets(start, minutes)
    ]
    return busy_buckets(taken)


def test_twenty_minutes_later_is_named():
    """With the wanted time taken, the suggestions are right after, right before, and the next day at the same time."""
    found = nearest_free(TEN, 45, NOW, ZONE, booked((TEN - timedelta(minutes=25), 45, 1)), NEEDED, 4)
    assert [suggestion.minutes_away for suggestion in found] == [20, -70, 24 * 60]


def test_any_free_channel_will_do():
    """A time at which another channel is free is suggested although the first one is taken."""
    busy = booked((TEN, 60, 1), names=()) | booked((TEN, 45, 2))
    assert nearest_free(TEN, 45, NOW, ZONE, busy, NEEDED, 2)[0].minutes_away == 45
    assert nearest_free(TEN, 45, NOW, ZONE, busy, NEEDED, 1)[0].minutes_away == -45


def test_an_evening_stays_an_evening():
    """Who wants a time outside of working hours is offered the same time on the following days."""
    evening = TEN + timedelta(hours=10)
    found = nearest_free(evening, 60, NOW, ZONE, booked((evening, 60, 1)), NEEDED, 1)
    assert [suggestion.minutes_away for suggestion in found] == [-60, 24 * 60, 48 * 60]


def test_sundays_are_skipped():
    """After a Saturday comes Monday, unless the wanted day is a Sunday itself."""
    saturday = TEN + timedelta(days=4)
    found = nearest_free(saturday, 45, NOW, ZONE, booked((saturday, 45, 1)), NEEDED, 1)
    assert found[-1].starts_at == saturday + timedelta(days=2)
    sunday = TEN + timedelta(days=5)
    found = nearest_free(sunday, 45, NOW, ZONE, booked((sunday, 45, 1)), NEEDED, 1)
    assert found[-1].starts_at == sunday + timedelta(days=1)


def test_a_full_week_has_no_suggestion():
    """Where nothing is free nothing is suggested."""
    full = set(suggestion_buckets(TEN, ZONE))
    assert nearest_free(TEN, 45, NOW, ZONE, {"channel:1": full}, NEEDED, 1) == ()


steps = st.integers(-24, 24 * 12 * 8).map(lambda step: TEN + step * STEP)
sessions = st.lists(st.tuples(steps, lengths.filter(lambda minutes: minutes <= 240), st.just(1)), max_size=40)


@settings(max_examples=60)
@given(st.integers(0, 40).map(lambda step: TEN + step * STEP), lengths, sessions)
def test_suggestions_are_free_near_and_within_hours(wanted, minutes, taken):
    """Every suggestion can be booked, lies within the day's hours, and on the wanted day none nearer was left out."""
    busy = booked(*taken)
    found = nearest_free(wanted, minutes, NOW, ZONE, busy, NEEDED, 1)
    starts = [suggestion.starts_at for suggestion in found]
    assert len(found) <= MAX_SUGGESTIONS and len(set(starts)) == len(found) and wanted not in starts

    def free(start: datetime) -> bool:
        span = set(buckets(start, minutes))
        return start >= NOW and all(span.isdisjoint(blocked) for blocked in busy.values())

    length, local = timedelta(minutes=minutes), wanted.astimezone(ZONE)
    for start in starts:
        day = start.astimezone(ZONE).date()
        base = datetime.combine(day, local.time(), ZONE)
        assert free(start)
        assert min(datetime.combine(day, OPENS, ZONE), base) <= start
        assert start + length <= max(datetime.combine(day, CLOSES, ZONE), base + length)
        assert (start - wanted) % STEP == timedelta(0)
        assert set(buckets(start, minutes)) <= set(suggestion_buckets(wanted, ZONE))
    closes = max(datetime.combine(local.date(), CLOSES, ZONE), local + length)
    later = next((s for n in range(1, 200) if free(s := wanted + n * STEP) and s + length <= closes), None)
    assert later is None or later in starts


def test_suggestions_know_summer_time():
    """A following day after the clocks changed keeps the wanted time of day."""
    berlin = ZoneInfo("Europe/Berlin")
    wanted = datetime(2026, 10, 24, 10, 0, tzinfo=berlin)
    monday = datetime(2026, 10, 26, 10, 0, tzinfo=berlin)
    found = nearest_free(wanted.astimezone(UTC), 45, NOW, berlin, booked((wanted, 45, 1)), NEEDED, 1)
    assert found[-1].starts_at == monday
    assert found[-1].starts_at.astimezone(berlin).time() == time(10, 0)
