"""Measure a recording and encode samples of it with ffmpeg: the second file that knows its command line.

What is encoded for good is workers/encoder.py's; both take a plan's options and filters from workers/planoptions.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from rules import intake
from rules.lessonplan import PicturePlan
from rules.renditions import Picture
from workers import child, plan, probe, slots
from workers.plan import Filter, SegmentPlan
from workers.planoptions import chain, picture_options

THREADS = slots.processors()
# The small picture that features are measured on: whole cells of 8 x 8 pixels, whatever the lesson's own shape.
LOOK_WIDTH, LOOK_HEIGHT = 160, 96
# Looks are at least this far apart.
LOOK_EVERY_S = 0.9
# A sample's own copy keeps no more than this: scaling down from here is what scaling from the source would be.
COPY_HEIGHT = 720

# A command on samples that takes longer has hung: seconds of work are expected.
LIMIT_S = 900.0

_SOURCE = ("-protocol_whitelist", "file,pipe", "-format_whitelist", probe.DEMUXERS)
# Of pictures lower or narrower than this libvmaf dies.
LEAST_JUDGED = 32
_LIMIT = ("-max_pixels", str(intake.MAX_PIXELS))


@dataclass(frozen=True, slots=True)
class Window:
    """A piece of one segment to take as a sample: its number, where it begins on the segment's own timeline (s)."""

    segment: SegmentPlan
    start_s: float


def opening(source: Path, streams: Sequence[int]) -> list[str]:
    """Build the command line that opens a file as every encode will, and reads one packet of each of these tracks."""
    tracks = [part for index in streams for part in ("-map", f"0:{index}")]
    copied = ["-c", "copy", "-frames", "1", "-f", "null", "-"]
    quiet = ["-hide_banner", "-nostdin", "-loglevel", "error"]
    return [imageio_ffmpeg.get_ffmpeg_exe(), *quiet, *_SOURCE, "-i", str(source), *tracks, *copied]


def hear(source: Path, segment: SegmentPlan, limit_s: float, on_line: Callable[[str], None], tick: Callable) -> None:
    """Decode a segment's sound once and hand over ffmpeg's measures, a line each, for every tenth of a second.

    The names are those of its filters ebur128 and astats. Raises child.ChildFailed.
    """
    measures = (
        Filter("ebur128", (("metadata", "1"), ("framelog", "quiet"))),
        Filter("asetnsamples", (("n", "4800"),)),
        Filter(
            "astats",
            (
                ("metadata", "1"),
                ("reset", "1"),
                ("measure_perchannel", "none"),
                ("measure_overall", "RMS_level+Peak_level"),
            ),
        ),
        Filter("ametadata", (("mode", "print"), ("file", "-"))),
    )
    track = "0:a:0" if segment.audio_stream is None else f"0:{segment.audio_stream}"
    graph = f"[{track}]{chain((*plan.audio_filters(segment, 48_000), *measures))}[out]"
    arguments = ["-copyts", "-vn", *_SOURCE, *_LIMIT, "-threads", "1", "-i", str(source)]
    child.run(
        _command([*arguments, "-filter_complex", graph, "-map", "[out]", "-f", "null", "-"]),
        *(limit_s, _lines(on_line), tick),
    )


def look(
    source: Path,
    segment: SegmentPlan,
    frames: Path,
    *,
    keyframes_only: bool,
    limit_s: float,
    on_line: Callable[[str], None],
    tick: Callable[[], None],
) -> None:
    """Write small grey pictures of a segment to `frames`, and hand over a line with the time of each (pts_time).

    Times are the segment's own. keyframes_only is many times faster and sees only what the host's encoder began anew
    with. Raises child.ChildFailed.
    """
    filters = (
        Filter("select", (("expr", f"isnan(prev_selected_t)+gte(t-prev_selected_t,{LOOK_EVERY_S})"),)),
        Filter("scale", (("w", str(LOOK_WIDTH)), ("h", str(LOOK_HEIGHT)), ("flags", "area"), ("eval", "frame"))),
        Filter("setpts", (("expr", f"PTS-({segment.origin_s - segment.video_delay_s:.6f})/TB"),)),
        Filter("trim", (("end", f"{segment.duration_s:.6f}"),)),
        Filter("format", (("pix_fmts", "gray"),)),
        # Printing needs something to print: one figure that costs nothing at this size.
        Filter("metadata", (("mode", "add"), ("key", "look"), ("value", "1"))),
        Filter("metadata", (("mode", "print"), ("file", "-"))),
    )
    skip = ["-skip_frame", "nokey"] if keyframes_only else ["-skip_frame", "noref", "-skip_loop_filter", "all"]
    track = "0:v:0" if segment.video_stream is None else f"0:{segment.video_stream}"
    arguments = ["-copyts", "-an", *skip, *_SOURCE, *_LIMIT, "-threads", "1", "-reinit_filter", "0", "-i", str(source)]
    graph = f"[{track}]{chain(filters)}[out]"
    output = ["-map", "[out]", "-fps_mode", "passthrough", "-f", "rawvideo", str(frames)]
    child.run(_command([*arguments, "-filter_complex", graph, *output]), limit_s, _lines(on_line), tick)


