"""Captions over the API: a track is a WebVTT file, with its version as ETag."""

from __future__ import annotations

from flask import Response, current_app, request
from flask_babel import gettext as _
from flask_smorest import Blueprint

from rules import captions
from server import access, captionfile, captionwords
from server.api.shapes import CaptionTrackShape
from server.links import public_link
from server.operations import captions as operations
from server.operations.recordings import seen
from server.problems import Problem
from store import captions as store
from store.lessontables import CaptionTrack

blueprint = Blueprint("api-captions", __name__, description="Captions as WebVTT")

VTT = "text/vtt"
FILE = {"text/vtt": {"schema": {"type": "string"}}}
MATCH = {"in": "header", "name": "If-Match", "required": False, "schema": {"type": "string"}}


@blueprint.url_value_preprocessor
def allow_a_file(endpoint: str | None, _values: dict | None) -> None:
    """Let a file with captions be as large as the settings say."""
    if endpoint == "api-captions.put":
        request.max_content_length = current_app.config["TROPA"].captions_kb * 1024


@blueprint.get("/recordings/<recording_id>/captions")
@access.signed_in
@blueprint.response(200, CaptionTrackShape(many=True))
def tracks(recording_id: str) -> list[dict]:
    """List a recording's captions by language."""
    seen(recording_id, access.current_actor())
    return [_dressed(row) for row in store.tracks(recording_id)]


@blueprint.get("/recordings/<recording_id>/captions/<language>")
@access.signed_in
@blueprint.doc(responses={"200": {"description": "The captions", "content": FILE}})
def track(recording_id: str, language: str) -> Response:
    """Return the captions in one language as WebVTT; the ETag is what a change may ask for as If-Match."""
    _recording, row = operations.readable(recording_id, language, access.current_actor())
    response = Response(captions.write_vtt(store.cues(row)), mimetype=VTT)
    response.set_etag(str(row.version))
    return response


@blueprint.put("/recordings/<recording_id>/captions/<language>")
@access.signed_in
@blueprint.doc(parameters=[MATCH], requestBody={"required": True, "content": FILE})
@blueprint.response(200, CaptionTrackShape)
def put(recording_id: str, language: str) -> dict:
    """Keep captions (WebVTT or SRT) in the place of those before; with If-Match only over that version."""
    actor = access.current_actor()
    recording = operations.changeable(recording_id, actor, language)
    try:
        cues = captionfile.read(request.get_data())
    except captionfile.BadFile as trouble:
        raise Problem(
            422,
            captionwords.of_file(trouble),
            todo=_("Nothing was changed. Correct the file and send it again."),
            slug="bad-captions",
            extra={"line": trouble.line or None},
        ) from None
    try:
        return _dressed(operations.save(recording, language, cues, _version(), actor))
    except store.Changed:
        raise operations.changed_meanwhile() from None


@blueprint.delete("/recordings/<recording_id>/captions/<language>")
@access.signed_in
@blueprint.doc(parameters=[MATCH])
@blueprint.response(204)
def delete(recording_id: str, language: str) -> None:
    """Remove the captions in one language; with If-Match only that version."""
    recording = operations.changeable(recording_id, access.current_actor(), language)
    operations.remove(recording, language, _version())


def _version() -> int | None:
    """Read the version from If-Match, -1 for one that never was; None where none is asked for."""
    match = request.if_match
    if not match or match.star_tag:
        return None
    tags = match.as_set(include_weak=True)
    tag = next(iter(tags))
    return int(tag) if len(tags) == 1 and tag.isascii() and tag.isdigit() and len(tag) < 10 else -1


def _dressed(row: CaptionTrack) -> dict:
    return {
        "language": row.language,
        "version": row.version,
        "cues": len(row.cues),
        "updated_at": row.updated_at,
        "url": public_link(f"/api/v1/recordings/{row.recording_id}/captions/{row.language}"),
    }
