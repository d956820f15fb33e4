"""tus 1.0 at /uploads/: what may be done is decided here, by the headers; the bytes are taken by server/uploading.py.

https://tus.io/protocols/resumable-upload: core, creation, creation-with-upload, termination, checksum, expiration. By
a login's cookie with the token of the page's forms (X-CSRFToken), or by an API token alone.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from flask import Blueprint, Response, current_app, request
from flask_babel import gettext as _
from marshmallow import EXCLUDE, ValidationError
from werkzeug.http import http_date

from rules import rights, tus
from rules.lifecycle import UploadState
from rules.tus import TusError, Why
from server import access
from server.operations import uploads as operations
from server.operations.outcome import Trouble
from server.problems import Problem
from server.receiving import Order, Result, Taken
from server.schemas import flat
from server.security import limiter
from server.uploadschemas import Announcement, from_metadata
from store import database
from store.models import Upload

blueprint = Blueprint("tus", __name__)

PIECES = "6000 per minute"
"""Of one address: 64 KB each are 52 Mbit/s, and clients on faster links send larger ones or one request."""
HEADER = "X-Tropa-Upload"
"""Of an answer of Flask's: an Order, as JSON. Whoever has it takes the request's body and then asks `ended`."""


@blueprint.after_request
def name_protocol(response: Response) -> Response:
    """Say on every answer which protocol is spoken."""
    response.headers["Tus-Resumable"] = tus.VERSION
    response.headers["Cache-Control"] = "no-store"
    if not response.response:
        del response.headers["Content-Type"]
    if response.status_code == 412:
        response.headers["Tus-Version"] = tus.VERSION
    return response


@blueprint.before_request
def require_version() -> None:
    """Refuse clients that speak another protocol: 412."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != tus.VERSION:
        raise Problem(
            412, _("This address speaks tus %(version)s (header Tus-Resumable).", version=tus.VERSION), slug="tus"
        )


@blueprint.route("/uploads/", methods=["OPTIONS"])
@blueprint.route("/uploads/<upload_id>", methods=["OPTIONS"])
@access.public
def options(upload_id: str = "") -> Response:
    """Say what is spoken here."""
    response = Response(status=204)
    response.headers["Tus-Version"] = tus.VERSION
    response.headers["Tus-Extension"] = ",".join(tus.EXTENSIONS)
    response.headers["Tus-Checksum-Algorithm"] = ",".join(tus.ALGORITHMS)
    response.headers["Tus-Max-Size"] = str(operations.most_bytes())
    return response


@blueprint.post("/uploads/")
@access.may(rights.may_book_something)
def create() -> Response:
    """Announce a file; bytes may come along."""
    now = database.utc_now()
    try:
        tus.refuse_unspoken(request.headers)
        length = tus.number("Upload-Length", request.headers.get("Upload-Length"))
        written = request.headers.get("Upload-Metadata", "")
        told = tus.metadata(written)
        checksum = tus.checksum(request.headers.get("Upload-Checksum"))
    except TusError as error:
        raise _unreadable(error) from None
    declared = request.environ.get("tropa.declared")
    brings = request.mimetype == tus.CHUNK_TYPE
    if brings and declared is not None and declared > length:
        raise _too_long()
    try:
        data = Announcement().load(from_metadata(told), unknown=EXCLUDE)
    except ValidationError as error:
        raise Trouble(422, errors=flat(error.messages)).problem() from None
    row = operations.announce(data, length, access.current_actor(), now, written)
    if isinstance(row, Trouble):
        raise row.problem()
    known = operations.offset(row)
    response = _facts(row, Response(status=201), known)
    response.headers["Location"] = f"/uploads/{row.id}"
    # Of a file that was begun before, the answer says where it goes on; bytes from its beginning are not wanted.
    if (brings or length == 0) and known == 0:
        order = Order(row.id, 0, length, *_check(checksum))
        response.headers[HEADER] = json.dumps(asdict(order))
    return response


@blueprint.route("/uploads/<upload_id>", methods=["HEAD"])
@access.signed_in
def head(upload_id: str) -> Response:
    """Say how many bytes are there."""
    row = _there(upload_id)
    response = _facts(row, Response(status=200), operations.offset(row))
    response.headers["Upload-Length"] = str(row.length)
    if row.state == UploadState.RECEIVING and response.headers["Upload-Offset"] == str(row.length):
        # The last byte came and the process was killed before it could say so: this client will send nothing more.
        response.headers[HEADER] = json.dumps(asdict(Order(row.id, row.length, row.length)))
    if row.metadata_text:
        response.headers["Upload-Metadata"] = row.metadata_text
    return response


@blueprint.patch("/uploads/<upload_id>")
@access.signed_in
@limiter.limit(PIECES)
def append(upload_id: str) -> Response:
    """Allow bytes to be appended; whether the offset fits is seen when the file is opened."""
    row = _there(upload_id)
    if request.mimetype != tus.CHUNK_TYPE:
        raise Problem(415, _("Send the bytes as %(type)s.", type=tus.CHUNK_TYPE))
    try:
        tus.refuse_unspoken(request.headers)
        at = tus.number("Upload-Offset", request.headers.get("Upload-Offset"))
        checksum = tus.checksum(request.headers.get("Upload-Checksum"))
    except TusError as error:
        raise _unreadable(error) from None
    declared = request.environ.get("tropa.declared")
    there = operations.offset(row)
    is_whole = row.state != UploadState.RECEIVING
    if at != there and (is_whole or at + (declared or 0) > row.length):
        raise _elsewhere(there)
    if is_whole and declared == 0:
        return _facts(row, Response(status=204), there)
    if is_whole or at + (declared or 0) > row.length:
        raise _too_long()
    operations.require_room(declared or 0)
    operations.prolong(row, database.utc_now())
    response = Response(status=204)
    response.headers[HEADER] = json.dumps(asdict(Order(row.id, at, row.length, *_check(checksum))))
    return response


