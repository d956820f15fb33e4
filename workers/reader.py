"""Read one foreign file in a process of its own: `python -m workers.reader PATH MAX_SECONDS`, facts as JSON on stdout.

Whoever sends a file may have made it to hurt the reader. So this process has little memory, little time, can write no
file and opens none but the one named: containers that point to other files (playlists, HLS, concat, SDP) are not even
on the list of those that it knows. The limits are set by workers.examine, which starts it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import av
from av.error import FFmpegError
from av.stream import Disposition

from rules import intake
from rules.intake import FileFacts, Measured, Medium, StreamFacts, Trouble
from workers.probe import OPTIONS, Gathered

HEAD_BYTES = 4096
# Packets given to a decoder before it counts as unable; a keyframe comes every few seconds.
MAX_TRIED = 600
MAX_STREAMS = 64
MAX_BOXES = 10_000


def read(path: Path, max_s: float) -> FileFacts:
    """Find out what a file holds. Never raises for what is in the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        trouble = intake.signature(file.read(HEAD_BYTES), size)
    if trouble is not None:
        return FileFacts(trouble)
    try:
        container = av.open(str(path), options=OPTIONS)
    except (FFmpegError, OSError, ValueError):
        return FileFacts(_broken(path, size) or Trouble.NOT_MEDIA)
    with container:
        if not container.streams:
            return FileFacts(_broken(path, size) or Trouble.NO_SOUND_OR_PICTURE)
        return _read(container, max_s)


def _broken(path: Path, size: int) -> Trouble | None:
    """Say what is wrong with an MP4 in which nothing was found; None for what is none."""
    if intake.is_unfinished_mp4(_boxes(path, size)):
        return Trouble.UNFINISHED_MP4
    return Trouble.DAMAGED_MP4 if intake.is_damaged_mp4(_boxes(path, size)) else None


def _read(container: av.container.InputContainer, max_s: float) -> FileFacts:
    streams = tuple(
        _stream(one) for one in list(container.streams)[:MAX_STREAMS] if one.type in (Medium.AUDIO, Medium.VIDEO)
    )
    declared_s = container.duration / av.time_base if container.duration and container.duration > 0 else None
    facts = FileFacts(None, container.format.name, declared_s, streams)
    sound, picture = intake.choose(streams)
    chosen = {one.index: _Track(container.streams[one.index]) for one in (sound, picture) if one is not None}
    if not chosen:
        return facts
    if picture is not None and picture.width * picture.height > intake.MAX_PIXELS:
        return dataclasses.replace(facts, trouble=Trouble.TOO_LARGE_PICTURE)
    trouble, begins_anew = None, False
    # What was read before the damage counts.
    with contextlib.suppress(FFmpegError, ValueError):
        for packet in container.demux([track.stream for track in chosen.values()]):
            track = chosen[packet.stream.index]
            begins_anew = track.begins_anew(packet)
            if begins_anew:
                break
            track.take(packet)
            # Without its key it decodes all the same, into noise.
            locked = packet.has_sidedata("encryption_info")
            if locked or track.seen.length_s > max_s:
                trouble = Trouble.LOCKED if locked else Trouble.TOO_LONG
                break
    if trouble is not None:
        return dataclasses.replace(facts, trouble=trouble)
    return dataclasses.replace(
        facts,
        begins_anew=begins_anew,
        audio=chosen[sound.index].measured() if sound is not None else None,
        video=chosen[picture.index].measured() if picture is not None else None,
    )


def _stream(stream: av.stream.Stream) -> StreamFacts:
    context = stream.codec_context
    is_video = stream.type == Medium.VIDEO
    return StreamFacts(
        index=stream.index,
        medium=Medium(stream.type),
        codec=context.name if context is not None else "",
        known_codec=context is not None,
        is_default=Disposition.default in stream.disposition,
        is_cover=bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails)),
        width=context.width if is_video and context is not None else 0,
        height=context.height if is_video and context is not None else 0,
        language=(stream.language or "")[:16],
    )


class _Track:
    """One chosen track: times of all its packets, and its first frame that can be decoded."""

    def __init__(self, stream: av.stream.Stream) -> None:
        self.stream = stream
        self.seen = Gathered()
        self.frame: av.VideoFrame | av.AudioFrame | None = None
        self.tried = 0
        stream.codec_context.thread_count = 1

    def begins_anew(self, packet: av.Packet) -> bool:
        """Tell whether a packet's time lies far before what the track has reached already."""
        at_s = _at_s(packet)
        return at_s is not None and self.seen.frames > 0 and at_s < self.seen.last_s - intake.BEGINS_ANEW_S

    def take(self, packet: av.Packet) -> None:
        """Note a packet's time; decode it as long as nothing was decoded yet.

        What an edit list hides (a telephone's trim) is there for the decoder alone: nobody is shown it.
        """
        at_s = _at_s(packet)
        if at_s is not None and not packet.is_discard:
            self.seen.add(at_s, (packet.duration or 0) * float(packet.time_base))
        if self.frame is None and self.tried < MAX_TRIED:
            self.tried += 1
            with contextlib.suppress(FFmpegError, ValueError):
                self.frame = next(iter(packet.decode()), None)

    def measured(self) -> Measured | None:
        """Sum up what was read; None without a single packet."""
        seen, stream = self.seen, self.stream
        if seen.first_s is None:
            return None
        codec = stream.codec_context.name
        if stream.type == Medium.AUDIO:
            first_s, end_s = max(0.0, seen.first_s), max(seen.end_s, seen.last_s)
            return Measured(stream.index, codec, first_s, end_s, seen.frames, self.frame is not None)
        decoded = self.frame is not None and min(self.frame.width, self.frame.height) >= intake.MIN_SIDE
        if not decoded:
            return Measured(stream.index, codec, seen.first_s, seen.end_s, seen.frames, False)
        aspect = float(stream.sample_aspect_ratio or 1) or 1.0
        aspect = aspect if math.isfinite(aspect) and 0.2 < aspect < 5 else 1.0
        width, height = max(2, round(self.frame.width * aspect)), self.frame.height
        if round(self.frame.rotation) % 180 == 90:
            width, height = height, width
        return Measured(
            index=stream.index,
            codec=codec,
            first_s=seen.first_s,
            end_s=seen.picture_end_s,
            frames=seen.frames,
            decoded=True,
            width=width,
            height=height,
            active_fps=seen.fps,
            pixel_aspect=aspect,
            interlaced=self.frame.interlaced_frame,
        )


def _at_s(packet: av.Packet) -> float | None:
    at = packet.pts if packet.pts is not None else packet.dts
    return float(at * packet.time_base) if at is not None and packet.time_base is not None and packet.size else None


def _boxes(path: Path, size: int) -> Iterator[bytes]:
    """Walk a file's top-level boxes (ISO/IEC 14496-12, 4.2) and give their types, until something is none."""
    at = 0
    with path.open("rb") as file:
        for _ in range(MAX_BOXES):
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return
            length, kind = int.from_bytes(head[:4]), head[4:8]
            yield kind
            if length == 1:
                length = int.from_bytes(head[8:16])
            # 0: to the end of the file.
            if length < 8 or at + length > size:
                return
            at += length


def main(arguments: list[str]) -> None:
    """Read the file named and print what was found."""
    path, max_s = arguments
    try:
        facts = read(Path(path), float(max_s))
    except MemoryError:
        facts = FileFacts(Trouble.TOO_COSTLY)
    json.dump(dataclasses.asdict(facts), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
