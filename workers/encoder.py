"""Run ffmpeg: the only place that knows its command line. One call makes one file of a recording's segments.

It has no shell and reads local files only. Progress comes over its -progress pipe.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import ffmpeg
import imageio_ffmpeg

from rules import intake, renditions
from rules.renditions import Kind
from workers import child, plan, probe

# A source may be a stranger's file: it is read as one of the containers that hold what they play, and opens no other.
SOURCE_OPTIONS = {
    "protocol_whitelist": "file,pipe",
    "format_whitelist": probe.DEMUXERS,
    "max_pixels": intake.MAX_PIXELS,
}


@dataclass(frozen=True, slots=True)
class Job:
    """One file to make: `sources` are the files of all segments, in the order of the facts that made the timeline."""

    kind: Kind
    sources: tuple[Path, ...]
    timeline: plan.Timeline
    target: Path

    @property
    def picture(self) -> renditions.Picture | None:
        """The picture to encode, None where the file is for the ear alone."""
        line = self.timeline
        if self.kind not in renditions.VIDEO_KINDS or not line.has_video:
            return None
        return renditions.picture(self.kind, line.width, line.height, line.fps)


def command(job: Job, threads: int) -> list[str]:
    """Build the command line. Raises ValueError where the recording has nothing that the kind needs."""
    picture = job.picture
    audio_wanted = job.timeline.has_audio
    if picture is None and not audio_wanted:
        raise ValueError(f"{job.kind.value} needs sound and there is none")
    sample_rate_hz = renditions.AUDIO[job.kind].sample_rate_hz
    pieces = []
    for segment in job.timeline.segments:
        source = ffmpeg.input(str(job.sources[segment.index]), **SOURCE_OPTIONS, threads=threads)
        if picture is not None:
            pieces.append(_picture_of(source, segment, picture))
        if audio_wanted:
            pieces.append(_sound_of(source, segment, sample_rate_hz))
    joined = ffmpeg.concat(*pieces, v=int(picture is not None), a=int(audio_wanted)).node
    outputs = []
    if picture is not None:
        # Segments need not be whole frames long; one even grid over the whole file again.
        outputs.append(joined[0].filter("fps", fps=str(plan.rate_of(picture.fps)), start_time=0))
    if audio_wanted:
        outputs.append(joined[len(outputs)])
    stream = ffmpeg.output(*outputs, str(job.target), **_options(job.kind, picture, audio_wanted, threads))
    built = stream.compile(cmd=imageio_ffmpeg.get_ffmpeg_exe(), overwrite_output=True)
    # -copyts: the plan counts from the time stamps in the files.
    general = ["-hide_banner", "-nostdin", "-loglevel", "warning", "-nostats", "-progress", "pipe:1"]
    graph = ["-copyts", "-filter_threads", "1", "-filter_complex_threads", "1"]
    return [built[0], *general, *graph, *_per_input(built[1:])]


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


def _picture_of(source, segment: plan.SegmentPlan, picture: renditions.Picture):
    if segment.video_offset_s is None:
        return ffmpeg.input(plan.black(segment, picture), f="lavfi").video
    track = source.video if segment.video_stream is None else source[str(segment.video_stream)]
    return _apply(track, plan.video_filters(segment, picture))


def _sound_of(source, segment: plan.SegmentPlan, sample_rate_hz: int):
    if segment.audio_offset_s is None:
        return ffmpeg.input(plan.silence(segment, sample_rate_hz), f="lavfi").audio
    track = source.audio if segment.audio_stream is None else source[str(segment.audio_stream)]
    return _apply(track, plan.audio_filters(segment, sample_rate_hz))


def _apply(stream, filters: tuple[plan.Filter, ...]):
    for one in filters:
        stream = stream.filter(one.name, **dict(one.options))
    return stream


def _options(kind: Kind, picture: renditions.Picture | None, has_audio: bool, threads: int) -> dict[str, object]:
    container = renditions.CONTAINERS[kind]
    options: dict[str, object] = {"f": container.muxer, "map_metadata": -1, "threads": threads}
    if container.muxer == "mp4":
        options["movflags"] = "+faststart"
    if has_audio:
        options |= _audio_options(renditions.AUDIO[kind])
    if picture is not None:
        options |= _video_options(renditions.VIDEO[kind], picture, threads)
    return options


def _audio_options(preset: renditions.AudioPreset) -> dict[str, object]:
    options: dict[str, object] = {
        "c:a": preset.codec,
        "b:a": preset.rate_bps,
        "ac": preset.channels,
        "ar": preset.sample_rate_hz,
    }
    if preset.codec == "libopus":
        options |= {"application": "voip", "frame_duration": preset.frame_ms or 20}
    return options


def _video_options(preset: renditions.VideoPreset, picture: renditions.Picture, threads: int) -> dict[str, object]:
    options: dict[str, object] = {
        "c:v": preset.codec,
        "crf": preset.crf,
        "preset": preset.speed,
        "maxrate": preset.max_rate_bps,
        "bufsize": 4 * preset.max_rate_bps,
        "g": max(1, round(preset.keyframe_s * picture.fps)),
        "pix_fmt": "yuv420p",
    }
    if preset.codec == "libsvtav1":
        options["svtav1-params"] = f"lp={threads}"
    if preset.profile:
        options |= {"profile:v": preset.profile, "level:v": plan.h264_level(picture)}
    return options


def run(
    job: Job,
    limit_s: float,
    on_progress: Callable[[float], None],
    *,
    threads: int = max(1, (os.cpu_count() or 2) - 1),
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
