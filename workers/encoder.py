"""Run ffmpeg: the only place that knows its command line. One call makes one file of a recording's segments.

It has no shell and reads local files only. Progress comes over its -progress pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from rules import intake, renditions
from rules.lessonplan import VoicePlan
from rules.pieces import Span
from rules.renditions import Kind
from workers import child, plan, planoptions, probe

# No time of making, no random number: the same source and plan give the same file.
OUTPUT_OPTIONS = {"map_metadata": -1, "fflags": "+bitexact"}
# A source may be a stranger's file: it is read as one of the containers that hold what they play, and opens no other.
SOURCE_OPTIONS = {
    "protocol_whitelist": "file,pipe",
    "format_whitelist": probe.DEMUXERS,
    "max_pixels": intake.MAX_PIXELS,
}


@dataclass(frozen=True, slots=True)
class SoundJob:
    """A whole sound track to make; `sources` are the files of all segments, in the order of the timeline's facts."""

    kind: Kind
    sources: tuple[Path, ...]
    timeline: plan.Timeline
    voice: VoicePlan
    target: Path


@dataclass(frozen=True, slots=True)
class StretchJob:
    """A stretch of a picture to make: these spans of the timeline's segments, one after the other.

    entries_s: where each segment can be entered, by its place in the timeline, in seconds on its own timeline;
    None has them read from their beginnings. entry_margin_s: how much earlier a demuxer is asked to go.
    """

    sources: tuple[Path, ...]
    timeline: plan.Timeline
    picture: renditions.Picture
    spans: tuple[Span, ...]
    options: Mapping[str, object]
    entries_s: Mapping[int, Sequence[float]] | None
    target: Path
    entry_margin_s: float = plan.ENTRY_MARGIN_S


def command(job: SoundJob | StretchJob, threads: int) -> list[str]:
    """Build the command line. Raises ValueError where the recording has nothing that the kind needs."""
    stream = _sound(job, threads) if isinstance(job, SoundJob) else _stretch(job, threads)
    built = stream.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    # -copyts: the plan counts from the time stamps in the files.
    general = ["-hide_banner", "-nostdin", "-loglevel", "warning", "-nostats", "-progress", "pipe:1"]
    graph = ["-copyts", "-filter_threads", "1", "-filter_complex_threads", "1"]
    return [built[0], *general, *graph, *_per_input(built[1:])]


def _sound(job: SoundJob, threads: int):
    if not job.timeline.has_audio:
        raise ValueError(f"{job.kind.value} needs sound and there is none")
    preset = renditions.AUDIO[job.kind]
    pieces = []
    for segment in job.timeline.segments:
        source = ffmpeg.input(str(job.sources[segment.index]), **SOURCE_OPTIONS, threads=threads, vn=None)
        pieces.append(_sound_of(source, segment, preset.sample_rate_hz))
    joined = _apply(ffmpeg.concat(*pieces, v=0, a=1), planoptions.voice_filters(job.voice))
    container = renditions.CONTAINERS[job.kind]
    faststart = {"movflags": "+faststart"} if container.muxer == "mp4" else {}
    options = {
        "f": container.muxer,
        **OUTPUT_OPTIONS,
        **faststart,
        "threads": threads,
        **_audio_options(preset, job.voice),
    }
    return ffmpeg.output(joined, str(job.target), **options)


def _stretch(job: StretchJob, threads: int):
    pieces = [_span(job, span, threads) for span in job.spans]
    joined = pieces[0] if len(pieces) == 1 else ffmpeg.concat(*pieces, v=1, a=0)
    frames = sum(span.count for span in job.spans)
    options = {"f": "mp4", **OUTPUT_OPTIONS, "r": str(plan.rate_of(job.picture.fps)), "frames:v": frames}
    return ffmpeg.output(joined, str(job.target), **options, threads=threads, **job.options)


def _span(job: StretchJob, span: Span, threads: int):
    segment = job.timeline.segments[span.segment]
    if plan.is_black(segment, job.picture, span.at_s, span.count):
        return ffmpeg.input(plan.black(job.picture, span.count), f="lavfi").video
    entry_s = None
    if job.entries_s is not None:
        entry_s = plan.entry_s(segment, job.entries_s.get(span.segment, ()), span.at_s, job.entry_margin_s)
    seek = {} if entry_s is None else {"seek_timestamp": 1, "ss": f"{entry_s:.6f}", "noaccurate_seek": None}
    source = ffmpeg.input(str(job.sources[segment.index]), **SOURCE_OPTIONS, threads=threads, an=None, **seek)
    track = source.video if segment.video_stream is None else source[str(segment.video_stream)]
    return _apply(track, plan.stretch_filters(segment, job.picture, span.at_s, span.count))


def _per_input(arguments: list[str]) -> list[str]:
    """Put -reinit_filter 0 before every input.

    A change of size in mid-stream is the scale filter's business; a rebuilt graph would start its clock again.
    """
    with_reinit: list[str] = []
    for argument in arguments:
        if argument == "-i":
            with_reinit += ["-reinit_filter", "0"]
        with_reinit.append(argument)
    return with_reinit


def _sound_of(source, segment: plan.SegmentPlan, sample_rate_hz: int):
    if segment.audio_offset_s is None:
        return ffmpeg.input(plan.silence(segment, sample_rate_hz), f="lavfi").audio
    track = source.audio if segment.audio_stream is None else source[str(segment.audio_stream)]
    return _apply(track, plan.audio_filters(segment, sample_rate_hz))


def _apply(stream, filters: tuple[plan.Filter, ...]):
    for one in filters:
        stream = stream.filter(one.name, **dict(one.options))
    return stream


def _audio_options(preset: renditions.AudioPreset, voice: VoicePlan) -> dict[str, object]:
    if preset.codec == "libopus":
        return planoptions.voice_options(voice)
    return {"c:a": preset.codec, "b:a": preset.rate_bps, "ac": preset.channels, "ar": preset.sample_rate_hz}


def preset_options(kind: Kind, picture: renditions.Picture) -> dict[str, object]:
    """List the encoder's options for a kind's own preset."""
    preset = renditions.VIDEO[kind]
    options: dict[str, object] = {
        "c:v": preset.codec,
        "crf": preset.crf,
        "preset": preset.speed,
        "maxrate": preset.max_rate_bps,
        "bufsize": 4 * preset.max_rate_bps,
        "g": max(1, round(preset.keyframe_s * picture.fps)),
        "pix_fmt": "yuv420p",
    }
    if preset.profile:
        options |= {"profile:v": preset.profile, "level:v": plan.h264_level(picture)}
    return options


def run(
    job: SoundJob | StretchJob,
    limit_s: float,
    on_progress: Callable[[float], None],
    *,
    threads: int = 1,
) -> None:
    """Make the file; `on_progress` gets the seconds of the result made so far, about once a second.

    Whatever on_progress raises ends the child and goes on to the caller. Raises child.ChildFailed.
    """
    reports = Reports()
    child.run(command(job, threads), limit_s, reports.take, lambda: on_progress(reports.made_s))


class Reports:
    """What ffmpeg reports on its -progress pipe; `made_s` is how much of the result there is, in seconds."""

    def __init__(self) -> None:
        self.made_s = 0.0
        self._pending = b""

    def take(self, output: bytes) -> None:
        """Take the next piece of output, wherever it was cut."""
        *lines, self._pending = (self._pending + output).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b"=")
            # ffmpeg says N/A until the first packet is written.
            if name == b"out_time_us" and value.strip().isdigit():
                self.made_s = int(value) / 1e6
