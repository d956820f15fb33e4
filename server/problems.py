"""Answers for what went wrong: problem details (RFC 9457) for programs, readable pages for people."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from flask import Flask, Response, render_template, request
from flask_babel import gettext as _
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException

log = structlog.get_logger("server.problems")

JSON_PATHS = ("/api/", "/whip/", "/whep/", "/events/", "/healthz")


class Problem(HTTPException):
    """A refusal that says what happened, what was kept and what to do next, in the reader's language.

    slug names the kind for programs ("overlap" becomes urn:tropa:problem:overlap); extra joins the JSON members;
    headers are added to the answer (Retry-After).
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        title: str = "",
        todo: str = "",
        slug: str = "",
        extra: dict | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = status
        self.title = title
        self.todo = todo
        self.slug = slug
        self.extra = extra or {}
        self.extra_headers = headers or {}


@dataclass(frozen=True, slots=True)
class Words:
    """What a refusal says: a title, what happened, and what to do next."""

    title: str
    detail: str
    todo: str = ""
    slug: str = ""
    extra: dict = field(default_factory=dict)


def wants_json() -> bool:
    """Say whether the asker is a program: by the path, else by what it accepts."""
    if request.path.startswith(JSON_PATHS):
        return True
    # No form sends these methods, and no browser by itself the header of an upload's protocol.
    if request.method in ("PATCH", "DELETE") or "Tus-Resumable" in request.headers:
        return True
    accept = request.accept_mimetypes
    best = accept.best_match(["text/html", "application/json", "application/problem+json"])
    return best in ("application/json", "application/problem+json") and accept[best] > accept["text/html"]


def init_app(app: Flask, forget: Callable[[], None]) -> None:
    """Answer every HTTP error and every unexpected exception, after which `forget` leaves the failed request behind."""

    def unexpected(error: Exception) -> Response:
        return _unexpected(error, forget)

    app.register_error_handler(HTTPException, answer)
    app.register_error_handler(Exception, unexpected)


def answer(error: HTTPException) -> Response:
    """Turn an HTTP error into problem details or a page; redirects and ready-made responses pass through."""
    status = error.code or 500
    if error.response is not None:
        return error.response
    if status < 400:
        return error.get_response()
    words = _words(error, status)
    response = _json(status, words) if wants_json() else _page(status, words)
    for name, value in error.get_headers(request.environ):
        if name in ("Allow", "Retry-After", "WWW-Authenticate", "Content-Range"):
            response.headers[name] = value
    for name, value in getattr(error, "extra_headers", {}).items():
        response.headers[name] = value
    if status == 429:
        response.headers.setdefault("Retry-After", "60")
    return response


def _words(error: HTTPException, status: int) -> Words:
    usual = _usual(status)
    if isinstance(error, Problem):
        return Words(
            error.title or usual.title,
            error.description or usual.detail,
            error.todo or usual.todo,
            error.slug,
            error.extra,
        )
    if isinstance(error, CSRFError):
        return Words(
            _("The form has expired"),
            _("The page was open for too long, or cookies are switched off. Nothing was changed."),
            _("Go back, reload the page and send the form again."),
            "csrf",
        )
    messages = (getattr(error, "data", None) or {}).get("messages")
    if messages:  # webargs and flask-smorest put the fields' errors here
        return Words(_("Some fields need correcting"), usual.detail, usual.todo, "validation", {"errors": messages})
    return usual


def _usual(status: int) -> Words:
    again = _("Go back and try again.")
    table = {
        400: Words(_("The request could not be understood"), _("Nothing was changed."), again),
        401: Words(_("Please log in"), _("This is only for people who have logged in.")),
        403: Words(
            _("This is not open to you"),
            _("Your role does not allow this. Nothing was changed."),
            _("If you need it, ask the coordinator of your district."),
        ),
        404: Words(
            _("There is no such page"),
            _("The address may be mistyped, the thing may be gone, or it is not open to you."),
            _("Check the address or begin at the start page."),
        ),
        405: Words(
            _("This address does not work that way"), _("Nothing was changed."), _("Open the page from the menu.")
        ),
        408: Words(
            _("The sending took too long"),
            _("The connection stopped before everything had arrived. Nothing was changed."),
            _("Go back and send it again."),
        ),
        410: Words(
            _("This link has expired"), _("It was already used, revoked or is too old."), _("Ask for a new one.")
        ),
        413: Words(
            _("That is too much at once"),
            _("More was sent than is accepted here. Nothing was changed."),
            _("Shorten it and try again."),
        ),
        415: Words(_("This kind of content is not accepted here"), _("Nothing was changed.")),
        416: Words(
            _("That part of the file does not exist"),
            _("The file is shorter than the part asked for."),
            _("Start the download anew."),
        ),
        422: Words(_("Some fields need correcting"), _("Nothing was changed."), again),
        429: Words(
            _("Too many requests"),
            _("To keep the link free for everyone, please slow down."),
            _("Wait a minute and try again."),
        ),
        500: Words(
            _("Something broke on our side"),
            _("What was saved before is safe; the last action was not carried out. The fault is written in the log."),
            _("Go back and try again. If it happens again, tell the administrator the time of the failure."),
        ),
        503: Words(
            _("Not available at the moment"),
            _("A part of the system is being restarted or is full."),
            _("Try again in a minute."),
        ),
    }
    return table.get(status) or Words(_("The request was refused"), _("Nothing was changed."))


def _json(status: int, words: Words) -> Response:
    body = {
        "type": f"urn:tropa:problem:{words.slug}" if words.slug else "about:blank",
        "title": words.title,
        "status": status,
    }
    body["detail"] = f"{words.detail} {words.todo}".strip()
    body.update({key: value for key, value in words.extra.items() if key not in body})
    return Response(json.dumps(body, ensure_ascii=False, default=str), status, mimetype="application/problem+json")


def _page(status: int, words: Words) -> Response:
    return Response(render_template("problem.html", status=status, words=words), status, mimetype="text/html")


def _unexpected(error: Exception, forget: Callable[[], None]) -> Response:
    # The last wall of a request: whatever broke is logged with its trace and the asker gets an answer.
    away = isinstance(error, (OperationalError, InterfaceError))
    if away:
        log.error("database_away", path=request.path, method=request.method, error=type(error).__name__)
    else:
        log.exception("unexpected", path=request.path, method=request.method, error=type(error).__name__)
    forget()
    status = 503 if away else 500
    words = _usual(status)
    response = _json(status, words) if wants_json() else _page(status, words)
    if away:
        response.headers["Retry-After"] = "10"
    return response
