"""What goes wrong is said plainly, in the reader's language, to people and to programs."""

from __future__ import annotations

import pytest
from flask import Flask, abort
from sqlalchemy.exc import OperationalError

from server import access
from server.app import create_app
from server.problems import Problem

STATUSES = (400, 401, 403, 404, 405, 408, 409, 410, 411, 413, 414, 415, 416, 418, 422, 429, 431, 500, 501, 503)


@pytest.fixture
def failing(app: Flask) -> Flask:
    """The application with views that fail in every way."""

    @app.get("/fail/<int:status>", endpoint="fail")
    @app.get("/api/fail/<int:status>", endpoint="api_fail")
    @access.public
    def fail(status: int) -> None:
        abort(status)

    @app.get("/crash", endpoint="crash")
    @access.public
    def crash() -> None:
        raise RuntimeError("the detail that must not leak")

    @app.get("/away", endpoint="away")
    @access.public
    def away() -> None:
        raise OperationalError("SELECT secret", {}, Exception("connection refused"))

    @app.get("/clash", endpoint="clash")
    @access.public
    def clash() -> None:
        raise Problem(409, "Taken.", title="Clash", slug="overlap", extra={"free": ["10:00"], "status": 1})

    return app


@pytest.mark.parametrize("language", ["ru", "en"])
def test_every_status_has_a_page(failing: Flask, language: str) -> None:
    """Each refusal is a page with a heading, in the language chosen, with a way on."""
    client = failing.test_client()
    client.set_cookie("tropa_language", language)
    for status in STATUSES:
        answer = client.get(f"/fail/{status}")
        text = answer.get_data(as_text=True)
        assert answer.status_code == status
        assert f'<html lang="{language}">' in text
        assert "<h1>" in text
        assert 'href="/"' in text


def test_every_status_has_problem_details(failing: Flask) -> None:
    """Programs get RFC 9457 members, by path and by Accept alike."""
    client = failing.test_client()
    asked = [(f"/api/fail/{status}", {}, status) for status in STATUSES]
    asked += [(f"/fail/{status}", {"Accept": "application/json"}, status) for status in STATUSES]
    for url, headers, status in asked:
        answer = client.get(url, headers=headers)
        assert answer.status_code == status
        assert answer.content_type == "application/problem+json"
        assert answer.json["status"] == status
        assert answer.json["title"]
        assert answer.json["type"] == "about:blank"


def test_browsers_get_pages(failing: Flask) -> None:
    """What browsers accept by default means HTML, */* too."""
    client = failing.test_client()
    for accept in ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", ""):
        assert client.get("/fail/404", headers={"Accept": accept}).mimetype == "text/html"


def test_crash_is_answered_without_its_detail(failing: Flask) -> None:
    """An unexpected exception gives a page that says what is safe, and tells nothing of the inside."""
    client = failing.test_client()
    client.set_cookie("tropa_language", "en")
    answer = client.get("/crash")
    text = answer.get_data(as_text=True)
    assert answer.status_code == 500
    assert "was saved before is safe" in text
    assert "must not leak" not in text
    assert "Traceback" not in text


def test_database_away_is_503(failing: Flask) -> None:
    """A database that does not answer is a matter of time, and the page comes without it."""
    answer = failing.test_client().get("/away")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "SELECT" not in answer.get_data(as_text=True)


def test_problem_carries_its_own_members(failing: Flask) -> None:
    """A refusal names its kind and brings what programs need; standard members are not overwritten."""
    answer = failing.test_client().get("/clash", headers={"Accept": "application/problem+json"})
    assert answer.json["type"] == "urn:tropa:problem:overlap"
    assert answer.json["free"] == ["10:00"]
    assert answer.json["status"] == 409


def test_method_not_allowed_lists_what_is(client) -> None:
    """405 comes with Allow."""
    answer = client.delete("/login")
    assert answer.status_code == 405
    assert "GET" in answer.headers["Allow"]


def test_headers_of_every_answer(client) -> None:
    """Pages, files and errors alike forbid inline scripts, framing and guessing of types."""
    for url in ("/", "/login", "/nothing", "/static/tropa.css", "/api/nothing"):
        headers = client.get(url).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "camera=(self)" in headers["Permissions-Policy"]


def test_cookies_are_secure_behind_tls(settings, app) -> None:
    """Where people come by https no cookie travels without it."""
    from dataclasses import replace

    secure = create_app(replace(settings, public_url="https://tropa.example"), TESTING=True)
    answer = secure.test_client().get("/login", base_url="https://tropa.example")
    assert "Secure" in answer.headers["Set-Cookie"]
    assert answer.headers["Strict-Transport-Security"]
    assert "Secure" not in app.test_client().get("/login").headers["Set-Cookie"]


@pytest.mark.parametrize("hops", [0, 1])
def test_proxies_are_believed_as_many_as_set(settings, hops: int) -> None:
    """X-Forwarded-For counts only where a proxy is known to have written it."""
    from dataclasses import replace

    from flask import request

    made = create_app(replace(settings, trusted_proxies=hops), TESTING=True)
    seen = []
    made.before_request_funcs[None].insert(0, lambda: seen.append(request.remote_addr))
    made.test_client().get("/static/tropa.css", headers={"X-Forwarded-For": "198.51.100.9"})
    assert seen == ["198.51.100.9" if hops else "127.0.0.1"]
