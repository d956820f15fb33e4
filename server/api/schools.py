"""Schools over the API."""

from __future__ import annotations

from flask import abort
from flask_babel import gettext as _
from flask_smorest import Blueprint

from rules import rights
from server import access
from server.api.shapes import SchoolShape
from server.problems import Problem
from server.schools import SchoolBody
from store import database, people
from store.models import School

blueprint = Blueprint("api-schools", __name__, description="Schools and their measured links")
FACTS = ("name", "place", "timezone", "link_down_kbps", "link_up_kbps")


@blueprint.get("/schools")
@access.signed_in
@blueprint.response(200, SchoolShape(many=True))
def schools() -> list[School]:
    """List every school."""
    access.require(access.current_actor().is_member)
    return people.schools()


@blueprint.post("/schools")
@access.may(rights.coordinates_anything)
@blueprint.arguments(SchoolBody)
@blueprint.response(201, SchoolShape)
def add_school(data: dict):
    """Add a school."""
    access.require(rights.may_manage_school(access.current_actor(), None))
    try:
        row = people.create_school(now=database.utc_now(), **data)
    except people.Taken:
        raise _taken() from None
    return row, {"Location": f"/api/v1/schools/{row.id}"}


@blueprint.get("/schools/<school_id>")
@access.signed_in
@blueprint.response(200, SchoolShape)
def school(school_id: str) -> School:
    """Return one school."""
    access.require(access.current_actor().is_member)
    return people.school(school_id) or abort(404)


@blueprint.patch("/schools/<school_id>")
@access.may(rights.coordinates_anything)
@blueprint.arguments(SchoolBody(partial=True))
@blueprint.response(200, SchoolShape)
def change_school(data: dict, school_id: str) -> School:
    """Change some facts of a school."""
    row = people.school(school_id) or abort(404)
    access.require(rights.may_manage_school(access.current_actor(), school_id))
    try:
        return people.update_school(school_id, **{name: getattr(row, name) for name in FACTS} | data)
    except people.Taken:
        raise _taken() from None


def _taken() -> Problem:
    text = _("There is a school of this name already.")
    return Problem(409, text, slug="taken", extra={"errors": {"name": [text]}})