@blueprint.delete("/uploads/<upload_id>")
@access.signed_in
def terminate(upload_id: str) -> Response:
    """Forget an upload with its bytes."""
    operations.remove(operations.managed(upload_id, access.current_actor()))
    return Response(status=204)


def ended(order: Order, taken: Taken, created: bool) -> Response:
    """Answer a request whose bytes were taken, and write down how far the file is. Raises Problem."""
    access.current_actor()  # who is refused below is told so in their language
    now = database.utc_now()
    if taken.sha256:
        operations.finish(order.upload_id, taken.sha256, now)
    elif taken.offset > order.offset:
        operations.note_progress(order.upload_id, taken.offset, now)
    if taken.result is Result.REPLACED and operations.uploads.find(order.upload_id) is None:
        raise Problem(
            404,
            _("Somebody removed this upload while it was being sent. Nothing of it is kept."),
            title=_("The upload was removed"),
            todo=_("Choose the file again to send it anew."),
            slug="removed",
        )
    if taken.result not in (Result.TAKEN, Result.GONE):
        problem = _refused(taken)
        if created:  # the upload is there, and so is what came before the trouble
            problem.extra_headers["Location"] = f"/uploads/{order.upload_id}"
        raise problem
    response = Response(status=201 if created else 204)
    row = operations.uploads.find(order.upload_id)
    if row is not None:
        _facts(row, response, taken.offset)
    if created:
        response.headers["Location"] = f"/uploads/{order.upload_id}"
    return response


def _there(upload_id: str) -> Upload:
    """Load an upload that may be gone on with: 404 where it may not be known, 410 where it has expired."""
    row = operations.managed(upload_id, access.current_actor())
    if row.state == UploadState.EXPIRED or (
        row.state == UploadState.RECEIVING and row.expires_at <= database.utc_now()
    ):
        raise Problem(
            410,
            _("Nothing was added to this upload for too long, so its bytes were removed. What you wrote is kept."),
            title=_("The upload has expired"),
            todo=_("Choose the same file again to send it anew."),
            slug="expired",
        )
    return row


def _facts(row: Upload, response: Response, offset: int) -> Response:
    response.headers["Upload-Offset"] = str(offset)
    if row.state == UploadState.RECEIVING:
        response.headers["Upload-Expires"] = http_date(row.expires_at)
    return response


def _check(checksum: tus.Checksum | None) -> tuple[str, str]:
    return (checksum.algorithm, checksum.digest.hex()) if checksum is not None else ("", "")


def _unreadable(error: TusError) -> Problem:
    why = {
        Why.MISSING: _("it is missing"),
        Why.NUMBER: _("it is not a whole number of bytes"),
        Why.ALGORITHM: _("known are %(names)s", names=", ".join(tus.ALGORITHMS)),
        Why.DIGEST: _("its digest has another length than its algorithm's"),
        Why.BASE64: _("it is not base64"),
        Why.UTF8: _("a value is not UTF-8"),
        Why.KEY: _("a key is missing or not ASCII"),
        Why.TWICE: _("a key stands twice"),
        Why.LONG: _("it has more than %(most)s characters", most=tus.MAX_METADATA_CHARS),
        Why.UNSPOKEN: _("this extension of tus is not offered here (OPTIONS says which are)"),
    }[error.why]
    detail = _("The header %(name)s cannot be used: %(why)s.", name=error.header, why=why)
    todo = _("Nothing was changed. Correct the program that sends the file, or send it on the page for uploads.")
    return Problem(400, detail, todo=todo, slug="tus-header")


def _elsewhere(offset: int) -> Problem:
    return Problem(
        409,
        _("The file has %(offset)s bytes so far.", offset=offset),
        title=_("That is not where the file goes on"),
        todo=_("Ask for the offset and go on from there."),
        slug="offset",
        extra={"offset": offset},
        headers={"Upload-Offset": str(offset)},
    )


def _too_long() -> Problem:
    return Problem(413, _("More bytes came than the file was said to have. They were not taken."), slug="too-long")


def _refused(taken: Taken) -> Problem:
    at = {"Upload-Offset": str(taken.offset)}
    again = _("Ask for the offset and go on from there.")
    match taken.result:
        case Result.CONFLICT:
            return _elsewhere(taken.offset)
        case Result.CHECKSUM:
            return Problem(
                460,
                _("This piece was damaged on its way. It was dropped; everything before it is kept."),
                title=_("The checksum does not fit"),
                todo=_("Send the same piece again."),
                slug="checksum",
                extra=_extra(taken),
                headers=at,
            )
        case Result.TOO_LONG:
            return _too_long()
        case Result.REPLACED | Result.BUSY:
            detail = _("Another connection sends this file. What has come is kept.")
            return Problem(
                423,
                detail,
                title=_("This file is being sent already"),
                todo=again,
                slug="other-writer",
                extra=_extra(taken),
                headers=at | {"Retry-After": "5"},
            )
        case Result.NO_ROOM:
            return operations.no_room(0)
        case Result.STALLED:
            return Problem(408, _("No bytes came for too long. What has come is kept."), todo=again, headers=at)
    current_app.logger.error("upload %s", taken.result)
    return Problem(
        503,
        _("The file cannot be written at the moment. What has come is kept."),
        todo=_("Try again in a minute."),
        slug="disk",
        headers={"Retry-After": "60"},
    )


def _extra(taken: Taken) -> dict:
    return {"offset": taken.offset}
