"""Inviting people by link: make, list, take back."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, flash, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from werkzeug.wrappers import Response

from rules import rights
from rules.rights import Actor, Role
from server import access, schemas
from server.links import public_link
from server.people import RoleBody, chosen_place, places, role_choices
from server.roles import role_at
from store import database, invitations, outbox, people, repeats
from store.models import Invitation

blueprint = Blueprint("invitations", __name__)

LABELS = {
    "role": lazy_gettext("Role"),
    "place": lazy_gettext("Where"),
    "name": lazy_gettext("Name"),
    "email": lazy_gettext("E-mail"),
}


class InvitationBody(RoleBody):
    """Whom to invite into which role."""

    name = schemas.Line(most=200, load_default="")
    email = schemas.Email(load_default="")


@blueprint.get("/invitations")
@access.may(rights.coordinates_anything)
def invitation_list() -> str:
    """List open invitations and offer to make one."""
    return _page(schemas.Form(InvitationBody(), {"role": Role.TEACHER.value}, LABELS))


def _page(form: schemas.Form) -> str:
    actor = access.current_actor()
    rows = [row for row in invitations.invitations(database.utc_now()) if in_reach(actor, row)]
    return render_template(
        "invitations.html",
        form=form,
        rows=rows,
        role_at=role_at,
        role_choices=role_choices(actor),
        places=places(actor),
        mail=bool(current_app.config["TROPA"].smtp_url),
    )


def in_reach(actor: Actor, row: Invitation) -> bool:
    return rights.may_invite_person(actor, Role(row.role), row.school_id)


@blueprint.post("/invitations")
@access.may(rights.coordinates_anything)
def create() -> str | Response | tuple[str, int]:
    """Make an invitation and show its link, once; send it by mail where there is mail."""
    form = schemas.Form(InvitationBody(), labels=LABELS)
    actor = access.current_actor()
    chosen = chosen_place(actor, form) if form.check(request.form) else None
    if chosen is None:
        return _page(form), 422
    role, school_id = chosen
    settings = current_app.config["TROPA"]
    name, email = form.data["name"], form.data["email"]
    place = role_at(role, people.school(school_id) if school_id else None)
    mailed = bool(settings.smtp_url and email)
    now = database.utc_now()
    with database.write(database.LOCK_PEOPLE):
        if repeats.made_before(actor.person_id, form.key, form.data) is not None:
            flash(
                _("This invitation was made already, and its link shown. Is it lost? Withdraw it below, make another.")
            )
            return redirect("/invitations")
        days = settings.invitation_days
        row, token = invitations.invite(role, school_id, actor.person_id, now, days, name=name, email=email)
        repeats.remember(actor.person_id, form.key, form.data, row.id, now)
        link = public_link(f"/invite/{token}")
        if mailed:
            outbox.enqueue(email, _("Invitation to Tropa"), _letter(name, place, link), now)
    return render_template("invited.html", link=link, place=place, name=name, email=email, mailed=mailed, row=row)


def _letter(name: str, place: str, link: str) -> str:
    greeting = _("Hello, %(name)s!", name=name) if name else _("Hello!")
    return f"{greeting}\n\n" + _(
        "%(by)s invites you to Tropa, where schools give lessons to one another.\n"
        "Your role: %(place)s.\n\nOpen this link to begin; it works once:\n%(link)s\n",
        by=access.current_actor().name,
        place=place,
        link=link,
    )


@blueprint.post("/invitations/<invitation_id>/revoke")
@access.may(rights.coordinates_anything)
def revoke(invitation_id: str) -> Response:
    """Take an invitation back."""
    row = invitations.invitation(invitation_id)
    if row is None or row.role == invitations.FIRST or not in_reach(access.current_actor(), row):
        abort(404)
    if invitations.revoke_invitation(invitation_id, database.utc_now()):
        flash(_("The invitation is withdrawn; its link no longer works."))
    else:
        flash(_("This invitation had been used or had expired already."))
    return redirect("/invitations")
