"""Link tests over the API: the page of the link test is made of nothing else."""

from __future__ import annotations

import os

from flask import Response, request
from flask_babel import gettext as _
from flask_smorest import Blueprint
from marshmallow import fields, validate

from rules import rights
from server import access, linkwords, schemas
from server.api.shapes import LinkTestBegunShape, LinkTestProgressShape, LinkTestShape, LinkUploadShape, SdpShape
from server.operations import linktests as operations
from server.operations.linktests import Claims
from server.problems import Problem
from store import database, linktests, people
from store.models import LinkTest

blueprint = Blueprint("api-linktests", __name__, description="Link tests: what a school's link carries")

OCTETS = "application/octet-stream"
MAX_SDP_CHARS = 16 * 1024
LONGEST_HISTORY = 1000


class BeginBody(schemas.Body):
    """For which school the result counts; null: for nobody, it is shown and that is all."""

    school_id = fields.String(allow_none=True, required=True)


class OfferBody(schemas.Body):
    """An SDP offer: "down", to receive a picture with transport-cc feedback, of which nothing but padding comes.

    "up", to send a picture with transport-cc, of noise that fills what the link carries.
    """

    direction = schemas.OneOf(("down", "up"), required=True)
    offer = fields.String(required=True, validate=validate.Length(max=MAX_SDP_CHARS))


class PieceQuery(schemas.Body):
    """How long a piece shall be."""

    bytes = schemas.Whole(0, 1_000_000, required=True)


class FinishBody(schemas.Body):
    """What the client measured itself, where nothing was measured over the media port; believed within bounds."""

    down_bytes = schemas.Whole(0, 10_000_000, allow_none=True, load_default=None)
    down_ms = fields.Float(allow_none=True, load_default=None)
    rtt_ms = schemas.Whole(-1_000_000, 1_000_000, allow_none=True, load_default=None)


@blueprint.post("/link-tests")
@access.signed_in_or_guest
@blueprint.arguments(BeginBody)
@blueprint.response(201, LinkTestBegunShape)
def begin(data: dict):
    """Begin a test. It takes 20 s; then POST …/finish keeps the result."""
    row = operations.begin(access.current_actor(), data["school_id"], database.utc_now())
    shown = {"id": row.id, "school_id": row.school_id, "most_bytes": operations.largest_bytes()}
    return shown, {"Location": f"/api/v1/link-tests/{row.id}"}


@blueprint.post("/link-tests/<test_id>/media")
@access.signed_in_or_guest
@blueprint.arguments(OfferBody)
@blueprint.response(201, SdpShape)
def media(data: dict, test_id: str) -> dict:
    """Measure one direction over the media port: connect with the answer and wait until the server closes."""
    row = operations.running(test_id, access.current_actor(), database.utc_now())
    return {"answer": operations.offer(row, data["direction"], data["offer"])}


@blueprint.get("/link-tests/<test_id>")
@access.signed_in_or_guest
@blueprint.response(200, LinkTestProgressShape)
def progress(test_id: str) -> dict:
    """Tell how a test stands. Asking takes a little of the link that is measured."""
    row = operations.own(test_id, access.current_actor())
    reports = operations.media_reports(row) if row.state == linktests.RUNNING else {}
    return {"id": row.id, "state": row.state, "media": reports}


@blueprint.get("/link-tests/<test_id>/piece")
@access.signed_in_or_guest
@blueprint.arguments(PieceQuery, location="query")
@blueprint.response(200, content_type=OCTETS)
def give(query: dict, test_id: str) -> Response:
    """Return so many bytes that cannot be compressed, to be timed; none for a round trip."""
    row = operations.running(test_id, access.current_actor(), database.utc_now())
    size = query["bytes"]
    if size > operations.largest_bytes():
        raise Problem(422, _("A piece has %(most)s bytes at most.", most=operations.largest_bytes()))
    operations.give(row, size)
    return Response(os.urandom(size), content_type=OCTETS, headers={"Cache-Control": "no-store"})


@blueprint.post("/link-tests/<test_id>/piece")
@access.signed_in_or_guest
@blueprint.response(200, LinkUploadShape)
@blueprint.doc(requestBody={"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}})
def take(test_id: str) -> dict:
    """Take bytes of any content; the server times how they come and forgets them."""
    row = operations.running(test_id, access.current_actor(), database.utc_now())
    if request.mimetype != OCTETS:
        raise Problem(415, _("Send the bytes as %(type)s.", type=OCTETS))
    size = request.content_length or 0
    return {"kbps": operations.take(row, size, request.environ.get("tropa.arrivals")), "bytes": size}


@blueprint.post("/link-tests/<test_id>/finish")
@access.signed_in_or_guest
@blueprint.arguments(FinishBody)
@blueprint.response(200, LinkTestShape)
def finish(data: dict, test_id: str) -> dict:
    """Keep the result, make it the school's link, and say in words what it means."""
    now = database.utc_now()
    row = operations.running(test_id, access.current_actor(), now)
    return _dressed(operations.finish(row, Claims(**data), now))


@blueprint.delete("/link-tests/<test_id>")
@access.signed_in_or_guest
@blueprint.response(204)
def stop(test_id: str) -> None:
    """Stop a test: nothing more is sent, nothing is kept."""
    operations.stop(operations.own(test_id, access.current_actor()), database.utc_now())


@blueprint.get("/schools/<school_id>/link-tests")
@access.signed_in
@blueprint.response(200, LinkTestShape(many=True))
def history(school_id: str) -> list[dict]:
    """List a school's results, newest first."""
    access.require(rights.may_see_link_tests(access.current_actor(), school_id))
    access.require_known(people.school(school_id) is not None)
    return [_dressed(row) for row in linktests.history(school_id, LONGEST_HISTORY)]


def _dressed(row: LinkTest) -> dict:
    names = ("id", "school_id", "name", "started_at", "way", "down_kbps", "up_kbps", "rtt_ms", "loss_percent")
    words = {"verdict": linkwords.verdict(row), "advice": operations.advice(row)}
    figures = [{"name": name, "value": value} for name, value in linkwords.figures(row)]
    return {name: getattr(row, name) for name in names} | words | {"figures": figures}
