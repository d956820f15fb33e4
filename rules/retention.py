"""Decide which files go by themselves, when and why: by the installation's policy, and never the last copy.

A file made of a recording can be made again while its source is there; a source cannot. What nothing else replaces goes
only by the confirmed act of a person. The largest files are judged first, so that the smallest are what remains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rules.renditions import Kind

MAX_DAYS = 3650


class Sort(StrEnum):
    """What a policy is made for, largest files first."""

    SOURCE = "source"
    VIDEO_COMPAT = "video_compat"
    VIDEO_SMALL = "video_small"
    VOICE = "voice"
    OTHER = "other"
    REFUSED = "refused"


# Days; None: for ever.
DEFAULT_DAYS: Mapping[Sort, int | None] = {
    Sort.SOURCE: None,
    Sort.VIDEO_COMPAT: None,
    Sort.VIDEO_SMALL: None,
    Sort.VOICE: None,
    Sort.OTHER: None,
    Sort.REFUSED: 30,
}

_SORTS = {
    Kind.SOURCE: Sort.SOURCE,
    Kind.VIDEO_COMPAT: Sort.VIDEO_COMPAT,
    Kind.VIDEO_SMALL: Sort.VIDEO_SMALL,
    Kind.VOICE_OPUS: Sort.VOICE,
    Kind.VOICE_AAC: Sort.VOICE,
}
_PICTURES = frozenset({Sort.VIDEO_COMPAT, Sort.VIDEO_SMALL})
_HEARD = _PICTURES | {Sort.VOICE}


class Why(StrEnum):
    """Why a file stays or goes."""

    FOR_EVER = "for_ever"  # the policy names no end
    KEPT = "kept"  # a person said so
    BUSY = "busy"  # files are still being made of it
    LAST_COPY = "last_copy"  # nothing else replaces it
    POLICY = "policy"  # its days are over, or will be
    PERSON = "person"  # somebody removed it


@dataclass(frozen=True, slots=True)
class Held:
    """One file that is there: a rendition's id, or "" for the source; `since` is when its days began."""

    id: str
    sort: Sort
    since: datetime
    bytes: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the decision depends on in one recording; `files` are those that are there, the source among them."""

    files: tuple[Held, ...]
    has_video: bool
    is_kept: bool
    is_busy: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What happens to a file: it goes at a moment (past: now), or stays for `at` None."""

    file: Held
    at: datetime | None
    why: Why


def sort_of(kind: Kind) -> Sort:
    """Return the policy's name for a kind of file."""
    return _SORTS.get(kind, Sort.OTHER)


def verdicts(facts: Facts, policy: Mapping[Sort, int | None]) -> tuple[Verdict, ...]:
    """Judge every file of a recording, those that will have gone by then counted as gone."""
    order = list(Sort)
    found, left = [], set(facts.files)
    for file in sorted(facts.files, key=lambda one: (order.index(one.sort), one.id)):
        verdict = _judge(facts, file, left, policy.get(file.sort, DEFAULT_DAYS[file.sort]))
        found.append(verdict)
        if verdict.at is not None:
            left.discard(file)
    return tuple(found)


def _judge(facts: Facts, file: Held, left: Iterable[Held], days: int | None) -> Verdict:
    if days is None:
        return Verdict(file, None, Why.FOR_EVER)
    if facts.is_kept:
        return Verdict(file, None, Why.KEPT)
    if facts.is_busy:
        return Verdict(file, None, Why.BUSY)
    if is_last_copy(file, left, facts.has_video):
        return Verdict(file, None, Why.LAST_COPY)
    return Verdict(file, file.since + timedelta(days=days), Why.POLICY)


def is_last_copy(file: Held, files: Iterable[Held], has_video: bool) -> bool:
    """Tell whether the lesson's picture, or its sound where it has no picture, would be lost with this file.

    While the source is there, every other file can be made again.
    """
    others = {one.sort for one in files if one != file}
    if Sort.SOURCE in others or file.sort is Sort.OTHER:
        return False
    if file.sort is Sort.SOURCE or file.sort in _PICTURES:
        return not others & (_PICTURES if has_video else _HEARD)
    return not others & _HEARD