def copy(
    sources: Sequence[Path],
    windows: Iterable[Window],
    length_s: float,
    picture: Picture,
    target: Path,
    tick: Callable[[], None],
) -> None:
    """Copy windows of a recording into one file without loss, one after another, each `length_s` long to the frame.

    tick comes about once a second; what it raises ends the work. Raises child.ChildFailed.
    """
    inputs: list[str] = []
    graph, labels = [], ""
    frames = round(length_s * picture.fps)
    for number, window in enumerate(windows):
        segment = window.segment
        # Where the picture's own clock stands at the window's start.
        at_s = max(0.0, window.start_s + segment.origin_s - segment.video_delay_s)
        # The file's own clock need not begin at 0. Where it begins earlier, its only keyframe may lie there.
        inputs += ["-seek_timestamp", "1", "-ss", f"{at_s:.3f}"] if at_s > 0 else []
        inputs += [
            "-t",
            f"{length_s + 1:.3f}",
            *_SOURCE,
            *_LIMIT,
            "-reinit_filter",
            "0",
        ]
        inputs += ["-i", str(sources[segment.index])]
        track = f"{number}:v:0" if segment.video_stream is None else f"{number}:{segment.video_stream}"
        piece = SegmentPlan(
            index=segment.index,
            duration_s=frames / picture.fps,
            origin_s=0.0,
            audio_offset_s=None,
            video_offset_s=0.0,
            video_delay_s=0.0,
            pixel_aspect=segment.pixel_aspect,
            interlaced=segment.interlaced,
        )
        graph.append(f"[{track}]{chain(plan.stretch_filters(piece, picture, 0.0, frames))}[w{number}]")
        labels += f"[w{number}]"
    graph.append(f"{labels}concat=n={len(graph)}:v=1:a=0[out]")
    lossless = ["-c:v", "libx264", "-preset", "ultrafast", "-qp", "0", "-g", "25", "-pix_fmt", "yuv420p"]
    output = ["-map", "[out]", *lossless, "-f", "matroska", str(target)]
    child.run(_command([*inputs, "-filter_complex", ";".join(graph), *output]), LIMIT_S, _ignore, tick)


def encode(sample: Path, wanted: PicturePlan, target: Path, tick: Callable[[], None], threads: int = THREADS) -> None:
    """Encode a sample as the plan says, without sound. Raises child.ChildFailed."""
    rate = str(plan.rate_of(wanted.fps))
    filters = (
        Filter("fps", (("fps", rate),)),
        Filter("scale", (("w", str(wanted.width)), ("h", str(wanted.height)), ("flags", plan.SCALER))),
        Filter("setsar", (("sar", "1"),)),
    )
    options: list[str] = []
    for name, value in picture_options(wanted, threads).items():
        options += [f"-{name}", str(value)]
    arguments = ["-i", str(sample), "-vf", chain(filters), *options, "-f", "mp4", str(target)]
    child.run(_command(arguments), LIMIT_S, _ignore, tick)


def vmaf(made: Path, sample: Path, fps: float, reference: Picture, folder: Path, tick: Callable[[], None]) -> float:
    """Compare an encoded sample with its source at the reference's size and the given frame rate: 0 to 100.

    Both are brought to one size by the same bicubic filter, as players do. Raises child.ChildFailed.
    """
    told = folder / "vmaf.json"
    width, height = max(LEAST_JUDGED, reference.width), max(LEAST_JUDGED, reference.height)
    even = chain(
        (
            Filter("fps", (("fps", str(plan.rate_of(fps))),)),
            Filter("scale", (("w", str(width)), ("h", str(height)), ("flags", "bicubic"))),
            Filter("format", (("pix_fmts", "yuv420p"),)),
            Filter("settb", (("expr", "AVTB"),)),
            Filter("setpts", (("expr", "PTS-STARTPTS"),)),
        )
    )
    judge = Filter("libvmaf", (("n_threads", str(THREADS)), ("log_fmt", "json"), ("log_path", str(told))))
    graph = f"[0:v]{even}[made];[1:v]{even}[given];[made][given]{chain((judge,))}"
    arguments = ["-i", str(made), "-i", str(sample), "-filter_complex", graph, "-f", "null", "-"]
    child.run(_command(arguments), LIMIT_S, _ignore, tick)
    return float(json.loads(told.read_text("utf-8"))["pooled_metrics"]["vmaf"]["mean"])


def _command(arguments: list[str]) -> list[str]:
    program = imageio_ffmpeg.get_ffmpeg_exe()
    return [program, "-hide_banner", "-nostdin", "-loglevel", "error", "-nostats", "-y", *arguments]


def _lines(on_line: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return what takes output in pieces and hands it over line by line."""
    pending = b""

    def take(output: bytes) -> None:
        nonlocal pending
        *lines, pending = (pending + output).split(b"\n")
        for line in lines:
            on_line(line.decode("ascii", "replace"))

    return take


def _ignore(output: bytes) -> None:
    """Take no notice: the result is in a file."""
