"""Pure: plan how the segments of one recording become one picture track and one sound track.

Every segment is put on a timeline of its own that starts at 0 with whatever comes first, sound or picture, and is as
long as the longer of the two. The segments then follow one another without the interruptions between them. A filter is
a name with its options, in ffmpeg's terms (https://ffmpeg.org/ffmpeg-filters.html); the encoder makes it a command.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from rules import renditions

# A first picture that comes later than this is preceded by black, an earlier one is shown from the start.
BLACK_FROM_S = 1.0
# Time stamps beyond what the recorder measured by more than this are damage, not lesson.
OVERRUN_S = 5.0
# Frame rates that hosts really send; a measured average close to one of them is taken for it.
USUAL_FPS = (5, 10, 12, 15, 20, 24, 25, 30, 50, 60)
FPS_TOLERANCE = 0.04
MAX_FPS = 60
# Sharper than the default by 1 to 2 % of the bits at the same VMAF (docs/lesson-planner.md).
SCALER = "lanczos"
# Where a source is entered. MP4 and Matroska know their keyframes; others go somewhere near and look for the next one.
ENTRY_MARGIN_S = 0.1
ROUGH_MARGIN_S = 8.0
EXACT_CONTAINERS = frozenset({"mp4", "webm", "mkv"})
# Silence left out by DTX is put back once it adds up to this much.
MIN_GAP_S = 0.04


@dataclass(frozen=True, slots=True)
class TrackFacts:
    """What probing found of one track: times in seconds on the file's own clock; sizes in pixels, 0 for sound.

    `stream` is the track's number in the file, None for the first of its sort. `width` and `height` are those of the
    upright picture with square pixels; `pixel_aspect` is how wide the file's own pixels are.
    """

    codec: str
    first_s: float
    end_s: float
    frames: int
    width: int = 0
    height: int = 0
    active_fps: float = 0.0
    stream: int | None = None
    pixel_aspect: float = 1.0
    interlaced: bool = False


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """What probing found of one file; `duration_s` is the recorder's own measure, None where there is none."""

    audio: TrackFacts | None
    video: TrackFacts | None
    video_delay_s: float = 0.0
    duration_s: float | None = None

    @classmethod
    def of_upload(cls, tracks: Mapping[str, Mapping | None]) -> SegmentFacts:
        """Read back what was found out about an uploaded file when it was taken: its facts are kept with its key."""
        audio, video = (TrackFacts(**tracks[name]) if tracks[name] else None for name in ("audio", "video"))
        return cls(audio, video)


@dataclass(frozen=True, slots=True)
class Filter:
    """One ffmpeg filter: its name and its options in order."""

    name: str
    options: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Where a segment's tracks stand on its own timeline; an offset is None where the track is missing."""

    index: int
    duration_s: float
    origin_s: float
    audio_offset_s: float | None
    video_offset_s: float | None
    video_delay_s: float
    audio_stream: int | None = None
    video_stream: int | None = None
    pixel_aspect: float = 1.0
    interlaced: bool = False
    # When the last picture begins, on the segment's own timeline.
    last_picture_s: float | None = None


@dataclass(frozen=True, slots=True)
class Timeline:
    """All usable segments in order, and the picture that they are scaled to."""

    segments: tuple[SegmentPlan, ...]
    duration_s: float
    has_audio: bool
    has_video: bool
    width: int
    height: int
    fps: float


def timeline(facts: tuple[SegmentFacts, ...]) -> Timeline:
    """Lay segments out one after another; those without any track are left out.

    The picture is that of the segment with the most pixels. Raises ValueError where no segment has sound or picture.
    """
    plans = tuple(plan for index, one in enumerate(facts) if (plan := _place(index, one)) is not None)
    if not plans:
        raise ValueError("no segment has sound or picture")
    videos = [one.video for one in facts if one.video is not None]
    largest = max(videos, key=lambda video: video.width * video.height, default=None)
    return Timeline(
        segments=plans,
        duration_s=sum(plan.duration_s for plan in plans),
        has_audio=any(plan.audio_offset_s is not None for plan in plans),
        has_video=largest is not None,
        width=largest.width if largest else 0,
        height=largest.height if largest else 0,
        fps=max((usual_fps(video.active_fps) for video in videos), default=0.0),
    )


