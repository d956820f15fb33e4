"""Make a clip's small video by the planner and the encoder that workers use, without database and queue."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench.encode_clips import Clip
from rules import pieces, renditions
from rules.lessonplan import LessonPlan
from rules.pictureplan import JUDGED, Wanted
from rules.renditions import Kind, Picture
from workers import analysis, encoder, joining, plan, planoptions, samples, trials

# The frame size at which the published figures of the peers were taken.
REFERENCE = Picture(*JUDGED, 25.0)
LIMIT_S = 3 * 3600.0
# The whole clip may differ from its samples: plans are made again until the whole is as good as asked for, and better
# by no more than the search itself allows.
ROUNDS, OVER = 4, 0.6
# Added to what is asked for, so that the next round does not end a hair below.
MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Made:
    """One small video: its plan, its file, VMAF of the whole at its own frame rate, and seconds of work."""

    plan: LessonPlan
    path: Path
    vmaf: float
    plan_s: float
    encode_s: float


@dataclass(frozen=True, slots=True)
class Known:
    """What looking and listening found; it is the same for every plan of a clip."""

    sight: analysis.Sight | None
    heard: analysis.Heard | None
    seconds: float


def know(clip: Clip, folder: Path) -> Known:
    """Look at a clip and listen to it."""
    began_s = time.monotonic()
    sight = analysis.look((clip.path,), clip.line, folder, _quiet) if clip.line.has_video else None
    heard = analysis.listen((clip.path,), clip.line, _quiet) if clip.line.has_audio else None
    return Known(sight, heard, time.monotonic() - began_s)


def make(clip: Clip, known: Known, wanted: Wanted, folder: Path) -> Made:
    """Plan a clip, encode it whole as the plan says, and judge what came out."""
    began_s = time.monotonic()
    lesson = trials.make_plan((clip.path,), clip.line, known.sight, known.heard, wanted, folder, _quiet)
    planned_s = time.monotonic()
    path = encode(clip, lesson, folder)
    made_s = time.monotonic()
    vmaf = samples.vmaf(path, clip.path, lesson.picture.fps, REFERENCE, folder, _pause)
    return Made(lesson, path, vmaf, known.seconds + planned_s - began_s, made_s - planned_s)


def reach(clip: Clip, known: Known, vmaf: float, fps: float, folder: Path) -> Made:
    """Make the smallest small video found whose whole reaches a VMAF at a frame rate.

    Each further round corrects what is asked of the samples by how far the whole was from them.
    """
    wanted = Wanted(vmaf=vmaf + MARGIN, fps=fps)
    best, tried = None, set()
    for number in range(ROUNDS):
        made = make(clip, known, wanted, folder)
        kept = made.path.rename(folder / f"round-{number}.mp4")
        made = replace(made, path=kept)
        if made.vmaf >= vmaf and (best is None or kept.stat().st_size < best.path.stat().st_size):
            best = made
        print(f"    round {number}: crf {made.plan.picture.crf:g} vmaf {made.vmaf:.2f} of {vmaf:.2f}", flush=True)
        if vmaf <= made.vmaf <= vmaf + OVER or (made.vmaf >= vmaf and made.plan.picture.crf in tried):
            break
        tried.add(made.plan.picture.crf)
        off = made.vmaf - made.plan.predicted_vmaf
        lines = min(made.plan.picture.width, made.plan.picture.height)
        wanted = Wanted(vmaf=vmaf + MARGIN - off, fps=fps, height=lines, crf=made.plan.picture.crf)
    return best or made


def encode(clip: Clip, lesson: LessonPlan, folder: Path) -> Path:
    """Encode picture and sound as workers do, the picture in one piece, and put them together."""
    picture = lesson.picture.picture
    count = pieces.frame_count(clip.line.duration_s, picture.fps)
    stretch = folder / "stretch.mp4"
    job = encoder.StretchJob(
        sources=(clip.path,),
        timeline=clip.line,
        picture=picture,
        spans=pieces.spans([one.duration_s for one in clip.line.segments], picture.fps, pieces.Stretch(0, count)),
        options=planoptions.picture_options(lesson.picture, samples.THREADS),
        entries_s=None,
        target=stretch,
    )
    encoder.run(job, LIMIT_S, _quiet, threads=samples.THREADS)
    sound = voice(clip, lesson, folder) if lesson.voice else None
    target = folder / "ours.mp4"
    joining.join([joining.Part(stretch, 0, count)], sound, target, plan.rate_of(picture.fps), _quiet)
    return target


def voice(clip: Clip, lesson: LessonPlan, folder: Path) -> Path:
    """Encode the sound as workers do."""
    target = folder / f"voice.{renditions.CONTAINERS[Kind.VOICE_OPUS].extension}"
    encoder.run(encoder.SoundJob(Kind.VOICE_OPUS, (clip.path,), clip.line, lesson.voice, target), LIMIT_S, _quiet)
    return target


def _quiet(done: float) -> None:
    """A bench tells of whole steps."""


def _pause() -> None:
    """Nobody waits for a report."""
