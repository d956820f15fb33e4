"""The page of the link test: what it will do, a button, the result in words, earlier results."""

from __future__ import annotations

import os

from flask import Blueprint, Response, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf

from rules import rights
from rules.rights import Actor
from server import access, linkwords
from server.i18n import when
from server.security import limiter
from store import linktests, people
from store.models import LinkTest, School

blueprint = Blueprint("linktest", __name__)

SHOWN = 10
SAMPLE_KB = 100
"""Of the file by which a browser without scripts can tell: 12 s on 64 kbit/s."""
OWN = "none"


@blueprint.get("/link-test")
@access.signed_in_or_guest
def page() -> str:
    """Show the test; `school` chooses for which school it counts, `session` leads back to a lesson."""
    actor = access.current_actor()
    schools = testable(actor)
    chosen = chosen_school(request.args.get("school", ""), actor, schools)
    rows = []
    if chosen is None:
        rows = linktests.own(actor.key, SHOWN)
    elif rights.may_see_link_tests(actor, chosen):
        rows = linktests.history(chosen, SHOWN)
    back = request.args.get("session", "")
    return render_template(
        "linktest.html",
        schools=schools,
        chosen=chosen,
        chosen_name=next((school.name for school in schools if school.id == chosen), ""),
        history=shown(rows),
        back=back if back.isalnum() and len(back) <= 16 else "",
        guest=actor.is_guest,
        strings=_strings(),
        test={"school_id": chosen, "csrf_token": generate_csrf()},
        sample_kb=SAMPLE_KB,
    )


@blueprint.get("/link-test/sample")
@access.signed_in_or_guest
@limiter.limit("10 per minute")
def sample() -> Response:
    """Send a file to be timed with a watch, for browsers without scripts."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="link-test.bin"'}
    return Response(os.urandom(SAMPLE_KB * 1024), content_type="application/octet-stream", headers=headers)


def testable(actor: Actor) -> list[School]:
    """List the schools for which the actor may test."""
    return [school for school in people.schools() if rights.may_test_link(actor, school.id)]


def chosen_school(asked: str, actor: Actor, schools: list[School]) -> str | None:
    """Return the school that was asked for, else the actor's own first; None: the result counts for no school."""
    ids = [school.id for school in schools]
    if asked in ids:
        return asked
    own = [id for id in ids if id in actor.schools or id == actor.guest_school_id]
    return own[0] if own and asked != OWN else None


def shown(rows: list[LinkTest]) -> list[dict]:
    """Return earlier results as tables show them."""
    return [
        {
            "at": when(row.started_at),
            "name": row.name,
            "down": linkwords.rate(row.down_kbps),
            "up": linkwords.rate(row.up_kbps),
            "path": ", ".join(_path(row)),
            "gets": linkwords.gets(row.down_kbps, row.loss_percent),
        }
        for row in rows
    ]


def _path(row: LinkTest) -> list[str]:
    said = []
    if row.rtt_ms is not None:
        said.append(_("%(ms)d ms", ms=row.rtt_ms))
    if row.loss_percent is not None:
        said.append(_("lost %(percent)s", percent=linkwords.percent(row.loss_percent)))
    return [*said, row.way.upper()]


def _strings() -> dict[str, str]:
    return {
        "connecting": _("Looking for the way that lessons take…"),
        "down": _("Measuring the way to here…"),
        "down_http": _("The way of lessons cannot be reached from here. Measuring as web pages come…"),
        "up": _("Measuring the way from here…"),
        "ending": _("Putting the result together…"),
        "so_far": _("%(text)s %(kbps)s kbit/s so far"),
        "done": _("Done."),
        "stopped": _("Stopped. Nothing was kept."),
        "failed": _("The test could not be finished: %(reason)s"),
        "no_network": _("The server cannot be reached. Check the cable or Wi-Fi and try again."),
        "again": _("Test again"),
    }
