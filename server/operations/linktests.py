"""Measure a link: begin, over the media port or over HTTP, end with a result that is kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from flask import current_app
from flask_babel import gettext as _
from flask_babel import ngettext

from rules import linktest, rights
from rules.linktest import Measured, Way
from rules.rights import Actor
from server import access, linkwords
from server.liveplane import MediaAway, Refused
from server.problems import Problem
from server.whip import liveplane
from store import linktests, people
from store.linktests import InUse, Limits, TooMany
from store.models import LinkTest

log = structlog.get_logger("server.linktests")

MOST_BYTES = 1_500_000
"""Of one test, each way: six seconds of the highest rate that is told."""
HEADROOM_KB = 8
LARGEST_KB = 192


@dataclass(frozen=True, slots=True)
class Claims:
    """What the browser says of a measurement over HTTP: bytes of its last download, how long it took, a round trip."""

    down_bytes: int | None = None
    down_ms: float | None = None
    rtt_ms: int | None = None


def largest_bytes() -> int:
    """Return how long one piece of a test may be: an upload has to pass the limit of request bodies."""
    return min(current_app.config["TROPA"].max_body_kb - HEADROOM_KB, LARGEST_KB) * 1024


def begin(actor: Actor, school_id: str | None, now: datetime) -> LinkTest:
    """Begin a test that counts for a school, or for nobody. Raises Problem 403, 404, 409, 429."""
    if school_id is not None and people.school(school_id) is None:
        raise Problem(404, _("There is no such school."))
    access.require(
        rights.may_test_link(actor, school_id),
        _("You can test the link of a school that you belong to. Nothing began."),
    )
    settings = current_app.config["TROPA"]
    limits = Limits(settings.link_tests_per_person, settings.link_tests_per_school, settings.link_tests_kept)
    try:
        return linktests.begin(actor.key, actor.name, school_id, now, limits)
    except TooMany as error:
        raise _too_many(error) from None
    except InUse as error:
        detail = _("%(name)s is testing this school's link at this moment; two tests at once would both be wrong.")
        raise Problem(
            409,
            detail % {"name": error.name},
            todo=_("Try again in a minute."),
            slug="in-use",
            headers={"Retry-After": str(_seconds(error.wait))},
        ) from None


def _too_many(error: TooMany) -> Problem:
    minutes = max(1, round(error.wait.total_seconds() / 60))
    detail = (
        _("You have tested often in this hour. The results so far are kept.")
        if error.whose == "person"
        else _("This school's link was tested often in this hour. The results so far are kept.")
    )
    todo = ngettext("Try again in %(num)d minute.", "Try again in %(num)d minutes.", minutes)
    return Problem(429, detail, todo=todo, slug="too-often", headers={"Retry-After": str(_seconds(error.wait))})


def _seconds(wait: timedelta) -> int:
    return max(1, int(wait.total_seconds()))


def own(test_id: str, actor: Actor) -> LinkTest:
    """Load a test of the actor's; 404 otherwise."""
    row = linktests.find(test_id)
    access.require_known(row is not None and row.tester_key == actor.key)
    return row


def running(test_id: str, actor: Actor, now: datetime) -> LinkTest:
    """Load a test of the actor's that still runs; else 404 or 409."""
    row = own(test_id, actor)
    if row.state != linktests.RUNNING or now > row.started_at + linktests.LASTS:
        raise Problem(409, _("This test is over."), todo=_("Start a new one."), slug="over")
    return row


def offer(row: LinkTest, direction: str, sdp: str) -> str:
    """Have one direction ("down", "up") measured over the media port; return the answer. Raises Problem 422, 503."""
    try:
        answer = liveplane().begin_link_test(sdp)
    except MediaAway:
        raise Problem(503, _("The live part is being restarted."), slug="media-away") from None
    except Refused as refusal:
        if refusal.status == 503:
            raise Problem(503, _("All places are taken."), slug="full") from None
        detail = _("The offer could not be understood: %(reason)s", reason=refusal.detail or refusal.reason)
        raise Problem(422, detail, slug="bad-sdp") from None
    before = getattr(row, f"media_{direction}")
    if before:
        liveplane().stop_link_test(before)
    linktests.change(row.id, **{f"media_{direction}": answer.resource})
    return answer.sdp


def give(row: LinkTest, size_bytes: int) -> None:
    """Count a download; refuse it beyond the bound."""
    if not linktests.spend(row.id, "given_bytes", size_bytes, MOST_BYTES):
        raise _spent()


def take(row: LinkTest, size_bytes: int, arrivals: list[tuple[float, int]] | None) -> int | None:
    """Count an upload and judge how it came; return kbit/s, None where that could not be told."""
    if not linktests.spend(row.id, "taken_bytes", size_bytes, MOST_BYTES):
        raise _spent()
    kbps = linktest.arrival_kbps(arrivals or [])
    # No piece comes faster than the link carries it, but one that lost packets is slower.
    if kbps is not None and kbps > (row.up_kbps or 0):
        linktests.change(row.id, up_kbps=kbps)
    return kbps


def _spent() -> Problem:
    return Problem(
        413, _("A test moves %(mb)s MB at most.", mb=MOST_BYTES / 1e6), todo=_("Start a new one."), slug="spent"
    )


def finish(row: LinkTest, claims: Claims, now: datetime) -> LinkTest:
    """Put the result together and keep it; what the media process measured goes before what the browser says."""
    reports = media_reports(row)
    up, down = row.up_kbps, None
    if "up_kbps" in reports["up"]:
        up = max(up or 0, linktest.bounded_kbps(reports["up"]["up_kbps"]))
    report = reports["down"]
    if claims.down_bytes is not None and claims.down_ms is not None:
        down = linktest.claimed_kbps(claims.down_bytes, claims.down_ms, row.given_bytes)
    if "down_kbps" in report:
        down = linktest.bounded_kbps(report["down_kbps"])
        found = Measured(down, up, report["rtt_ms"], report["loss_percent"], Way.UDP)
    elif "rtt_ms" in report:
        found = Measured(down, up, report["rtt_ms"], None, Way.TCP)
    else:
        found = Measured(down, up, linktest.believed_rtt_ms(claims.rtt_ms), None, Way.HTTP)
    if found.down_kbps is None and found.up_kbps is None:
        raise Problem(
            409,
            _("Nothing could be measured; the results of earlier tests are kept."),
            todo=_("Check the cable or Wi-Fi and start a new test."),
            slug="nothing-measured",
        )
    kept = linktests.finish(row.id, found, now, current_app.config["TROPA"].link_tests_kept)
    if kept is None:
        raise Problem(409, _("This test is over."), todo=_("Start a new one."), slug="over")
    _stop_media(row)
    return kept


def media_reports(row: LinkTest) -> dict[str, dict]:
    """Return how the measurements over the media port stand, by direction; empty where there is none."""
    asked = {"down": row.media_down, "up": row.media_up}
    return {direction: (liveplane().link_test(name) or {}) if name else {} for direction, name in asked.items()}


def advice(row: LinkTest) -> list[str]:
    """Say what to do about a measured link."""
    return linkwords.advice(row, current_app.config["TROPA"].media_port)


def stop(row: LinkTest, now: datetime) -> None:
    """End a test without a result; nothing is sent any more."""
    _stop_media(row)
    linktests.stop(row.id, now)


def _stop_media(row: LinkTest) -> None:
    for name in filter(None, (row.media_down, row.media_up)):
        liveplane().stop_link_test(name)
