"""Pure: what a PATCH of a WHIP or WHEP session asks for, and the answer to an ICE restart (RFC 9725 4.3, RFC 8840 4.4).

A lite agent learns addresses from the checks themselves, so candidates in a fragment change nothing. What can change
something is a pair of new ICE names: an ICE restart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from media.answer import LocalTransport, candidates

MAX_FRAGMENT_BYTES = 64 * 1024
MAX_LINES = 512
ANY = "*"
_ICE_NAME = re.compile(r"[A-Za-z0-9+/\-_=]{4,256}\Z")
_MEDIA = re.compile(r"m=(audio|video|application) [0-9]{1,5} [\x21-\x7e]{1,64}( [\x21-\x7e]{1,32}){1,128}\Z")
_GROUP = re.compile(r"a=group:BUNDLE( [\x21-\x7e]{1,32}){1,16}\Z")
_MID = re.compile(r"a=mid:[\x21-\x7e]{1,32}\Z")


class BadFragment(ValueError):
    """A fragment that cannot be understood; the text says why."""


class Verdict(Enum):
    """What becomes of a PATCH."""

    NOTHING = 204
    RESTART = 200
    CHANGED = 412
    """The named ICE session is not the present one."""
    UNCONDITIONAL = 428
    """An ICE restart has to say that it means whatever session there is."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """What matters of a fragment: new ICE names, "" where it has none; the lines that an answer gives back."""

    ufrag: str
    password: str
    frame: tuple[str, ...]


def parse_fragment(text: str) -> Fragment:
    """Read a fragment (application/trickle-ice-sdpfrag). Raises BadFragment."""
    if len(text.encode(errors="replace")) > MAX_FRAGMENT_BYTES:
        raise BadFragment(f"the fragment is larger than {MAX_FRAGMENT_BYTES} bytes")
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n") if line]
    if len(lines) > MAX_LINES:
        raise BadFragment(f"the fragment has more than {MAX_LINES} lines")
    ufrag = _value(lines, "a=ice-ufrag:")
    password = _value(lines, "a=ice-pwd:")
    if bool(ufrag) is not bool(password):
        raise BadFragment("a=ice-ufrag and a=ice-pwd come together")
    if ufrag and not (_ICE_NAME.match(ufrag) and _ICE_NAME.match(password)):
        raise BadFragment("a=ice-ufrag or a=ice-pwd is malformed")
    frame = []
    for pattern in (_GROUP, _MEDIA, _MID):
        frame += [line for line in lines if pattern.match(line)][:1]
    return Fragment(ufrag, password, tuple(frame))


def _value(lines: list[str], start: str) -> str:
    return next((line[len(start) :].strip() for line in lines if line.startswith(start)), "")


def judge(fragment: Fragment, if_match: str | None, etag: str, remote_ufrag: str) -> Verdict:
    """Decide on a PATCH to the ICE session `etag` of the peer that calls itself `remote_ufrag`.

    A restart must carry `If-Match: "*"`. One that names the present ufrag again is the same restart once more, whose
    answer was lost on the way. Without candidates to keep, a trickle needs no precondition; one that it has must hold.
    """
    tags = _tags(if_match)
    if ANY in tags:
        return Verdict.RESTART if fragment.ufrag else Verdict.NOTHING
    if fragment.ufrag and fragment.ufrag != remote_ufrag:
        return Verdict.CHANGED if tags else Verdict.UNCONDITIONAL
    return Verdict.NOTHING if not tags or etag in tags else Verdict.CHANGED


def _tags(if_match: str | None) -> tuple[str, ...]:
    """Split If-Match (RFC 9110 13.1.1) into tags without quotes; both `*` and `"*"` (RFC 9725 4.3.3) mean any."""
    parts = (part.strip().strip('"') for part in (if_match or "").split(","))
    return tuple(part for part in parts if part)


def answer_restart(fragment: Fragment, local: LocalTransport) -> str:
    """Write the answer: our new names and where we are, in the frame of the asker's own fragment."""
    lines = ["a=ice-lite", *fragment.frame, f"a=ice-ufrag:{local.ufrag}", f"a=ice-pwd:{local.password}"]
    return "\r\n".join([*lines, *candidates(local)]) + "\r\n"
