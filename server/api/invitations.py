"""Invitations over the API."""

from __future__ import annotations

from flask import current_app
from flask_smorest import Blueprint

from rules import rights
from rules.rights import Role
from server import access, schemas
from server.api.people import MembershipBody, require_place
from server.api.shapes import InvitationMadeShape, InvitationShape
from server.links import public_link
from server.problems import Problem
from store import database, invitations
from store.models import Invitation

blueprint = Blueprint("api-invitations", __name__, description="One-time links that make accounts")


class InvitationBody(MembershipBody):
    """Whom to invite into which role."""

    name = schemas.Line(most=200, load_default="")
    email = schemas.Email(load_default="")


@blueprint.get("/invitations")
@access.may(rights.coordinates_anything)
@blueprint.response(200, InvitationShape(many=True))
def open_invitations() -> list[Invitation]:
    """List open invitations that the asker may take back."""
    return [row for row in invitations.invitations(database.utc_now()) if _in_reach(row)]


@blueprint.post("/invitations")
@access.may(rights.coordinates_anything)
@blueprint.arguments(InvitationBody)
@blueprint.response(201, InvitationMadeShape)
def invite(data: dict) -> dict:
    """Make a one-time link; its address is in this answer alone. No letter is sent."""
    role, actor = require_place(data["role"], data["school_id"]), access.current_actor()
    now, days = database.utc_now(), current_app.config["TROPA"].invitation_days
    row, token = invitations.invite(
        role, data["school_id"], actor.person_id, now, days, name=data["name"], email=data["email"]
    )
    link = public_link(f"/invite/{token}")
    return {name: getattr(row, name) for name in InvitationShape().fields} | {"url": link}


@blueprint.delete("/invitations/<invitation_id>")
@access.may(rights.coordinates_anything)
@blueprint.response(204)
def revoke(invitation_id: str) -> None:
    """Take an invitation back."""
    row = invitations.invitation(invitation_id)
    if row is None or row.role == invitations.FIRST or not _in_reach(row):
        raise Problem(404, "")
    if not invitations.revoke_invitation(invitation_id, database.utc_now()):
        raise Problem(409, "", slug="not-open")


def _in_reach(row: Invitation) -> bool:
    return rights.may_invite_person(access.current_actor(), Role(row.role), row.school_id)
