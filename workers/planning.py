"""Make the plan of a lesson's pictures: what its segments are, what is encoded how, and where it is cut into pieces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rules import pieces, renditions
from rules.renditions import VIDEO_KINDS, Picture
from workers import plan, probe
from workers.attempt import Refused


def timeline(sources: Sequence[Path], segments: Sequence[dict]) -> plan.Timeline:
    """Lay a recording's segments out in time. Raises Refused where there is nothing to see or hear."""
    facts = tuple(
        plan.SegmentFacts.of_upload(segment["tracks"])
        if "tracks" in segment
        else plan.SegmentFacts(*probe.tracks(path), segment["video_delay_s"], segment["duration_s"])
        for path, segment in zip(sources, segments, strict=True)
    )
    try:
        return plan.timeline(facts)
    except ValueError as trouble:
        raise Refused("no_sound_or_picture", str(trouble), permanent=True) from trouble


def make(sources: Sequence[Path], segments: Sequence[dict], on_progress: Callable[[float], None]) -> dict[str, Any]:
    """Look at a recording and return its plan as store.plans keeps it, without the version."""
    line = timeline(sources, segments)
    pictures = {kind: renditions.picture(kind, line.width, line.height, line.fps) for kind in VIDEO_KINDS}
    on_progress(0.1)
    entries = [_entries(sources[one.index], one) for one in line.segments]
    starts = [sum(one.duration_s for one in line.segments[:place]) for place in range(len(line.segments))]
    moments = sorted(start + at for start, found in zip(starts, entries, strict=True) for at in found)
    return {
        "lesson": None,
        "line": plan.to_json(line),
        "length_s": line.duration_s,
        "bounds_s": list(pieces.bounds(line.duration_s, (), moments)),
        "entries_s": [[round(at, 3) for at in found] for found in entries],
        "pictures": {kind.value: _size(picture) for kind, picture in pictures.items()},
    }


def picture_of(kept: dict[str, Any], kind: str) -> Picture:
    """Read back the picture of one kind of file."""
    return Picture(**kept["pictures"][kind])


def _size(picture: Picture) -> dict[str, float]:
    return {"width": picture.width, "height": picture.height, "fps": picture.fps}


def _entries(path: Path, segment: plan.SegmentPlan) -> list[float]:
    """List where a segment's picture can be entered, on the segment's own timeline."""
    if segment.video_offset_s is None:
        return []
    shift = segment.video_delay_s - segment.origin_s
    found = probe.entries(path, segment.video_stream)
    return [at + shift for at in found if 0 <= at + shift <= segment.duration_s]
