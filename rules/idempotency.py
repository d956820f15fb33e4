"""Decide what a repeated POST means: the same request under the same key is answered with the result there is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum

MAX_KEY_CHARS = 64


class Repeat(StrEnum):
    """What a request under a key is."""

    NEW = "new"
    SAME = "same"
    DIFFERENT = "different"


def request_digest(request: Mapping[str, object]) -> str:
    """Hash a request by its content, whatever the order of its fields; what JSON cannot say goes by its str()."""
    text = json.dumps(request, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def judge(kept_digest: str | None, digest: str) -> Repeat:
    """Compare a request with what is kept under its key (None: nothing)."""
    if kept_digest is None:
        return Repeat.NEW
    return Repeat.SAME if kept_digest == digest else Repeat.DIFFERENT
