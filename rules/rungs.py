"""Pure: what of a lesson a viewer gets for the rate that his link carries.

Voice outranks everything; down at once, but for a small shortage, which is borne for a moment; up with patience. Costs
are bit/s on the wire, headers included, and come from the caller: measured for what is forwarded, planned for what the
server encodes itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum, StrEnum


class Rung(IntEnum):
    """A step of quality of the picture, worst first."""

    VOICE = 0  # no picture
    STILL = 1  # a still picture now and then
    LOW = 2  # encoded by the server for the slowest
    MIDDLE = 3  # encoded by the server
    BASE = 4  # the host's picture, lowest temporal layer
    HALF = 5  # the host's picture without its top layer
    FULL = 6  # the host's picture as it is


class Mode(StrEnum):
    """What the viewer chose."""

    AUTO = "auto"
    SAVER = "saver"
    VOICE = "voice"


class Why(StrEnum):
    """Why the rung is what it is; the watch page says it in words."""

    START = "start"  # the link is not known yet
    FITS = "fits"  # the best that there is
    LINK = "link"  # the link carries no more
    LOSS = "loss"
    STALLED = "stalled"  # nothing is heard from the viewer
    CHOSEN = "chosen"  # the viewer wants no more
    RECOVERED = "recovered"  # the link carries more again


BEST = {Mode.AUTO: Rung.FULL, Mode.SAVER: Rung.LOW, Mode.VOICE: Rung.VOICE}

RESERVE = 0.05  # of the budget, for retransmissions and reports
UP_MARGIN = 1.06  # a rung is entered with a little to spare, so that it is not left at once
STAY_MARGIN = 0.92  # and kept while most of its need is there: a change costs a second of picture
BEAR_MARGIN = 0.75  # of its need: less is given up at once, more is borne for a moment
BEAR_S = 2.0  # what a page or a file of another program takes of a slow link is over by then; the pacer holds the rate
UP_HOLD_S = 2.0  # the link must have carried more for this long
UP_HOLD_LONGEST_S = 24.0
FAILED_WITHIN_S = 10.0  # a way up that is taken back sooner was an error: next time wait twice as long
FORGIVEN_AFTER_S = 60.0
MOVING_FPS = 10.0  # what the host's picture must keep without its upper layers where the server's own shows 15
BOARD_FPS = 8.0  # a shared screen is sent with 5 a second


@dataclass(frozen=True, slots=True)
class Voice:
    """What the two ways to send the voice cost, in bit/s on the wire."""

    full_bps: float
    low_bps: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a viewer stands and since when; `hold_s` is the patience before the next way up."""

    rung: Rung
    low_voice: bool
    why: Why
    since_s: float
    went_up_s: float
    hold_s: float = UP_HOLD_S
    better_since_s: float | None = None
    short_since_s: float | None = None


def begin(now_s: float, rung: Rung = Rung.VOICE) -> Standing:
    """Return the standing of a viewer of whom nothing is known: voice at once, the picture follows if he has none."""
    return Standing(rung, False, Why.START, now_s, now_s, hold_s=0.0)


