"""Find out step by step what a recording's files are to be: its timeline, its voice, where it is cut, its picture.

What one step found is kept (store.plans), so that the next one, or another worker, need not look again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rules import lessonplan, pieces, renditions, soundplan
from rules.lessonplan import LessonPlan, VoicePlan
from rules.pictureplan import Wanted
from rules.renditions import Kind, Picture
from rules.soundplan import Heard
from workers import analysis, plan, probe, trials
from workers.attempt import Refused

# Shares of the time that looking for a plan takes: looking at the picture, then trials.
LOOK_SHARE = 0.3


def timeline(kept: Mapping[str, Any], sources: Sequence[Path], segments: Sequence[dict]) -> plan.Timeline:
    """Lay a recording's segments out in time, or read back how; Refused where there is nothing to see or hear."""
    if "line" in kept:
        return plan.from_json(kept["line"])
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


def heard(
    kept: Mapping[str, Any], sources: Sequence[Path], line: plan.Timeline, on_progress: Callable[[float], None]
) -> Heard | None:
    """Listen to a recording, or read back what was heard; None where there is no sound."""
    if not line.has_audio:
        return None
    return Heard(**kept["heard"]) if "heard" in kept else analysis.listen(sources, line, on_progress)


def voice_of(found: Heard) -> VoicePlan:
    """Say how the voice files are made. The small video's sound may be thriftier: `LessonPlan.voice`."""
    return soundplan.plan_voice(found)[0]


def cut(sources: Sequence[Path], line: plan.Timeline, sight: analysis.Sight) -> dict[str, Any]:
    """Decide where pictures are cut, and what needs no trials: the compatible video."""
    entries = [_entries(sources[one.index], one) for one in line.segments]
    starts = [sum(one.duration_s for one in line.segments[:place]) for place in range(len(line.segments))]
    moments = sorted(start + at for start, found in zip(starts, entries, strict=True) for at in found)
    compat = renditions.picture(Kind.VIDEO_COMPAT, line.width, line.height, line.fps)
    return {
        "line": plan.to_json(line),
        "length_s": line.duration_s,
        "bounds_s": list(pieces.bounds(line.duration_s, sight.cuts_s, moments)),
        "entries_s": [[round(at, 3) for at in found] for found in entries],
        "pictures": {Kind.VIDEO_COMPAT.value: _size(compat)},
    }


def lesson(
    kept: Mapping[str, Any],
    sources: Sequence[Path],
    line: plan.Timeline,
    sight: analysis.Sight,
    found: Heard | None,
    folder: Path,
    on_progress: Callable[[float], None],
    *,
    at_most_mb: int = 0,
) -> dict[str, Any]:
    """Choose the small video by trials; at_most_mb: megabytes that it may have, 0 as many as its quality needs."""
    wanted = Wanted(budget_bytes=at_most_mb * 1_000_000 or None)
    made = trials.make_plan(sources, line, sight, found, wanted, folder, on_progress)
    if made.picture is None:
        raise Refused("damaged", "no plan for a picture came out")
    pictures = {**kept["pictures"], Kind.VIDEO_SMALL.value: _size(made.picture.picture)}
    return {"lesson": lessonplan.to_json(made), "pictures": pictures}


def lesson_of(kept: Mapping[str, Any]) -> LessonPlan:
    """Read the lesson's plan back. Raises ValueError where there is none, or one of another version."""
    if "lesson" not in kept:
        raise ValueError("the lesson is not planned yet")
    return lessonplan.from_json(kept["lesson"])


def picture_of(kept: Mapping[str, Any], kind: Kind) -> Picture:
    """Read back the picture of one kind of file."""
    return Picture(**kept["pictures"][kind])


def told(found: Heard) -> dict[str, Any]:
    """Turn what was heard into JSON."""
    return asdict(found)


def _size(picture: Picture) -> dict[str, float]:
    return {"width": picture.width, "height": picture.height, "fps": picture.fps}


def _entries(path: Path, segment: plan.SegmentPlan) -> list[float]:
    """List where a segment's picture can be entered, on the segment's own timeline."""
    if segment.video_offset_s is None:
        return []
    shift = segment.video_delay_s - segment.origin_s
    found = probe.entries(path, segment.video_stream)
    return [at + shift for at in found if 0 <= at + shift <= segment.duration_s]
