"""Decide what to try for a lesson's picture, where samples are taken, and what the trials say."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rules.content import Look
from rules.lessonplan import Content, PicturePlan, Reason
from rules.qualitysearch import Aim, Found, Trial, price
from rules.renditions import Picture

# Heights that are tried, largest first. 480 lines are what VMAF is taken at; AV1 at a high CRF there beats fewer lines.
HEIGHTS = (480, 432, 360, 288, 240, 180)
# What VMAF's standard model takes for a picture's size on a screen; taller sources are compared at this size, as their
# files are watched in a window or on an old projector.
JUDGED = (854, 480)
# What a lesson must look like: VMAF 80 is "good" on its scale of 20 (bad) to 100 (excellent); text has to be read.
TARGETS = {Content.CAMERA: 80.2, Content.BOARD: 80.2, Content.SCREEN: 87.0, Content.SLIDES: 90.0}
# What a whole lesson's VMAF has over that of its samples, at least. People look better in the whole, as each sample
# begins anew: by 0.5 to 2.6 on the clips. A screen is as good as the keyframe before it, and in the whole those are far
# apart: -1.3 to -1.6. Slides lie between.
WHOLE_GAIN = {Content.CAMERA: 0.7, Content.BOARD: 0.7, Content.SCREEN: -1.6, Content.SLIDES: 0.0}
# Where each search begins; only its length depends on it.
STARTS = {
    Content.CAMERA: (480, 57.0),
    Content.BOARD: (480, 57.0),
    Content.SCREEN: (480, 52.0),
    Content.SLIDES: (480, 50.0),
}
# People and boards at 10 frames a second; what moves on screens is small and cheap, and 15 follow a cursor.
CAMERA_FPS, SCREEN_FPS, LEAST_FPS = 10.0, 15.0, 5.0
# Seeking decodes from a keyframe on: so many frames at most, two seconds on an old PC, and so many seconds. A keyframe
# costs as much as one or two seconds of people, but as six of a screen, whose frames are decoded much faster.
KEYFRAMES = {
    Content.CAMERA: (400, 40.0),
    Content.BOARD: (400, 40.0),
    Content.SCREEN: (600, 40.0),
    Content.SLIDES: (600, 40.0),
}
# SVT-AV1's preset by what is shown, so that two cores encode at four times real time: what stands costs little time, so
# that the slower preset of the two is had for nothing. Above so many luma samples a second, the fast one.
PRESETS = {Content.CAMERA: 6, Content.BOARD: 6, Content.SCREEN: 4, Content.SLIDES: 4}
FAST_PRESET, MOST_SAMPLES_S = 8, 12_500_000
# The container's own bytes: MP4's tables for 10 pictures and 17 sounds a second.
CONTAINER_BPS = 900
# Below this a picture at half the rate is better than a worse one.
POOR_VMAF = 55.0
# Samples: long enough for one full hierarchy of 32 frames at 10 frames a second and some.
SAMPLE_S, MIN_SAMPLES, MAX_SAMPLES, MINUTES_PER_SAMPLE = 4.0, 3, 6, 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a plan: VMAF (None: what the content needs), bytes of the whole small video, frame rate.

    `fps` None lets the content decide; `max_height` bounds what is tried. `height` and `crf` name what is known to be
    about right: then only that height is tried, and the search begins there.
    """

    vmaf: float | None = None
    budget_bytes: int | None = None
    fps: float | None = None
    max_height: int = HEIGHTS[0]
    height: int | None = None
    crf: float | None = None


@dataclass(frozen=True, slots=True)
class Shape:
    """A source's picture: pixels, frames per second. Its `lines` are those of its shorter side, even."""

    width: int
    height: int
    fps: float

    @property
    def lines(self) -> int:
        """What a "360p" counts, in an upright picture too."""
        return min(self.width, self.height) // 2 * 2


def rate_for(content: Content, source_fps: float, wanted: Wanted) -> float:
    """Choose the frame rate, never above the source's; one that divides it where the content moves evenly."""
    if wanted.fps is not None:
        return min(source_fps, wanted.fps)
    if content in (Content.CAMERA, Content.BOARD):
        return min(source_fps, CAMERA_FPS)
    if source_fps <= SCREEN_FPS:
        return source_fps
    even = source_fps / math.ceil(source_fps / SCREEN_FPS)
    return even if even >= CAMERA_FPS else SCREEN_FPS


def aim_for(content: Content, source: Shape, wanted: Wanted) -> Aim:
    """Say what the search looks for. A source lower than every height is taken as it is."""
    own = source.lines
    heights = tuple(height for height in HEIGHTS if height <= min(own, wanted.max_height))
    if not heights or (own < min(HEIGHTS[0], wanted.max_height) and own - heights[0] > 0.05 * own):
        heights = (own, *heights)
    if wanted.height is not None and wanted.height <= own:
        heights = (wanted.height,)
    start_height, start_crf = STARTS[content]
    start = min(heights, key=lambda height: abs(height - start_height))
    asked = target_for(content, wanted) - WHOLE_GAIN[content]
    return Aim(asked, heights, start, start_crf if wanted.crf is None else wanted.crf)


def target_for(content: Content, wanted: Wanted) -> float:
    """Return the VMAF to reach."""
    return TARGETS[content] if wanted.vmaf is None else wanted.vmaf


def whole_vmaf(content: Content, of_samples: float) -> float:
    """Predict a whole lesson's VMAF from that of its samples."""
    return min(100.0, max(0.0, of_samples + WHOLE_GAIN[content]))


