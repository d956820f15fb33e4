"""Read uploaded captions: WebVTT and SubRip, in the encodings that they come in, naming the line that cannot be used.

webvtt-py reads the formats. It passes over what it does not understand; here nothing may get lost unseen, so each line
with an arrow is looked at beforehand.
"""

from __future__ import annotations

import html
import io
import re
from dataclasses import dataclass

import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from rules import captions
from rules.captions import BadCue, Cue, Fault

_TIME = r"(?:\d{1,2}:)?\d{1,3}:\d{1,2}[.,]\d{1,3}"
_TIMING = re.compile(rf"\s*({_TIME})\s*-->\s*({_TIME})(?:\s.*)?")
# An arrow, or what somebody typed for one between two times.
_LIKE_TIMING = re.compile(rf"-->|{_TIME}\s*[-–—=>]+\s*\d")
# SubRip's positions and fonts, which no page shows: {\an8}, <font …> (webvtt-py removes the other tags).
_STYLE = re.compile(r"\{\\[^}]*\}")
_BLOCKS = ("NOTE", "STYLE", "REGION")


@dataclass(frozen=True, slots=True)
class BadFile(Exception):
    """A file that cannot be used: what is wrong (see `server.captionwords`), and in which line, 0 where in none."""

    code: str
    line: int = 0


def read(content: bytes) -> tuple[Cue, ...]:
    """Return the cues of a WebVTT or SubRip file; raises BadFile."""
    text = decoded(content).replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise BadFile("empty")
    is_vtt = text.lstrip().startswith("WEBVTT")
    lines = _timing_lines(text)
    if not lines:
        raise BadFile("no_captions")
    try:
        # SubRip times have a comma; many files in the wild a point.
        read_as = text.lstrip() if is_vtt else _with_commas(text)
        found = webvtt.from_buffer(io.StringIO(read_as), format="vtt" if is_vtt else "srt")
        cues = [_cue(one) for one in found]
    except (MalformedFileError, MalformedCaptionError, ValueError, IndexError):
        raise BadFile("format", lines[0]) from None
    if not cues:
        raise BadFile("no_captions")
    try:
        return captions.checked(cues)
    except BadCue as trouble:
        code = {Fault.BACKWARDS: "backwards", Fault.TOO_LONG: "too_long", Fault.TOO_LATE: "too_late"}
        line = lines[trouble.index] if trouble.index < len(lines) else 0
        raise BadFile(code.get(trouble.fault, "too_many"), line) from None


def decoded(content: bytes) -> str:
    """Decode UTF-8 and UTF-16 (with their marks), plain UTF-8, else Windows-1251; raises BadFile."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if content.startswith(mark):
            return _strictly(content, encoding)
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = _strictly(content, "cp1251")
    if "\0" in text:
        raise BadFile("not_text")
    return text


def _strictly(content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        raise BadFile("not_text") from None


def _timing_lines(text: str) -> list[int]:
    """Return the numbers of the lines with times, from 1; raises BadFile for one that only looks like it."""
    found, in_block = [], False
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            in_block = False
        elif line.startswith(_BLOCKS) and (number == 1 or not lines[number - 2].strip()):
            in_block = True
        elif not in_block and _LIKE_TIMING.search(line):
            match = _TIMING.fullmatch(line)
            times = [captions.parse_clock(match[group]) for group in (1, 2)] if match else [None]
            if None in times:
                raise BadFile("time", number)
            if times[1] <= times[0]:
                raise BadFile("backwards", number)
            found.append(number)
    return found


def _with_commas(text: str) -> str:
    def rewritten(line: str) -> str:
        match = _TIMING.fullmatch(line)
        if match is None:
            return line
        return " --> ".join(captions.clock(captions.parse_clock(match[group]), ",") for group in (1, 2))

    return "\n".join(rewritten(line) for line in text.split("\n"))


def _cue(one: webvtt.Caption) -> Cue:
    text = html.unescape(_STYLE.sub("", one.text))
    start_ms, end_ms = captions.parse_clock(one.start), captions.parse_clock(one.end)
    if start_ms is None or end_ms is None:
        raise ValueError("a time that cannot be read")
    return Cue(start_ms, end_ms, text)