def _place(index: int, facts: SegmentFacts) -> SegmentPlan | None:
    starts, ends = [], []
    if facts.audio:
        starts.append(facts.audio.first_s)
        ends.append(facts.audio.end_s)
    if facts.video:
        starts.append(facts.video.first_s + facts.video_delay_s)
        ends.append(facts.video.end_s + facts.video_delay_s)
    if not starts:
        return None
    origin = min(starts)
    duration = max(ends) - origin
    if facts.duration_s is not None:
        duration = min(duration, facts.duration_s + abs(facts.video_delay_s) + OVERRUN_S)
    if duration <= 0:
        return None
    return SegmentPlan(
        index=index,
        duration_s=duration,
        origin_s=origin,
        audio_offset_s=facts.audio.first_s - origin if facts.audio else None,
        video_offset_s=facts.video.first_s + facts.video_delay_s - origin if facts.video else None,
        video_delay_s=facts.video_delay_s,
        audio_stream=facts.audio.stream if facts.audio else None,
        video_stream=facts.video.stream if facts.video else None,
        pixel_aspect=facts.video.pixel_aspect if facts.video else 1.0,
        interlaced=facts.video.interlaced if facts.video else False,
        last_picture_s=_last_picture_s(facts, origin) if facts.video else None,
    )


def _last_picture_s(facts: SegmentFacts, origin_s: float) -> float:
    video = facts.video
    return max(video.first_s, video.end_s - 1 / max(1.0, video.active_fps)) + facts.video_delay_s - origin_s


def to_json(line: Timeline) -> dict[str, Any]:
    """Turn a timeline into what a JSON column holds."""
    return asdict(line)


def from_json(kept: Mapping[str, Any]) -> Timeline:
    """Read a timeline back. Raises ValueError where it was kept by another version."""
    try:
        return Timeline(**{**kept, "segments": tuple(SegmentPlan(**one) for one in kept["segments"])})
    except (KeyError, TypeError) as trouble:
        raise ValueError(f"no timeline: {trouble!r}") from trouble


def usual_fps(measured: float) -> float:
    """Take a measured average for the rate that was meant: 24.7 is 25; others are rounded, 1 to 60."""
    near = min(USUAL_FPS, key=lambda usual: abs(usual - measured))
    if abs(near - measured) <= near * FPS_TOLERANCE:
        return float(near)
    return float(min(MAX_FPS, max(1, round(measured))))


def audio_filters(segment: SegmentPlan, sample_rate_hz: int) -> tuple[Filter, ...]:
    """List the filters that put a segment's sound on its timeline, silence where it has gaps, up to its full length.

    aresample fills gaps between time stamps (DTX, loss) instead of closing them up, so sound and picture stay together.
    """
    return (
        Filter("asetpts", (("expr", f"PTS-({segment.origin_s:.6f})/TB"),)),
        Filter(
            "aresample",
            (
                ("sample_rate", str(sample_rate_hz)),
                ("async", "1"),
                ("min_hard_comp", f"{MIN_GAP_S}"),
                ("first_pts", "0"),
            ),
        ),
        Filter("aformat", (("sample_fmts", "fltp"), ("channel_layouts", "mono"))),
        Filter("apad", (("whole_dur", f"{segment.duration_s:.6f}"),)),
        Filter("atrim", (("end", f"{segment.duration_s:.6f}"),)),
        Filter("asetpts", (("expr", "PTS-STARTPTS"),)),
    )


def stretch_filters(segment: SegmentPlan, picture: renditions.Picture, at_s: float, count: int) -> tuple[Filter, ...]:
    """List the filters that give exactly `count` frames of a segment's picture, the first at `at_s` of its timeline.

    What they get may begin earlier. `is_black` tells where no picture is needed at all. Scaling is per frame, as a
    host's browser changes the size in mid-stream when its link gets slow, and comes after the rate: most frames of a
    camera are dropped. The last picture stands wherever newer ones are missing.
    """
    rate = rate_of(picture.fps)
    offset = segment.video_offset_s or 0.0
    last_s = segment.last_picture_s if segment.last_picture_s is not None else segment.duration_s
    # The rate's filter drops a picture that has ended; one that stands is taken from where it began.
    behind = max(0, ceil((at_s - last_s) * rate) + 1) if at_s > last_s else 0
    begin_s = segment.origin_s - segment.video_delay_s + at_s - float(behind / rate)
    lead = int((offset - at_s) * rate) if offset > BLACK_FROM_S else 0
    starts_s = f"{float(lead / rate):.6f}" if lead > 0 else "0"
    return (
        *_made_plain(segment),
        Filter("setpts", (("expr", f"PTS-({begin_s:.6f})/TB"),)),
        # "pass": of a single picture, which ends within half a frame, the filter would else make nothing at all.
        Filter("fps", (("fps", str(rate)), ("start_time", starts_s), ("eof_action", "pass"))),
        *_fitted(picture),
        *(_after_black(lead) if lead > 0 else ()),
        Filter("tpad", (("stop_mode", "clone"), ("stop", str(count + behind)))),
        Filter("trim", (("start_frame", str(behind)), ("end_frame", str(behind + count)))),
        Filter("setpts", (("expr", "N/FR/TB"),)),
    )


