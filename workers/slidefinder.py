"""Look through a recording's picture once and keep a full-size still of every slide that rules.slides finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.error import FFmpegError
from PIL import Image

from rules import packbudget, slides
from workers import plan
from workers.probe import OPTIONS

MOST_WIDTH = packbudget.LEVELS[0].width


@dataclass(frozen=True, slots=True)
class Still:
    """A slide found in the picture: when it appears (seconds of the finished recording) and its picture on disk."""

    at_s: float
    thumb: bytes
    path: Path


def find(
    sources: tuple[Path, ...], line: plan.Timeline, folder: Path, on_progress: Callable[[float], None]
) -> tuple[Still, ...]:
    """Return the slides of all segments in order; `on_progress` gets the second reached, and may raise.

    Stills go into `folder` as PNG at most 1280 pixels wide. Damaged frames are passed over.
    """
    keeper = _Keeper(folder)
    for at_s, frame in _sampled(sources, line):
        on_progress(at_s)
        keeper.take(at_s, frame)
    return keeper.finish()


def _sampled(sources: tuple[Path, ...], line: plan.Timeline) -> Iterator[tuple[float, av.VideoFrame]]:
    """Give a frame every quarter of a second with its place in the finished recording."""
    began_s = 0.0
    for segment in line.segments:
        if segment.video_offset_s is not None:
            shift_s = began_s + segment.video_delay_s - segment.origin_s
            end_s = began_s + segment.duration_s
            for at_s, frame in _frames(sources[segment.index], shift_s, began_s):
                if at_s >= end_s:
                    break
                yield at_s, frame
        began_s += segment.duration_s


def _frames(source: Path, shift_s: float, began_s: float) -> Iterator[tuple[float, av.VideoFrame]]:
    next_s = began_s
    try:
        with av.open(str(source), options=OPTIONS) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.thread_count = 1
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except FFmpegError:
                    continue
                for frame in frames:
                    if frame.time is None or (at_s := frame.time + shift_s) < next_s:
                        continue
                    next_s = at_s - (at_s - began_s) % (1 / slides.SAMPLES_PER_S) + 1 / slides.SAMPLES_PER_S
                    yield at_s, frame
    except (FFmpegError, OSError, ValueError, IndexError):
        return  # what was seen before the damage counts


class _Keeper:
    """Holds two frames at a time, whatever the lesson's length, and writes those that the watcher flips away from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._watcher = slides.Watcher()
        self._held: av.VideoFrame | None = None
        self._spare: av.VideoFrame | None = None
        self._paths: list[Path] = []

    def take(self, at_s: float, frame: av.VideoFrame) -> None:
        """Show a frame to the watcher and do what it says."""
        verdict = self._watcher.see(at_s, slides.tiled(_grey(frame)))
        if verdict.spare:
            self._spare = frame
        if verdict.flip:
            self._store()
            self._held = self._spare or frame
        if verdict.hold:
            self._held = frame

    def finish(self) -> tuple[Still, ...]:
        """Write the last still and return all of them."""
        if self._held is None:
            return ()
        self._store()
        shown = self._watcher.finish()
        return tuple(Still(one.at_s, one.thumb, path) for one, path in zip(shown, self._paths, strict=True))

    def _store(self) -> None:
        path = self._folder / f"still-{len(self._paths):04d}.png"
        image = self._held.to_image()
        if image.width > MOST_WIDTH:
            image = image.resize((MOST_WIDTH, round(image.height * MOST_WIDTH / image.width)), Image.Resampling.LANCZOS)
        image.save(path, compress_level=1)
        self._paths.append(path)


def _grey(frame: av.VideoFrame) -> bytes:
    small = frame.reformat(width=slides.WIDTH, height=slides.HEIGHT, format="gray", interpolation="AREA")
    plane = small.planes[0]
    content = bytes(plane)
    if plane.line_size == slides.WIDTH:
        return content[: slides.WIDTH * slides.HEIGHT]
    rows = range(0, slides.HEIGHT * plane.line_size, plane.line_size)
    return b"".join(content[at : at + slides.WIDTH] for at in rows)
