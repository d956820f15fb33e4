"""The Flask application: create_app puts the parts together."""

from __future__ import annotations

import secrets
from importlib import import_module
from pathlib import Path

from flask import Flask, g, request
from flask_wtf.csrf import generate_csrf
from markupsafe import Markup

from config import Settings
from server import access, api, assets, health, i18n, menu, problems, security, watchlog
from store import database

ROOT = Path(__file__).resolve().parent.parent

# Modules with pages; each has `blueprint`. A new module is one line here.
PAGES = (
    "auth",
    "me",
    "schools",
    "people",
    "invitations",
    "resets",
    "home",
    "health",
    "whip",
    "live",
    "week",
    "booking",
    "guests",
    "seminars",
    "calendar",
    "library",
    "files",
    "linktest",
    "manifests",
    "feeds",
    "downloads",
    "tus",  # before the pages: what OPTIONS tells of the address that they share is tus' word
    "keeping",
    "slides",
    "captions",
    "captionedit",
    "uploads",
)


def create_app(settings: Settings, **overrides: object) -> Flask:
    """Build the application from settings; overrides go into Flask's config last (tests)."""
    app = Flask("server", root_path=str(ROOT / "server"), template_folder=str(ROOT / "templates"), static_folder=None)
    watchlog.configure(settings.log_level)
    app.config["TROPA"] = settings
    app.jinja_env.trim_blocks = True
    # Words for scripts as they are: escaped, each Cyrillic letter takes six characters.
    app.jinja_env.policies["json.dumps_kwargs"] = {"sort_keys": True, "ensure_ascii": False, "separators": (",", ":")}
    app.jinja_env.lstrip_blocks = True
    i18n.init_app(app, settings.default_timezone)
    database.init_app(app, settings)
    security.init_app(app, settings, overrides)
    problems.init_app(app, access.forget)
    access.init_app(app)
    assets.init_app(app, ROOT / "static")
    health.init_app(app)
    app.jinja_env.globals.update(
        csrf_field=_csrf_field,
        idempotency_key=lambda: request.form.get("idempotency_key", "")[:64] or secrets.token_urlsafe(16),
        person=lambda: g.get("person"),
        actor=access.current_actor,
        here=_here,
        menu=menu.items,
    )
    for name in PAGES:
        app.register_blueprint(import_module(f"server.{name}").blueprint)
    api.init_app(app)
    return app


def _csrf_field() -> Markup:
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(generate_csrf())


def _here() -> str:
    """Return the address to come back to after the language was switched: only a GET can be repeated."""
    here = request.full_path.rstrip("?")
    return access.safe_next(here) if request.method == "GET" else "/"
