"""The first page: what Tropa is, and for people what is live and next."""

from __future__ import annotations

from flask import Blueprint, render_template

from rules import rights
from server import access
from server.rows import session_row
from store import database, invitations, programme

blueprint = Blueprint("home", __name__)

NEXT_SHOWN = 8


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
    )
