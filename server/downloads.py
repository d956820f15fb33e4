"""A school's downloads: its night, rate, monthly megabytes and choice of lessons, and the PCs that fetch for it."""

from __future__ import annotations

from flask import Blueprint, abort, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from rules import rights
from rules.renditions import ORDER
from server import access, deliveries, schemas, words
from server.deliveryschemas import PcBody, TermsBody, chosen, shown
from server.links import public_link
from server.operations import downloads as operations
from store import database, library, mirrors, repeats
from store.models import School

blueprint = Blueprint("downloads", __name__)

LABELS = {
    "night_from": lazy_gettext("Download from"),
    "night_to": lazy_gettext("Download until"),
    "rate_kbps": lazy_gettext("At most, kbit/s"),
    "monthly_mb": lazy_gettext("Megabytes a month"),
    "kinds": lazy_gettext("Which files"),
    "subjects": lazy_gettext("Which subjects"),
    "grades": lazy_gettext("Which grades"),
    "label": lazy_gettext("Where does this computer stand?"),
}


@blueprint.route("/schools/<school_id>/downloads", methods=["GET", "POST"])
@access.signed_in
def terms(school_id: str) -> Response | tuple[str, int]:
    """Show and change what a school downloads by."""
    school = operations.managed(school_id, access.current_actor())
    form = schemas.Form(TermsBody(), _typed(school), LABELS)
    if request.method == "POST" and form.check(request.form):
        mirrors.choose(school.id, chosen(form.data), database.utc_now())
        flash(_("Saved."))
        return redirect(f"/schools/{school.id}/downloads", 303)
    return _page(school, form, schemas.Form(PcBody(), None, LABELS))


@blueprint.post("/schools/<school_id>/mirrors")
@access.signed_in
def add_mirror(school_id: str) -> Response | str | tuple[str, int]:
    """Let one more computer of the school fetch by itself; show its token, once."""
    school = operations.managed(school_id, access.current_actor())
    form = schemas.Form(PcBody(), None, LABELS)
    if not form.check(request.form):
        return _page(school, schemas.Form(TermsBody(), _typed(school), LABELS), form)
    actor, now = access.current_actor(), database.utc_now()
    asked = {"school": school.id, **form.data}
    with database.write(database.LOCK_PEOPLE):
        if repeats.made_before(actor.person_id, form.key, asked) is not None:
            flash(_("This token was made already and shown once. If you have lost it, revoke it and make another."))
            return redirect(f"/schools/{school.id}/downloads", 303)
        row, secret = operations.add_mirror(school, form.data["label"], actor)
        repeats.remember(actor.person_id, form.key, asked, row.id, now)
    origin = public_link("")
    return render_template("mirror_token.html", secret=secret, label=row.name, school=school, origin=origin)


@blueprint.post("/schools/<school_id>/mirrors/<mirror_id>/revoke")
@access.signed_in
def revoke_mirror(school_id: str, mirror_id: str) -> Response:
    """Make a computer's token worthless."""
    school = operations.managed(school_id, access.current_actor())
    if not mirrors.revoke(mirror_id, school.id, database.utc_now()):
        abort(404)
    flash(_("The token is revoked."))
    return redirect(f"/schools/{school.id}/downloads", 303)


def _typed(school: School) -> MultiDict:
    return MultiDict(shown(mirrors.choice(school.id)))


def _page(school: School, form: schemas.Form, pc: schemas.Form) -> tuple[str, int]:
    now = database.utc_now()
    whose = deliveries.ForSchool(school, mirrors.terms(school, deliveries.month_of(school, now)))
    subjects = sorted({*library.subjects(access.current_actor()), *form.all("subjects")})
    page = render_template(
        "downloads.html",
        school=school,
        form=form,
        pc=pc,
        kinds=[(kind.value, words.FILES[kind]) for kind in ORDER],
        subjects=[(subject, subject) for subject in subjects],
        terms=deliveries.terms_text(whose),
        mirrors=[(row, deliveries.mirror_text(row, school, now)) for row in mirrors.mirrors(school.id)],
        may_manage=rights.may_manage_school(access.current_actor(), school.id),
    )
    return page, 422 if form.errors or pc.errors else 200
