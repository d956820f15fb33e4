"""What a school's own computer asks for, by its school's token: docs/mirror.md."""

from __future__ import annotations

import json

from flask import Response
from flask_smorest import Blueprint

from rules.nightwindow import clock
from server import access
from server.api.shapes import ReportKeptShape
from server.deliveryschemas import ReportBody
from server.files import stored_answer
from server.manifests import facts_of, manifest_answer, with_etag
from server.operations import downloads as operations
from store import database, mirrors

blueprint = Blueprint("api-mirror", __name__, description="For a school's own computer, by its school's token")

SUBSCRIPTION_VERSION = 1


def _answers(content_type: str, description: str) -> dict:
    """Describe an answer that is no shape of ours, and the 304 in its place."""
    return {
        "200": {"description": description, "content": {content_type: {}}},
        "304": {"description": "Nothing has changed"},
    }


@blueprint.get("/mirror")
@access.by_bearer
@blueprint.doc(responses=_answers("application/json", "What the school downloads by, and its files"))
def subscription() -> Response:
    """Say what a school downloads by, and which files it takes; 304 while nothing has changed."""
    mirror = operations.by_token(database.utc_now())
    school, wanted = mirror.school, mirrors.choice(mirror.school_id)
    window = wanted.window
    document = {
        "version": SUBSCRIPTION_VERSION,
        "school": {"id": school.id, "name": school.name, "timezone": school.timezone},
        "window": {"from": clock(window.from_minute), "to": clock(window.to_minute)} if window else None,
        "rate_kbps": wanted.rate_kbps,
        "monthly_mb": wanted.monthly_mb,
        "files": [facts_of(row).document() for row in operations.subscribed(mirror)],
    }
    return with_etag(json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), "application/json")


@blueprint.get("/mirror/files/<rendition_id>/manifest")
@access.by_bearer
@blueprint.doc(responses=_answers("application/json", "The manifest: docs/mirror.md"))
def manifest(rendition_id: str) -> Response:
    """Give a file's manifest."""
    return manifest_answer(operations.for_mirror(rendition_id, operations.by_token(database.utc_now())))


@blueprint.get("/mirror/files/<rendition_id>")
@access.by_bearer
@blueprint.doc(
    responses={
        **_answers("application/octet-stream", "The file"),
        "206": {"description": "The part of the file that was asked for"},
        "416": {"description": "There is no such part"},
    }
)
def file(rendition_id: str) -> Response:
    """Send a file or the part asked for."""
    response = stored_answer(operations.for_mirror(rendition_id, operations.by_token(database.utc_now())))
    del response.headers["Link"]  # those addresses are for people
    return response


@blueprint.post("/mirror/report")
@access.by_bearer
@blueprint.arguments(ReportBody)
@blueprint.response(200, ReportKeptShape)
def report(data: dict) -> dict:
    """Keep what has arrived and was verified; what comes again is kept once."""
    now = database.utc_now()
    kept, unknown = operations.keep_report(operations.by_token(now), data, now)
    return {"kept": kept, "unknown": unknown}
