"""Pure: what a recording's folder says: segments, parts, attendance, gaps, and the manifest that seals it.

The files and their fields are fixed in docs/architecture.md, "Recorder → worker: files".
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise

VERSION = 1
RECORDING_FILE, ATTENDANCE_FILE, MANIFEST_FILE = "recording.json", "attendance.jsonl", "manifest.json"
MIN_GAP_S = 0.25
"""Shorter holes between segments are the frame that was cut, not time that anybody misses."""
REASONS = frozenset({"ended", "host_left", "host_lost", "limit", "restart"})


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What is known when a segment begins: the first line of its jsonl. Times are Unix seconds."""

    container: str
    video_codec: str | None
    audio_codec: str | None
    started_at: float
    width: int | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """One line of a segment's jsonl; `keyframe`: a keyframe is in it. The head stands before the first part."""

    offset: int
    bytes: int
    start_s: float
    duration_s: float
    keyframe: bool
    video_delay_s: float | None = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished segment, as the manifest lists it."""

    file: str
    container: str
    video_codec: str | None
    audio_codec: str | None
    started_at: float
    duration_s: float
    bytes: int
    sha256: str
    parts: int
    video_delay_s: float
    width: int | None
    height: int | None

    @property
    def ended_at(self) -> float:
        """Return the Unix time of its last sample."""
        return self.started_at + self.duration_s


@dataclass(frozen=True, slots=True)
class Stay:
    """One stay of one viewer; `left_at` is None while it lasts."""

    key: str
    name: str
    school: str
    joined_at: float
    left_at: float | None = None


def segment_name(number: int, container: str) -> str:
    """Name the segment with this number, counted from 1."""
    return f"segment-{number:04d}.{container}"


def segment_of(file: str, head: SegmentHead, parts: Iterable[Part], sha256: str) -> Segment:
    """Sum up the whole parts of a segment."""
    parts = list(parts)
    delays = [part.video_delay_s for part in parts if part.video_delay_s is not None]
    return Segment(
        file=file,
        container=head.container,
        video_codec=head.video_codec,
        audio_codec=head.audio_codec,
        started_at=head.started_at,
        duration_s=round(max((part.start_s + part.duration_s for part in parts), default=0.0), 3),
        bytes=end_of(parts),
        sha256=sha256,
        parts=len(parts),
        video_delay_s=delays[-1] if delays else 0.0,
        width=head.width,
        height=head.height,
    )


def to_line(value: SegmentHead | Part | Stay) -> str:
    """Write one line of a jsonl file, leaving out what is not known yet."""
    fields = asdict(value)
    for optional in ("video_delay_s", "left_at"):
        if fields.get(optional, 0) is None:
            del fields[optional]
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")) + "\n"


def whole_lines(text: str) -> list[dict]:
    """Return the lines up to the first that is torn or damaged."""
    found = []
    for line in text.splitlines(keepends=True):
        try:
            fields = json.loads(line) if line.endswith("\n") else None
        except ValueError:
            fields = None
        if not isinstance(fields, dict):
            break
        found.append(fields)
    return found


def read_segment_lines(text: str) -> tuple[SegmentHead | None, list[Part]]:
    """Read a segment's jsonl as far as it is whole; the head is None where even that is not."""
    lines = whole_lines(text)
    try:
        head = SegmentHead(**lines[0])
    except (IndexError, TypeError):
        return None, []
    parts: list[Part] = []
    for fields in lines[1:]:
        try:
            part = Part(**fields)
        except TypeError:
            break
        if parts and part.offset != end_of(parts):
            break
        parts.append(part)
    return head, parts


def end_of(parts: list[Part]) -> int:
    """Return the length of a file that ends with these parts."""
    return parts[-1].offset + parts[-1].bytes if parts else 0


def read_attendance(text: str) -> list[Stay]:
    """Read attendance.jsonl: a later line with the same key and beginning replaces the earlier one."""
    stays: dict[tuple[str, float], Stay] = {}
    for fields in whole_lines(text):
        try:
            stay = Stay(**fields)
        except TypeError:
            continue
        stays[stay.key, stay.joined_at] = stay
    return list(stays.values())


def close_stays(stays: Iterable[Stay], at_s: float) -> list[Stay]:
    """Let everybody who is still there leave at `at_s`."""
    return [stay if stay.left_at is not None else replace(stay, left_at=max(at_s, stay.joined_at)) for stay in stays]


def gaps(segments: list[Segment]) -> list[dict]:
    """Return the interruptions: `at_s` in the finished recording's own time, `seconds` of real time that is missing."""
    found, at_s = [], 0.0
    for number, (segment, following) in enumerate(pairwise(segments), 1):
        at_s += segment.duration_s
        missing_s = following.started_at - segment.ended_at
        if missing_s >= MIN_GAP_S:
            found.append({"after_segment": number, "at_s": round(at_s, 3), "seconds": round(missing_s, 3)})
    return found


def manifest(
    session: str,
    recording: str,
    started_at: float,
    ended_at: float,
    reason: str,
    segments: list[Segment],
    attendance: list[Stay],
) -> dict:
    """Compose manifest.json. Raises ValueError for an unknown reason."""
    if reason not in REASONS:
        raise ValueError(f"reason {reason!r}; expected one of {', '.join(sorted(REASONS))}")
    return {
        "version": VERSION,
        "session": session,
        "recording": recording,
        "started_at": round(started_at, 3),
        "ended_at": round(max(started_at, ended_at), 3),
        "reason": reason,
        "segments": [asdict(segment) for segment in segments],
        "gaps": gaps(segments),
        "attendance": [asdict(stay) for stay in close_stays(attendance, ended_at)],
    }
