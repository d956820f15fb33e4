"""What measured links get, what is advised, and which figures are believed."""

from __future__ import annotations

import pytest

from rules.linktest import (
    CEILING_KBPS,
    Advice,
    Gets,
    Measured,
    Way,
    advise,
    arrival_kbps,
    believed_rtt_ms,
    claimed_kbps,
    gets,
    tally,
)


@pytest.mark.parametrize(
    ("kbps", "what"),
    [
        (20, Gets.NOTHING),
        (24, Gets.VOICE),
        (32, Gets.STILL),
        (55, Gets.STILL),
        (60, Gets.MOVING),
        (64, Gets.MOVING),
        (128, Gets.BETTER),
        (256, Gets.SMOOTH),
        (500, Gets.FULL),
        (2000, Gets.FULL),
    ],
)
def test_a_rate_buys_what_the_table_says(kbps: int, what: Gets):
    """Each line of the table from its rate on, with a little tolerance below."""
    assert gets(kbps) is what


def test_loss_takes_its_share():
    """Lost packets are not there for the picture; with very many of them only the voice is left."""
    assert gets(64, 20.0) is Gets.VOICE
    assert gets(130, 14.0) is Gets.MOVING
    assert gets(2000, 50.0) is Gets.VOICE
    assert gets(10, 50.0) is Gets.NOTHING


def test_advice_fits_the_trouble():
    """Every trouble has its word, most pressing first; a good link is told so and nothing else."""
    assert advise(Measured(512, 512, 40, 0.0, Way.UDP)) == [Advice.FINE]
    assert advise(Measured(40, 30, 700, 5.0, Way.TCP)) == [
        Advice.SLOW_DOWN,
        Advice.LOSS,
        Advice.SLOW_UP,
        Advice.DELAY,
        Advice.BLOCKED,
    ]
    assert advise(Measured(None, None, None, None, Way.HTTP)) == [Advice.NO_MEDIA]


def test_schools_are_counted_by_what_they_get():
    """Unmeasured schools are no slow schools."""
    found = tally([None, 24, 33, 33, 512, None])
    assert (found.schools, found.unmeasured) == (6, 2)
    assert found.by_gets == {Gets.VOICE: 1, Gets.STILL: 2, Gets.FULL: 1}
    assert tally([]).schools == 0


def test_a_browser_is_believed_within_bounds():
    """No more bytes than were given out, no time that cannot be, no rate above the ceiling."""
    assert claimed_kbps(32_000, 4000, 32_000) == pytest.approx(66, abs=1)
    assert claimed_kbps(32_001, 4000, 32_000) is None
    assert claimed_kbps(0, 4000, 32_000) is None
    assert claimed_kbps(1000, -1, 32_000) is None
    assert claimed_kbps(1000, 10**9, 32_000) is None
    assert claimed_kbps(10**6, 20, 10**6) == CEILING_KBPS
    assert [believed_rtt_ms(rtt) for rtt in (None, -5, 0, 80, 10**6)] == [None, None, None, 80, None]


def test_an_upload_is_judged_by_how_it_came():
    """The pieces' own times count, without the slow beginning; one that was there at once is as fast as is told."""
    steady = [(0.5 * i, 4000 * (i + 1)) for i in range(9)]
    slow_start = [(-3.0, 1000), *steady]
    assert arrival_kbps(steady) == arrival_kbps(slow_start) == pytest.approx(66, abs=1)
    assert arrival_kbps([(0.0, 60_000), (0.001, 120_000), (0.002, 190_000)]) == CEILING_KBPS
    assert arrival_kbps([(0.0, 1000), (1.0, 2000)]) is None
    assert arrival_kbps([(0.0, 1000), (1.0, 1000), (2.0, 1000)]) is None
