"""The first page: what Tropa is, and for people what is live and next."""

from __future__ import annotations

from flask import Blueprint, current_app, render_template

from rules import rights
from rules.rights import Actor
from server import access, keepwords
from server.operations import keeping
from server.rows import session_row
from store import database, invitations, programme

blueprint = Blueprint("home", __name__)

NEXT_SHOWN = 8


def _short_disks(actor: Actor) -> list[str]:
    """Tell coordinators, and nobody else, what waits for room on the disk."""
    if not rights.coordinates_anything(actor):
        return []
    states = keeping.disks(current_app.config["TROPA"])
    return [keepwords.disk_level(state.level, state.refused) for state in states if state.refused]


@blueprint.get("/")
@access.public
def home() -> str:
    """Welcome strangers; show people what is on."""
    actor = access.current_actor()
    if actor.person_id is None:
        return render_template("welcome.html", is_new=not invitations.has_coordinator())
    now = database.utc_now()
    return render_template(
        "home.html",
        live=[session_row(row, now) for row in programme.live_sessions(actor)],
        coming=[session_row(row, now) for row in programme.next_sessions(actor, now, NEXT_SHOWN)],
        may_book=rights.may_book_something(actor),
        disks=_short_disks(actor),
    )
