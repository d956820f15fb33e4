"""Downloads: bytes of published files, only for those who may, resumable and checkable."""

from __future__ import annotations

from urllib.parse import quote

from flask import Blueprint, Response, current_app, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from server import access
from server.operations import recordings as operations
from server.outgoing import stored_file
from server.ranges import disposition
from store.files import Files
from store.models import Rendition

blueprint = Blueprint("files", __name__)

# A file never changes under its address; it is kept by the reader alone, as others may not be allowed to see it.
CACHE = "private, max-age=604800, immutable"


@blueprint.record_once
def _open_storage(state) -> None:
    state.app.extensions["tropa_files"] = Files(state.app.config["TROPA"].storage_url)


def file_url(rendition: Rendition) -> str:
    """Return the local address of a file, with its name at the end for tools that look there."""
    return f"/files/{rendition.id}/{quote(operations.file_name(rendition), safe='')}"


@blueprint.get("/files/<rendition_id>/<path:name>")
@access.signed_in
def download(rendition_id: str, name: str) -> AnyResponse:
    """Send a file, or the part asked for: to a player as it is, to be saved with ?download=1."""
    rendition = operations.downloadable(rendition_id, access.current_actor())
    proper = operations.file_name(rendition)
    if name != proper:
        query = "?download=1" if request.args.get("download") == "1" else ""
        return redirect(file_url(rendition) + query, 308)
    opener = current_app.extensions["tropa_files"].open
    response: Response = stored_file(rendition.key, rendition.bytes, rendition.sha256, rendition.content_type, opener)
    kind = "attachment" if request.args.get("download") == "1" else "inline"
    response.headers["Content-Disposition"] = disposition(kind, proper)
    response.headers["Cache-Control"] = CACHE
    return response
