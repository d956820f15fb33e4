"""Schools: the list, adding, changing their facts and measured links."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from rules import rights
from server import access, i18n, linktest, linkwords, schemas
from store import database, linktests, people, repeats
from store.models import School

blueprint = Blueprint("schools", __name__)

MAX_KBPS = 1_000_000
SHOWN_TESTS = 20
LABELS = {
    "name": lazy_gettext("Name of the school"),
    "place": lazy_gettext("Village or town"),
    "timezone": lazy_gettext("Time zone"),
    "link_down_kbps": lazy_gettext("Link towards the school, kbit/s"),
    "link_up_kbps": lazy_gettext("Link from the school, kbit/s"),
}


class SchoolBody(schemas.Body):
    """A school's facts; empty rates are unknown."""

    name = schemas.Line(most=200, least=1, required=True)
    place = schemas.Line(most=200, load_default="")
    timezone = schemas.Zone(required=True)
    link_down_kbps = schemas.Whole(1, MAX_KBPS, allow_none=True, load_default=None)
    link_up_kbps = schemas.Whole(1, MAX_KBPS, allow_none=True, load_default=None)


@blueprint.get("/schools")
@access.may(rights.coordinates_anything)
def schools() -> str:
    """List the schools; what may be changed is a link."""
    actor = access.current_actor()
    rows = [(row, rights.may_manage_school(actor, row.id)) for row in people.schools()]
    return render_template(
        "schools.html",
        rows=rows,
        may_add=rights.may_manage_school(actor, None),
        gets=linkwords.gets,
        measured=linktests.last_measured(),
        links=linkwords.tally(row.link_down_kbps for row, _edit in rows),
    )


@blueprint.route("/schools/new", methods=["GET", "POST"])
@access.may(rights.coordinates_anything)
def new_school() -> str | Response | tuple[str, int]:
    """Add a school."""
    access.require(
        rights.may_manage_school(access.current_actor(), None),
        _("Schools are added by the district's coordinators. Nothing was changed."),
    )
    form = schemas.Form(SchoolBody(), {"timezone": i18n.viewer_zone().key}, LABELS)
    if request.method == "POST" and form.check(request.form):
        try:
            row = _create(form)
        except people.Taken:
            form.refuse("name", _("There is a school of this name already."))
        else:
            flash(_("%(name)s is added.", name=row.name))
            return redirect("/schools")
    return _page(form, None)


def _create(form: schemas.Form) -> School:
    """Add the school of a checked form; for a second click on the same form, return the one made by the first."""
    person_id, now = access.current_actor().person_id, database.utc_now()
    with database.write(database.LOCK_PEOPLE):
        before = repeats.made_before(person_id, form.key, form.data)
        made = people.school(before) if before is not None else None
        if made is None:
            made = people.create_school(now=now, **form.data)
            repeats.remember(person_id, form.key, form.data, made.id, now)
    return made


@blueprint.route("/schools/<school_id>", methods=["GET", "POST"])
@access.may(rights.coordinates_anything)
def edit_school(school_id: str) -> str | Response | tuple[str, int]:
    """Change a school's facts."""
    row = people.school(school_id)
    if row is None:
        abort(404)
    access.require(
        rights.may_manage_school(access.current_actor(), school_id),
        _("This school is looked after by its own coordinator and the district's. Nothing was changed."),
    )
    typed = {name: getattr(row, name) for name in LABELS}
    form = schemas.Form(SchoolBody(), typed, LABELS)
    if request.method == "POST" and form.check(request.form):
        try:
            people.update_school(school_id, **form.data)
        except people.Taken:
            form.refuse("name", _("There is a school of this name already."))
        else:
            g.pop("zone", None)
            flash(_("Saved."))
            return redirect("/schools")
    return _page(form, row)


def _page(form: schemas.Form, row: School | None) -> tuple[str, int]:
    zones = i18n.zone_choices(form.value("timezone"))
    title = row.name if row is not None else _("Add a school")
    history = linktest.shown(linktests.history(row.id, SHOWN_TESTS)) if row is not None else []
    page = render_template(
        "school.html", form=form, zones=zones, title=title, history=history, school_id=row.id if row else ""
    )
    return page, 422 if form.errors else 200
