"""Spell texts as they are compared in searches."""

from __future__ import annotations

import unicodedata

MAX_WORDS = 8


def fold(text: str) -> str:
    """Fold case, compatibility spellings and ё, and squeeze spaces: SQLite by itself folds ASCII letters only."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("ё", "е").split())


def words(query: str) -> tuple[str, ...]:
    """Split a search into at most 8 folded words, each of which must be found."""
    return tuple(fold(query).split()[:MAX_WORDS])
