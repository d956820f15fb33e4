"""Run ffmpeg: the only place that knows its command line. One call makes one file of a recording's segments.

The child is nice to live lessons on the same PC, dies with its worker, has no shell, reads local files only, and has a
time limit. Progress comes over its -progress pipe.
"""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import ffmpeg
import imageio_ffmpeg

from rules import intake, renditions
from rules.renditions import Kind
from workers import plan, probe

NICENESS = 15
TAIL_CHARS = 2000
TICK_S = 1.0
PR_SET_PDEATHSIG = 1
# A source may be a stranger's file: it is read as one of the containers that hold what they play, and opens no other.
SOURCE_OPTIONS = {
    "protocol_whitelist": "file,pipe",
    "format_whitelist": probe.DEMUXERS,
    "max_pixels": intake.MAX_PIXELS,
}
_libc = ctypes.CDLL(None, use_errno=True)


class EncodeFailed(Exception):
    """An encode that made no file; `code` is "damaged", "disk_full" or "timeout", `tail` the end of ffmpeg's log."""

    def __init__(self, code: str, tail: str) -> None:
        super().__init__(f"{code}: {tail[-300:]}")
        self.code = code
        self.tail = tail


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

    Whatever on_progress raises ends the child and goes on to the caller. Raises EncodeFailed.
    """
    log = job.target.with_suffix(".log")
    with log.open("w+b") as errors:
        child = subprocess.Popen(
            command(job, threads),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            preexec_fn=_child_setup(os.getpid()),
        )
        try:
            _follow(child, time.monotonic() + limit_s, on_progress)
        except TimeoutError:
            raise EncodeFailed("timeout", f"not ready after {limit_s:.0f} s; {_tail(errors)}") from None
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            child.stdout.close()
        if child.returncode != 0:
            tail = _tail(errors)
            code = "disk_full" if "No space left on device" in tail else "damaged"
            raise EncodeFailed(code, f"ffmpeg ended with {child.returncode}; {tail}")
    log.unlink()


def _follow(child: subprocess.Popen, deadline: float, on_progress: Callable[[float], None]) -> None:
    """Read the progress pipe until it closes; call on_progress at each tick even when nothing was reported."""
    made_s, pending = 0.0, b""
    next_tick = time.monotonic() + TICK_S
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError
            if now >= next_tick:
                next_tick = now + TICK_S
                on_progress(made_s)
            if not selector.select(timeout=max(0.0, next_tick - now)):
                continue
            chunk = os.read(child.stdout.fileno(), 65536)
            if not chunk:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            made_s = _made_s(lines, made_s)
    child.wait(timeout=60)


def _made_s(lines: list[bytes], before: float) -> float:
    """Take the newest out_time_us of a report, in seconds; ffmpeg says N/A until the first packet is written."""
    for line in lines:
        name, _, value = line.partition(b"=")
        if name == b"out_time_us" and value.strip().isdigit():
            before = int(value) / 1e6
    return before


def _child_setup(parent: int) -> Callable[[], None]:
    """Return what the child does before it becomes ffmpeg: step back for others, and die when its worker dies."""

    def setup() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the worker died before the line above
            os._exit(1)
        os.nice(NICENESS)

    return setup


def _tail(errors: IO[bytes]) -> str:
    """Return the end of ffmpeg's messages."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - TAIL_CHARS))
    return errors.read().decode(errors="replace").strip()
