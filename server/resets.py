"""Forgotten passwords: whoever manages a person makes a link that works once; it sets a new password."""

from __future__ import annotations

from flask import Blueprint, current_app, flash, redirect, render_template, request
from flask_babel import force_locale, lazy_gettext
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from rules import rights
from server import access, schemas
from server.auth import start
from server.links import public_link
from server.people import held, seen
from server.problems import Problem
from server.security import limiter
from store import database, outbox, repeats, resets
from store.models import PasswordReset, Person

blueprint = Blueprint("resets", __name__)

LABELS = {"password": lazy_gettext("New password")}


class ResetBody(schemas.Body):
    """The new password."""

    password = schemas.Password(required=True)


def manageable(person_id: str) -> Person:
    """Load a person for whom the asker may make a link; refuse for oneself, the disabled and whoever stands higher."""
    row = seen(person_id)
    actor = access.current_actor()
    access.require(
        rights.may_manage_person(actor, held(row)),
        _("This person has rights that you do not. An administrator can make the link."),
    )
    access.require(row.id != actor.person_id, _("Change your own password on your own page."))
    if row.disabled_at is not None:
        raise Problem(409, _("This account is disabled; enable it first. Nothing was changed."), slug="disabled")
    return row


def make_link(row: Person) -> tuple[PasswordReset, str, bool]:
    """Make the link and send it by mail where there is mail; returns the row, the address and whether it was sent."""
    now, mailed = database.utc_now(), bool(current_app.config["TROPA"].smtp_url)
    with database.write(database.LOCK_PEOPLE):
        made, token = resets.make_reset(row.id, access.current_actor().person_id, now)
        link = public_link(f"/reset/{token}")
        if mailed:
            with force_locale(row.locale):
                outbox.enqueue(row.email, _("A new password for Tropa"), _letter(row.name, link), now)
    return made, link, mailed


def _letter(name: str, link: str) -> str:
    greeting = _("Hello, %(name)s!", name=name)
    return f"{greeting}\n\n" + _(
        "%(by)s has made this link for you, because your password is forgotten.\n"
        "It works once, for two days:\n%(link)s\n\n"
        "Did you not ask for it? Then do not open it, and tell %(by)s.\n",
        by=access.current_actor().name,
        link=link,
    )


@blueprint.post("/people/<person_id>/reset")
@access.may(rights.coordinates_anything)
def create(person_id: str) -> str | Response:
    """Make a link for somebody's new password and show it, once."""
    row = manageable(person_id)
    actor, key = access.current_actor(), request.form.get("idempotency_key", "")[:64]
    asked = {"reset": person_id}
    with database.write(database.LOCK_PEOPLE):
        if repeats.made_before(actor.person_id, key, asked) is not None:
            flash(_("This link was made already and shown once. If it is lost, make another."))
            return redirect(f"/people/{person_id}")
        made, link, mailed = make_link(row)
        repeats.remember(actor.person_id, key, asked, made.id, database.utc_now())
    return render_template("reset_made.html", row=row, link=link, mailed=mailed, expires_at=made.expires_at)


@blueprint.route("/reset/<token>", methods=["GET", "POST"])
@access.public
@limiter.limit("30 per minute", methods=["POST"])
def reset(token: str) -> str | Response | tuple[str, int]:
    """Set a new password by a link; every login of the person ends, and this browser is logged in."""
    now = database.utc_now()
    form = schemas.Form(ResetBody(), labels=LABELS)
    try:
        row = resets.find_reset(token, now)
        if request.method == "POST" and form.check(request.form):
            person = resets.accept_reset(token, form.data["password"], now)
            flash(_("The new password is set. You are logged out everywhere else."))
            return start(person.id, "/")
    except resets.ResetRefused:
        raise Problem(
            410,
            _("Links for a new password work once and for two days; this one was used, replaced or has expired."),
            title=_("This link does not work any more"),
            todo=_("Ask your coordinator for a new one."),
        ) from None
    return render_template("reset.html", form=form, owner=row.person), 422 if form.errors else 200
