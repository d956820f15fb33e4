"""The search for the smallest picture, against encoders that are formulas."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from rules.qualitysearch import CRF_STEP, MAX_CRF, MIN_CRF, Aim, Found, Next, Trial, price, result, step

HEIGHTS = (480, 360, 288, 240)
Encoder = Callable[[int, float], Trial]


def encoder(hardness: float = 1.0, ceilings: dict[int, float] | None = None, bend: float = 0.0) -> Encoder:
    """Return an encoder whose rate falls over CRF faster and faster, and whose quality never passes a height's ceiling.

    The figures are those of a lesson at 10 frames a second; `bend` tilts quality's line over the rate.
    """
    tops = ceilings or {480: 97.0, 360: 93.0, 288: 88.0, 240: 84.0}

    def encode(height: int, crf: float) -> Trial:
        rate = hardness * 70_000 * (height / 480) ** 1.3 * math.exp(-0.05 * (crf - 46) - 0.002 * max(0, crf - 46) ** 2)
        lack = 14.0 * (rate / (hardness * 70_000)) ** (-0.8 - bend) * (height / 480) ** 0.9
        return Trial(height, crf, max(1.0, tops[height] - lack), rate)

    return encode


def search(encode: Encoder, aim: Aim) -> tuple[Found, tuple[Trial, ...]]:
    """Follow the steps to their end; more than 16 trials are a failure."""
    trials: tuple[Trial, ...] = ()
    while isinstance(asked := step(trials, aim), Next):
        assert not any((trial.height, trial.crf) == (asked.height, asked.crf) for trial in trials), "tried twice"
        assert MIN_CRF <= asked.crf <= MAX_CRF
        assert asked.crf % CRF_STEP == 0
        trials += (encode(asked.height, asked.crf),)
        assert len(trials) <= 16
    return asked, trials


def best(encode: Encoder, aim: Aim) -> Trial:
    """Find the true answer by trying everything."""
    steps = range(round((MAX_CRF - MIN_CRF) / CRF_STEP) + 1)
    everything = [encode(height, MIN_CRF + one * CRF_STEP) for height in aim.heights for one in steps]
    if aim.rate_bps is None:
        return min((one for one in everything if one.vmaf >= aim.vmaf), key=lambda one: one.rate_bps)
    return max((one for one in everything if one.rate_bps <= aim.rate_bps), key=lambda one: one.vmaf)


@pytest.mark.parametrize("vmaf", [70.0, 76.0, 80.0, 83.0, 88.0])
@pytest.mark.parametrize("hardness", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("start_crf", [30.0, 50.0, 66.0])
def test_the_smallest_that_reaches_the_quality_is_found(vmaf: float, hardness: float, start_crf: float) -> None:
    """Whatever the lesson and the first guess, the result reaches the quality and is within 6 % of the smallest."""
    encode, aim = encoder(hardness), Aim(vmaf, HEIGHTS, 360, start_crf)
    found, trials = search(encode, aim)
    assert found.reached
    assert found.trial.vmaf >= vmaf
    assert found.trial.rate_bps <= 1.06 * best(encode, aim).rate_bps
    assert len(trials) <= 12


@pytest.mark.parametrize("bend", [-0.15, 0.15])
def test_lines_of_another_slope_are_followed(bend: float) -> None:
    """The usual slope is only where the search begins; what was measured goes before it."""
    encode, aim = encoder(bend=bend), Aim(80.0, HEIGHTS, 360, 50.0)
    found, _ = search(encode, aim)
    assert found.reached
    assert found.trial.rate_bps <= 1.06 * best(encode, aim).rate_bps


def test_a_good_first_guess_costs_few_trials() -> None:
    """One trial at the start height, one or two each at its neighbours, and at most two to come close."""
    _, trials = search(encoder(), Aim(80.0, HEIGHTS, 360, 50.0))
    assert len(trials) <= 8


def test_the_best_within_a_rate_is_found() -> None:
    """With a rate given, the result stays within it and is within 1 point of the best."""
    for rate in (8_000.0, 20_000.0, 60_000.0, 150_000.0):
        aim = Aim(80.0, HEIGHTS, 360, 50.0, rate_bps=rate)
        found, _ = search(encoder(), aim)
        assert found.reached
        assert found.trial.rate_bps <= rate
        assert found.trial.vmaf >= best(encoder(), aim).vmaf - 1.0


def test_a_height_below_its_ceiling_is_left_for_a_larger_one() -> None:
    """Text that no bits make readable at 240 to 360 lines is encoded at 480."""
    found, _ = search(encoder(ceilings={480: 98.0, 360: 84.0, 288: 78.0, 240: 70.0}), Aim(90.0, HEIGHTS, 360, 40.0))
    assert found.reached
    assert found.trial.height == 480


def test_what_cannot_be_reached_ends_with_the_best_there_is() -> None:
    """A source below the quality asked for gives the nearest trial and says that it is not enough."""
    found, trials = search(encoder(ceilings=dict.fromkeys(HEIGHTS, 75.0)), Aim(90.0, HEIGHTS, 360, 40.0))
    assert not found.reached
    assert found.trial.vmaf == max(trial.vmaf for trial in trials)


def test_a_rate_below_everything_ends_with_the_smallest_there_is() -> None:
    """Not even the worst picture fits: the smallest is named, and that it does not fit."""
    found, trials = search(encoder(), Aim(80.0, HEIGHTS, 360, 50.0, rate_bps=300.0))
    assert not found.reached
    assert found.trial.rate_bps == min(trial.rate_bps for trial in trials)


def test_one_height_alone_is_enough() -> None:
    """A source of 240 lines has no other height to try."""
    found, trials = search(encoder(), Aim(75.0, (240,), 240, 50.0))
    assert found.reached
    assert {trial.height for trial in trials} == {240}


def test_a_picture_that_is_perfect_at_any_rate_ends() -> None:
    """A black lesson has full marks everywhere; the fewest bits win."""

    def black(height: int, crf: float) -> Trial:
        return Trial(height, crf, 100.0, 500.0 + height)

    found, _ = search(black, Aim(80.0, HEIGHTS, 360, 50.0))
    assert found.reached
    assert found.trial.height == 240


def test_the_search_may_be_ended_early() -> None:
    """Any trial is better than none; none is an error."""
    aim = Aim(80.0, HEIGHTS, 360, 50.0)
    first = encoder()(360, 50.0)
    assert result((first,), aim).trial == first
    with pytest.raises(ValueError):
        result((), aim)


def test_a_height_has_a_price_once_it_was_tried() -> None:
    """The page tells what another height would have cost; one that was not tried has no price."""
    aim = Aim(80.0, HEIGHTS, 360, 50.0)
    _, trials = search(encoder(), aim)
    at_aim = best(encoder(), replace(aim, heights=(480,)))
    assert price(trials, aim, 480) == pytest.approx(at_aim.rate_bps, rel=0.1)
    assert price(trials[:1], aim, 240) is None
