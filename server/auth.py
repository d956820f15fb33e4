"""Logging in and out, the first coordinator, and invitations."""

from __future__ import annotations

from datetime import datetime

from flask import Blueprint, current_app, flash, g, redirect, render_template, request, session
from flask_babel import gettext as _
from flask_babel import lazy_gettext
from flask_limiter.util import get_remote_address
from marshmallow import fields
from werkzeug.wrappers import Response

from rules.rights import Role
from server import access, i18n, schemas
from server.access import LOGIN_COOKIE, safe_next
from server.problems import Problem
from server.roles import role_at
from server.security import limiter
from store import database, invitations, logins, people
from store.models import Person

blueprint = Blueprint("auth", __name__)

LABELS = {
    "name": lazy_gettext("Your name"),
    "email": lazy_gettext("E-mail"),
    "password": lazy_gettext("Password"),
    "school": lazy_gettext("Name of the school or centre"),
    "timezone": lazy_gettext("Time zone"),
}


class LoginBody(schemas.Body):
    """An e-mail and a password, as typed: what is wrong with them is not told."""

    email = schemas.Line(most=schemas.MAX_EMAIL, least=1, required=True)
    password = fields.String(required=True)


class AccountBody(schemas.Body):
    """A new account."""

    name = schemas.Line(most=200, least=1, required=True)
    email = schemas.Email(required=True)
    password = schemas.Password(required=True)


class FirstBody(AccountBody):
    """The first account and its school."""

    school = schemas.Line(most=200, least=1, required=True)
    timezone = schemas.Zone(required=True)


def _login_limit() -> str:
    return current_app.config["LOGIN_LIMIT"]


def _login_key() -> str:
    return f"{get_remote_address()} {people.normal_email(request.form.get('email', ''))[:254]}"


@blueprint.get("/login")
@access.public
def login_page() -> str | Response:
    """Show the login form; who is logged in already goes on."""
    target = safe_next(request.args.get("next"))
    if access.current_actor().person_id is not None:
        return redirect(target)
    return _login(schemas.Form(LoginBody(), labels=LABELS), target)


@blueprint.post("/login")
@access.public
@limiter.limit(_login_limit, key_func=_login_key)
def login() -> str | Response | tuple[str, int]:
    """Check the password and start a login. One message for every failure: who has an account is not told."""
    form = schemas.Form(LoginBody(), labels=LABELS)
    target = safe_next(request.form.get("next"))
    row = None
    if form.check(request.form) and len(form.data["password"]) <= schemas.MAX_PASSWORD:
        row = people.authenticate(form.data["email"], form.data["password"])
    if row is None:
        form.errors = {"": [_("The e-mail or the password is not right.")]}
        form.message = _("Check the keyboard layout and the Caps Lock key.")
        return _login(form, target), 422
    return start(row.id, target)


def _login(form: schemas.Form, target: str) -> str:
    return render_template("login.html", form=form, next=target)


def start(person_id: str, target: str) -> Response:
    """Log this browser in as somebody and send it on."""
    days = current_app.config["TROPA"].login_days
    _row, token = logins.start_login(person_id, request.user_agent.string, database.utc_now(), days)
    session.clear()  # a form opened by somebody else in this browser must not be sent by this person
    response = redirect(target)
    access.set_cookie(response, LOGIN_COOKIE, token, days * 86_400)
    return response


@blueprint.post("/logout")
@access.public
def logout() -> Response:
    """End this login."""
    access.current_actor()
    login = g.get("login")
    if login is not None:
        logins.end_login(login.id, login.person_id, database.utc_now())
    session.clear()
    response = redirect("/")
    response.delete_cookie(LOGIN_COOKIE)
    return response


@blueprint.post("/language")
@access.public
def language() -> Response:
    """Switch the language: for a person for good, for others in a cookie."""
    chosen = request.form.get("language", "")
    response = redirect(safe_next(request.form.get("next")))
    if chosen in i18n.LANGUAGES:
        access.current_actor()
        if g.person is not None:
            people.update_profile(g.person.id, name=g.person.name, locale=chosen)
        access.set_cookie(response, i18n.LANGUAGE_COOKIE, chosen, 365 * 86_400)
    return response


@blueprint.route("/first/<token>", methods=["GET", "POST"])
@access.public
@limiter.limit("30 per minute", methods=["POST"])
def first(token: str) -> str | Response | tuple[str, int]:
    """Make the first coordinator by the link that the server printed at its first start."""
    now = database.utc_now()
    try:
        invitations.check_first_link(token, now)
    except invitations.InvitationRefused:
        raise Problem(
            410,
            _("This link makes the first account, once. It was used, replaced by a newer one, or is mistyped."),
            title=_("This link does not work any more"),
            todo=_("Log in, or ask the coordinator for an invitation."),
        ) from None
    typed = {"timezone": current_app.config["TROPA"].default_timezone}
    form = schemas.Form(FirstBody(), typed, LABELS)
    if request.method == "POST" and form.check(request.form):
        made = _make_first(token, now, **form.data)
        flash(_("Welcome! Next, add the schools of your district and invite their people."))
        return start(made.id, "/schools")
    zones = i18n.zone_choices(form.value("timezone"))
    return render_template("first.html", form=form, zones=zones), 422 if form.errors else 200


def _make_first(token: str, now: datetime, *, school: str, timezone: str, **account: str) -> Person:
    """Make the account and its school, both or none."""
    with database.write(database.LOCK_PEOPLE):
        made = invitations.accept_first(token, now, locale=i18n.current_language(), **account)
        row = people.create_school(school, timezone, now)
        people.grant(made.id, Role.COORDINATOR, row.id)
    return made


@blueprint.route("/invite/<token>", methods=["GET", "POST"])
@access.public
@limiter.limit("30 per minute", methods=["POST"])
def invite(token: str) -> str | Response | tuple[str, int]:
    """Accept an invitation: with a new account, or with the one that is logged in."""
    now = database.utc_now()
    try:
        return _invited(token, now)
    except invitations.InvitationRefused:
        raise Problem(
            410,
            _("Invitations work once and for a limited time; this one was used, withdrawn or has expired."),
            title=_("This invitation does not work any more"),
            todo=_("Ask the coordinator for a new one. If you have an account already, just log in."),
        ) from None


def _invited(token: str, now: datetime) -> str | Response | tuple[str, int]:
    invitation = invitations.find_invitation(token, now)
    form = schemas.Form(AccountBody(), {"name": invitation.name, "email": invitation.email}, LABELS)
    role = role_at(invitation.role, invitation.school)
    actor = access.current_actor()
    if request.method == "POST" and actor.person_id is not None:
        invitations.accept_invitation_as(token, now, actor.person_id)
        flash(_("Done. Your new role: %(role)s.", role=role))
        return redirect("/")
    if request.method == "POST" and form.check(request.form):
        try:
            made = invitations.accept_invitation(token, now, locale=i18n.current_language(), **form.data)
        except people.Taken:
            taken = _("There is an account with this e-mail already. Log in first, then open the link again.")
            form.refuse("email", taken)
        else:
            flash(_("Welcome to Tropa!"))
            return start(made.id, "/")
    return render_template("invite.html", form=form, role=role), 422 if form.errors else 200
