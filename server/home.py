"""The first page: what Tropa is, and for people what is live and next."""

from __future__ import annotations

from flask import Blueprint, render_template

from server import access
from store import invitations

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@access.public
def home() -> str:
    """Welcome strangers; show people what is on."""
    if access.current_actor().person_id is None:
        return render_template("welcome.html", is_new=not invitations.has_coordinator())
    return render_template("home.html")
