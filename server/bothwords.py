"""Refusals given outside Flask: a page in the asker's language for people, problem details in both for programs.

Neither Flask nor the database is asked: these are the words for when one of them is away or busy.
"""

from __future__ import annotations

import gettext
import html
import json
from collections.abc import Iterable
from functools import cache
from http.cookies import CookieError, SimpleCookie

from server.i18n import DEFAULT_LANGUAGE, LANGUAGE_COOKIE, LANGUAGES, TRANSLATIONS

Headers = Iterable[tuple[bytes, bytes]]

PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title></head><body><h1>{title}</h1><p>{detail}</p></body></html>
"""


@cache
def _catalogue() -> gettext.NullTranslations:
    return gettext.translation("messages", TRANSLATIONS, [DEFAULT_LANGUAGE], fallback=True)


def both(text: str) -> str:
    """Return a text in Russian, then in English; extraction takes the argument for a message."""
    translated = _catalogue().gettext(text)
    return text if translated == text else f"{translated} / {text}"


def problem_bytes(status: int, title: str, detail: str = "") -> bytes:
    """Write problem details (RFC 9457) for a body that is sent as it is."""
    body = {"type": "about:blank", "title": title, "status": status} | ({"detail": detail} if detail else {})
    return json.dumps(body, ensure_ascii=False).encode()


def refusal(
    status: int, title: str, detail: str, asked: Headers, retry_after_s: int
) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Write a refusal for the headers of a request: its own headers and body. `title` and `detail` come from `both`.

    A page where text/html is accepted by name, as browsers do when somebody opens an address; else problem details.
    """
    given = {name: value.decode("latin-1") for name, value in asked}
    if "text/html" in given.get(b"accept", "").lower():
        kind, body = b"text/html; charset=utf-8", _page(title, detail, _language(given)).encode()
    else:
        kind, body = b"application/problem+json", problem_bytes(status, title, detail)
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    headers += [(b"retry-after", str(retry_after_s).encode()), (b"cache-control", b"no-store")]
    return [*headers, (b"vary", b"Accept, Accept-Language, Cookie")], body


def _page(title: str, detail: str, language: str) -> str:
    words = {name: html.escape(_one(text, language)) for name, text in (("title", title), ("detail", detail))}
    return PAGE.format(language=language, **words)


def _one(text: str, language: str) -> str:
    """Return the half of a text of `both` that is in this language."""
    russian, _separator, english = text.partition(" / ")
    return english or russian if language == "en" else russian


def _language(given: dict[bytes, str]) -> str:
    """Choose the language as the pages do: by cookie, else by the first language accepted that is spoken here."""
    try:
        cookie = SimpleCookie(given.get(b"cookie", "")).get(LANGUAGE_COOKIE)
    except CookieError:
        cookie = None
    if cookie is not None and cookie.value in LANGUAGES:
        return cookie.value
    accepted = (part.strip()[:2].lower() for part in given.get(b"accept-language", "").split(","))
    return next((language for language in accepted if language in LANGUAGES), DEFAULT_LANGUAGE)
