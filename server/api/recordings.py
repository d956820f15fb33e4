"""Recordings and their files over the API."""

from __future__ import annotations

from flask_smorest import Blueprint
from marshmallow import fields

from rules.renditions import SHOWN_RATES_KBPS, download_minutes
from server import access, deliveries, planwords, schemas
from server.api.shapes import RecordingShape, RecordingsShape, RenditionShape
from server.library import asked, asked_page
from server.links import public_link
from server.operations import recordings as operations
from server.operations import sessions
from server.operations.recordings import file_url
from store import database, library
from store.models import Recording, Rendition

blueprint = Blueprint("api-recordings", __name__, description="The library and its files")


class LibraryQuery(schemas.Body):
    """What to look for; days are those of the asker's zone."""

    words = fields.String()
    subject = fields.String()
    grade = fields.String(metadata={"description": "1 to 11"})
    school = fields.String(metadata={"description": "The id of the school that hosted"})
    first = fields.String(data_key="from", metadata={"format": "date"})
    last = fields.String(data_key="to", metadata={"format": "date"})
    page = fields.String()


@blueprint.get("/recordings")
@access.signed_in
@blueprint.arguments(LibraryQuery, location="query")
@blueprint.response(200, RecordingsShape)
def search(_query: dict) -> dict:
    """Find published recordings, the latest first, page by page."""
    actor = access.current_actor()
    page = library.search(actor, asked().filter(), asked_page())
    return {"total": page.total, "page": page.page, "recordings": [dressed(row) for row in page.items]}


@blueprint.get("/recordings/<recording_id>")
@access.signed_in
@blueprint.response(200, RecordingShape)
def recording(recording_id: str) -> dict:
    """Return one recording with its files and how far they are."""
    row, _facts = operations.seen(recording_id, access.current_actor())
    return dressed(row)


@blueprint.post("/recordings/<recording_id>/retry")
@access.signed_in
@blueprint.response(202, RecordingShape)
def retry(recording_id: str) -> dict:
    """Have failed and stopped files made again."""
    operations.retry(recording_id, access.current_actor())
    return dressed(library.recording(recording_id))


@blueprint.post("/recordings/<recording_id>/cancel")
@access.signed_in
@blueprint.response(202, RecordingShape)
def cancel(recording_id: str) -> dict:
    """Stop the making of files that are not ready yet; what is published stays."""
    operations.cancel(recording_id, access.current_actor())
    return dressed(library.recording(recording_id))


@blueprint.get("/sessions/<session_id>/recordings")
@access.signed_in
@blueprint.response(200, RecordingShape(many=True))
def of_session(session_id: str) -> list[dict]:
    """List a session's recordings, finished or not."""
    sessions.seen(session_id, access.current_actor())
    return [dressed(row) for row in library.recordings_of(session_id)]


def dressed(row: Recording) -> dict:
    """Return a recording as the API shows it."""
    names = ("id", "session_id", "state", "failure", "started_at", "ended_at", "duration_s", "gaps", "origin", "notes")
    actor = access.current_actor()
    shown = operations.shown_renditions(row, actor, library.recording_facts(row))
    whose = deliveries.for_asker(actor, database.utc_now())
    return {name: getattr(row, name) for name in names} | {
        "plan": planwords.reasons(row.plan),
        "best": deliveries.best_text(shown, whose) if whose else "",
        "kept": row.kept_at is not None,
        "source_removed_at": row.source_removed_at,
        "renditions": [_file(rendition) for rendition in shown],
    }


def _file(row: Rendition) -> dict:
    names = [name for name in RenditionShape().fields if name not in ("url", "minutes_at_kbps")]
    ready = row.is_available
    return {name: getattr(row, name) for name in names} | {
        "url": public_link(file_url(row)) if ready else None,
        "minutes_at_kbps": {str(rate): download_minutes(row.bytes, rate) for rate in SHOWN_RATES_KBPS} if ready else {},
    }
