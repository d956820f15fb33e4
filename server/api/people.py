"""People and their roles over the API, as far as the asker's reach goes."""

from __future__ import annotations

from flask import abort
from flask_babel import gettext as _
from flask_smorest import Blueprint
from marshmallow import fields

from rules import rights
from rules.rights import Role
from server import access, resets, schemas
from server import people as pages
from server.api.shapes import PasswordResetShape, PersonShape
from server.lessonschemas import Reference
from server.problems import Problem
from store import database, people
from store.models import Person

blueprint = Blueprint("api-people", __name__, description="People and their roles")


class MembershipBody(schemas.Body):
    """A role; school_id null is the whole district."""

    role = schemas.OneOf(tuple(role.value for role in Role), required=True)
    school_id = Reference(load_default=None, allow_none=True)


class PersonChange(schemas.Body):
    """What can be changed of somebody else's account."""

    disabled = fields.Boolean(required=True, truthy={True}, falsy={False})


def require_place(role: str, school_id: str | None) -> Role:
    """Return the role where the asker may give it at the school (None: district); raises Problem."""
    if school_id is not None and people.school(school_id) is None:
        text = _("There is no such school.")
        raise Problem(422, text, slug="validation", extra={"errors": {"school_id": [text]}})
    access.require(rights.may_invite_person(access.current_actor(), Role(role), school_id))
    return Role(role)


@blueprint.get("/people")
@access.may(rights.coordinates_anything)
@blueprint.response(200, PersonShape(many=True))
def persons() -> list[Person]:
    """List the people whom the asker looks after."""
    return pages.visible(access.current_actor(), None)


@blueprint.get("/people/<person_id>")
@access.may(rights.coordinates_anything)
@blueprint.response(200, PersonShape)
def person(person_id: str) -> Person:
    """Return one person."""
    return pages.seen(person_id)


@blueprint.patch("/people/<person_id>")
@access.may(rights.coordinates_anything)
@blueprint.arguments(PersonChange)
@blueprint.response(200, PersonShape)
def change_person(data: dict, person_id: str) -> Person | None:
    """Disable an account, which ends its logins and tokens, or enable it again."""
    row = pages.seen(person_id)
    actor = access.current_actor()
    access.require(rights.may_manage_person(actor, pages.held(row)) and person_id != actor.person_id)
    try:
        people.set_disabled(person_id, data["disabled"], database.utc_now())
    except people.LastAdministrator:
        raise pages.last_administrator() from None
    return people.person(person_id)


@blueprint.post("/people/<person_id>/password-reset")
@access.may(rights.coordinates_anything)
@blueprint.response(201, PasswordResetShape)
def reset_password(person_id: str) -> dict:
    """Make a one-time link for a new password; its address is in this answer alone, and in a letter where mail is set.

    Earlier links of this person stop working.
    """
    row, link, mailed = resets.make_link(resets.manageable(person_id))
    return {"url": link, "expires_at": row.expires_at, "mailed": mailed}


@blueprint.post("/people/<person_id>/memberships")
@access.may(rights.coordinates_anything)
@blueprint.arguments(MembershipBody)
@blueprint.response(201, PersonShape)
def add_membership(data: dict, person_id: str) -> Person | None:
    """Give a person one more role; one held already stays as it is."""
    pages.seen(person_id)
    people.grant(person_id, require_place(**data), data["school_id"])
    return people.person(person_id)


@blueprint.delete("/people/<person_id>/memberships/<int:membership_id>")
@access.may(rights.coordinates_anything)
@blueprint.response(204)
def remove_membership(person_id: str, membership_id: int) -> None:
    """Take a role away."""
    row = pages.seen(person_id)
    membership = next((m for m in row.memberships if m.id == membership_id), None) or abort(404)
    access.require(pages.in_reach(access.current_actor(), membership))
    try:
        people.revoke_membership(membership_id)
    except people.LastAdministrator:
        raise pages.last_administrator() from None
