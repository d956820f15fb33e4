"""Pure: what the origin says, read with suspicion: names never become paths, sizes are bounded, texts are cleaned."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rules import chunks
from rules.chunks import MAX_FILE_BYTES, SHA256_HEX, BadChunkList, ChunkList
from rules.nightwindow import Window, parse_clock

VERSION = 1
MOST_FILES = 2000
MAX_TEXT_CHARS = 300
MAX_KBPS = 10_000_000
MAX_MONTHLY_MB = 100_000_000
_ID = re.compile(r"[0-9A-Za-z]{1,16}")
_KIND = re.compile(r"[a-z][a-z_]{0,15}")
# What a browser may make of a file is decided here, and never by what the origin says of its type.
TYPES = {
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "zip": "application/zip",
    "vtt": "text/vtt",
}


class BadDocument(ValueError):
    """Something that no origin of ours says; the text tells what."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a lesson is called and where it comes from; `date` is an ISO day, `duration_s` None where unknown."""

    title: str
    subject: str
    grades: str
    host_school: str
    date: str
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Offer:
    """A file that the origin offers; `name` is for people alone."""

    id: str
    recording: str
    kind: str
    bytes: int
    sha256: str
    extension: str
    name: str
    lesson: Lesson

    @property
    def filename(self) -> str:
        """Return the name on this computer's disk, made of nothing that could leave its folder."""
        return f"{self.kind}-{self.sha256[:16]}.{self.extension}"

    @property
    def content_type(self) -> str:
        """Return the type that browsers are told."""
        return TYPES[self.extension]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A file's facts and the digest of every chunk."""

    offer: Offer
    chunks: ChunkList

    def document(self) -> dict:
        """Return it as it is kept beside the file and on sticks."""
        return {**asdict(self.offer), **self.chunks.document()}


@dataclass(frozen=True, slots=True)
class Subscription:
    """What the school downloads by, and the files it takes, in the order in which they are fetched."""

    school: str
    timezone: str
    window: Window | None
    rate_kbps: int | None
    monthly_mb: int | None
    files: tuple[Offer, ...]

    @property
    def zone(self) -> ZoneInfo:
        """Return the school's zone, whose clock counts."""
        return ZoneInfo(self.timezone)


def subscription(document: object) -> Subscription:
    """Read the origin's answer. Raises BadDocument: where one file cannot be true, nothing is believed.

    Files that end in what this version does not know are left out, as a newer origin may have them.
    """
    top = _object(document, "the subscription")
    if top.get("version") != VERSION:
        raise BadDocument(f"the subscription's version is {_shown(top.get('version'))}, not {VERSION}; update Tropa")
    school = _object(top.get("school"), "the school")
    files = top.get("files")
    if not isinstance(files, list) or len(files) > MOST_FILES:
        raise BadDocument(f"the list of files is none, or longer than {MOST_FILES}")
    return Subscription(
        school=_text(school.get("name"), "the school's name"),
        timezone=_zone(school.get("timezone")),
        window=_window(top.get("window")),
        rate_kbps=_number(top.get("rate_kbps"), MAX_KBPS, "the rate"),
        monthly_mb=_number(top.get("monthly_mb"), MAX_MONTHLY_MB, "the month's megabytes"),
        files=tuple(offer(one) for one in files if not isinstance(one, dict) or one.get("extension") in TYPES),
    )


def offer(document: object) -> Offer:
    """Read one offered file. Raises BadDocument."""
    found = _object(document, "a file")
    for name, pattern in (("id", _ID), ("recording", _ID), ("kind", _KIND), ("sha256", SHA256_HEX)):
        if not isinstance(found.get(name), str) or not pattern.fullmatch(found[name]):
            raise BadDocument(f"{_shown(found.get(name))} is no {name} of a file")
    size = found.get("bytes")
    if type(size) is not int or not 0 < size <= MAX_FILE_BYTES:
        raise BadDocument(f"{_shown(size)} bytes is no size of a file")
    if found.get("extension") not in TYPES:
        raise BadDocument(f"files that end in {_shown(found.get('extension'))} are unknown; update Tropa")
    lesson = _object(found.get("lesson"), "a lesson")
    length = lesson.get("duration_s")
    return Offer(
        **{name: found[name] for name in ("id", "recording", "kind", "bytes", "sha256", "extension")},
        name=_text(found.get("name"), "a file's name"),
        lesson=Lesson(
            **{
                name: _text(lesson.get(name), f"the lesson's {name}")
                for name in ("title", "subject", "grades", "host_school", "date")
            },
            duration_s=float(length) if type(length) in (int, float) and 0 <= length < 10**6 else None,
        ),
    )


def manifest(document: object) -> Manifest:
    """Read a manifest. Raises BadDocument."""
    found = offer(document)
    try:
        listed = chunks.parse(document)
    except BadChunkList as error:
        raise BadDocument(f"the manifest cannot be true: {error}") from None
    return Manifest(found, listed)


def _object(value: object, what: str) -> dict:
    if not isinstance(value, dict):
        raise BadDocument(f"{what} is no object")
    return value


def _text(value: object, what: str) -> str:
    """Clean a text: one line, no control or direction marks, as it is shown on pages and terminals."""
    if not isinstance(value, str) or len(value) > MAX_TEXT_CHARS:
        raise BadDocument(f"{what} is no text of at most {MAX_TEXT_CHARS} characters")
    return " ".join("".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in value).split())


def _number(value: object, most: int, what: str) -> int | None:
    if value is None:
        return None
    if type(value) is not int or not 0 < value <= most:
        raise BadDocument(f"{_shown(value)} cannot be {what}")
    return value


def _window(value: object) -> Window | None:
    if value is None:
        return None
    found = _object(value, "the night")
    try:
        return Window(parse_clock(str(found.get("from"))), parse_clock(str(found.get("to"))))
    except ValueError as error:
        raise BadDocument(f"the night cannot be true: {error}") from None


def _zone(value: object) -> str:
    try:
        return ZoneInfo(str(value)[:64]).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadDocument(f"the time zone {_shown(value)} is unknown on this computer") from None


def _shown(value: object) -> str:
    return repr(str(value)[:40])
