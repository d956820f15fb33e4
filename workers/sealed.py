"""Pure: read a sealed recording's manifest, believing nothing in it that has not been checked.

The format is in docs/architecture.md, "Recorder → worker: files".
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

VERSION = 1
MAX_SEGMENTS = 2000
MAX_ATTENDANCE = 100_000
MAX_DELAY_S = 10.0
_FILE = re.compile(r"segment-\d{4,6}\.(mp4|webm)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ManifestDamaged(ValueError):
    """A manifest that cannot be used; the text says what is wrong with it, in English for the log."""


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the recording; `video_delay_s` is what must be added to the picture's times."""

    file: str
    container: str
    video_codec: str
    bytes: int
    sha256: str
    duration_s: float
    video_delay_s: float


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of one viewer; `key` is "person:<id>" or "guest:<id>", `school` a school's id or ""."""

    key: str
    name: str
    school: str
    joined_at: datetime
    left_at: datetime


@dataclass(frozen=True, slots=True)
class Interruption:
    """The host was away for `seconds` after the segment of this number, counted from 1."""

    after_segment: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Sealed:
    """A recording as its recorder sealed it."""

    session: str
    recording: str
    started_at: datetime
    ended_at: datetime
    segments: tuple[Segment, ...]
    gaps: tuple[Interruption, ...]
    attendance: tuple[Stay, ...]


def parse(text: str, session: str, recording: str) -> Sealed:
    """Check a manifest that stood in the folder of this session and recording. Raises ManifestDamaged."""
    try:
        given = json.loads(text)
        if given["version"] != VERSION:
            raise ManifestDamaged(f"version {given['version']!r} is not known; expected {VERSION}")
        if (given["session"], given["recording"]) != (session, recording):
            raise ManifestDamaged("it belongs to another recording")
        started_at, ended_at = _moment(given["started_at"]), _moment(given["ended_at"])
        if len(given["segments"]) > MAX_SEGMENTS or len(given["attendance"]) > MAX_ATTENDANCE:
            raise ManifestDamaged("it lists too much")
        return Sealed(
            session=session,
            recording=recording,
            started_at=started_at,
            ended_at=max(started_at, ended_at),
            segments=tuple(_segment(one) for one in given["segments"]),
            gaps=tuple(Interruption(int(one["after_segment"]), _positive(one["seconds"])) for one in given["gaps"]),
            attendance=tuple(_stay(one, ended_at) for one in given["attendance"]),
        )
    except ManifestDamaged:
        raise
    except (ValueError, LookupError, ArithmeticError, TypeError, AttributeError, RecursionError) as trouble:
        raise ManifestDamaged(f"{type(trouble).__name__}: {trouble}") from trouble


def _segment(given: dict) -> Segment:
    if not _FILE.fullmatch(given["file"]):
        raise ManifestDamaged(f"{given['file']!r} is no name of a segment")
    if not _SHA256.fullmatch(given["sha256"]):
        raise ManifestDamaged(f"{given['file']}: sha256 is no SHA-256")
    delay_s = float(given.get("video_delay_s") or 0.0)
    if not math.isfinite(delay_s) or abs(delay_s) > MAX_DELAY_S:
        delay_s = 0.0  # a host's clock that is wrong by so much says nothing about its picture
    return Segment(
        file=given["file"],
        container=given["file"].rpartition(".")[2],
        video_codec=str(given.get("video_codec") or ""),
        bytes=int(given["bytes"]),
        sha256=given["sha256"],
        duration_s=_positive(given["duration_s"]),
        video_delay_s=delay_s,
    )


def _stay(given: dict, ended_at: datetime) -> Stay:
    joined_at = _moment(given["joined_at"])
    left_at = _moment(given["left_at"]) if given.get("left_at") else ended_at
    return Stay(
        key=str(given["key"])[:40],
        name=str(given["name"])[:200],
        school=str(given.get("school") or "")[:16],
        joined_at=joined_at,
        left_at=max(joined_at, left_at),
    )


def _moment(given: str | float) -> datetime:
    """Read a moment: ISO 8601 text, or Unix seconds."""
    if isinstance(given, int | float):
        return datetime.fromtimestamp(given, UTC)
    moment = datetime.fromisoformat(given)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _positive(given: float) -> float:
    value = float(given)
    if not math.isfinite(value) or value < 0:
        raise ManifestDamaged(f"{given!r} is no length of time")
    return value


def gaps_in(sealed: Sealed, durations_s: tuple[float, ...]) -> list[dict[str, float]]:
    """Place the interruptions in the finished recording, given how long each segment really is (seconds)."""
    placed = []
    for gap in sealed.gaps:
        if 1 <= gap.after_segment < len(durations_s):
            at_s = sum(durations_s[: gap.after_segment])
            placed.append({"at_s": round(at_s, 3), "seconds": gap.seconds})
    return placed
