"""Refusals given outside Flask, where the asker's language is not known: in Russian and English at once."""

from __future__ import annotations

import gettext
import json
from functools import cache

from server.i18n import DEFAULT_LANGUAGE, TRANSLATIONS


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
