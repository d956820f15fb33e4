"""Who asks, and may they: every view says who may use it, and one gate asks before any view runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit

import structlog
from flask import Flask, abort, current_app, g, redirect, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Response as AnyResponse

from rules import tickets
from rules.rights import NOBODY, Actor
from server.problems import Problem, wants_json
from server.security import csrf, is_https
from store import logins, people
from store.database import utc_now
from store.models import db

LOGIN_COOKIE = "tropa_login"
GUEST_COOKIE = "tropa_guest"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

View = TypeVar("View", bound=Callable)
log = structlog.get_logger("server.access")


@dataclass(frozen=True, slots=True)
class Declaration:
    """Who may use a view. by_bearer: the view checks its own bearer (tickets), cookies and CSRF play no part."""

    who: str
    check: Callable[[Actor], bool] | None = None
    by_bearer: bool = False


PUBLIC = Declaration("everyone")
SIGNED_IN = Declaration("signed in", lambda actor: actor.person_id is not None)
KNOWN = Declaration("signed in or guest", lambda actor: actor.person_id is not None or actor.is_guest)
BEARER = Declaration("bearer of a ticket", by_bearer=True)


def declare(declaration: Declaration) -> Callable[[View], View]:
    """Write a declaration on a view function, or on a method of a MethodView."""

    def mark(view: View) -> View:
        view.access = declaration
        return view

    return mark


public = declare(PUBLIC)
signed_in = declare(SIGNED_IN)
signed_in_or_guest = declare(KNOWN)
by_bearer = declare(BEARER)


def may(check: Callable[[Actor], bool]) -> Callable[[View], View]:
    """Open a view to signed-in people for whom a rule of rules.rights says yes."""
    return declare(Declaration(check.__name__, lambda actor: actor.person_id is not None and check(actor)))


def require(allowed: bool, detail: str = "") -> None:
    """Go on only where a rule about this very thing said yes; else 403, or the way to the login for nobody."""
    if not allowed:
        refuse(detail)


def require_known(visible: bool) -> None:
    """Go on only where the asker may know that the thing exists; else 404, as if it did not."""
    if not visible:
        if current_actor() == NOBODY:
            refuse()
        abort(404)


def refuse(detail: str = "") -> None:
    """Stop this request: nobody is sent to log in (programs get 401), somebody gets 403."""
    if current_actor() != NOBODY:
        raise Problem(403, detail)
    if wants_json() or request.method not in SAFE_METHODS:
        raise Problem(401, "", headers={"WWW-Authenticate": 'Bearer realm="Tropa"'})
    abort(redirect(f"/login?next={quote(_here(), safe='/')}"))


def _here() -> str:
    return request.full_path.rstrip("?")


def safe_next(target: str | None, default: str = "/") -> str:
    """Accept only an address of this site to go to next: a path that no browser reads as another host."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")) or len(target) > 1000:
        return default
    if any(ord(char) < 32 or char == "\\" for char in target):
        return default
    parts = urlsplit(target)
    return target if not parts.scheme and not parts.netloc else default


def init_app(app: Flask) -> None:
    """Ask before every view; a view without a declaration is refused."""
    app.before_request(_enforce)


def declared(app: Flask, endpoint: str, method: str) -> Declaration | None:
    """Return what the view behind an endpoint declares, for class-based views method by method."""
    view = app.view_functions[endpoint]
    view_class = getattr(view, "view_class", None)
    if view_class is not None:
        handler = getattr(view_class, "get" if method == "HEAD" else method.lower(), None)
        return getattr(handler, "access", None) or getattr(view_class, "access", None)
    return getattr(view, "access", None)


def _enforce() -> AnyResponse | None:
    if request.endpoint is None or (request.endpoint != "static" and not _by_bearer(request.endpoint)):
        current_actor()  # who asks is known before the first word, so that refusals too are in their language
    refused = request.environ.get("tropa.refused")
    if refused:  # the shell could not take the body: too large, too slow
        abort(refused)
    if request.endpoint is None or request.method == "OPTIONS":
        return None  # routing answers 404 and 405 itself; OPTIONS changes nothing
    declaration = declared(current_app, request.endpoint, request.method)
    if declaration is None:
        log.error("undeclared", endpoint=request.endpoint)
        abort(403)
    if declaration.by_bearer:
        return None
    if request.method not in SAFE_METHODS and bearer() is None:
        csrf.protect()
    if declaration.check is not None and not declaration.check(current_actor()):
        refuse()
    return None


def _by_bearer(endpoint: str) -> bool:
    declaration = declared(current_app, endpoint, request.method)
    return declaration is not None and declaration.by_bearer


def bearer() -> str | None:
    """Return the token of an Authorization: Bearer header (RFC 6750 2.1), None without one."""
    scheme, _sep, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def current_actor() -> Actor:
    """Return who asks. A bearer token speaks alone; cookies count only without one."""
    if "actor" not in g:
        g.actor = _find_actor()
    return g.actor


def _find_actor() -> Actor:
    now = utc_now()
    g.person = g.login = None
    token = bearer()
    if token is not None:
        found = logins.find_api_token(token, now)
        g.person = found.person if found is not None else None
    elif LOGIN_COOKIE in request.cookies:
        g.login = logins.find_login(request.cookies[LOGIN_COOKIE], now)
        g.person = g.login.person if g.login is not None else None
    if g.person is not None:
        return people.actor_of(g.person)
    if token is None and GUEST_COOKIE in request.cookies:
        return _guest(request.cookies[GUEST_COOKIE], now)
    return NOBODY


def _guest(text: str, now: datetime) -> Actor:
    key = tickets.derive(current_app.config["TROPA"].secret_key, "tickets")
    try:
        ticket = tickets.check(text, key, now.timestamp(), actions={tickets.Action.JOIN})
    except tickets.TicketError:
        return NOBODY
    return people.actor_of_guest(ticket.bearer.removeprefix("guest:"), now)


def set_cookie(response: AnyResponse, name: str, value: str, max_age_s: int) -> None:
    """Set a cookie that scripts cannot read and other sites cannot send along."""
    secure = is_https(current_app.config["TROPA"]) or request.is_secure
    response.set_cookie(name, value, max_age=max_age_s, httponly=True, samesite="Lax", secure=secure, path="/")


def forget() -> None:
    """Leave a failed request's transaction and its actor behind, so that the error page needs no database."""
    with contextlib.suppress(SQLAlchemyError):  # a connection that is gone has nothing to roll back
        db.session.rollback()
    g.actor, g.person, g.login = NOBODY, None, None
