"""Words of the mirror's pages and commands: the project's own catalogues, English where one is missing."""

from __future__ import annotations

import gettext
import locale
from functools import cache
from pathlib import Path

TRANSLATIONS = Path(__file__).resolve().parent.parent / "translations"
LANGUAGES = {"ru": "Русский", "en": "English"}

Words = gettext.NullTranslations


def _l(text: str) -> str:
    """Mark a text that is translated where it is shown, and kept as it is."""
    return text


@cache
def words(language: str) -> Words:
    """Return the words of a language."""
    return gettext.translation("messages", TRANSLATIONS, [language], fallback=True)


def system_language() -> str:
    """Return the language that this computer's user works in: "ru" or "en"."""
    try:
        locale.setlocale(locale.LC_MESSAGES, "")
    except locale.Error:  # a locale that is named and not installed
        return "ru"
    name = locale.getlocale(locale.LC_MESSAGES)[0] or "ru"
    return "en" if name.lower().startswith("en") else "ru"


def size(t: Words, size_bytes: float) -> str:
    """Write a size as people read it."""
    value, unit = float(size_bytes), t.gettext("B")
    for name in (t.gettext("kB"), t.gettext("MB"), t.gettext("GB")):
        if value < 999.5:
            break
        value, unit = value / 1000, name
    digits = 1 if value < 9.95 and unit not in (t.gettext("B"), t.gettext("kB")) else 0
    text = f"{value:.{digits}f}"
    return f"{text.replace('.', ',') if is_russian(t) else text}\u00a0{unit}"


def length(seconds: float) -> str:
    """Write a length as m:ss or h:mm:ss."""
    whole = round(seconds)
    clock = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{clock}" if whole >= 3600 else clock.removeprefix("0")


def is_russian(t: Words) -> bool:
    """Tell whether these are the Russian words."""
    return t.info().get("language") == "ru"


def kind(t: Words, name: str) -> str:
    """Name a kind of file; one that this version does not know is shown as the origin names it."""
    return {
        "voice_opus": t.gettext("Voice, smallest"),
        "voice_aac": t.gettext("Voice for old players"),
        "pack": t.gettext("Lesson pack"),
        "video_small": t.gettext("Small video"),
        "video_compat": t.gettext("Video for old computers"),
    }.get(name, name)
