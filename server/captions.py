"""The page of a recording's captions: files sent in, taken away, removed."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from marshmallow import fields
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response as AnyResponse

from rules import captions, rights
from server import access, captionfile, captionwords, i18n, schemas
from server.operations import captions as operations
from server.operations.recordings import seen
from server.ranges import disposition
from store import captions as store
from store import library
from store.lessontables import CaptionTrack
from store.models import Recording

blueprint = Blueprint("captions", __name__)

TYPES = {"vtt": "text/vtt", "srt": "application/x-subrip"}
# Fields and boundaries around the one file of the form.
AROUND_BYTES = 64 * 1024
LABELS = {
    "language": _l("Language"),
    "file": _l("File with captions"),
    "replace": _l("Put it in the place of captions in the same language"),
}


class CaptionsBody(schemas.Body):
    """What comes beside the file."""

    language = fields.String(required=True)
    replace = fields.Boolean()


@blueprint.url_value_preprocessor
def allow_a_file(endpoint: str | None, _values: dict | None) -> None:
    """Let the one form that holds a file be as large as the shell lets it be (server/asgi.py)."""
    if endpoint == "captions.send":
        request.max_content_length = current_app.config["TROPA"].captions_kb * 1024 + AROUND_BYTES


@blueprint.get("/recordings/<recording_id>/captions")
@access.signed_in
def page(recording_id: str) -> str:
    """Show what captions there are, and to whoever may change them the form for a file."""
    recording, _facts = seen(recording_id, access.current_actor())
    return _page(recording, schemas.Form(CaptionsBody(), {"language": i18n.current_language()}, LABELS))


@blueprint.post("/recordings/<recording_id>/captions")
@access.signed_in
def send(recording_id: str) -> AnyResponse | tuple[str, int]:
    """Take a WebVTT or SRT file."""
    actor = access.current_actor()
    recording = operations.changeable(recording_id, actor)
    form = schemas.Form(CaptionsBody(), {}, LABELS)
    if form.check(request.form) and not captionwords.is_language(form.data["language"]):
        form.refuse("language", _("Please choose one from the list."))
    cues = _read(request.files.get("file"), form)
    if not form.errors:
        language = form.data["language"]
        try:
            operations.save(recording, language, cues, None if form.data["replace"] else 0, actor)
        except store.Changed:
            form.refuse(
                "replace",
                _("There are captions in this language already. Tick this to put the file in their place."),
            )
        else:
            count, name = captionwords.count(len(cues)), captionwords.language_name(language)
            flash(_("Saved: %(name)s, %(count)s. The lesson pack is made anew.", name=name, count=count))
            return redirect(f"/recordings/{recording.id}/captions", 303)
    form.message = _("Nothing was changed: what was there is kept. Correct the file or the form and send it again.")
    return _page(recording, form), 422


@blueprint.get("/recordings/<recording_id>/captions/<language>.<any(vtt, srt):extension>")
@access.signed_in
def download(recording_id: str, language: str, extension: str) -> Response:
    """Send captions as WebVTT or SRT: to a player as they are, to be saved with ?download=1."""
    recording, track = operations.readable(recording_id, language, access.current_actor())
    write = captions.write_vtt if extension == "vtt" else captions.write_srt
    response = Response(write(store.cues(track)), content_type=f"{TYPES[extension]}; charset=utf-8")
    kind = "attachment" if request.args.get("download") == "1" else "inline"
    name = operations.file_name(recording, language, extension)
    response.headers["Content-Disposition"] = disposition(kind, name)
    response.set_etag(f"{track.version}-{extension}")
    return response.make_conditional(request)


@blueprint.post("/recordings/<recording_id>/captions/<language>/delete")
@access.signed_in
def delete(recording_id: str, language: str) -> AnyResponse:
    """Remove the captions in one language, as the page showed them."""
    recording = operations.changeable(recording_id, access.current_actor(), language)
    version = request.form.get("version", "")
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise operations.changed_meanwhile()
    operations.remove(recording, language, int(version))
    flash(_("Removed. The lesson pack is made anew."))
    return redirect(f"/recordings/{recording.id}/captions", 303)


def _read(given: FileStorage | None, form: schemas.Form) -> tuple[captions.Cue, ...]:
    if given is None or not given.filename:
        form.refuse("file", _("Choose a file."))
        return ()
    most_kb = current_app.config["TROPA"].captions_kb
    content = given.stream.read(most_kb * 1024 + 1)
    if len(content) > most_kb * 1024:
        form.refuse("file", _("The file is larger than %(most)d KB: are these captions?", most=most_kb))
        return ()
    try:
        return captionfile.read(content)
    except captionfile.BadFile as trouble:
        form.refuse("file", captionwords.of_file(trouble))
        return ()


def _page(recording: Recording, form: schemas.Form) -> str:
    may_edit = rights.may_edit_captions(access.current_actor(), library.recording_facts(recording))
    return render_template(
        "captions.html",
        recording=recording,
        title=recording.session.title,
        form=form,
        tracks=rows(store.tracks(recording.id)),
        may_edit=may_edit,
        languages=captionwords.languages(),
    )


def rows(tracks: list[CaptionTrack]) -> list[dict[str, object]]:
    """Dress tracks for a page."""
    return [
        {
            "language": row.language,
            "name": captionwords.language_name(row.language),
            "own_name": captionwords.own_name(row.language),
            "count": captionwords.count(len(row.cues)),
            "version": row.version,
            "url": f"/recordings/{row.recording_id}/captions/{row.language}",
        }
        for row in tracks
    ]
