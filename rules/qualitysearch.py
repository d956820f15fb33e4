"""Search the smallest picture that reaches a quality, or the best one within a rate, one sample encode at a time.

`step` looks at the trials made so far and names the next one or the result, so that the search can be followed and
tested without an encoder. Two facts of measured curves make it short: at one height and frame rate ln(100 - VMAF) is
nearly a straight line over ln(rate), with a slope of about -0.8 (docs/lesson-planner.md), and both are smooth and
monotone over CRF. So two trials around the aim give a height's price by interpolation, as ab-av1 does for CRF.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# SVT-AV1 takes quarter steps up to 70; below 18 nothing of a lesson gets visibly better.
MIN_CRF, MAX_CRF, CRF_STEP = 18.0, 70.0, 0.25
# Measured at 240p to 480p on talking people, boards, slides and screens: between -0.65 and -0.9.
SLOPE = -0.8
# ln(rate) falls by this much per step of CRF, until two trials tell better: .05 near 46, .12 near 60.
RATE_PER_CRF = -0.07
# A height's price is known well enough once a trial is this near to the aim (as a difference of logarithms).
NEAR = 0.3
# The result: the aim is reached, and by no more than this (3 % of the distance to 100, or of the rate).
TIGHT = 0.03
MAX_PER_HEIGHT = 5
# A smaller height has to be this much cheaper, else the larger one stays: its text is sharper.
WORTH = 0.02
# The CRF that gives the same quality at the next smaller height is lower by about this much.
HEIGHT_SHIFT_CRF = 5.0


@dataclass(frozen=True, slots=True)
class Trial:
    """One sample encode: what was asked for (pixels, CRF) and what came out (0 to 100, bits per second)."""

    height: int
    crf: float
    vmaf: float
    rate_bps: float


@dataclass(frozen=True, slots=True)
class Aim:
    """What is looked for: the fewest bits at `vmaf` or better, or with `rate_bps` the best quality within that rate.

    heights: what may be tried, largest first. start_height: where to begin. start_crf: a good guess for it.
    """

    vmaf: float
    heights: tuple[int, ...]
    start_height: int
    start_crf: float
    rate_bps: float | None = None


@dataclass(frozen=True, slots=True)
class Next:
    """The next trial to make."""

    height: int
    crf: float


@dataclass(frozen=True, slots=True)
class Found:
    """The result: a trial that was made; `reached` is False where no trial came up to the aim and it is the nearest."""

    trial: Trial
    reached: bool


def step(trials: tuple[Trial, ...], aim: Aim) -> Next | Found:
    """Name the next trial, or the result once another trial would not change it by much."""
    prices: dict[int, float] = {}
    height, best = aim.start_height, aim.start_height
    while True:
        asked = _approach(trials, aim, height, NEAR)
        if isinstance(asked, Next):
            return asked
        prices[height] = asked
        if prices[height] < prices[best] - WORTH or (height > best and prices[height] <= prices[best] + WORTH):
            best = height
        following = _unexplored(aim.heights, prices, best)
        if following is None:
            break
        height = following
    asked = _approach(trials, aim, best, TIGHT)
    return asked if isinstance(asked, Next) else result(trials, aim)


def result(trials: tuple[Trial, ...], aim: Aim) -> Found:
    """Choose among the trials made so far; the search may be ended at any time after the first one.

    Raises ValueError where there is none.
    """
    if not trials:
        raise ValueError("nothing was tried")
    good = [trial for trial in trials if _miss(trial, aim) <= 0]
    if good:
        return Found(min(good, key=lambda trial: (_cost(trial, aim), -trial.height)), True)
    return Found(min(trials, key=lambda trial: _miss(trial, aim)), False)


def price(trials: tuple[Trial, ...], aim: Aim, height: int) -> float | None:
    """Estimate what the aim costs at a height: bits per second, with a rate given VMAF; None where it was not tried."""
    tried = _at(trials, height)
    if not tried:
        return None
    cost = _price(tried, aim)
    return math.exp(cost) if aim.rate_bps is None else 100.0 - math.exp(cost)


def _unexplored(heights: tuple[int, ...], prices: dict[int, float], best: int) -> int | None:
    """Return a neighbour of the best height that has no price yet, the smaller one first."""
    place = heights.index(best)
    for neighbour in (place + 1, place - 1):
        if 0 <= neighbour < len(heights) and heights[neighbour] not in prices:
            return heights[neighbour]
    return None


def _approach(trials: tuple[Trial, ...], aim: Aim, height: int, within: float) -> Next | float:
    """Return the next trial at a height, or its price (a logarithm) when it has come near enough to the aim."""
    tried = _at(trials, height)
    if not tried:
        return Next(height, _first_crf(trials, aim, height))
    if len(tried) >= MAX_PER_HEIGHT or _is_settled(tried, aim, within):
        return _price(tried, aim)
    crf = _aimed_crf(tried, aim, within)
    return _price(tried, aim) if crf is None else Next(height, crf)


def _is_settled(tried: list[Trial], aim: Aim, within: float) -> bool:
    if within == TIGHT:
        return any(-TIGHT <= _miss(trial, aim) <= 0 for trial in tried)
    return any(abs(_miss(trial, aim)) <= within for trial in tried)


def _aimed_crf(tried: list[Trial], aim: Aim, within: float) -> float | None:
    """Interpolate the CRF at which the aim is just reached; None where every step near it was tried already."""
    over = [trial for trial in tried if _miss(trial, aim) <= 0]
    under = [trial for trial in tried if _miss(trial, aim) > 0]
    # Which way leads to more quality or fewer bits is the same for all: towards a smaller miss.
    towards = -1.0 if aim.rate_bps is None else 1.0
    if over and under:
        low, high = min(over, key=lambda t: -_miss(t, aim)), min(under, key=lambda t: _miss(t, aim))
        # Aimed a little to the good side, so that the trial counts.
        share = (_miss(low, aim) + TIGHT / 2) / (_miss(low, aim) - _miss(high, aim))
        crf = low.crf + (high.crf - low.crf) * min(0.95, max(0.05, share))
    else:
        nearest = min(tried, key=lambda trial: abs(_miss(trial, aim)))
        crf = nearest.crf + towards * (_miss(nearest, aim) + TIGHT / 2) / _slope(tried, aim, nearest)
        crf = min(nearest.crf + 14, max(nearest.crf - 14, crf))
    crf = min(MAX_CRF, max(MIN_CRF, round(crf / CRF_STEP) * CRF_STEP))
    if any(abs(trial.crf - crf) < CRF_STEP / 2 for trial in tried):
        edge = [trial for trial in over if abs(trial.crf - crf) < 2 * CRF_STEP]
        step_on = min(MAX_CRF, max(MIN_CRF, crf + towards * CRF_STEP))
        taken = any(abs(trial.crf - step_on) < CRF_STEP / 2 for trial in tried)
        return None if edge or taken or within != TIGHT else step_on
    return crf


def _slope(tried: list[Trial], aim: Aim, nearest: Trial) -> float:
    """Return how much the miss changes per step of CRF, as a positive number."""
    usual = abs(RATE_PER_CRF if aim.rate_bps is not None else RATE_PER_CRF * SLOPE)
    others = [trial for trial in tried if trial.crf != nearest.crf]
    if not others:
        return usual
    other = min(others, key=lambda trial: abs(trial.crf - nearest.crf))
    measured = abs((_miss(other, aim) - _miss(nearest, aim)) / (other.crf - nearest.crf))
    return min(3 * usual, max(usual / 3, measured))


def _first_crf(trials: tuple[Trial, ...], aim: Aim, height: int) -> float:
    """Guess the CRF for a height from the trials at the height next to it."""
    if not trials:
        return aim.start_crf
    known = {trial.height for trial in trials}
    neighbour = min(known, key=lambda other: abs(aim.heights.index(other) - aim.heights.index(height)))
    steps = aim.heights.index(height) - aim.heights.index(neighbour)
    near = min(_at(trials, neighbour), key=lambda trial: abs(_miss(trial, aim)))
    towards = -1.0 if aim.rate_bps is None else 1.0
    at_aim = near.crf + towards * _miss(near, aim) / _slope([near], aim, near)
    # Fewer pixels need, and with a rate given get, more bits each.
    crf = at_aim - steps * HEIGHT_SHIFT_CRF
    return min(MAX_CRF, max(MIN_CRF, round(crf / CRF_STEP) * CRF_STEP))


def _at(trials: tuple[Trial, ...], height: int) -> list[Trial]:
    return sorted((trial for trial in trials if trial.height == height), key=lambda trial: trial.crf)


def _miss(trial: Trial, aim: Aim) -> float:
    """Return how far a trial is from the aim as a difference of logarithms: above 0 it is not reached."""
    if aim.rate_bps is not None:
        return math.log(trial.rate_bps / aim.rate_bps)
    return _fault(trial.vmaf) - _fault(aim.vmaf)


def _cost(trial: Trial, aim: Aim) -> float:
    """Return what is to be as small as possible, as a logarithm: the rate, or with a rate given what lacks to 100."""
    return math.log(trial.rate_bps) if aim.rate_bps is None else _fault(trial.vmaf)


def _fault(vmaf: float) -> float:
    return math.log(max(0.5, 100.0 - vmaf))


def _price(tried: list[Trial], aim: Aim) -> float:
    """Estimate the cost at the aim by a straight line in logarithms through the two nearest trials."""
    if all(_miss(trial, aim) > 0 for trial in tried) and (len(tried) >= MAX_PER_HEIGHT or _at_the_end(tried, aim)):
        return math.inf
    nearest, *others = sorted(tried, key=lambda trial: abs(_miss(trial, aim)))
    usual = SLOPE if aim.rate_bps is not None else 1 / SLOPE
    slope = usual
    if others and abs(_miss(others[0], aim) - _miss(nearest, aim)) > TIGHT:
        slope = (_cost(others[0], aim) - _cost(nearest, aim)) / (_miss(others[0], aim) - _miss(nearest, aim))
        slope = max(2 * usual, min(usual / 2, slope))
    return _cost(nearest, aim) - slope * _miss(nearest, aim)


def _at_the_end(tried: list[Trial], aim: Aim) -> bool:
    """Tell whether CRF has been taken as far towards the aim as it goes."""
    return tried[0].crf == MIN_CRF if aim.rate_bps is None else tried[-1].crf == MAX_CRF
