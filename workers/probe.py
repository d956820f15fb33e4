"""Find out what a media file holds, and decode a finished one from end to end, with PyAV (no ffprobe is at hand)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import av
from av.error import FFmpegError

from workers.plan import MadeFacts, TrackFacts

# Frames further apart than this are an interruption (camera off, loss), not a frame rate.
PAUSE_S = 1.0
# Containers that hold what they play. Those that point elsewhere (playlists, HLS, DASH, concat, SDP), pictures in
# sequence, raw streams without times and what only games use are not opened at all.
DEMUXERS = "mov,matroska,avi,mpegts,mpeg,asf,flv,ogg,mp3,wav,w64,aac,flac,amr,caf,aiff,dv,mxf"
# Nothing but local files, whatever a file's header asks for.
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}


def tracks(path: Path) -> tuple[TrackFacts | None, TrackFacts | None]:
    """Read the packets of a file without decoding and return the facts of its sound and its picture.

    A broken tail ends the reading, not the probe. A track without packets, and a file that cannot be opened, give None.
    """
    try:
        container = av.open(str(path), options=OPTIONS)
    except (FFmpegError, OSError, ValueError):
        return None, None
    with container:
        audio = next(iter(container.streams.audio), None)
        video = next(iter(container.streams.video), None)
        gathered = {stream.index: Gathered() for stream in (audio, video) if stream is not None}
        if not gathered:
            return None, None
        try:
            for packet in container.demux([stream for stream in (audio, video) if stream is not None]):
                if packet.pts is not None and packet.time_base is not None:
                    time_base = float(packet.time_base)
                    gathered[packet.stream.index].add(packet.pts * time_base, (packet.duration or 0) * time_base)
        except (FFmpegError, ValueError):
            pass  # what was read before the damage counts
        sound = _sound(audio, gathered[audio.index]) if audio is not None else None
        picture = _picture(video, gathered[video.index]) if video is not None else None
    return sound, picture


def entries(path: Path, stream: int | None, apart_s: float = 2.0) -> list[float]:
    """List where a decoder may begin in a file's picture, on its own clock, no closer together than `apart_s`."""
    found: list[float] = []
    with av.open(str(path), options=OPTIONS) as container, contextlib.suppress(FFmpegError, ValueError):
        video = container.streams.video[0] if stream is None else container.streams[stream]
        for packet in container.demux(video):
            if packet.is_keyframe and packet.pts is not None:
                at_s = float(packet.pts * packet.time_base)
                if not found or at_s >= found[-1] + apart_s:
                    found.append(at_s)
    return found


class Gathered:
    """First and last times of one track, and how densely its frames follow one another."""

    def __init__(self) -> None:
        self.first_s: float | None = None
        self.last_s = self.end_s = 0.0
        self.frames = 0
        self.active_s = 0.0
        self.active_frames = 0

    def add(self, at_s: float, duration_s: float) -> None:
        if self.first_s is None:
            self.first_s = self.last_s = at_s
        step = at_s - self.last_s
        if self.frames and step < PAUSE_S:
            # B-frames step back in time: they count as frames, and their time has been counted already.
            self.active_s += max(step, 0.0)
            self.active_frames += 1
        self.first_s = min(self.first_s, at_s)
        self.last_s = max(self.last_s, at_s)
        # The last sample of a fragment may be given a duration that reaches over a pause; it counts as one frame.
        self.end_s = max(self.end_s, at_s + min(duration_s, PAUSE_S))
        self.frames += 1

    @property
    def length_s(self) -> float:
        """How long the track is so far."""
        return 0.0 if self.first_s is None else max(self.end_s, self.last_s) - self.first_s

    @property
    def fps(self) -> float:
        """Frames a second while there were any."""
        return self.active_frames / self.active_s if self.active_s else 1.0

    @property
    def picture_end_s(self) -> float:
        """When the last picture ends: it stands until the next one comes, the last one for at least one frame."""
        return max(self.end_s, self.last_s + 1.0 / max(self.fps, 1.0))


def _sound(stream: av.AudioStream, seen: Gathered) -> TrackFacts | None:
    if seen.first_s is None or not stream.codec_context.sample_rate:
        return None
    return TrackFacts(stream.codec_context.name, max(0.0, seen.first_s), max(seen.end_s, seen.last_s), seen.frames)


def _picture(stream: av.VideoStream, seen: Gathered) -> TrackFacts | None:
    context = stream.codec_context
    if seen.first_s is None or context.width < 2 or context.height < 2:
        return None
    size = context.width, context.height
    return TrackFacts(context.name, seen.first_s, seen.picture_end_s, seen.frames, *size, seen.fps)


def decode(path: Path, on_progress: Callable[[float], None] = lambda at_s: None, *, threads: int = 1) -> MadeFacts:
    """Decode every frame of a finished file and return what came out; a file that does not open counts as one error.

    on_progress gets the place in the file (seconds) again and again; what it raises goes on to the caller.
    """
    audio_s = video_s = audio_first_s = video_first_s = None
    frames = errors = width = height = 0
    try:
        with av.open(str(path), options=OPTIONS) as container:
            for stream in (*container.streams.audio[:1], *container.streams.video[:1]):
                stream.thread_count = threads
            for packet in container.demux([*container.streams.audio[:1], *container.streams.video[:1]]):
                try:
                    decoded = packet.decode()
                except FFmpegError:
                    errors += 1
                    continue
                if packet.pts is not None:
                    on_progress(float(packet.pts * packet.time_base))
                for frame in decoded:
                    if isinstance(frame, av.AudioFrame):
                        audio_s = (audio_s or 0.0) + frame.samples / frame.sample_rate
                        audio_first_s = frame.time if audio_first_s is None else audio_first_s
                    elif frame.pts is not None:
                        frames += 1
                        video_first_s = frame.time if video_first_s is None else video_first_s
                        width, height = frame.width, frame.height
                        video_s = max(video_s or 0.0, frame.time + float(frame.duration * frame.time_base))
    except (FFmpegError, OSError, ValueError):
        errors += 1
    return MadeFacts(audio_s, video_s, frames, width, height, errors, audio_first_s, video_first_s)
