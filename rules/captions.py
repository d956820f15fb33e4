"""Captions as lists of cues: check, write, split, merge, shift, and propose empty ones at the pauses of a voice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from rules.search import fold

MAX_CUES = 5000
MAX_CUE_CHARS = 500
MAX_END_MS = 24 * 3600 * 1000
# Shorter cues cannot be read.
LEAST_CUE_MS = 200
# What a person reads at ease takes about this long; a template leaves no more than this to one cue.
TEMPLATE_CUE_MS = 6000
LANGUAGE = re.compile(r"[a-z]{2,3}")

_CLOCK = re.compile(r"(?:(?P<h>\d{1,2}):)?(?P<m>\d{1,3}):(?P<s>\d{1,2})(?:[.,](?P<f>\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class Cue:
    """One caption: from `start_ms` until `end_ms` of the recording, text of one line or several."""

    start_ms: int
    end_ms: int
    text: str


class Fault(StrEnum):
    """What is wrong with a cue."""

    TIME = "time"
    BACKWARDS = "backwards"
    TOO_LONG = "too_long"
    TOO_LATE = "too_late"
    TOO_MANY = "too_many"


class BadCue(ValueError):
    """A cue that cannot be kept: its place in the list (from 0) and what is wrong."""

    def __init__(self, index: int, fault: Fault) -> None:
        super().__init__(f"cue {index}: {fault.value}")
        self.index = index
        self.fault = fault


def checked(cues: Sequence[Cue]) -> tuple[Cue, ...]:
    """Return cues in the order of their times, texts trimmed; raises BadCue for the first that cannot be kept."""
    if len(cues) > MAX_CUES:
        raise BadCue(MAX_CUES, Fault.TOO_MANY)
    for index, cue in enumerate(cues):
        if cue.start_ms < 0 or cue.end_ms <= cue.start_ms:
            raise BadCue(index, Fault.BACKWARDS)
        if cue.end_ms > MAX_END_MS:
            raise BadCue(index, Fault.TOO_LATE)
        if len(cue.text) > MAX_CUE_CHARS:
            raise BadCue(index, Fault.TOO_LONG)
    tidy = (replace(cue, text=_tidy(cue.text)) for cue in cues)
    return tuple(sorted(tidy, key=lambda cue: (cue.start_ms, cue.end_ms)))


def _tidy(text: str) -> str:
    # An empty line ends a cue in both formats (WebVTT 4.1), and "-->" would begin another one.
    lines = (" ".join(line.replace("-->", "→").split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def parse_clock(text: str) -> int | None:
    """Read "1:02:03.5", "62:03" or "2:03,250" as milliseconds; None where it is no such time."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None or int(found["s"]) > 59 or (found["h"] and int(found["m"]) > 59):
        return None
    fraction = (found["f"] or "0").ljust(3, "0")
    return ((int(found["h"] or 0) * 60 + int(found["m"])) * 60 + int(found["s"])) * 1000 + int(fraction)


def clock(at_ms: int, separator: str = ".", *, short: bool = False) -> str:
    """Write milliseconds as "00:02:03.250", or short as people do: "2:03", "1:02:03"."""
    seconds, rest = divmod(at_ms, 1000)
    hours, minutes, seconds = seconds // 3600, seconds // 60 % 60, seconds % 60
    if short:
        return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{separator}{rest:03d}"


def write_vtt(cues: Sequence[Cue]) -> str:
    """Write WebVTT; cues without text are left out."""
    blocks = [f"{clock(cue.start_ms)} --> {clock(cue.end_ms)}\n{_escaped(cue.text)}\n" for cue in cues if cue.text]
    return "\n".join(["WEBVTT\n", *blocks])


def write_srt(cues: Sequence[Cue]) -> str:
    """Write SubRip, numbered from 1; cues without text are left out."""
    blocks = []
    for number, cue in enumerate((cue for cue in cues if cue.text), 1):
        blocks.append(f"{number}\n{clock(cue.start_ms, ',')} --> {clock(cue.end_ms, ',')}\n{cue.text}\n")
    return "\n".join(blocks)


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def split(cues: Sequence[Cue], index: int, at_char: int | None = None) -> tuple[Cue, ...]:
    """Cut a cue in two at a place of its text, else at the space nearest to its middle; time goes by letters."""
    cue = cues[index]
    cut = _middle(cue.text) if at_char is None else min(max(0, at_char), len(cue.text))
    share = cut / len(cue.text) if cue.text else 0.5
    share = min(0.9, max(0.1, share))
    at_ms = cue.start_ms + round((cue.end_ms - cue.start_ms) * share)
    if not cue.start_ms < at_ms < cue.end_ms:
        return tuple(cues)
    halves = (Cue(cue.start_ms, at_ms, _tidy(cue.text[:cut])), Cue(at_ms, cue.end_ms, _tidy(cue.text[cut:])))
    return (*cues[:index], *halves, *cues[index + 1 :])


def _middle(text: str) -> int:
    spaces = [index for index, char in enumerate(text) if char.isspace()]
    return min(spaces, key=lambda index: abs(index - len(text) / 2), default=len(text))


def merge(cues: Sequence[Cue], index: int) -> tuple[Cue, ...]:
    """Join a cue with the next one; the last stays as it is."""
    if index + 1 >= len(cues):
        return tuple(cues)
    one, other = cues[index], cues[index + 1]
    text = "\n".join(part for part in (one.text, other.text) if part)
    return (*cues[:index], Cue(one.start_ms, max(one.end_ms, other.end_ms), text), *cues[index + 2 :])


def shift(cues: Sequence[Cue], by_ms: int) -> tuple[Cue, ...]:
    """Move all cues; what would begin before the recording is cut at its beginning, or at least kept short."""
    moved = []
    for cue in cues:
        start_ms = max(0, cue.start_ms + by_ms)
        moved.append(replace(cue, start_ms=start_ms, end_ms=max(start_ms + LEAST_CUE_MS, cue.end_ms + by_ms)))
    return tuple(moved)


def moment(cues: Sequence[Cue], wanted: Sequence[str]) -> Cue | None:
    """Find the cue that has the most of the folded words, the first of several; None where none has any."""
    best, most = None, 0
    for cue in cues:
        text = fold(cue.text)
        found = sum(word in text for word in wanted)
        if found > most:
            best, most = cue, found
            if found == len(wanted):
                break
    return best


def insert_after(cues: Sequence[Cue], index: int) -> tuple[Cue, ...]:
    """Add an empty cue after one (-1: before all), in the pause up to the next or two seconds long."""
    start_ms = cues[index].end_ms if index >= 0 else 0
    after = cues[index + 1].start_ms if index + 1 < len(cues) else start_ms + 2000
    end_ms = after if after - start_ms >= LEAST_CUE_MS else start_ms + 2000
    return (*cues[: index + 1], Cue(start_ms, end_ms, ""), *cues[index + 1 :])


def template(loud: Sequence[bool], step_ms: int) -> tuple[Cue, ...]:
    """Propose empty cues where somebody speaks, from one flag (voice or pause) per `step_ms`; long speech is cut."""
    found: list[Cue] = []
    start = None
    for index, voice in enumerate((*loud, False)):
        if voice and start is None:
            start = index
        elif start is not None and (not voice or (index - start) * step_ms >= TEMPLATE_CUE_MS):
            found.append(Cue(start * step_ms, index * step_ms, ""))
            start = index if voice else None
    return tuple(cue for cue in found if cue.end_ms - cue.start_ms >= LEAST_CUE_MS)