def choose(
    standing: Standing,
    costs: Mapping[Rung, float],
    voice: Voice,
    budget_bps: float,
    mode: Mode,
    pressure: Why,
    now_s: float,
) -> Standing:
    """Return the next standing; `costs` holds the rungs to be had now, `pressure` why the budget last shrank."""
    usable = budget_bps * (1 - RESERVE)
    ceiling = BEST[mode]
    best = _best(costs, voice, usable / UP_MARGIN, ceiling)
    keep = min(standing.rung, ceiling)
    short = keep != Rung.VOICE and (keep not in costs or costs[keep] + _voice(voice, keep) > usable / STAY_MARGIN)
    if short and _borne(standing, keep, costs, voice, usable, now_s):
        since_s = now_s if standing.short_since_s is None else standing.short_since_s
        return replace(standing, short_since_s=since_s, better_since_s=None)
    if short:
        return _down(
            standing, _best(costs, voice, usable / STAY_MARGIN, min(ceiling, keep)), voice, usable, pressure, now_s
        )
    if keep != standing.rung:
        return _settle(standing, keep, voice, usable, Why.CHOSEN, now_s)
    if best <= keep:
        why = _resting_why(standing, costs, ceiling, mode)
        low_voice = _low_voice(voice, keep, usable, standing.low_voice)
        hold_s = UP_HOLD_S if now_s - standing.since_s > FORGIVEN_AFTER_S else standing.hold_s
        if (why, low_voice, hold_s, None, None) == (
            standing.why,
            standing.low_voice,
            standing.hold_s,
            standing.better_since_s,
            standing.short_since_s,
        ):
            return standing  # nearly always, and for hundreds of viewers ten times a second
        return replace(standing, why=why, low_voice=low_voice, hold_s=hold_s, better_since_s=None, short_since_s=None)
    since_s = standing.better_since_s if standing.better_since_s is not None else now_s
    if now_s - since_s < standing.hold_s:
        return replace(standing, better_since_s=since_s, short_since_s=None)
    why = Why.FITS if standing.why is Why.START else Why.RECOVERED
    up = _settle(standing, best, voice, usable, why, now_s)
    return replace(up, went_up_s=now_s, hold_s=max(standing.hold_s, UP_HOLD_S))


def _borne(
    standing: Standing, keep: Rung, costs: Mapping[Rung, float], voice: Voice, usable: float, now_s: float
) -> bool:
    """Whether a small shortage may still pass: pictures wait meanwhile, the voice does not."""
    if keep != standing.rung or keep not in costs or costs[keep] + _voice(voice, keep) > usable / BEAR_MARGIN:
        return False
    return standing.short_since_s is None or now_s - standing.short_since_s < BEAR_S


def _best(costs: Mapping[Rung, float], voice: Voice, usable: float, ceiling: Rung) -> Rung:
    best = Rung.VOICE
    for rung, cost in costs.items():
        if best < rung <= ceiling and cost + _voice(voice, rung) <= usable:
            best = rung
    return best


def _voice(voice: Voice, rung: Rung) -> float:
    """A still leaves the voice low; a moving picture is not worth a worse voice."""
    return voice.low_bps if rung <= Rung.STILL else voice.full_bps


def _low_voice(voice: Voice, rung: Rung, usable: float, now_low: bool) -> bool:
    """Whether the voice is sent low; back to full only with a margin."""
    if rung > Rung.STILL:
        return False
    if rung == Rung.STILL:
        return True
    return voice.full_bps * (UP_MARGIN if now_low else 1.0) > usable


def _down(standing: Standing, rung: Rung, voice: Voice, usable: float, why: Why, now_s: float) -> Standing:
    failed = now_s - standing.went_up_s < FAILED_WITHIN_S and standing.why is not Why.START
    hold_s = min(max(standing.hold_s, UP_HOLD_S) * 2, UP_HOLD_LONGEST_S) if failed else max(standing.hold_s, UP_HOLD_S)
    return replace(_settle(standing, rung, voice, usable, why, now_s), hold_s=hold_s)


def _settle(standing: Standing, rung: Rung, voice: Voice, usable: float, why: Why, now_s: float) -> Standing:
    return replace(
        standing,
        rung=rung,
        low_voice=_low_voice(voice, rung, usable, standing.low_voice),
        why=why,
        since_s=now_s,
        better_since_s=None,
        short_since_s=None,
    )


def _resting_why(standing: Standing, costs: Mapping[Rung, float], ceiling: Rung, mode: Mode) -> Why:
    best_there_is = max((rung for rung in costs if rung <= ceiling), default=Rung.VOICE)
    if standing.rung < best_there_is:
        return standing.why if standing.why is not Why.RECOVERED else Why.LINK
    return Why.FITS if mode is Mode.AUTO else Why.CHOSEN


def thinned_is_worth(fps: float, whole_fps: float, has_it: bool) -> bool:
    """Whether the host's picture with `fps` of its `whole_fps` left is worth more than one that the server encodes.

    It must still move, by a small margin for one who has it already. A picture that hardly moves as a whole is a shared
    screen or a board: its letters are worth more than its movement.
    """
    return whole_fps < BOARD_FPS or fps >= MOVING_FPS * (STAY_MARGIN if has_it else 1.0)
