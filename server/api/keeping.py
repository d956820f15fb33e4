"""Room on the disk and how long files are kept, over the API."""

from __future__ import annotations

from flask import current_app
from flask_smorest import Blueprint
from marshmallow import Schema, fields

from rules import rights
from rules.retention import MAX_DAYS, Sort
from server import access, schemas
from server.api.recordings import dressed
from server.api.shapes import RecordingShape, moment
from server.operations import keeping as operations
from store import database, library, retention

blueprint = Blueprint("api-keeping", __name__, description="Room on the disk and how long files are kept")


class PolicyBody(schemas.Body):
    """Days that each sort of file is kept; null: for ever. What is not named stays as it is."""

    source = schemas.Whole(1, MAX_DAYS, allow_none=True)
    video_compat = schemas.Whole(1, MAX_DAYS, allow_none=True)
    video_small = schemas.Whole(1, MAX_DAYS, allow_none=True)
    voice = schemas.Whole(1, MAX_DAYS, allow_none=True)
    other = schemas.Whole(1, MAX_DAYS, allow_none=True)
    refused = schemas.Whole(1, MAX_DAYS, allow_none=True)


class KeepBody(schemas.Body):
    """Whether a recording's files are kept whatever the policy says."""

    keep = fields.Boolean(required=True)


class RemoveQuery(schemas.Body):
    """last_copy=1 confirms that the last copy of a lesson is meant."""

    last_copy = fields.Boolean(load_default=False)


class DiskShape(Schema):
    """One disk; refused lists the sorts of work that wait for room."""

    name = fields.String()
    total_bytes = fields.Integer()
    free_bytes = fields.Integer()
    reserve_bytes = fields.Integer()
    level = fields.String()
    refused = fields.List(fields.String())


class LeavingShape(Schema):
    """A file that goes by the policy at a moment."""

    recording_id = fields.String()
    title = fields.String()
    sort = fields.String()
    bytes = fields.Integer()
    at = moment()


class StorageShape(Schema):
    """Disks, the policy in days (null: for ever), and what goes soon."""

    disks = fields.List(fields.Nested(DiskShape))
    policy = fields.Dict(keys=fields.String(), values=fields.Integer(allow_none=True))
    leaving = fields.List(fields.Nested(LeavingShape))


@blueprint.get("/storage")
@access.may(rights.coordinates_anything)
@blueprint.response(200, StorageShape)
def storage() -> dict:
    """Return the disks, the policy and what goes soon of the lessons that you may edit."""
    return _state()


@blueprint.patch("/storage")
@access.may(rights.coordinates_anything)
@blueprint.arguments(PolicyBody)
@blueprint.response(200, StorageShape)
def set_policy(data: dict) -> dict:
    """Change the policy."""
    wanted = {Sort(name): days for name, days in data.items()}
    operations.set_policy(wanted, access.current_actor(), database.utc_now())
    return _state()


@blueprint.post("/recordings/<recording_id>/keep")
@access.signed_in
@blueprint.arguments(KeepBody)
@blueprint.response(200, RecordingShape)
def keep(data: dict, recording_id: str) -> dict:
    """Keep a recording's files whatever the policy says, or leave them to it again."""
    operations.keep(recording_id, data["keep"], access.current_actor(), database.utc_now())
    return dressed(library.recording(recording_id))


@blueprint.delete("/recordings/<recording_id>/files/<file_id>")
@access.signed_in
@blueprint.arguments(RemoveQuery, location="query")
@blueprint.response(200, RecordingShape)
def remove(query: dict, recording_id: str, file_id: str) -> dict:
    """Remove a file, by its rendition's id or "source"; 409 for the last copy without last_copy=1."""
    operations.remove(recording_id, file_id, query["last_copy"], access.current_actor(), database.utc_now())
    return dressed(library.recording(recording_id))


@blueprint.post("/recordings/<recording_id>/files/<file_id>/remake")
@access.signed_in
@blueprint.response(202, RecordingShape)
def remake(recording_id: str, file_id: str) -> dict:
    """Have a removed file made again, while the source is there."""
    operations.remake(recording_id, file_id, access.current_actor())
    return dressed(library.recording(recording_id))


def _state() -> dict:
    actor, now = access.current_actor(), database.utc_now()
    disks = [
        {
            "name": one.disk.name,
            "total_bytes": one.disk.total_bytes,
            "free_bytes": one.disk.free_bytes,
            "reserve_bytes": one.reserve_bytes,
            "level": one.level.value,
            "refused": [work.value for work in one.refused],
        }
        for one in operations.disks(current_app.config["TROPA"])
    ]
    leaving = [
        {
            "recording_id": one.recording.id,
            "title": one.recording.session.title,
            "sort": one.sort.value,
            "bytes": one.bytes,
            "at": one.at,
        }
        for one in operations.leaving(actor, now)
    ]
    return {
        "disks": disks,
        "policy": {sort.value: days for sort, days in retention.policy().items()},
        "leaving": leaving,
    }
