"""When the buttons to go live and to watch are shown."""

from datetime import UTC, datetime, timedelta

import pytest

from server.doors import doors

START = datetime(2026, 11, 24, 3, tzinfo=UTC)


@pytest.mark.parametrize(
    ("state", "minutes_before", "host", "watch"),
    [
        ("booked", 90, False, False),
        ("booked", 60, False, False),
        ("booked", 15, True, True),
        ("booked", -45, True, True),
        ("booked", -60, False, False),
        ("live", 600, True, True),
        ("live", -600, True, True),
        ("ended", -30, True, False),
        ("cancelled", 5, False, False),
    ],
)
def test_buttons_follow_state_and_clock(state, minutes_before, host, watch):
    """Hosts come early, viewers a little, nobody to what is cancelled, everybody to what is live."""
    now = START - timedelta(minutes=minutes_before)
    found = doors(state, START, 45, now, may_host=True, may_watch=True)
    assert (found.host, found.watch) == (host, watch)


def test_no_right_no_button():
    """Whoever may neither host nor watch sees no button and no promise of one."""
    for now in (START - timedelta(days=1), START):
        found = doors("live" if now == START else "booked", START, 45, now, may_host=False, may_watch=False)
        assert not (found.prepare or found.host or found.watch or found.host_opens or found.watch_opens)


def test_before_the_time_the_page_says_when():
    """A button that is not there yet is announced with its moment."""
    found = doors("booked", START, 45, START - timedelta(days=1), may_host=True, may_watch=True)
    assert found.prepare and found.host_opens == START - timedelta(minutes=15)
    assert found.watch_opens == START - timedelta(minutes=15)
