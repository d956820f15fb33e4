"""The slides of a recording's lesson, when which stands, and chapters, over the API."""

from __future__ import annotations

import io

from flask import request
from flask_babel import gettext as _
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from rules.captions import MAX_END_MS
from rules.lessonpack import MAX_CHAPTERS, MAX_TITLE_CHARS
from rules.timelinerows import MAX_ROWS, Entry
from server import access, schemas, words
from server.api.shapes import moment
from server.operations import slides as operations
from server.operations.outcome import Trouble
from server.operations.slides import Slides
from server.problems import Problem
from store import database, materials

blueprint = Blueprint("api-slides", __name__, description="Slides and chapters of recordings")

PDF = "application/pdf"


class PageBody(schemas.Body):
    """From a moment on this page stands, until the next."""

    at_ms = schemas.Whole(0, MAX_END_MS, required=True)
    page = schemas.Whole(1, 100_000, required=True)


class ChapterBody(schemas.Body):
    """A chapter begins at a moment."""

    at_ms = schemas.Whole(0, MAX_END_MS, required=True)
    title = schemas.Line(MAX_TITLE_CHARS, 1, required=True)


class TimelineBody(schemas.Body):
    """All pages and chapters; an empty list leaves them to the server. `version` is the one that was changed."""

    version = schemas.Whole(0, 10**9, required=True)
    pages = fields.List(fields.Nested(PageBody), required=True, validate=validate.Length(max=MAX_ROWS))
    chapters = fields.List(fields.Nested(ChapterBody), required=True, validate=validate.Length(max=MAX_CHAPTERS))


class DeckQuery(schemas.Body):
    """The name under which people know the file."""

    name = schemas.Line(200, load_default="slides.pdf")


class DeckShape(Schema):
    """The PDF; state is "waiting", "ready" or "refused", `error` a code and `reason` its words; its pages' texts."""

    name = fields.String()
    bytes = fields.Integer()
    sha256 = fields.String()
    state = fields.String()
    error = fields.String()
    reason = fields.String()
    uploaded_at = moment()
    pages = fields.List(fields.String())


class PageShape(Schema):
    """A page (null: a slide found in the picture) stands from a moment on."""

    at_ms = fields.Integer()
    page = fields.Integer(allow_none=True)


class ChapterShape(Schema):
    """A chapter begins at a moment."""

    at_ms = fields.Integer()
    title = fields.String()


class SlidesShape(Schema):
    """The deck, and the pages and chapters as set by hand or, where they were not, as the pack has them."""

    deck = fields.Nested(DeckShape, allow_none=True)
    version = fields.Integer()
    pages_by_hand = fields.Boolean()
    chapters_by_hand = fields.Boolean()
    pages = fields.List(fields.Nested(PageShape))
    chapters = fields.List(fields.Nested(ChapterShape))
    remaking = fields.Boolean()


@blueprint.get("/recordings/<recording_id>/slides")
@access.signed_in
@blueprint.response(200, SlidesShape)
def slides(recording_id: str) -> dict:
    """Return a recording's slides and chapters; for those who may set them."""
    return dressed(_slides(recording_id))


@blueprint.put("/recordings/<recording_id>/slides")
@access.signed_in
@blueprint.arguments(TimelineBody)
@blueprint.response(200, SlidesShape)
def save(data: dict, recording_id: str) -> dict:
    """Set pages and chapters; 409 where another version is there meanwhile. The pack is made anew."""
    found = _slides(recording_id)
    named = [(f"{name}.{index}", one) for name in ("pages", "chapters") for index, one in enumerate(data[name])]
    entries = [Entry(one["at_ms"], one.get("page"), one.get("title", "")) for _name, one in named]
    errors = operations.faults(found, entries)
    if errors:
        by_field = {named[index][0]: [text] for index, text in errors.items()}
        raise Problem(422, "", slug="validation", extra={"errors": by_field})
    try:
        operations.save(found, entries, data["version"], access.current_actor(), database.utc_now())
    except materials.Changed:
        raise operations.changed() from None
    return dressed(_slides(recording_id))


@blueprint.put("/recordings/<recording_id>/slides/deck")
@access.signed_in
@blueprint.arguments(DeckQuery, location="query")
@blueprint.response(202, SlidesShape)
@blueprint.doc(requestBody={"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}})
def attach(query: dict, recording_id: str) -> dict:
    """Attach a PDF to the recording's lesson in the place of the one before; a worker draws its pages."""
    recording = operations.changeable(recording_id, access.current_actor())
    if request.mimetype != PDF:
        raise Problem(415, _("Send the bytes as %(type)s.", type=PDF))
    body = io.BytesIO(request.get_data(cache=False))
    made = operations.attach(recording, query["name"], body, access.current_actor(), database.utc_now())
    if isinstance(made, Trouble):
        raise made.problem()
    return dressed(_slides(recording_id))


@blueprint.delete("/recordings/<recording_id>/slides/deck")
@access.signed_in
@blueprint.response(204)
def detach(recording_id: str) -> None:
    """Take the PDF away from the recording's lesson; times set by hand stay."""
    operations.detach(operations.changeable(recording_id, access.current_actor()), database.utc_now())


def dressed(found: Slides) -> dict:
    """Return a recording's slides as the API shows them."""
    deck, hand = found.deck, found.hand
    shown = None
    if deck is not None:
        facts = {name: getattr(deck, name) for name in ("name", "bytes", "sha256", "state", "error", "uploaded_at")}
        reason = words.reason(deck.error) if deck.error else ""
        shown = facts | {"reason": reason, "pages": [page["text"] for page in deck.pages]}
    return {
        "deck": shown,
        "version": found.version,
        "pages_by_hand": bool(hand and hand.pages),
        "chapters_by_hand": bool(hand and hand.chapters),
        "pages": [{"at_ms": one.at_ms, "page": one.page} for one in found.entries if one.page or not one.title],
        "chapters": [{"at_ms": one.at_ms, "title": one.title} for one in found.entries if one.title],
        "remaking": found.remaking,
    }


def _slides(recording_id: str) -> Slides:
    return operations.shown(operations.changeable(recording_id, access.current_actor()))
