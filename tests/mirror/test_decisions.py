"""What a mirror does next, how fast, and how much a month: decided from figures alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from mirror import action, quota
from mirror.action import Do, Facts
from mirror.clock import Correction
from mirror.pacing import MOST_READ_BYTES, Bucket
from mirror.quota import Usage

READY = Facts(
    is_open=True,
    change_s=3600.0,
    left_bytes=None,
    refreshed_ago_s=10.0,
    pause_s=0.0,
    reports=0,
    next_bytes=1000,
    free_bytes=10**12,
)
OMSK = ZoneInfo("Asia/Omsk")


@pytest.mark.parametrize(
    ("change", "do"),
    [
        ({}, Do.FETCH),
        ({"is_open": False}, Do.SLEEP),
        ({"is_open": False, "refreshed_ago_s": None, "reports": 3, "pause_s": 5.0}, Do.SLEEP),
        ({"pause_s": 5.0, "refreshed_ago_s": None}, Do.PAUSE),
        ({"left_bytes": 0, "refreshed_ago_s": None}, Do.MONTH),
        ({"refreshed_ago_s": None}, Do.REFRESH),
        ({"refreshed_ago_s": action.REFRESH_S}, Do.REFRESH),
        ({"reports": 1}, Do.REPORT),
        ({"next_bytes": None}, Do.REST),
        ({"free_bytes": action.SPARE_BYTES}, Do.DISK),
    ],
)
def test_the_next_step(change: dict, do: Do) -> None:
    """The window comes before everything else, then trouble, then the month, then work."""
    assert action.decide(replace(READY, **change)).do is do


def test_waiting_is_never_long_or_nothing() -> None:
    """A mirror looks at its clock again within a minute, and never turns without a rest."""
    for change_s in (0.0, 5.0, 36_000.0, None):
        wait_s = action.decide(replace(READY, is_open=False, change_s=change_s)).wait_s
        assert 0 < wait_s <= action.LONGEST_SLEEP_S


def test_pauses_grow_and_end() -> None:
    """After each failure it waits longer, up to a quarter of an hour, and not at all after none."""
    pauses = [action.pause_s(failures) for failures in range(12)]
    assert pauses[0] == 0 and pauses == sorted(pauses)
    assert pauses[-1] == action.pause_s(10_000) == action.LONGEST_PAUSE_S


def test_what_was_begun_comes_first() -> None:
    """Then what the month still pays for, then whatever is next; what is there is never chosen."""
    files = [("there", 0, 500), ("large", 900, 0), ("small", 100, 0)]
    assert action.next_file(files, None) == "large"
    assert action.next_file(files, 200) == "small"
    assert action.next_file([*files, ("begun", 700, 200)], 200) == "begun"
    assert action.next_file(files, 10) == "large"
    assert action.next_file(files[:1], None) is None


def test_a_rate_is_kept() -> None:
    """Over ten seconds no more is let through than the rate gives, whatever is read at once."""
    bucket, now_s, read = Bucket(256_000), 0.0, 0
    while now_s < 10:
        wait_s = bucket.wait_s(now_s)
        if wait_s:
            now_s += wait_s
            continue
        piece = bucket.read_bytes(now_s)
        bucket.spend(piece)
        read += piece
    assert 0.97 * 320_000 <= read <= 1.03 * 320_000


def test_no_cap_means_no_waiting() -> None:
    """Without a rate a read is always due, and as large as it may be."""
    bucket = Bucket(None)
    bucket.spend(10**9)
    assert (bucket.wait_s(0.0), bucket.read_bytes(0.0)) == (0.0, MOST_READ_BYTES)


def test_a_clock_that_stands_still_lets_nothing_through() -> None:
    """A debt is waited off by time alone."""
    bucket = Bucket(8_000)
    bucket.wait_s(5.0)
    bucket.spend(10_000)
    first = bucket.wait_s(5.0)
    assert first > 9 and bucket.wait_s(5.0) == first


def test_the_month_turns_forwards_only() -> None:
    """A new month begins at nothing; a clock that fell back to 2009 goes on with the count that is there."""
    usage = Usage("2026-11", 700)
    assert quota.turned(usage, "2026-12") == Usage("2026-12", 0)
    assert quota.turned(usage, "2009-01") == usage
    assert quota.corrected(Usage("2037-01", 700), "2026-11") == usage


def test_the_month_is_that_of_the_school() -> None:
    """On the first of the month it is already a new one in the east."""
    assert quota.month_of(datetime(2026, 11, 30, 20, 0, tzinfo=UTC), OMSK) == "2026-12"


def test_it_stops_before_the_month_is_used_up() -> None:
    """What is kept back is more than one read may take."""
    assert quota.left(Usage("2026-11", 0), None) is None
    assert quota.left(Usage("2026-11", 10_000_000), 10) == 0
    assert 0 < MOST_READ_BYTES < quota.RESERVE_BYTES
    assert quota.left(Usage("2026-11", 0), 1) == 1_000_000 - quota.RESERVE_BYTES


def test_the_wire_costs_more_than_the_file() -> None:
    """Headers both ways, opening and TLS are counted; never less than what was carried."""
    plain, sealed = quota.on_wire(1_000_000, 0), quota.on_wire(1_000_000, 0, tls=True)
    assert 1_040_000 < plain < 1_080_000 and sealed > plain
    assert quota.on_wire(0, 300, opened=True) > 300 + 52


def test_a_wrong_clock_is_put_right() -> None:
    """The origin's date corrects it, small differences are left alone, and time that has passed stays passed."""
    dead, real = datetime(2009, 1, 1, tzinfo=UTC), datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    told = Correction().told(dead, real)
    assert told.is_wrong(dead) and told.now(dead + timedelta(hours=1)) == real + timedelta(hours=1)
    near = Correction().told(real + timedelta(seconds=30), real)
    assert near.offset_s == 0 and not near.is_wrong(real)
    assert near.now(dead) == real
