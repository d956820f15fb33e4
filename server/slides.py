"""The page of a recording's slides: attach them as PDF, set when which stands and where chapters begin."""

from __future__ import annotations

from itertools import zip_longest

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import ngettext
from werkzeug.wrappers import Response as AnyResponse

from config import Settings
from rules import timelinerows
from rules.lessonpack import title_of
from rules.timelinerows import Typed
from server import access, words
from server.operations import slides as operations
from server.operations.outcome import Trouble
from server.operations.slides import Slides
from server.outgoing import stored_file
from server.problems import Problem
from store import database, materials, people

blueprint = Blueprint("slides", __name__)

# Where a PDF may come, for the shell's limits (server/asgi.py).
DECK_PATHS = ("/recordings/*/slides/deck", "/api/v1/recordings/*/slides/deck")
DECK_ENDPOINTS = ("slides.attach", "api-slides.attach")
# Around the file of a form.
FORM_BYTES = 64 * 1024
SPARE_ROWS, MORE_ROWS = 3, 10
IMAGE_TYPES = {"png": "image/png", "jpg": "image/jpeg"}


def deck_bytes(settings: Settings) -> int:
    """Return how large a request with a PDF may be."""
    return operations.deck_bytes(settings) + FORM_BYTES


@blueprint.app_url_value_preprocessor
def allow_a_deck(endpoint: str | None, _values: dict | None) -> None:
    """Let what holds a PDF be as large as the shell lets it be, and say in words when it is larger."""
    if endpoint not in DECK_ENDPOINTS:
        return
    settings = current_app.config["TROPA"]
    request.max_content_length = deck_bytes(settings)
    if request.environ.get("tropa.refused") == 413:
        access.current_actor()  # the words are in the asker's language
        raise Problem(413, operations.too_large(settings), slug="too-long")


@blueprint.get("/recordings/<recording_id>/slides")
@access.signed_in
def page(recording_id: str) -> str:
    """Show the deck, and the rows of chapters and slide times."""
    return _page(_slides(recording_id))


@blueprint.post("/recordings/<recording_id>/slides")
@access.signed_in
def save(recording_id: str) -> str | AnyResponse | tuple[str, int]:
    """Save the rows, or show them with some more, or without one of them."""
    slides, typed = _slides(recording_id), _typed()
    if "more" in request.form:
        return _page(slides, typed, spare=MORE_ROWS)
    if "drop" in request.form:
        return _page(slides, [row for index, row in enumerate(typed) if str(index) != request.form["drop"]])
    entries = timelinerows.read(typed)
    errors = operations.faults(slides, entries)
    if errors:
        return _page(slides, typed, errors), 422
    version = request.form.get("version", "")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else -1
    try:
        operations.save(slides, entries, number, access.current_actor(), database.utc_now())
    except materials.Changed:
        return _page(_slides(recording_id), typed, changed=True), 409
    flash(_("Saved. The lesson pack is being made anew; the one that is there stays until then."))
    return redirect(f"/recordings/{recording_id}/slides", 303)


@blueprint.post("/recordings/<recording_id>/slides/deck")
@access.signed_in
def attach(recording_id: str) -> AnyResponse | tuple[str, int]:
    """Take a PDF in the place of the one before."""
    slides = _slides(recording_id)
    given = request.files.get("file")
    if given is None or not given.filename:
        return _page(slides, refused=_("Choose a file.")), 422
    actor, now = access.current_actor(), database.utc_now()
    made = operations.attach(slides.recording, given.filename, given.stream, actor, now)
    if isinstance(made, Trouble):
        return _page(slides, refused=" ".join(made.errors["file"])), 422
    flash(_("The file has come."))
    return redirect(f"/recordings/{recording_id}/slides", 303)


@blueprint.post("/recordings/<recording_id>/slides/remove")
@access.signed_in
def remove(recording_id: str) -> AnyResponse:
    """Take the deck away from the lesson."""
    operations.detach(operations.changeable(recording_id, access.current_actor()), database.utc_now())
    flash(_("Removed."))
    return redirect(f"/recordings/{recording_id}/slides", 303)


@blueprint.get("/recordings/<recording_id>/slides/<int:number>")
@access.signed_in
def picture(recording_id: str, number: int) -> Response:
    """Show one page of the deck; numbers count from 1."""
    slides = _slides(recording_id)
    pages = slides.deck.pages if slides.deck is not None else []
    access.require_known(1 <= number <= len(pages))
    one = pages[number - 1]
    kind = IMAGE_TYPES.get(one["extension"], "application/octet-stream")
    response = stored_file(one["key"], one["bytes"], one["sha256"], kind, current_app.extensions["tropa_opener"])
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def _slides(recording_id: str) -> Slides:
    return operations.shown(operations.changeable(recording_id, access.current_actor()))


def _typed() -> list[Typed]:
    """Take the rows as they were typed, without the empty ones at the end."""
    columns = [request.form.getlist(name)[: timelinerows.MAX_ROWS + MORE_ROWS] for name in ("at", "page", "title")]
    rows = [Typed(*(text.replace("\0", "") for text in row)) for row in zip_longest(*columns, fillvalue="")]
    while rows and not any((rows[-1].at, rows[-1].page, rows[-1].title)):
        rows.pop()
    return rows


def _page(
    slides: Slides,
    typed: list[Typed] | None = None,
    errors: dict[int, str] | None = None,
    *,
    spare: int = SPARE_ROWS,
    changed: bool = False,
    refused: str = "",
) -> str:
    settings = current_app.config["TROPA"]
    rows = list(timelinerows.written(slides.entries)) if typed is None else typed
    hand, deck = slides.hand, slides.deck
    author = people.person(hand.updated_by) if hand is not None and hand.updated_by else None
    return render_template(
        "slides.html",
        recording=slides.recording,
        title=slides.recording.session.title,
        deck=deck,
        size=words.size(deck.bytes) if deck is not None else "",
        failure=words.reason(deck.error) if deck is not None and deck.error else "",
        pages=[title_of(one["text"]) for one in deck.pages] if deck is not None else [],
        pages_text=ngettext("%(num)d page", "%(num)d pages", len(deck.pages)) if deck is not None else "",
        most_size=words.size(operations.deck_bytes(settings)),
        most_pages=settings.deck_pages,
        refused=refused,
        rows=[*rows, *[Typed()] * spare],
        theirs=timelinerows.written(slides.entries) if changed else (),
        changed=changed,
        errors=errors or {},
        unsaved=typed is not None,
        version=slides.version,
        hand=hand,
        author=author.name if author is not None else "",
        remaking=slides.remaking,
    )