def entry_s(
    segment: SegmentPlan, entries_s: Sequence[float], at_s: float, margin_s: float = ENTRY_MARGIN_S
) -> float | None:
    """Say where to enter a source for the picture at `at_s` of its segment's timeline, on the file's own clock.

    entries_s: where it can be entered, on the segment's timeline, sorted; margin_s: how much before that a demuxer is
    asked to go, as not all find what they are asked for exactly. None: at its beginning.
    """
    at_s = min(at_s, segment.last_picture_s if segment.last_picture_s is not None else at_s)
    place = bisect_right(entries_s, at_s - ENTRY_MARGIN_S)
    if not place:
        return None
    return max(0.0, entries_s[place - 1] + segment.origin_s - segment.video_delay_s - margin_s)


def is_black(segment: SegmentPlan, picture: renditions.Picture, at_s: float, count: int) -> bool:
    """Tell whether a stretch of a segment has no picture: there is none, or it begins later."""
    if segment.video_offset_s is None:
        return True
    return (
        segment.video_offset_s > BLACK_FROM_S and int((segment.video_offset_s - at_s) * rate_of(picture.fps)) >= count
    )


def _after_black(lead: int) -> list[Filter]:
    """List the filters that put black before a first picture, up to the frame of this number."""
    return [
        Filter("tpad", (("start", str(lead)), ("start_mode", "add"), ("color", "black"))),
        Filter("setpts", (("expr", "N/FR/TB"),)),
    ]


def _fitted(picture: renditions.Picture) -> list[Filter]:
    return [
        Filter(
            "scale",
            (
                ("w", str(picture.width)),
                ("h", str(picture.height)),
                ("force_original_aspect_ratio", "decrease"),
                ("force_divisible_by", "2"),
                ("flags", SCALER),
                ("eval", "frame"),
            ),
        ),
        Filter(
            "pad",
            (
                ("w", str(picture.width)),
                ("h", str(picture.height)),
                ("x", "(ow-iw)/2"),
                ("y", "(oh-ih)/2"),
                ("eval", "frame"),
            ),
        ),
        Filter("setsar", (("sar", "1"),)),
        Filter("format", (("pix_fmts", "yuv420p"),)),
    ]


def _made_plain(segment: SegmentPlan) -> list[Filter]:
    """List the filters that make a camera's picture like a browser's: whole frames, square pixels.

    What lies on its side has been turned before any filter: ffmpeg obeys the file's display matrix by itself.
    """
    found = []
    if segment.interlaced:
        found.append(Filter("bwdif", (("mode", "send_frame"), ("deint", "interlaced"))))
    if segment.pixel_aspect != 1.0:
        size = (("w", "trunc(iw*sar/2)*2"), ("h", "trunc(ih/2)*2"))
        found += [Filter("scale", (*size, ("eval", "frame"))), Filter("setsar", (("sar", "1"),))]
    return found


def silence(segment: SegmentPlan, sample_rate_hz: int) -> str:
    """Describe the source (lavfi) that stands in for a segment's missing sound."""
    return f"anullsrc=channel_layout=mono:sample_rate={sample_rate_hz}:duration={segment.duration_s:.6f}"


def black(picture: renditions.Picture, count: int) -> str:
    """Describe the source (lavfi) that stands in for frames without a picture."""
    rate = rate_of(picture.fps)
    size = f"{picture.width}x{picture.height}"
    return f"color=black:size={size}:rate={rate}:duration={float((count + 1) / rate):.6f},trim=end_frame={count}"


def rate_of(fps: float) -> Fraction:
    """Write a frame rate as the fraction that ffmpeg wants: 12.5 is 25/2."""
    return Fraction(fps).limit_denominator(1001)


