"""Pages about room on the disk and how long files are kept."""

from __future__ import annotations

from dataclasses import dataclass

from flask import Blueprint, current_app, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from rules import rights
from rules.renditions import Kind
from rules.retention import MAX_DAYS, Sort
from server import access, keepwords, schemas, words
from server.operations import keeping as operations
from store import database, retention
from store.models import Recording

blueprint = Blueprint("keeping", __name__)

LABELS = {sort.value: text for sort, text in keepwords.SORTS.items()} | {"last_copy": lazy_gettext("Last copy")}


class PolicyBody(schemas.Body):
    """Days that each sort of file is kept; nothing: for ever."""

    source = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)
    video_compat = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)
    video_small = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)
    voice = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)
    other = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)
    refused = schemas.Whole(1, MAX_DAYS, allow_none=True, load_default=None)


@dataclass(frozen=True, slots=True)
class FileFate:
    """One file of a recording, with what becomes of it."""

    id: str
    name: str
    size: str
    text: str


@dataclass(frozen=True, slots=True)
class Keeping:
    """What the page of a recording shows to those who may keep and remove its files."""

    files: list[FileFate]
    removed: list[FileFate]
    source_gone: str
    is_kept: bool


@blueprint.route("/storage", methods=["GET", "POST"])
@access.may(rights.coordinates_anything)
def storage() -> str | Response | tuple[str, int]:
    """Show the disks, the policy and what goes soon; change the policy."""
    actor, now = access.current_actor(), database.utc_now()
    policy = {sort.value: days for sort, days in retention.policy().items()}
    form = schemas.Form(PolicyBody(), {name: "" if days is None else days for name, days in policy.items()}, LABELS)
    if request.method == "POST" and form.check(request.form):
        operations.set_policy({Sort(name): days for name, days in form.data.items()}, actor, now)
        flash(_("Saved."))
        return redirect("/storage", 303)
    page = render_template(
        "storage.html",
        form=form,
        disks=[_disk(state) for state in operations.disks(current_app.config["TROPA"])],
        sorts=[(sort.value, text, keepwords.kept_for(policy[sort.value])) for sort, text in keepwords.SORTS.items()],
        may_change=rights.coordinates(actor, None),
        leaving=[_leaving(one) for one in operations.leaving(actor, now)],
        ahead=operations.AHEAD.days,
    )
    return page, 422 if form.errors else 200


@blueprint.post("/recordings/<recording_id>/keep")
@access.signed_in
def keep(recording_id: str) -> Response:
    """Keep a recording's files whatever the policy says (keep=1), or leave them to it again."""
    wanted = request.form.get("keep") == "1"
    operations.keep(recording_id, wanted, access.current_actor(), database.utc_now())
    flash(_("Its files are kept.") if wanted else _("Its files go when their time is over."))
    return redirect(f"/recordings/{recording_id}", 303)


@blueprint.route("/recordings/<recording_id>/remove/<file_id>", methods=["GET", "POST"])
@access.signed_in
def remove(recording_id: str, file_id: str) -> str | Response:
    """Ask whether a file is to be removed, and remove it."""
    actor = access.current_actor()
    recording = operations.changeable(recording_id, actor)
    verdict = operations.file_of(recording, file_id)
    if request.method == "POST":
        confirmed = request.form.get("last_copy") == "1"
        operations.remove(recording_id, file_id, confirmed, actor, database.utc_now())
        flash(_("Removed."))
        return redirect(f"/recordings/{recording_id}", 303)
    return render_template(
        "remove_file.html",
        recording=recording,
        title=recording.session.title,
        name=_name(recording, verdict.file.id),
        size=words.size(verdict.file.bytes),
        last_copy=operations.is_last_copy(recording, verdict),
        can_remake=verdict.file.sort is not Sort.SOURCE and recording.source_removed_at is None,
    )


@blueprint.post("/recordings/<recording_id>/remake/<rendition_id>")
@access.signed_in
def remake(recording_id: str, rendition_id: str) -> Response:
    """Have a removed file made again."""
    operations.remake(recording_id, rendition_id, access.current_actor())
    flash(_("The files will be made again."))
    return redirect(f"/recordings/{recording_id}", 303)


def shown(recording: Recording) -> Keeping | None:
    """Dress a recording's files for its page; None for those who may not change anything."""
    if not operations.may_change(recording, access.current_actor()):
        return None
    now = database.utc_now()
    files = [
        FileFate(
            verdict.file.id or operations.SOURCE,
            _name(recording, verdict.file.id),
            words.size(verdict.file.bytes),
            keepwords.fate(verdict, now),
        )
        for verdict in operations.verdicts(recording)
    ]
    removed = [
        FileFate(row.id, str(words.FILES[Kind(row.kind)]), words.size(row.bytes or 0), keepwords.gone(row))
        for row in operations.removed(recording)
    ]
    return Keeping(files, removed, keepwords.source_gone(recording), recording.kept_at is not None)


def _name(recording: Recording, rendition_id: str) -> str:
    kind = next((Kind(row.kind) for row in recording.renditions if row.id == rendition_id), None)
    return str(keepwords.SORTS[Sort.SOURCE] if kind is None else words.FILES[kind])


def _disk(state: operations.DiskState) -> dict[str, object]:
    return {
        "name": keepwords.DISKS[state.disk.name],
        "room": keepwords.room(state.disk.free_bytes, state.disk.total_bytes, state.reserve_bytes),
        "text": keepwords.disk_level(state.level, state.refused),
        "bad": bool(state.refused),
    }


def _leaving(one: operations.Leaving) -> dict[str, object]:
    return {
        "recording": one.recording,
        "name": keepwords.SORTS[one.sort],
        "size": words.size(one.bytes),
        "day": keepwords.day(one.at),
    }
