"""The Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header): a repeated POST makes one thing."""

from __future__ import annotations

from flask import request
from flask_babel import gettext as _

from rules.idempotency import MAX_KEY_CHARS
from server.problems import Problem

KEY_HEADER = {
    "in": "header",
    "name": "Idempotency-Key",
    "schema": {"type": "string", "maxLength": MAX_KEY_CHARS},
    "description": "A text of your own; the same request under the same key makes one thing and is answered alike",
}


def idempotency_key() -> str:
    """Return the key of this request, "" where there is none; raises Problem 422 for one that cannot be kept."""
    key = request.headers.get("Idempotency-Key", "")
    if len(key) > MAX_KEY_CHARS or not key.isprintable():
        text = _("Idempotency-Key: at most %(most)s printable characters.", most=MAX_KEY_CHARS)
        raise Problem(422, text, slug="validation", extra={"errors": {"Idempotency-Key": [text]}})
    return key
