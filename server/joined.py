"""Pure: one script out of ES modules that import each other by name, so that a page asks once instead of four times.

Over a satellite each request costs most of a second, and several at once drive each other out of a short queue. Only
the plain forms are understood that static/ uses; anything else is an error when the page is made, not in a browser.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\./[\w./-]+\.js)";\n', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:const|function|class) (\w+))", re.M)
_LEFT = re.compile(r"^(?:import|export)\b.*", re.M)
_NAMES = re.compile(r"\w+(?:, ?\w+)*,?\Z")


class NotJoinable(ValueError):
    """A module that says something this page's authors have not taught it to join; the text names it."""


def join(entry: str, read: Callable[[str], str]) -> tuple[str, tuple[str, ...]]:
    """Return the script of a module and everything that it imports, and their names; `read` gives a file's text.

    Each module keeps a scope of its own, and all wait until the document has been read, so the script may be fetched
    and run at any time (`async`, in the head). Raises NotJoinable.
    """
    done: dict[str, str] = {}
    _add(entry, read, done, ())
    body = "".join(done.values())
    begin = 'document.readyState === "loading" ? document.addEventListener("DOMContentLoaded", start) : start();\n'
    return f'"use strict";\n{{\nconst start = () => {{\n{body}}};\n{begin}}}\n', tuple(done)


def _add(name: str, read: Callable[[str], str], done: dict[str, str], above: tuple[str, ...]) -> None:
    if name in done:
        return
    if name in above:
        raise NotJoinable(f"{name} imports itself by way of {', '.join(above)}")
    text = read(name)

    def taken(match: re.Match[str]) -> str:
        names = " ".join(match[1].split())
        if not _NAMES.match(names):
            raise NotJoinable(f"{name}: {match[0].strip()}")
        other = posixpath.normpath(posixpath.join(posixpath.dirname(name), match[2]))
        _add(other, read, done, (*above, name))
        return f"const {{ {names} }} = {_variable(other)};\n"

    text = _IMPORT.sub(taken, text)
    exported = [match[1] for match in _EXPORT.finditer(text)]
    text = _EXPORT.sub("", text)
    left = _LEFT.search(text)
    if left:
        raise NotJoinable(f"{name}: {left[0]}")
    done[name] = f"const {_variable(name)} = (() => {{\n{text}\nreturn {{ {', '.join(exported)} }};\n}})();\n"


def _variable(name: str) -> str:
    return "_" + re.sub(r"\W", "_", name)