@dataclass(frozen=True, slots=True)
class MadeFacts:
    """What decoding a finished file found; durations in seconds, None where the track is missing."""

    audio_s: float | None
    video_s: float | None
    frames: int
    width: int
    height: int
    errors: int
    audio_first_s: float | None = None
    video_first_s: float | None = None


DURATION_TOLERANCE_S = 0.5
# What joins sound and picture may put them apart by this at most; nobody sees it (ITU-R BT.1359-1).
OFFSET_TOLERANCE_S = 0.04


def stretch_faults(made: MadeFacts, picture: renditions.Picture, frames: int) -> list[str]:
    """List what is wrong with a finished stretch of a picture, in English for the log."""
    found = [f"{made.errors} frames cannot be decoded"] if made.errors else []
    if made.frames != frames:
        found.append(f"{made.frames} frames instead of {frames}")
    if made.frames and (made.width, made.height) != (picture.width, picture.height):
        found.append(f"{made.width}x{made.height} instead of {picture.width}x{picture.height}")
    return found


def joined_faults(made: MadeFacts, wanted: Timeline, picture: renditions.Picture, frames: int) -> list[str]:
    """List what is wrong with a picture put together of stretches, and with how its sound fits."""
    found = [*stretch_faults(made, picture, frames), *faults(made, wanted, None)]
    if made.video_s is None:
        return [*found, "picture is missing"]
    if abs(made.video_s - frames / picture.fps) > 0.5 / picture.fps:
        found.append(f"picture is {made.video_s:.2f} s long instead of {frames / picture.fps:.2f} s")
    if made.audio_first_s is not None and made.video_first_s is not None:
        offset_s = made.audio_first_s - made.video_first_s
        if abs(offset_s) > OFFSET_TOLERANCE_S:
            found.append(f"sound begins {offset_s:+.3f} s off the picture")
    return found


def faults(made: MadeFacts, wanted: Timeline, picture: renditions.Picture | None) -> list[str]:
    """List what is wrong with a finished file, in English for the log; an empty list lets it be published."""
    found = []
    if made.errors:
        found.append(f"{made.errors} frames cannot be decoded")
    # At less than 2 frames a second one frame is longer than half a second.
    tolerance_s = max(DURATION_TOLERANCE_S, 1.5 / picture.fps if picture else 0.0)
    for name, got, needed in (
        ("sound", made.audio_s, wanted.has_audio),
        ("picture", made.video_s, wanted.has_video and picture is not None),
    ):
        if not needed:
            continue
        if got is None:
            found.append(f"{name} is missing")
        elif abs(got - wanted.duration_s) > tolerance_s:
            found.append(f"{name} is {got:.2f} s long instead of {wanted.duration_s:.2f} s")
    if picture is not None and made.video_s is not None:
        expected = wanted.duration_s * picture.fps
        if abs(made.frames - expected) > max(2.0, 0.02 * expected):
            found.append(f"{made.frames} frames instead of about {expected:.0f}")
        if (made.width, made.height) != (picture.width, picture.height):
            found.append(f"{made.width}x{made.height} instead of {picture.width}x{picture.height}")
    return found


def time_limit_s(kind: renditions.Kind, duration_s: float) -> float:
    """Say how long an encode may take at most (seconds): generous for an old PC, yet it ends."""
    factor = 12.0 if kind in renditions.VIDEO_KINDS else 2.0
    return 300.0 + factor * duration_s


def longest_s(duration_s: float) -> float:
    """Say how long the slowest kind may take at most (seconds)."""
    return max(time_limit_s(kind, duration_s) for kind in renditions.ORDER)


def eta_s(done: float, elapsed_s: float) -> float | None:
    """Estimate the seconds left from the share done (0 to 1) and the seconds spent; None while it is too early."""
    if done < 0.01 or elapsed_s < 1.0:
        return None
    return max(0.0, elapsed_s * (1.0 - min(done, 1.0)) / min(done, 1.0))


# Most macroblocks a frame and a second: ITU-T H.264 table A-1.
_H264_LEVELS = (("3.0", 1620, 40_500), ("3.1", 3600, 108_000), ("4.0", 8192, 245_760))


def h264_level(picture: renditions.Picture) -> str:
    """Name the lowest H.264 level, 3.0 at least, that the picture fits: old players refuse more than they know."""
    blocks = -(-picture.width // 16) * -(-picture.height // 16)
    for level, frame_blocks, second_blocks in _H264_LEVELS:
        if blocks <= frame_blocks and blocks * picture.fps <= second_blocks:
            return level
    return "5.1"
