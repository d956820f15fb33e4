"""Pages of seminars: the list, a programme by day, making and changing one."""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from flask import Blueprint, flash, redirect, render_template, request
from flask_babel import format_date, ngettext
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from werkzeug.wrappers import Response

from rules import rights
from rules.lifecycle import SessionState
from rules.rights import Actor
from server import access, i18n, rows, timetable
from server.lessonschemas import SeminarBody
from server.operations import seminars as operations
from server.operations.outcome import Trouble
from server.schemas import Form
from server.timetable import Pause
from store import database, people, seminars
from store.models import Seminar, Session

blueprint = Blueprint("seminars", __name__)

LABELS = {
    "title": _l("Title"),
    "description": _l("What it is about"),
    "organiser_school_id": _l("Organised by"),
}
PER_PAGE = 20


@blueprint.get("/seminars")
@access.signed_in
def seminar_list() -> str:
    """List the seminars that the reader may see."""
    actor = access.current_actor()
    found = seminars.seminars(actor)
    last = max(1, -(-len(found) // PER_PAGE))
    page = min(max(request.args.get("page", 1, type=int), 1), last)
    shown = [
        {
            "id": seminar.id,
            "title": seminar.title,
            "organiser": seminar.organiser_school.name if seminar.organiser_school else _("the district"),
            "days": format_date(i18n.local(first), "d MMMM y", rebase=False) if first else "",
            "count": ngettext("%(num)d lesson", "%(num)d lessons", count),
        }
        for seminar, first, count in found[(page - 1) * PER_PAGE : page * PER_PAGE]
    ]
    return render_template(
        "seminars.html",
        seminars=shown,
        page=page,
        last=last,
        url=lambda number: f"/seminars?page={number}",
        may_add=rights.coordinates_anything(actor),
    )


@blueprint.get("/seminars/<seminar_id>")
@access.signed_in
def seminar_page(seminar_id: str) -> str:
    """Show a seminar's programme by day with its breaks."""
    actor, now = access.current_actor(), database.utc_now()
    seminar, sessions = operations.seen(seminar_id, actor)
    may_edit = rights.may_edit_seminar(actor, seminar.organiser_school_id)
    shown = [session for session in sessions if session.state != SessionState.CANCELLED]
    return render_template(
        "seminar.html",
        seminar=seminar,
        days=[
            {
                "name": format_date(day.date, "EEEE, d MMMM y", rebase=False),
                "entries": [
                    rows.pause_row(item) if isinstance(item, Pause) else rows.session_row(item, now)
                    for item in day.items
                ],
            }
            for day in timetable.programme(shown, i18n.viewer_zone())
        ],
        zone=i18n.zone_label(i18n.viewer_zone().key),
        may_edit=may_edit,
        add=f"/sessions/new?{urlencode(_following(seminar, shown, now))}"
        if may_edit and rights.may_book_something(actor)
        else "",
    )


def _following(seminar: Seminar, shown: list[Session], now: datetime) -> dict[str, str]:
    """Fill in what is known of a programme's next lesson: it begins where the last one ends."""
    ends_at = max((session.starts_at + timedelta(minutes=session.minutes) for session in shown), default=now)
    if ends_at <= now:
        return {"seminar": seminar.id}
    local = i18n.local(ends_at)
    return {"seminar": seminar.id, "date": local.strftime("%Y-%m-%d"), "time": local.strftime("%H:%M")}


@blueprint.route("/seminars/new", methods=["GET", "POST"])
@access.may(rights.coordinates_anything)
def new_seminar() -> str | Response | tuple[str, int]:
    """Make a seminar."""
    actor = access.current_actor()
    form = Form(SeminarBody(), {"organiser_school_id": ""}, LABELS)
    trouble = None
    if request.method == "POST" and form.check(request.form):
        result = operations.create(form.data, actor, database.utc_now(), form.key)
        if not isinstance(result, Trouble):
            flash(_("The seminar is created. Now add its lessons."))
            return redirect(f"/seminars/{result.id}", 303)
        trouble = result
    return _form_page(form, actor, trouble, _("New seminar"), _("Create the seminar"), "/seminars")


@blueprint.route("/seminars/<seminar_id>/edit", methods=["GET", "POST"])
@access.may(rights.coordinates_anything)
def edit_seminar(seminar_id: str) -> str | Response | tuple[str, int]:
    """Change a seminar."""
    actor = access.current_actor()
    seminar = operations.editable(seminar_id, actor)
    typed = {name: getattr(seminar, name) or "" for name in LABELS}
    form = Form(SeminarBody(), typed, LABELS)
    trouble = None
    if request.method == "POST" and form.check(request.form):
        result = operations.change(seminar, form.data, actor, database.utc_now())
        if not isinstance(result, Trouble):
            flash(_("Saved."))
            return redirect(f"/seminars/{seminar.id}", 303)
        trouble = result
    return _form_page(form, actor, trouble, _("Change the seminar"), _("Save"), f"/seminars/{seminar.id}")


def _form_page(
    form: Form, actor: Actor, trouble: Trouble | None, heading: str, submit: str, back: str
) -> tuple[str, int]:
    for name, texts in (trouble.errors if trouble else {}).items():
        for text in texts:
            form.refuse(name, text)
    page = render_template(
        "seminar_form.html",
        form=form,
        heading=heading,
        submit=submit,
        back=back,
        organisers=[(s.id, s.name) for s in people.schools() if rights.coordinates(actor, s.id)],
        district=rights.coordinates(actor, None),
    )
    return page, trouble.status if trouble else 422 if form.errors else 200
