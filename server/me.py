"""A person's own page: profile, password, logins, API tokens, calendar address."""

from __future__ import annotations

from flask import Blueprint, abort, current_app, flash, g, redirect, render_template, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext, refresh
from marshmallow import fields
from werkzeug.wrappers import Response

from server import access, i18n, schemas
from server import feeds as feed_pages
from server.links import public_link
from server.roles import role_at
from server.security import limiter
from store import database, feeds, logins, people, repeats
from store.models import Person

blueprint = Blueprint("me", __name__)

MAX_TOKENS = 20
LABELS = {
    "name": lazy_gettext("Your name"),
    "locale": lazy_gettext("Language"),
    "timezone": lazy_gettext("Time zone"),
    "current": lazy_gettext("Current password"),
    "password": lazy_gettext("New password"),
    "label": lazy_gettext("What is it for?"),
}


class ProfileBody(schemas.Body):
    """How somebody is called, which language they are spoken to in, and by which clock: "" is their school's."""

    name = schemas.Line(most=200, least=1, required=True)
    locale = schemas.OneOf(tuple(i18n.LANGUAGES), required=True)
    timezone = schemas.Zone(allow_none=True)


class PasswordBody(schemas.Body):
    """The password in force and the new one."""

    current = fields.String(required=True)
    password = schemas.Password(required=True)


class TokenBody(schemas.Body):
    """What an API token is called."""

    label = schemas.Line(most=100, least=1, required=True)


# Order matters: every browser claims to be those before it in history.
BROWSERS = (("YaBrowser", "Yandex"), ("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"))
SYSTEMS = (("Android", "Android"), ("iPhone", "iOS"), ("Windows", "Windows"), ("Mac OS", "macOS"), ("Linux", "Linux"))


def browser_name(user_agent: str) -> str:
    """Say in two words what a User-Agent is: "Firefox, Linux"; unknown ones are shown cut off."""
    found = [next((name for mark, name in table if mark in user_agent), "") for table in (BROWSERS, SYSTEMS)]
    return ", ".join(name for name in found if name) or user_agent[:40]


def _form(body: type[schemas.Body], typed: dict | None = None) -> schemas.Form:
    return schemas.Form(body(), typed, LABELS)


@blueprint.get("/me")
@access.signed_in
def me() -> str:
    """Show everything about oneself on one page."""
    return _page()


def _page(**forms: schemas.Form) -> str:
    person = g.person
    forms.setdefault("profile", _form(ProfileBody, _profile_of(person)))
    forms.setdefault("password", _form(PasswordBody))
    forms.setdefault("token", _form(TokenBody))
    now = database.utc_now()
    podcast = feeds.feed_of(person.id)
    return render_template(
        "me.html",
        feed=schemas.Form(feed_pages.FeedBody(), {"kind": podcast.kind} if podcast else None, feed_pages.LABELS),
        feed_kinds=feed_pages.choices(),
        feed_url=feed_pages.address(podcast) if podcast else "",
        schools={m.school_id: m.school for m in person.memberships if m.school is not None}.values(),
        logins=[(row, browser_name(row.user_agent)) for row in logins.logins(person.id, now)],
        role_at=role_at,
        tokens=logins.api_tokens(person.id),
        this_login=g.get("login"),
        calendar_url=public_link(f"/calendar/{person.calendar_secret}.ics"),
        languages=list(i18n.LANGUAGES.items()),
        usual_zone=_usual_zone(),
        zones=i18n.zone_choices(person.timezone or ""),
        **forms,
    )


def _profile_of(person: Person) -> dict[str, str]:
    return {"name": person.name, "locale": person.locale, "timezone": person.timezone or ""}


def _usual_zone() -> str:
    zone = i18n.zone_label(i18n.usual_zone())
    if any(membership.school for membership in g.person.memberships):
        return _("as at my school: %(zone)s", zone=zone)
    return _("as everywhere in the district: %(zone)s", zone=zone)


@blueprint.post("/me/profile")
@access.signed_in
def profile() -> Response | tuple[str, int]:
    """Change name, language and time zone."""
    form = _form(ProfileBody)
    if not form.check(request.form):
        return _page(profile=form), 422
    people.update_profile(g.person.id, name=form.data["name"], locale=form.data["locale"])
    if "timezone" in form.data:
        people.set_timezone(g.person.id, form.data["timezone"])
    refresh()  # the next words are in the language just chosen
    flash(_("Saved."))
    return redirect("/me")


@blueprint.post("/me/password")
@access.signed_in
@limiter.limit(lambda: current_app.config["LOGIN_LIMIT"], key_func=lambda: access.current_actor().key)
def password() -> Response | tuple[str, int]:
    """Change the password; every other login ends."""
    form = _form(PasswordBody)
    if form.check(request.form):
        current = form.data["current"]
        if len(current) <= schemas.MAX_PASSWORD and people.verify_password(g.person.password_hash, current):
            kept = g.login.id if g.get("login") else None
            people.set_password(g.person.id, form.data["password"], database.utc_now(), keep_login_id=kept)
            flash(_("The password is changed. You are logged out everywhere else."))
            return redirect("/me")
        form.refuse("current", _("This is not your current password."))
    return _page(password=form), 422


@blueprint.post("/me/logins/<login_id>/end")
@access.signed_in
def end_login(login_id: str) -> Response:
    """End one of one's own logins."""
    if not logins.end_login(login_id, g.person.id, database.utc_now()):
        abort(404)
    flash(_("That login has ended."))
    return redirect("/me")


@blueprint.post("/me/tokens")
@access.signed_in
def create_token() -> str | Response | tuple[str, int]:
    """Make an API token and show it, once."""
    form = _form(TokenBody)
    now = database.utc_now()
    if not form.check(request.form):
        return _page(token=form), 422
    person_id = g.person.id
    with database.write(database.LOCK_PEOPLE):
        if repeats.made_before(person_id, form.key, form.data) is not None:
            flash(_("This token was made already and shown once. If you have lost it, revoke it and make another."))
            return redirect("/me")
        if len(logins.api_tokens(person_id)) >= MAX_TOKENS:
            form.refuse("label", _("There are %(count)s tokens already; revoke one first.", count=MAX_TOKENS))
            return _page(token=form), 422
        row, secret = logins.create_api_token(person_id, form.data["label"], now)
        repeats.remember(person_id, form.key, form.data, row.id, now)
    return render_template("token.html", secret=secret, label=form.data["label"])


@blueprint.post("/me/tokens/<token_id>/revoke")
@access.signed_in
def revoke_token(token_id: str) -> Response:
    """Make a token worthless."""
    if not logins.revoke_api_token(token_id, g.person.id, database.utc_now()):
        abort(404)
    flash(_("The token is revoked."))
    return redirect("/me")


@blueprint.post("/me/calendar")
@access.signed_in
def renew_calendar() -> Response:
    """Make a new calendar address; the old one stops working."""
    people.renew_calendar_secret(g.person.id)
    flash(_("The calendar has a new address. Enter it in your calendar program; the old one no longer works."))
    return redirect("/me")
