"""Who the token's owner is."""

from __future__ import annotations

from flask import g
from flask_smorest import Blueprint

from server import access
from server.api.shapes import PersonShape
from store.models import Person

blueprint = Blueprint("api-me", __name__, description="The owner of the token")


@blueprint.get("/me")
@access.signed_in
@blueprint.response(200, PersonShape)
def me() -> Person:
    """Return the owner of the token with their roles."""
    return g.person
