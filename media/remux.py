"""Write one segment of a recording: frames as they came, muxed by FFmpeg's library, cut into parts on disk."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from media.manifest import Part, Segment, SegmentHead, segment_of, to_line
from media.parts import PartSplitter
from media.payload import opus, video

PART_S = 0.6
"""With 0.75 s in which a lost packet is waited for, a kill costs less than 1.5 s."""
_MICROSECONDS = 1_000_000
_MUX_NAMES = {"AV1": "av1", "VP9": "vp9", "H264": "h264", "VP8": "vp8"}
_MP4_OPTIONS = {
    # frag_discont writes each fragment's own times, so that a track may begin later than the other.
    "movflags": "empty_moov+default_base_moof+frag_discont+skip_trailer",
    "frag_duration": str(int(PART_S * _MICROSECONDS)),
    "avoid_negative_ts": "disabled",
}
_WEBM_OPTIONS = {"live": "1", "cluster_time_limit": str(int(PART_S * 1000))}
# One microsecond: a silent track must not make the muxer wait for it. Frames come nearly in order anyhow.
_COMMON_OPTIONS = {"flush_packets": "1", "max_interleave_delta": "1"}


def container_for(video_codec: str | None) -> str:
    """Choose the container: the MP4 muxer refuses VP8, and leaves VP9 without the profile in its vpcC."""
    return "webm" if video_codec in ("VP8", "VP9") else "mp4"


@dataclass(frozen=True, slots=True)
class Sample:
    """A whole frame: of "video" or "audio", at ticks of that track's clock since the segment's beginning."""

    kind: str
    data: bytes
    at: int
    duration: int
    keyframe: bool

    @property
    def start_s(self) -> float:
        """Return when it begins, in seconds."""
        return self.at / (video.CLOCK_HZ if self.kind == "video" else opus.CLOCK_HZ)

    @property
    def end_s(self) -> float:
        """Return when it ends, in seconds."""
        return (self.at + self.duration) / (video.CLOCK_HZ if self.kind == "video" else opus.CLOCK_HZ)


class _Sink:
    """What the muxer writes into. It cannot seek, and it never touches the disk inside the muxer's call."""

    def __init__(self, splitter: PartSplitter) -> None:
        self._splitter = splitter
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces += self._splitter.feed(bytes(data))
        return len(data)


class SegmentFile:
    """One segment-NNNN file and its jsonl. Every whole part is on disk when `write` returns.

    Raises OSError when the disk refuses, av.FFmpegError when the muxer does; `finish` may follow either.
    """

    def __init__(self, path: Path, head: SegmentHead, stereo: bool) -> None:
        self.path = path
        self.head = head
        self.parts: list[Part] = []
        self.video_delay_s: float | None = None
        self._splitter = PartSplitter(head.container)
        self._sink = _Sink(self._splitter)
        self._digest = hashlib.sha256()
        self._given_end_s = 0.0
        self._part_keyframe = False
        self._video = self._audio = None
        self._media_file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
        self._lines_file = -1
        try:
            self._lines_file = os.open(path.with_suffix(".jsonl"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            _write_all(self._lines_file, to_line(head).encode())
            self._muxer = self._open_muxer(stereo)
        except BaseException:
            self._close_files()
            raise

    def _open_muxer(self, stereo: bool) -> av.container.OutputContainer:
        options = _COMMON_OPTIONS | (_MP4_OPTIONS if self.head.container == "mp4" else _WEBM_OPTIONS)
        muxer = av.open(self._sink, "w", format=self.head.container, options=options)
        if self.head.video_codec is not None:
            size = {"width": self.head.width, "height": self.head.height}
            self._video = muxer.add_mux_stream(_MUX_NAMES[self.head.video_codec], **size)
            self._video.time_base = Fraction(1, video.CLOCK_HZ)
        if self.head.audio_codec is not None:
            # The encoder only lends its header; it never gets a sample.
            layout = "stereo" if stereo else "mono"
            self._audio = muxer.add_stream("libopus", rate=opus.CLOCK_HZ, layout=layout)
            self._audio.time_base = Fraction(1, opus.CLOCK_HZ)
        return muxer

    def write(self, sample: Sample) -> None:
        """Mux one frame; the parts that it completes go to disk."""
        packet = av.Packet(sample.data)
        is_video = sample.kind == "video"
        packet.stream = self._video if is_video else self._audio
        packet.time_base = Fraction(1, video.CLOCK_HZ if is_video else opus.CLOCK_HZ)
        packet.pts = packet.dts = sample.at
        packet.duration = sample.duration
        packet.is_keyframe = sample.keyframe or not is_video
        self._muxer.mux_one(packet)
        # A part is cut before the frame that makes it too long, so it ends where the frames before that one end.
        self._keep_parts()
        self._given_end_s = max(self._given_end_s, sample.end_s)
        self._part_keyframe |= is_video and sample.keyframe

    def finish(self, muxer_failed: bool = False) -> Segment | None:
        """Write the last part, close, and sum up; None when not one part came together."""
        try:
            if not muxer_failed:
                self._muxer.close()
                self._keep_parts()
        finally:
            self._close_files()
        return self.summary()

    def give_up(self) -> Segment | None:
        """Close after the disk refused: cut off what is not a whole part, keep the rest."""
        try:
            os.ftruncate(self._media_file, self.bytes)
        finally:
            self._close_files()
        return self.summary()

    def summary(self) -> Segment | None:
        """Return what the manifest will say of the parts so far."""
        if not self.parts:
            return None
        return segment_of(self.path.name, self.head, self.parts, self._digest.copy().hexdigest())

    @property
    def bytes(self) -> int:
        """Return the length of the whole parts and the head."""
        return self.parts[-1].offset + self.parts[-1].bytes if self.parts else 0

    @property
    def end_s(self) -> float:
        """Return the end of the last whole part."""
        return self.parts[-1].start_s + self.parts[-1].duration_s if self.parts else 0.0

    def _keep_parts(self) -> None:
        pieces, self._sink.pieces = self._sink.pieces, []
        for piece in pieces:
            self._keep(piece)

    def _keep(self, piece: bytes) -> None:
        """Put the line down first, then the part: recovery trusts a line only as far as the file bears it out."""
        head_bytes = self._splitter.head_bytes if not self.parts else 0
        part = Part(
            offset=self.bytes + head_bytes,
            bytes=len(piece) - head_bytes,
            start_s=round(self.end_s, 3),
            duration_s=round(max(0.0, self._given_end_s - self.end_s), 3),
            keyframe=self._part_keyframe,
            video_delay_s=self.video_delay_s,
        )
        _write_all(self._lines_file, to_line(part).encode())
        _write_all(self._media_file, piece)
        # Against a power cut, not only against a kill; on the writer's thread it delays nobody.
        os.fdatasync(self._media_file)
        self._digest.update(piece)
        self.parts.append(part)
        self._part_keyframe = False

    def _close_files(self) -> None:
        for descriptor in (self._media_file, self._lines_file):
            if descriptor >= 0:
                os.close(descriptor)
        self._media_file = self._lines_file = -1


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
