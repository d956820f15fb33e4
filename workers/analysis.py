"""Listen to a lesson and look at it, once each and cheaply, and find the plan for its small files by sample encodes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rules import content, soundplan
from rules.content import Look
from rules.soundplan import Heard, Level
from workers import child, plan, samples

Progress = Callable[[float], None]
# Listening runs at several hundred times real time, looking at keyframes too; a busy old PC gets forty times as long.
LIMIT_BASE_S, LIMIT_PER_S = 120.0, 1.0
# Up to this length every frame is looked at, and wherever keyframes are rarer than this (live hosts send few).
SHORT_S, RARE_KEYFRAMES_S = 90.0, 12.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: a look about every second or at every keyframe, and where the picture became another one (s)."""

    looks: tuple[Look, ...]
    cuts_s: tuple[float, ...]


def listen(sources: Sequence[Path], timeline: plan.Timeline, on_progress: Progress) -> Heard:
    """Measure all sound of a recording. A segment that ends in damage counts as far as it goes.

    on_progress gets the share done (0 to 1) about once a second; what it raises goes on to the caller.
    """
    levels: list[Level] = []
    done_s = 0.0
    for segment in timeline.segments:
        if segment.audio_offset_s is not None:
            reader = _Levels()
            began_s = done_s

            def tick(reader: _Levels = reader, began_s: float = began_s) -> None:
                on_progress(min(1.0, (began_s + len(reader.levels) * soundplan.LEVEL_EVERY_S) / timeline.duration_s))

            try:
                samples.hear(sources[segment.index], segment, _limit_s(segment.duration_s), reader.take, tick)
            except child.ChildFailed as failure:
                if failure.code != "damaged":
                    raise
            levels += reader.levels
        done_s += segment.duration_s
    return soundplan.heard(levels)


class _Levels:
    """Gathers levels from the lines that ffmpeg prints of each tenth of a second."""

    def __init__(self) -> None:
        self.levels: list[Level] = []
        self._momentary = -120.0
        self._peak = -120.0

    def take(self, line: str) -> None:
        """Take one line; a tenth is complete with its RMS level, which is printed last."""
        name, _, value = line.partition("=")
        if name == "lavfi.r128.M":
            self._momentary = float(value)
        elif name == "lavfi.astats.Overall.Peak_level":
            self._peak = float(value)
        elif name == "lavfi.astats.Overall.RMS_level":
            self.levels.append(Level(self._momentary, float(value), self._peak))


def look(sources: Sequence[Path], timeline: plan.Timeline, folder: Path, on_progress: Progress) -> Sight:
    """Look at the picture of a recording, as small grey pictures that pass through `folder`.

    Keyframes alone are decoded where there are enough of them. A segment that ends in damage counts as far as it goes.
    """
    looks: list[Look] = []
    done_s, last = 0.0, None
    for segment in timeline.segments:
        if segment.video_offset_s is not None:

            def told(at_s: float, began_s: float = done_s) -> None:
                on_progress(min(1.0, (began_s + at_s) / timeline.duration_s))

            source, found, grey = sources[segment.index], [], None
            if segment.duration_s > SHORT_S:
                found, grey = _look_at(source, segment, folder, told, last, keyframes_only=True)
            if len(found) * RARE_KEYFRAMES_S < segment.duration_s:
                found, grey = _look_at(source, segment, folder, told, last, keyframes_only=False)
            last = grey or last
            looks += [_moved(one, done_s) for one in found]
        done_s += segment.duration_s
    return Sight(tuple(looks), content.cuts(looks))


def _look_at(
    source: Path,
    segment: plan.SegmentPlan,
    folder: Path,
    told: Callable[[float], None],
    before: bytes | None,
    *,
    keyframes_only: bool,
) -> tuple[list[Look], bytes | None]:
    """Look at one segment after the picture `before`; return the looks, at its own times, and its last picture."""
    frames = folder / "looks.grey"
    times: list[float] = []

    def take(line: str) -> None:
        _, found, value = line.partition("pts_time:")
        if found:
            times.append(float(value))

    try:
        samples.look(
            *(source, segment, frames),
            keyframes_only=keyframes_only,
            limit_s=_limit_s(segment.duration_s),
            on_line=take,
            tick=lambda: told(times[-1] if times else 0.0),
        )
    except child.ChildFailed as failure:
        if failure.code != "damaged":
            raise
        if not frames.exists():
            return [], before
    size = samples.LOOK_WIDTH * samples.LOOK_HEIGHT
    found: list[Look] = []
    with frames.open("rb") as file:
        for at_s in times:
            grey = file.read(size)
            if len(grey) < size:
                break
            found.append(content.measure(max(0.0, at_s), grey, before, samples.LOOK_WIDTH))
            before = grey
    frames.unlink()
    return found, before


def _moved(one: Look, by_s: float) -> Look:
    return Look(one.at_s + by_s, one.change_share, one.same_share, one.flat_share, one.hard_share, one.top_share)


def _limit_s(duration_s: float) -> float:
    return LIMIT_BASE_S + LIMIT_PER_S * duration_s
