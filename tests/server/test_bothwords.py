"""What is said without Flask: pages for people in their language, problem details for programs."""

from __future__ import annotations

import json

import pytest

from server import bothwords, outgoing, shell
from server.target import OriginForm, origin_form

BROWSER = (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")


@pytest.mark.parametrize(
    ("asked", "language"),
    [
        ([], "ru"),
        ([(b"accept-language", b"en-GB,en;q=0.9")], "en"),
        ([(b"accept-language", b"de,ru;q=0.8,en;q=0.5")], "ru"),
        ([(b"cookie", b"a=b; tropa_language=en"), (b"accept-language", b"ru")], "en"),
        ([(b"cookie", b"tropa_language=xx")], "ru"),
        ([(b"cookie", b"\xff\x00;;;=;"), (b"accept-language", b"\xff")], "ru"),
    ],
)
def test_browsers_get_a_page_in_their_language(asked, language) -> None:
    """The cookie speaks first, then the browser's own language, then Russian; whatever stands there is harmless."""
    headers, body = bothwords.refusal(
        503, "Занято / Busy", "Подождите <немного> / Wait <a little>", [BROWSER, *asked], 5
    )
    text = body.decode()
    assert dict(headers)[b"content-type"] == b"text/html; charset=utf-8"
    assert dict(headers)[b"retry-after"] == b"5"
    assert int(dict(headers)[b"content-length"]) == len(body)
    assert f'<html lang="{language}">' in text
    assert ("Wait &lt;a little&gt;" in text, "Подождите &lt;немного&gt;" in text) == (
        language == "en",
        language == "ru",
    )


@pytest.mark.parametrize("words", [shell.FULL, outgoing.MISSING])
def test_programs_get_problem_details(words) -> None:
    """Who does not ask for a page gets JSON that can be read in both languages."""
    headers, body = bothwords.refusal(503, *words, [(b"accept", b"*/*")], 60)
    assert dict(headers)[b"content-type"] == b"application/problem+json"
    assert json.loads(body)["status"] == 503
    assert json.loads(body)["title"] == words[0]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/login", "/login"),
        ("http://tropa.example/login", "/login"),
        ("https://tropa.example", "/"),
        ("HTTP://tropa.example:80/a//b", "/a//b"),
        ("*", "/*"),
        ("tropa.example:443", "/tropa.example:443"),
        ("http://[broken/", "/http://[broken/"),
        ("", "/"),
    ],
)
async def test_every_target_becomes_a_path(target: str, path: str) -> None:
    """Absolute-form is understood, as RFC 9112 3.2.2 asks; what is no path leads to a page that is not there."""
    seen = []

    async def inner(scope, receive, send) -> None:
        seen.append(scope["path"])

    await OriginForm(inner)({"type": "http", "path": target}, None, None)
    assert seen == [path] == [origin_form(target)]
