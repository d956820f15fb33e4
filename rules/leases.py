"""Decide when a worker may take a rendition, and what follows when it fails.

A lease names its worker and a moment; it is renewed with every report of progress. A worker that was killed renews no
more, and whoever comes after that moment may take over. Every taking counts as an attempt, so that a file which kills
each worker that touches it does not go round forever.
"""

from __future__ import annotations

from enum import StrEnum

from rules.lifecycle import RenditionState

LEASE_S = 60.0
MAX_ATTEMPTS = 3
RETRY_BASE_S = 30.0
RETRY_CAP_S = 3600.0
MAIL_BASE_S = 60.0
MAIL_CAP_S = 6 * 3600.0
MAIL_MAX_ATTEMPTS = 24  # about five days at the cap


class Verdict(StrEnum):
    """What to do with a rendition that a worker asks for."""

    TAKE = "take"
    LATER = "later"
    GIVE_UP = "give_up"
    OVER = "over"


def judge(
    state: RenditionState, attempts: int, lease_until_s: float | None, not_before_s: float | None, now_s: float
) -> Verdict:
    """Decide whether a rendition may be taken now; all moments are Unix seconds, None where there is none.

    GIVE_UP: it has been tried often enough and is to be marked failed. OVER: published, failed or removed.
    """
    if state in (RenditionState.PUBLISHED, RenditionState.FAILED, RenditionState.REMOVED):
        return Verdict.OVER
    if state is RenditionState.WAITING:
        if not_before_s is not None and now_s < not_before_s:
            return Verdict.LATER
    elif lease_until_s is not None and now_s < lease_until_s:
        return Verdict.LATER
    return Verdict.GIVE_UP if attempts >= MAX_ATTEMPTS else Verdict.TAKE


def backoff_s(attempts: int, base_s: float, cap_s: float) -> float:
    """Say how long to wait after this many attempts (1 or more): doubling from `base_s` up to `cap_s`."""
    return min(cap_s, base_s * 2 ** min(max(attempts, 1) - 1, 30))


def retry_delay_s(attempts: int, permanent: bool) -> float | None:
    """Say when to try a rendition again after a failure, in seconds; None: never, it has failed.

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
