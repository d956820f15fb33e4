"""Words about captions: names of languages, what is wrong with a file or a line, and what was kept."""

from __future__ import annotations

from babel import Locale, UnknownLocaleError
from flask_babel import get_locale, lazy_gettext, ngettext
from flask_babel import gettext as _

from rules.captions import LANGUAGE, MAX_CUE_CHARS, MAX_CUES, Fault
from server.captionfile import BadFile

# What the form offers first; the address and the API take every language that has a name.
OFFERED = ("ru", "en", "tt", "ba", "cv", "ce", "sah", "os", "udm", "kv", "tyv", "de", "fr", "zh")
_KNOWN = frozenset(code for code in Locale("en").languages if LANGUAGE.fullmatch(code))

_FILE = {
    "empty": lazy_gettext("The file is empty."),
    "not_text": lazy_gettext("This is no text in UTF-8, UTF-16 or Windows-1251."),
    "no_captions": lazy_gettext("There are no captions in it: no line like 00:00:01.000 --> 00:00:03.500 was found."),
    "format": lazy_gettext("This is neither WebVTT nor SRT."),
    "time": lazy_gettext("The times in this line cannot be read; one looks like 00:00:01.000 --> 00:00:03.500."),
    "backwards": lazy_gettext("The caption ends before it begins, or at once."),
    "too_late": lazy_gettext("The caption ends more than 24 hours after the beginning."),
}
_CUE = {
    Fault.TIME: lazy_gettext("The time cannot be read; one looks like 0:01:02.5."),
    Fault.BACKWARDS: _FILE["backwards"],
    Fault.TOO_LATE: _FILE["too_late"],
}


def is_language(code: str) -> bool:
    """Tell whether captions can be kept under this code: an ISO 639 one that has a name."""
    return code in _KNOWN


def language_name(code: str) -> str:
    """Name a language in the reader's language, with a capital; its code where there is no name."""
    name = get_locale().languages.get(code, code)
    return name[:1].upper() + name[1:]


def own_name(code: str) -> str:
    """Name a language in itself where that is known, for a player's menu."""
    try:
        name = Locale(code).languages.get(code)
    except UnknownLocaleError:
        name = None
    return name[:1].upper() + name[1:] if name else language_name(code)


def languages(more: str = "") -> list[tuple[str, str]]:
    """List what the form offers as (code, name)."""
    codes = OFFERED if not more or more in OFFERED else (more, *OFFERED)
    return [(code, language_name(code)) for code in codes]


def of_file(trouble: BadFile) -> str:
    """Say what is wrong with a file, and in which line."""
    text = str(_FILE.get(trouble.code) or _limit(trouble.code))
    return _("Line %(line)d: %(text)s", line=trouble.line, text=text) if trouble.line else text


def of_cue(fault: Fault) -> str:
    """Say what is wrong with one caption."""
    return str(_CUE.get(fault) or _limit(fault.value))


def count(number: int) -> str:
    """Say how many captions there are."""
    return ngettext("%(num)d caption", "%(num)d captions", number)


def _limit(code: str) -> str:
    if code == Fault.TOO_LONG:
        return _("A caption has at most %(most)d characters.", most=MAX_CUE_CHARS)
    return _("There are at most %(most)d captions in one language.", most=MAX_CUES)
