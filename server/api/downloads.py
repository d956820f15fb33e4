"""Schools' downloads over the API: terms, computers that fetch, arrivals."""

from __future__ import annotations

from flask import abort
from flask_smorest import Blueprint

from rules import rights
from server import access
from server.api.shapes import ArrivalShape, MirrorMadeShape, MirrorShape, TermsShape
from server.deliveryschemas import PcBody, TermsBody, chosen, shown
from server.operations import downloads as operations
from server.operations import recordings
from store import database, mirrors

blueprint = Blueprint("api-downloads", __name__, description="What schools download by, and what has arrived where")


@blueprint.get("/schools/<school_id>/downloads")
@access.signed_in
@blueprint.response(200, TermsShape)
def terms(school_id: str) -> dict:
    """Return what a school downloads by."""
    return shown(mirrors.choice(operations.managed(school_id, access.current_actor()).id))


@blueprint.put("/schools/<school_id>/downloads")
@access.signed_in
@blueprint.arguments(TermsBody)
@blueprint.response(200, TermsShape)
def set_terms(data: dict, school_id: str) -> dict:
    """Set what a school downloads by; what is left out is open."""
    school = operations.managed(school_id, access.current_actor())
    mirrors.choose(school.id, chosen(data), database.utc_now())
    return shown(mirrors.choice(school.id))


@blueprint.get("/schools/<school_id>/mirrors")
@access.signed_in
@blueprint.response(200, MirrorShape(many=True))
def list_mirrors(school_id: str) -> list:
    """List the computers that fetch for a school."""
    return mirrors.mirrors(operations.managed(school_id, access.current_actor()).id)


@blueprint.post("/schools/<school_id>/mirrors")
@access.signed_in
@blueprint.arguments(PcBody)
@blueprint.response(201, MirrorMadeShape)
def add_mirror(data: dict, school_id: str) -> dict:
    """Let one more computer fetch for a school; its token is shown this once."""
    actor = access.current_actor()
    made = operations.add_mirror(operations.managed(school_id, actor), data["label"], actor)
    return {"id": made[0].id, "name": made[0].name, "token": made[1]}


@blueprint.delete("/schools/<school_id>/mirrors/<mirror_id>")
@access.signed_in
@blueprint.response(204)
def revoke_mirror(school_id: str, mirror_id: str) -> None:
    """Make a computer's token worthless."""
    school = operations.managed(school_id, access.current_actor())
    if not mirrors.revoke(mirror_id, school.id, database.utc_now()):
        abort(404)


@blueprint.get("/recordings/<recording_id>/arrivals")
@access.signed_in
@blueprint.response(200, ArrivalShape(many=True))
def arrivals(recording_id: str) -> list[dict]:
    """List the schools that a recording is for, with what has arrived there and was verified."""
    actor = access.current_actor()
    recording, facts = recordings.seen(recording_id, actor)
    access.require(rights.may_see_arrivals(actor, facts.session))
    return [
        {
            "school_id": one.school.id,
            "school": one.school.name,
            "files": [
                {"kind": kind, "way": row.way, "verified_at": row.verified_at, "sha256": row.sha256}
                for kind, row in one.receipts.items()
            ],
        }
        for one in mirrors.arrivals(recording)
    ]
