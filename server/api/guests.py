"""Guests of a session over the API."""

from __future__ import annotations

from flask_smorest import Blueprint

from server import access
from server.api.keys import KEY_HEADER, idempotency_key
from server.api.shapes import GuestShape
from server.lessonschemas import GuestBody
from server.operations import guests as operations
from server.operations.outcome import Trouble
from store import database
from store.models import Guest

blueprint = Blueprint("api-guests", __name__, description="Personal links for teachers without an account")


@blueprint.get("/sessions/<session_id>/guests")
@access.signed_in
@blueprint.response(200, GuestShape(many=True))
def guests(session_id: str) -> list[dict]:
    """List a session's personal links."""
    return [_dressed(row) for row in operations.seen(session_id, access.current_actor())[2]]


@blueprint.post("/sessions/<session_id>/guests")
@access.signed_in
@blueprint.arguments(GuestBody)
@blueprint.response(201, GuestShape)
@blueprint.doc(parameters=[KEY_HEADER])
def invite(data: dict, session_id: str) -> dict:
    """Make a personal link."""
    actor = access.current_actor()
    session, facts, _found = operations.seen(session_id, actor)
    result = operations.invite(session, facts, data, actor, database.utc_now(), idempotency_key())
    if isinstance(result, Trouble):
        raise result.problem()
    return _dressed(result)


@blueprint.delete("/sessions/<session_id>/guests/<guest_id>")
@access.signed_in
@blueprint.response(204)
def revoke(session_id: str, guest_id: str) -> None:
    """Take a personal link back."""
    operations.revoke(session_id, guest_id, access.current_actor(), database.utc_now())


def _dressed(row: Guest) -> dict:
    names = ("id", "name", "school_id", "created_at", "expires_at", "revoked_at")
    return {name: getattr(row, name) for name in names} | {"url": operations.link(row, database.utc_now())}
