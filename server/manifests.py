"""Manifests of files: the digest of every chunk, as JSON and as Metalink, so that a broken chunk costs one chunk."""

from __future__ import annotations

import hashlib
import json

from flask import Blueprint, Response, current_app, request
from flask_babel import gettext as _

from rules.chunks import ChunkList
from server import access, i18n
from server.links import public_link
from server.manifestdoc import METALINK_TYPE, FileFacts, LessonFacts, manifest, metalink
from server.operations import recordings as operations
from server.problems import Problem
from store import chunklists
from store.files import Files, NoSuchFile
from store.models import Rendition

blueprint = Blueprint("manifests", __name__)

# The lesson's title may change, the digests never do.
CACHE = "private, no-cache"
RETRY_S = 60


def facts_of(row: Rendition) -> FileFacts:
    """Say what a file is, as it is offered to programs."""
    session, recording = row.recording.session, row.recording
    name = operations.file_name(row)
    lesson = LessonFacts(
        title=session.title,
        subject=session.subject,
        grades=session.grades,
        host_school=session.host_school.name,
        date=i18n.local(recording.started_at, session.host_school.timezone).date().isoformat(),
        duration_s=row.duration_s,
    )
    extension = row.key.rpartition(".")[2]
    return FileFacts(row.id, recording.id, row.kind, row.bytes, row.sha256, row.content_type, extension, name, lesson)


def chunks_of(row: Rendition) -> ChunkList:
    """Return the digests of a file's chunks; raises Problem 503 while the file cannot be read."""
    storage: Files = current_app.extensions["tropa_files"]
    try:
        return chunklists.load(storage, row.key, row.sha256)
    except (NoSuchFile, OSError):
        raise Problem(
            503,
            _("The storage does not answer. What was downloaded so far can be continued later."),
            headers={"Retry-After": str(RETRY_S)},
        ) from None


def describedby(row: Rendition) -> dict[str, str]:
    """Return the header that leads from a file to its descriptions (RFC 8288, RFC 6249 4)."""
    return {
        "Link": f'</manifests/{row.id}.meta4>; rel="describedby"; type="{METALINK_TYPE}", '
        f'</manifests/{row.id}.json>; rel="describedby"; type="application/json"'
    }


def with_etag(body: bytes, content_type: str) -> Response:
    """Answer with a made document under a strong ETag, or 304 where the asker has it (RFC 9110 13.1.2)."""
    response = Response(body, content_type=content_type)
    response.set_etag(hashlib.sha256(body).hexdigest()[:32])
    response.headers["Cache-Control"] = CACHE
    return response.make_conditional(request)


def manifest_answer(row: Rendition) -> Response:
    """Answer with a file's manifest."""
    body = json.dumps(manifest(facts_of(row), chunks_of(row)), ensure_ascii=False, separators=(",", ":"))
    return with_etag(body.encode(), "application/json")


def metalink_answer(row: Rendition, url: str) -> Response:
    """Answer with a file's Metalink that leads to this address of it."""
    response = with_etag(metalink(facts_of(row), chunks_of(row), url, public_link("/")), METALINK_TYPE)
    response.headers["Content-Disposition"] = f'attachment; filename="{row.id}.meta4"'
    return response


@blueprint.get("/manifests/<rendition_id>.json")
@access.signed_in
def as_json(rendition_id: str) -> Response:
    """Give a file's manifest."""
    return manifest_answer(operations.downloadable(rendition_id, access.current_actor()))


@blueprint.get("/manifests/<rendition_id>.meta4")
@access.signed_in
def as_metalink(rendition_id: str) -> Response:
    """Give a file's Metalink."""
    row = operations.downloadable(rendition_id, access.current_actor())
    return metalink_answer(row, public_link(operations.file_url(row)))
