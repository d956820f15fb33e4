"""Seminars over the API."""

from __future__ import annotations

from flask_smorest import Blueprint

from rules import rights
from server import access
from server.api.keys import KEY_HEADER, idempotency_key
from server.api.shapes import SeminarPageShape, SeminarShape
from server.lessonschemas import SeminarBody
from server.operations import seminars as operations
from server.operations.outcome import Trouble
from store import database, seminars
from store.models import Seminar, Session

blueprint = Blueprint("api-seminars", __name__, description="Programmes of sessions under one title")


@blueprint.get("/seminars")
@access.signed_in
@blueprint.response(200, SeminarShape(many=True))
def list_seminars() -> list[Seminar]:
    """List the seminars that the asker may see."""
    return [row for row, _first, _count in seminars.seminars(access.current_actor())]


@blueprint.post("/seminars")
@access.may(rights.coordinates_anything)
@blueprint.arguments(SeminarBody)
@blueprint.response(201, SeminarShape)
@blueprint.doc(parameters=[KEY_HEADER])
def add_seminar(data: dict):
    """Make a seminar."""
    result = operations.create(data, access.current_actor(), database.utc_now(), idempotency_key())
    if isinstance(result, Trouble):
        raise result.problem()
    return result, {"Location": f"/api/v1/seminars/{result.id}"}


@blueprint.get("/seminars/<seminar_id>")
@access.signed_in
@blueprint.response(200, SeminarPageShape)
def seminar(seminar_id: str) -> dict:
    """Return a seminar with what of its programme the asker may see."""
    row, sessions = operations.seen(seminar_id, access.current_actor())
    return _fields(row) | {"sessions": _in_order(sessions)}


@blueprint.patch("/seminars/<seminar_id>")
@access.may(rights.coordinates_anything)
@blueprint.arguments(SeminarBody(partial=True))
@blueprint.response(200, SeminarShape)
def change_seminar(data: dict, seminar_id: str) -> Seminar:
    """Change a seminar's title, description or organiser."""
    actor = access.current_actor()
    row = operations.editable(seminar_id, actor)
    kept = {name: getattr(row, name) for name in SeminarBody().fields}
    result = operations.change(row, kept | data, actor, database.utc_now())
    if isinstance(result, Trouble):
        raise result.problem()
    return result


def _fields(row: Seminar) -> dict:
    return {name: getattr(row, name) for name in SeminarShape().fields}


def _in_order(sessions: list[Session]) -> list[Session]:
    return sorted(sessions, key=lambda session: session.starts_at)
