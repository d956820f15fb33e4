"""The editor of captions: a plain form that saves with every button, so that nothing hangs on a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import Blueprint, current_app, flash, redirect, render_template, request
from flask_babel import gettext as _
from marshmallow import ValidationError
from werkzeug.wrappers import Response

from rules import captions
from rules.captions import Cue
from rules.renditions import VIDEO_KINDS, Kind
from server import access, captionform, captionwords, words
from server.captionform import BadRows, Typed, Window, Wish
from server.operations import captions as operations
from server.operations.recordings import file_url
from server.problems import Problem
from server.schemas import clean_text
from store import captions as store
from store.models import Recording

blueprint = Blueprint("captionedit", __name__)

ADDRESS = "/recordings/<recording_id>/captions/<language>/edit"


@dataclass(frozen=True, slots=True)
class Draft:
    """A submitted page of the editor: the rows as typed, and what they were made from."""

    version: int
    window: Window
    rows: list[Typed]
    asked: Wish
    shift: str


@blueprint.url_value_preprocessor
def allow_long_texts(endpoint: str | None, _values: dict | None) -> None:
    """Let a page full of captions be as large as a file of them: each Cyrillic letter of a form takes six bytes."""
    if endpoint == "captionedit.change":
        most = current_app.config["TROPA"].captions_kb * 1024
        request.max_content_length = request.max_form_memory_size = most


@blueprint.get(ADDRESS)
@access.signed_in
def edit(recording_id: str, language: str) -> str:
    """Show one page of the captions in one language; where there are none yet, an empty row."""
    recording = operations.changeable(recording_id, access.current_actor(), language)
    version, cues = _there(recording.id, language)
    window = captionform.shown(cues, request.args.get("page", 1, type=int))
    rows = [captionform.typed(cue) for cue in cues[window.first : window.first + window.count]]
    return _page(recording, language, cues, version, window, rows, at=request.args.get("at", -1, type=int))


@blueprint.post(ADDRESS)
@access.signed_in
def change(recording_id: str, language: str) -> Response | tuple[str, int]:
    """Save the page and do what the button says; 409 with the text kept where somebody else saved meanwhile."""
    actor = access.current_actor()
    recording = operations.changeable(recording_id, actor, language)
    draft = _draft()
    version, cues = _there(recording.id, language)
    if version != draft.version:
        return _conflict(recording, language, draft)
    if draft.window.first + draft.window.count > len(cues):
        raise _incomplete()
    try:
        made = captionform.changed(cues, draft.window, _cleaned(draft.rows), draft.asked, _shift_ms(draft))
        operations.save(recording, language, made, version, actor)
    except store.Changed:
        return _conflict(recording, language, draft)
    except BadRows as trouble:
        faults = {row: captionwords.of_cue(fault) for row, fault in trouble.faults.items()}
        page = _page(recording, language, cues, version, draft.window, draft.rows, faults=faults, shift=draft.shift)
        return page, 422
    except ValidationError as trouble:
        said = {-1: " ".join(trouble.messages)}
        page = _page(recording, language, cues, version, draft.window, draft.rows, faults=said, shift=draft.shift)
        return page, 422
    flash(_("Saved."))
    return redirect(_next(f"/recordings/{recording.id}/captions/{language}/edit", draft, len(made)), 303)


def _next(here: str, draft: Draft, count: int) -> str:
    """Say where the writer goes on: at the row of the button, or at the empty row after one was written there."""
    at = draft.window.first + draft.asked.row + (draft.asked.what == "add")
    if draft.asked.what in ("save", "shift"):
        more = draft.window.until_ms is None and len(draft.rows) > draft.window.count
        at = count if more else -1
    page = max(0, min(at if at >= 0 else draft.window.first, count - 1)) // captionform.PER_PAGE + 1
    # No fragment: browsers leave autofocus alone where there is one (HTML 6.6.7).
    return f"{here}?page={page}" + (f"&at={min(at, count)}" if at >= 0 else "")


def _there(recording_id: str, language: str) -> tuple[int, tuple[Cue, ...]]:
    track = store.track(recording_id, language)
    return (track.version, store.cues(track)) if track is not None else (0, ())


def _draft() -> Draft:
    form = request.form
    columns = [form.getlist(name) for name in ("start", "end", "text")]
    asked = captionform.wish(form.get("do", "save"))
    version, first, count = (_number(name) for name in ("version", "first", "count"))
    until = None if form.get("until_ms", "") == "" else _number("until_ms")
    if asked is None or len({len(column) for column in columns}) != 1 or len(columns[0]) > captionform.MAX_ROWS:
        raise _incomplete()
    rows = [Typed(*(text.replace("\0", "") for text in row)) for row in zip(*columns, strict=True)]
    return Draft(
        version=version,
        window=Window(first, count, _number("from_ms"), until),
        rows=rows if not rows or not rows[-1].is_blank else rows[:-1],
        asked=asked,
        shift=form.get("shift", "").replace("\0", "")[:20],
    )


def _number(name: str) -> int:
    text = request.form.get(name, "")
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise _incomplete()
    return int(text)


def _incomplete() -> Problem:
    return Problem(
        422,
        _("The form did not come whole. Nothing was changed."),
        todo=_("Go back, copy what you typed, open the captions again and send it again."),
        slug="form-incomplete",
    )


def _cleaned(rows: Sequence[Typed]) -> list[Typed]:
    return [Typed(row.start, row.end, clean_text(row.text, lines=True)) for row in rows]


def _shift_ms(draft: Draft) -> int:
    if draft.asked.what != "shift":
        return 0
    try:
        seconds = float(draft.shift.strip().replace(",", ".").replace("−", "-"))
    except ValueError:
        seconds = 0.0
    if seconds == 0 or not abs(seconds) <= captionform.MAX_SHIFT_S:
        raise ValidationError(_("Write by how many seconds, for instance 1.5 or -2."))
    return round(seconds * 1000)


def _conflict(recording: Recording, language: str, draft: Draft) -> tuple[str, int]:
    version, cues = _there(recording.id, language)
    window = captionform.found_again(cues, draft.window)
    theirs = cues[window.first : window.first + window.count]
    page = _page(recording, language, cues, version, window, draft.rows, theirs=theirs, shift=draft.shift)
    return page, 409


def _page(
    recording: Recording,
    language: str,
    cues: Sequence[Cue],
    version: int,
    window: Window,
    rows: Sequence[Typed],
    *,
    at: int = -1,
    faults: dict[int, str] | None = None,
    theirs: Sequence[Cue] | None = None,
    shift: str = "",
) -> str:
    here = f"/recordings/{recording.id}/captions/{language}/edit"
    return render_template(
        "caption_edit.html",
        recording=recording,
        title=recording.session.title,
        language=language,
        name=captionwords.language_name(language),
        count=captionwords.count(len(cues)),
        version=version,
        window=window,
        rows=rows,
        at=at,
        faults=faults or {},
        theirs=None if theirs is None else [(captions.clock(cue.start_ms), cue.text) for cue in theirs],
        shift=shift,
        is_last=window.until_ms is None,
        page=window.first // captionform.PER_PAGE + 1,
        pages_count=max(1, -(-len(cues) // captionform.PER_PAGE)),
        url=lambda number: f"{here}?page={number}",
        address=here,
        player=_player(recording),
        words={"play": _("Play from here")},
    )


def _player(recording: Recording) -> dict[str, str] | None:
    """Choose what the editor plays: the voice, else the smaller picture."""
    ready = [row for row in recording.renditions if row.is_available and Kind(row.kind) in words.PLAYER_TYPES]
    ready.sort(key=lambda row: (Kind(row.kind) in VIDEO_KINDS, row.bytes))
    if not ready:
        return None
    return {"url": file_url(ready[0]), "type": words.PLAYER_TYPES[Kind(ready[0].kind)]}
