"""Decide when a worker may take a file or a piece of work, and what follows when it fails.

A lease names its worker and a moment; it is renewed with every report of progress. A worker that was killed renews no
more, and whoever comes after that moment may take over. Trouble that is reported counts as an attempt, of which there
are few. A worker that vanishes is a death, of which there may be many: more often than the work it is the machine that
was to blame. Yet they are counted, so that what kills each worker that touches it does not go round forever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rules.lifecycle import OVER, PieceState, RenditionState

LEASE_S = 60.0
MAX_ATTEMPTS = 3
MAX_DEATHS = 60
# The first deaths cost no pause: workers are restarted, machines too.
FREE_DEATHS = 3
DEATH_PAUSE_S = 2.0
DEATH_CAP_S = 60.0
RETRY_BASE_S = 30.0
RETRY_CAP_S = 3600.0
# What passes when somebody makes room is no fault of the work: it waits, and its attempts do not count.
PATIENT = frozenset({"disk_full"})
PATIENCE_S = 60.0
MAIL_BASE_S = 60.0
MAIL_CAP_S = 6 * 3600.0
MAIL_MAX_ATTEMPTS = 24  # about five days at the cap


class Verdict(StrEnum):
    """What to do with what a worker asks for."""

    TAKE = "take"
    LATER = "later"
    GIVE_UP = "give_up"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Standing:
    """What decides about a lease; moments are Unix seconds, None where there is none.

    attempts: how often it was taken; deaths: how many of those ended with their worker.
    """

    state: RenditionState | PieceState
    attempts: int
    deaths: int
    lease_until_s: float | None
    not_before_s: float | None


_DONE = OVER | {PieceState.DONE, PieceState.DROPPED}
_FREE = frozenset({RenditionState.WAITING, RenditionState.PIECES, PieceState.WAITING})


def is_held(state: RenditionState | PieceState) -> bool:
    """Tell whether somebody has a lease in this state, run out or not."""
    return state not in _DONE and state not in _FREE


def judge(standing: Standing, now_s: float) -> Verdict:
    """Decide whether a file or piece may be taken now.

    GIVE_UP: it has been tried often enough and is to be marked failed. OVER: nothing more is to be done.
    """
    if standing.state in _DONE:
        return Verdict.OVER
    deaths = standing.deaths
    if is_held(standing.state):
        if standing.lease_until_s is not None and now_s < standing.lease_until_s:
            return Verdict.LATER
        deaths += 1  # nobody gave it back
    elif standing.not_before_s is not None and now_s < standing.not_before_s:
        return Verdict.LATER
    given_up = standing.attempts - deaths >= MAX_ATTEMPTS or deaths >= MAX_DEATHS
    return Verdict.GIVE_UP if given_up else Verdict.TAKE


def death_pause_s(deaths: int) -> float:
    """Say how long nobody takes what has cost this many workers (seconds)."""
    return min(DEATH_CAP_S, DEATH_PAUSE_S * max(0, deaths - FREE_DEATHS))


def backoff_s(attempts: int, base_s: float, cap_s: float) -> float:
    """Say how long to wait after this many attempts (1 or more): doubling from `base_s` up to `cap_s`."""
    return min(cap_s, base_s * 2 ** min(max(attempts, 1) - 1, 30))


def retry_delay_s(attempts: int, permanent: bool) -> float | None:
    """Say when to try again after a failure, in seconds; None: never, it has failed. `attempts` are without deaths.

    `permanent` failures (the source is no video) would only fail again.
    """
    if permanent or attempts >= MAX_ATTEMPTS:
        return None
    return backoff_s(attempts, RETRY_BASE_S, RETRY_CAP_S)


def mail_delay_s(attempts: int) -> float | None:
    """Say when to try a letter again after this many attempts, in seconds; None: it is given up."""
    if attempts >= MAIL_MAX_ATTEMPTS:
        return None
    return backoff_s(attempts, MAIL_BASE_S, MAIL_CAP_S)
