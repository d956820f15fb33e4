"""Which rung a viewer stands on: down at once, up with patience."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rules.rungs import BEAR_MARGIN, BEAR_S, RESERVE, STAY_MARGIN, Mode, Rung, Standing, Voice, Why, begin, choose

VOICE = Voice(full_bps=24_000, low_bps=19_500)
COSTS = {Rung.STILL: 6_000, Rung.LOW: 28_000, Rung.MIDDLE: 80_000, Rung.FULL: 260_000}


def settle(budget_bps, seconds=40.0, standing=None, mode=Mode.AUTO, start_s=0.0):
    """Choose ten times a second for a while and return the last standing."""
    standing = standing or begin(start_s)
    for step in range(int(seconds * 10)):
        standing = choose(standing, COSTS, VOICE, budget_bps, mode, Why.LINK, start_s + step / 10)
    return standing


def test_every_budget_finds_its_rung():
    """The table of what a viewer's wire budget buys."""
    found = {kbps: settle(kbps * 1e3 * 0.94).rung for kbps in (24, 32, 64, 128, 512)}
    assert found == {24: Rung.VOICE, 32: Rung.STILL, 64: Rung.LOW, 128: Rung.MIDDLE, 512: Rung.FULL}


def test_the_voice_is_low_only_where_it_must_be():
    """At 24 kbit/s and beside a still the voice is low; beside a moving picture it is whole."""
    assert settle(23e3).low_voice
    assert settle(31e3).low_voice
    assert not settle(60e3).low_voice


def test_down_is_at_once_with_its_reason():
    """One choice after the link has shrunk the picture fits it."""
    standing = settle(480e3)
    lower = choose(standing, COSTS, VOICE, 60e3, Mode.AUTO, Why.LOSS, 41.0)
    assert (lower.rung, lower.why) == (Rung.LOW, Why.LOSS)


def test_a_small_shortage_is_borne_for_a_moment():
    """A little less than LOW needs for a second changes nothing, nor does the next one; longer is too long."""
    standing = settle(60e3)
    short_bps = 0.85 * (COSTS[Rung.LOW] + VOICE.full_bps) / (1 - RESERVE)
    for start_s in (50.0, 52.0):
        assert settle(short_bps, 1.0, standing, start_s=start_s).rung is Rung.LOW
        standing = settle(60e3, 0.5, standing, start_s=start_s + 1.0)
    assert settle(short_bps, BEAR_S + 0.3, standing, start_s=60.0).rung is Rung.STILL
    assert choose(standing, COSTS, VOICE, 0.8 * short_bps, Mode.AUTO, Why.LINK, 60.0).rung is Rung.STILL


def test_up_waits_for_the_link_to_stay_better():
    """A rise that lasts a second changes nothing; one that lasts three does."""
    standing = settle(60e3)
    brief = settle(480e3, 1.0, standing, start_s=50.0)
    assert brief.rung is Rung.LOW
    assert settle(480e3, 3.0, standing, start_s=50.0).rung is Rung.FULL


def test_a_failed_way_up_makes_the_next_one_wait_longer():
    """Going up and down within ten seconds doubles the patience, up to its bound."""
    standing, now_s, holds = settle(60e3), 100.0, []
    for _ in range(6):
        while standing.rung is not Rung.MIDDLE:
            now_s += 0.1
            standing = choose(standing, COSTS, VOICE, 150e3, Mode.AUTO, Why.LINK, now_s)
        now_s += 1.0
        standing = choose(standing, COSTS, VOICE, 60e3, Mode.AUTO, Why.LINK, now_s)
        holds.append(standing.hold_s)
    assert holds == [4.0, 8.0, 16.0, 24.0, 24.0, 24.0]


def test_a_viewer_may_want_less():
    """Saver stops at the low rung, voice only at the voice, both whatever the link carries."""
    assert settle(900e3, mode=Mode.SAVER).rung is Rung.LOW
    only_voice = settle(900e3, mode=Mode.VOICE)
    assert (only_voice.rung, only_voice.low_voice) == (Rung.VOICE, False)
    left = choose(settle(900e3), COSTS, VOICE, 900e3, Mode.SAVER, Why.LINK, 41.0)
    assert (left.rung, left.why) == (Rung.LOW, Why.CHOSEN)


def test_a_rung_that_is_gone_is_left():
    """When the server stops encoding a rung its viewers move to the best of the others."""
    standing = settle(60e3)
    without = {rung: cost for rung, cost in COSTS.items() if rung is not Rung.LOW}
    assert choose(standing, without, VOICE, 60e3, Mode.AUTO, Why.LINK, 41.0).rung is Rung.STILL


@given(st.lists(st.tuples(st.floats(0.05, 5), st.floats(5e3, 2e6), st.sampled_from(Mode)), max_size=60))
def test_never_more_than_the_link_carries(moves):
    """Whatever happens, a picture is only kept where it and the voice fit, but for moments, and as was chosen."""
    standing: Standing = begin(0.0)
    now_s = 0.0
    for step_s, budget_bps, mode in moves:
        now_s += step_s
        before, usable = standing.rung, budget_bps * (1 - RESERVE)
        standing = choose(standing, COSTS, VOICE, budget_bps, mode, Why.LINK, now_s)
        if standing.rung is not Rung.VOICE:
            need_bps = COSTS[standing.rung] + (VOICE.low_bps if standing.low_voice else VOICE.full_bps)
            fits = need_bps <= usable / STAY_MARGIN
            assert fits or (standing.rung is before and need_bps <= usable / BEAR_MARGIN)
            assert fits or (standing.short_since_s is not None and now_s - standing.short_since_s < BEAR_S)
        assert mode is Mode.AUTO or standing.rung <= (Rung.LOW if mode is Mode.SAVER else Rung.VOICE)
