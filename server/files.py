"""Downloads: bytes of published files, only for those who may, resumable and checkable."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from rules.renditions import Kind
from server import access
from server.links import public_link
from server.manifestdoc import METALINK_TYPE
from server.manifests import describedby, metalink_answer
from server.operations import recordings as operations
from server.operations import uploads
from server.operations.recordings import file_url
from server.outgoing import UPLOAD, opener, stored_file
from server.ranges import disposition
from store.files import Files
from store.models import Rendition

blueprint = Blueprint("files", __name__)

# A file never changes under its address; it is kept by the reader alone, as others may not be allowed to see it.
CACHE = "private, max-age=604800, immutable"
# A lesson pack does: it is made anew when captions change, and its ETag with it.
CACHE_RENEWED = "private, no-cache"


@blueprint.record_once
def _open_storage(state) -> None:
    settings = state.app.config["TROPA"]
    state.app.extensions["tropa_files"] = Files(settings.storage_url)
    state.app.extensions["tropa_opener"] = opener(settings)


@blueprint.get("/files/<rendition_id>/<path:name>")
@access.signed_in
def download(rendition_id: str, name: str) -> AnyResponse:
    """Send a file, or the part asked for: to a player as it is, to be saved with ?download=1."""
    rendition = operations.downloadable(rendition_id, access.current_actor())
    proper = operations.file_name(rendition)
    if name != proper:
        query = "?download=1" if request.args.get("download") == "1" else ""
        return redirect(file_url(rendition) + query, 308)
    # A download program that knows of Metalink says so (RFC 6249 2); browsers accept anything and get the file.
    if METALINK_TYPE in request.accept_mimetypes.values():
        response = metalink_answer(rendition, public_link(file_url(rendition)))
    else:
        response = stored_answer(rendition)
        kind = "attachment" if request.args.get("download") == "1" else "inline"
        response.headers["Content-Disposition"] = disposition(kind, proper)
    response.headers["Vary"] = "Accept"
    return response


def stored_answer(rendition: Rendition) -> Response:
    """Answer with a published file's bytes, whole or in part, and the way to its manifest."""
    opener = current_app.extensions["tropa_files"].open
    response = stored_file(rendition.file_key, rendition.bytes, rendition.sha256, rendition.content_type, opener)
    response.headers["Cache-Control"] = CACHE_RENEWED if rendition.kind == Kind.PACK else CACHE
    response.headers.update(describedby(rendition))
    return response


@blueprint.get("/recordings/<recording_id>/source/<int:number>")
@access.signed_in
def source(recording_id: str, number: int) -> Response:
    """Send one file of a recording as it came, to be saved; numbers count from 1."""
    segment, name = operations.source_file(recording_id, number, access.current_actor())
    return _original(segment["key"], segment["bytes"], segment["sha256"], name)


@blueprint.get("/uploads/<upload_id>/original")
@access.signed_in
def original(upload_id: str) -> Response:
    """Send back an uploaded file of which no recording was made, under the name that it came with."""
    row = uploads.downloadable(upload_id, access.current_actor())
    return _original(UPLOAD + row.id, row.length, row.sha256, row.filename)


def _original(key: str, size: int, sha256: str, name: str) -> Response:
    # Whatever it is, it is saved and never shown: nobody has looked into it for scripts.
    opens = current_app.extensions["tropa_opener"]
    response = stored_file(key, size, sha256, "application/octet-stream", opens)
    response.headers["Content-Disposition"] = disposition("attachment", name)
    response.headers["Cache-Control"] = CACHE
    return response