def at(content: Content, source: Shape, height: int, fps: float, crf: float) -> PicturePlan:
    """Return the plan of one trial, or of the whole lesson; `height` counts the shorter side's lines."""
    picture = fitted(source, height, fps)
    preset = PRESETS[content] if picture.width * picture.height * fps <= MOST_SAMPLES_S else FAST_PRESET
    return PicturePlan(picture.width, picture.height, fps, crf, preset, 0, keyframe_s(content, fps))


def keyframe_s(content: Content, fps: float) -> float:
    """Return the longest way between two keyframes, in seconds."""
    frames, seconds = KEYFRAMES[content]
    return min(seconds, frames / fps)


def fitted(source: Shape, height: int, fps: float) -> Picture:
    """Scale a source to so many lines on its shorter side, never up, both sides even."""
    scale = min(1.0, height / source.lines)
    sides = (max(2, round(side * scale / 2) * 2) for side in (source.width, source.height))
    return Picture(*sides, fps)


def judged_at(source: Shape, fps: float) -> Picture:
    """Return the size at which a result is compared with its source: 854x480, as the figures of other systems are.

    Squarer pictures are stretched to it, as they have more to lose across; upright ones are judged upright, and small
    ones at their own size.
    """
    if source.lines < JUDGED[1]:
        return fitted(source, source.lines, fps)
    sides = JUDGED if source.width >= source.height else JUDGED[::-1]
    return Picture(*sides, fps)


def picture_rate(budget_bytes: int, duration_s: float, voice_bps: int) -> float:
    """Return what a budget leaves for the picture, bits per second; below 0 where the voice alone is too much."""
    return budget_bytes * 8 / max(duration_s, 1.0) - voice_bps - CONTAINER_BPS


def file_bytes(rate_bps: float, voice_bps: int, duration_s: float) -> int:
    """Predict the small video's size."""
    return round((rate_bps + voice_bps + CONTAINER_BPS) * duration_s / 8)


def sample_rate_bps(key_bytes: Sequence[int], other_bytes: int, length_s: float, fps: float, apart_s: float) -> float:
    """Work out a lesson's rate from samples that each begin with a keyframe: in the lesson they are `apart_s` apart.

    `length_s` is that of all samples together.
    """
    keys_s = len(key_bytes) / fps
    between = other_bytes / max(length_s - keys_s, 1 / fps)
    each = sum(key_bytes) / len(key_bytes)
    return 8 * (each / apart_s + between * (1 - 1 / fps / apart_s))


def sample_starts(looks: Sequence[Look], begins_s: float, ends_s: float) -> tuple[float, ...]:
    """Choose where samples of SAMPLE_S begin between two moments, in order.

    Pieces are sorted by how much happens in them and taken from the middle of each of equal shares, so that lively and
    quiet parts count as they do in the lesson.
    """
    pieces = int((ends_s - begins_s) // SAMPLE_S)
    if pieces < 1:
        return (begins_s,)
    wanted = min(pieces, MAX_SAMPLES, max(MIN_SAMPLES, round((ends_s - begins_s) / 60 / MINUTES_PER_SAMPLE)))
    slack_s = (ends_s - begins_s - pieces * SAMPLE_S) / pieces
    starts = [begins_s + number * (SAMPLE_S + slack_s) for number in range(pieces)]
    happens = _activity(looks, starts)
    ranked = sorted(range(pieces), key=lambda number: (happens[number], number))
    chosen = [ranked[int((share + 0.5) * pieces / wanted)] for share in range(wanted)]
    return tuple(starts[number] for number in sorted(chosen))


def _activity(looks: Sequence[Look], starts: Sequence[float]) -> list[float]:
    """Sum up the changes in each piece; where looks are rarer than pieces, the look before a piece speaks for it."""
    times = [look.at_s for look in looks]
    sums = []
    for start in starts:
        first, last = bisect_right(times, start), bisect_right(times, start + SAMPLE_S)
        within = looks[first:last] or looks[max(0, first - 1) : first]
        sums.append(sum(look.change_share for look in within) / max(1, len(within)))
    return sums


def explain(
    content: Content, fps: float, source: Shape, aim: Aim, found: Found, trials: tuple[Trial, ...]
) -> tuple[Reason, ...]:
    """Say why the picture is as it is: its measures, what another height would have cost, and what was not reached."""
    vmaf = round(whole_vmaf(content, found.trial.vmaf), 1)
    size = (("height", found.trial.height), ("fps", fps), ("vmaf", vmaf))
    reasons = [Reason(f"picture_{content.value}", size)]
    other = _next_best(aim, found, trials)
    if other is not None:
        reasons.append(other)
    if found.trial.height >= source.lines:
        reasons.append(Reason("picture_source_height", (("height", source.lines),)))
    if aim.rate_bps is not None:
        code = "picture_in_budget" if found.reached else "picture_over_budget"
        reasons.append(Reason(code, (("vmaf", vmaf),)))
    elif not found.reached:
        reasons.append(
            Reason("picture_below_target", (("vmaf", vmaf), ("target", round(whole_vmaf(content, aim.vmaf), 1))))
        )
    return tuple(reasons)


def _next_best(aim: Aim, found: Found, trials: tuple[Trial, ...]) -> Reason | None:
    """Tell of the cheapest other height that was tried, with what it would have cost more (percent, or VMAF)."""
    ours = price(trials, aim, found.trial.height)
    others = {trial.height for trial in trials} - {found.trial.height}
    prices = {height: price(trials, aim, height) for height in others}
    finite = {height: cost for height, cost in prices.items() if cost is not None and math.isfinite(cost)}
    if aim.rate_bps is not None or ours is None or not math.isfinite(ours) or not finite:
        return None
    height = min(finite, key=lambda one: finite[one])
    percent = round(100 * (finite[height] / ours - 1))
    return Reason("picture_other_height", (("height", height), ("percent", percent))) if percent > 0 else None
