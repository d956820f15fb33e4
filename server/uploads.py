"""The pages of uploads: choose files, see how far they are, change what is written about them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import format_date
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_wtf.csrf import generate_csrf
from marshmallow import EXCLUDE
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response

from rules import rights
from rules.rights import Actor
from server import access, i18n, uploadfile, uploadwords, words
from server.operations import uploads as operations
from server.operations.outcome import Trouble
from server.problems import Problem
from server.schemas import Form
from server.uploadfile import PartFile
from server.uploadschemas import Announcement, UploadWords
from store import database, uploads
from store.models import Session, Upload

blueprint = Blueprint("uploads", __name__)

FORM_PATH = "/uploads/form"
FORM_BYTES = 100 * 1000 * 1000
"""Of a file sent by a browser without scripts, in one go: whatever breaks then begins anew."""
PIECE_BYTES = 256 * 1024
LABELS = {
    "session_id": _l("Lesson"),
    "school_id": _l("Host school"),
    "title": _l("Title"),
    "subject": _l("Subject"),
    "grades": _l("Grades"),
    "description": _l("What it is about"),
    "file": _l("File"),
}


@blueprint.url_value_preprocessor
def allow_a_file(endpoint: str | None, _values: dict | None) -> None:
    """Let the one form that holds a file be as large as the shell lets it be (server/asgi.py)."""
    if endpoint == "uploads.send":
        request.max_content_length = FORM_BYTES + 64 * 1024


@blueprint.get("/uploads/")
@access.may(rights.may_book_something)
def page() -> str:
    """Show the form and what was sent so far; ?session= chooses the lesson."""
    form = Form(UploadWords(), {"session_id": request.args.get("session", "")}, LABELS)
    return _page(form)


@blueprint.post(FORM_PATH)
@access.may(rights.may_book_something)
def send() -> Response | tuple[str, int]:
    """Take a whole file from a browser without scripts."""
    form = Form(Announcement(), {}, LABELS)
    given = request.files.get("file")
    fits = form.check(request.form)
    if given is None or not given.filename:
        form.refuse("file", _("Choose a file."))
        fits = False
    if not fits:
        return _page(form), 422
    row = operations.announce(_with_file(form, given), _size(given.stream), access.current_actor(), database.utc_now())
    if isinstance(row, Trouble):
        form.errors.update(row.errors)
        return _page(form), 422
    _keep(row, given)
    flash(_("The file has come. It is being looked at."))
    return redirect("/uploads/", 303)


@blueprint.route("/uploads/<upload_id>/edit", methods=["GET", "POST"])
@access.signed_in
def edit(upload_id: str) -> str | Response | tuple[str, int]:
    """Change what is written about a file."""
    actor = access.current_actor()
    row = operations.managed(upload_id, actor)
    form = Form(UploadWords(exclude=("held_at",)), _typed(row), LABELS)
    status = 200
    if request.method == "POST":
        if form.check(request.form):
            changed = operations.describe(row, form.data, actor, database.utc_now())
            if not isinstance(changed, Trouble):
                flash(_("Saved."))
                return redirect("/uploads/", 303)
            form.errors.update(changed.errors)
        status = 422
    shown = uploadwords.row(row, operations.offset(row), actor.person_id or "")
    return render_template("upload_form.html", form=form, row=shown, **_choices(actor, row.session)), status


@blueprint.post("/uploads/<upload_id>/remove")
@access.signed_in
def remove(upload_id: str) -> Response:
    """Forget an upload with its bytes."""
    operations.remove(operations.managed(upload_id, access.current_actor()))
    flash(_("Removed."))
    return redirect("/uploads/", 303)


@blueprint.post("/uploads/<upload_id>/retry")
@access.signed_in
def retry(upload_id: str) -> Response:
    """Have a refused file looked at again."""
    operations.try_again(operations.managed(upload_id, access.current_actor()), database.utc_now())
    flash(_("The file is being looked at again."))
    return redirect("/uploads/", 303)


def _page(form: Form) -> str:
    actor = access.current_actor()
    shown = [uploadwords.row(row, operations.offset(row), actor.person_id or "") for row in uploads.listed(actor)]
    return render_template(
        "uploads.html",
        form=form,
        rows=shown,
        days=uploadwords.days(operations.settings().upload_days),
        most=words.size(operations.most_bytes()),
        form_most=words.size(FORM_BYTES),
        strings=uploadwords.script_words(),
        script={"csrf_token": generate_csrf(), "most_bytes": operations.most_bytes()},
        **_choices(actor),
    )


def _choices(actor: Actor, current: Session | None = None) -> dict:
    lessons = operations.places(actor, database.utc_now())
    if current is not None and current.id not in {row.id for row in lessons}:
        lessons.append(current)
    return {
        "lessons": [(row.id, _lesson(row)) for row in lessons],
        "schools": [(school.id, school.name) for school in operations.schools(actor)],
        "subjects": words.SUBJECTS,
    }


def _lesson(row: Session) -> str:
    day = format_date(i18n.local(row.starts_at), "d MMMM y", rebase=False)
    return f"{day}, {row.title}"


def _typed(row: Upload) -> dict:
    names = ("title", "subject", "grades", "description", "session_id", "school_id")
    return {name: getattr(row, name) or "" for name in names}


def _with_file(form: Form, given: FileStorage) -> dict:
    named = {"filename": given.filename, "filetype": given.mimetype}
    return form.data | Announcement(only=tuple(named)).load(named, unknown=EXCLUDE)


def _size(stream: IO[bytes]) -> int:
    size = stream.seek(0, 2)
    stream.seek(0)
    return size


def _keep(row: Upload, given: FileStorage) -> None:
    """Write a file that has come whole; on a full disk nothing of it stays, as there is nothing to go on with."""
    folder = uploads.folder(operations.settings())
    try:
        part = PartFile(folder, row.id)
        try:
            part.begin(checked=False)
            for piece in _pieces(given.stream):
                part.write(piece)
            part.commit()
        finally:
            part.close()
    except OSError:
        operations.remove(row)
        raise Problem(
            507,
            _("The server's disk is full. The file was not kept."),
            title=_("There is no room"),
            todo=_("Ask the administrator to make room and send it again."),
            slug="no-room",
        ) from None
    operations.finish(row.id, uploadfile.digest(folder, row.id), database.utc_now())


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    while piece := stream.read(PIECE_BYTES):
        yield piece
