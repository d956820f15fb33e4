"""Record a lesson as it comes from the host: a viewer that writes. It decodes nothing.

Everything here runs on the event loop and is short; muxer and disk are on the writer's thread (media/writer.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from media.manifest import SegmentHead, Stay
from media.payload import Depacketizer, opus, video
from media.recovery import Resumable, recover
from media.remux import Sample, container_for
from media.reorder import ReorderBuffer
from media.rtp import MalformedPacket, RtpPacket
from media.timeline import Timeline, video_delay_s
from media.writer import NO_RESERVE, Identity, Writer
from rules.space import Reserve

__all__ = ["Recorder", "Resumable", "recover"]

Kind = Literal["audio", "video"]

REORDER_S = 0.75
"""How long a lost packet is waited for: a NACK and its answer over a satellite."""
START_WAIT_S = 0.8
"""How long the first sound waits for the first keyframe, so that both begin in one segment."""
MAX_HELD = 500
RETRY_S = 30.0
"""After the disk refused, a new segment is tried this often."""
CONTINUES_S = 1.0
MAX_FILLED_S = 60.0
"""Longer silences without any packet stay holes in the sound's times."""
MAX_FRAME_S = 2.0
MAX_REFUSED_PICTURES = 3
"""After so many segments that the muxer gave up, the rest of the connection is recorded as voice alone."""
PICTURE_REFUSED = "the picture cannot be written; the sound is recorded"
DELAY_STEP_S = 0.005
"""Smaller changes of the picture's delay are the sender's rounding, not news."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A frame before it has a place in a segment; `time_s` is of the arrival clock."""

    kind: Kind
    data: bytes
    time_s: float
    duration_s: float
    keyframe: bool = False
    size: tuple[int, int] | None = None


class _Track:
    """One medium of the present connection."""

    def __init__(self, clock_hz: int) -> None:
        self.reorder = ReorderBuffer(REORDER_S)
        self.timeline = Timeline(clock_hz)
        self.ssrc: int | None = None
        self.end: int | None = None  # in ticks since the segment's beginning
        self.like = b""  # the last Opus packet, after which fillers are made


class Recorder:
    """One recording of one session, from the room going live to its seal.

    `now_s` and `arrival_s` are Unix seconds of one steady clock (the caller adds to a monotonic clock what time.time()
    was ahead of it at the start), so that a step of the wall clock makes no gap. Nothing here raises for what a host
    sends.
    """

    def __init__(
        self,
        live_folder: Path,
        session: str,
        recording: str,
        now_s: float,
        max_hours: float,
        reserve: Reserve = NO_RESERVE,
    ) -> None:
        identity = Identity(session, recording, round(now_s, 3))
        self._begin(live_folder / session / recording, identity, max_hours, [], reserve)

    @classmethod
    def resume(cls, resumable: Resumable, max_hours: float, reserve: Reserve = NO_RESERVE) -> Recorder:
        """Continue a recording that media.recovery.recover offered."""
        recorder = cls.__new__(cls)
        recorder._begin(resumable.folder, resumable.identity, max_hours, resumable.stays, reserve)
        return recorder

    def _begin(
        self, folder: Path, identity: Identity, max_hours: float, stays: Iterable[Stay], reserve: Reserve
    ) -> None:
        self.identity = identity
        self._limit_s = identity.started_at + max_hours * 3600
        self._writer = Writer(folder, identity, reserve)
        self._stays = {(stay.key, stay.joined_at): stay for stay in stays}
        self._here: dict[str, Stay] = {}
        self.sealed: Future[Path | None] | None = None
        self._video_codec: str | None = None
        self._audio_expected = False
        self._segment = 0  # the writer's number of the open segment, 0 for none
        self._head: SegmentHead | None = None
        self._failed_s: float | None = None
        self._refused_pictures = 0
        self._reset_tracks()

    def _reset_tracks(self) -> None:
        self._tracks = {"audio": _Track(opus.CLOCK_HZ), "video": _Track(video.CLOCK_HZ)}
        self._depacketizer = Depacketizer(self._video_codec) if self._video_codec else None
        self._held: list[_Held] = []
        self._held_since_s = 0.0
        self._delay_s: float | None = None

    # The host.

    def host_connected(self, video_codec: str | None, audio: bool, now_s: float) -> None:
        """Begin a connection: "AV1", "VP9", "H264", "VP8" or None for voice alone. Its media opens a segment."""
        self._flush(now_s)
        self._close_segment()
        self._video_codec = video_codec if video_codec in video.CODECS else None
        self._audio_expected = audio
        self._refused_pictures = 0
        self._reset_tracks()

    def host_lost(self, now_s: float) -> None:
        """Finish the segment; media that comes after all opens another."""
        self._flush(now_s)
        self._close_segment()
        # What comes later is placed by its arrival: the time that went by without media is no part of the recording.
        self._reset_tracks()

    def on_rtp(self, kind: Kind, packet: RtpPacket, arrival_s: float) -> None:
        """Take a packet of the host as it arrives, retransmitted ones included; order and repeats do not matter."""
        if self.sealed is not None:
            return
        if arrival_s >= self._limit_s:
            self.seal("limit", arrival_s)
            return
        track = self._tracks[kind]
        if track.ssrc != packet.ssrc:
            if track.ssrc is not None:
                self._change_source(kind, arrival_s)
                track = self._tracks[kind]
            track.ssrc = packet.ssrc
        self._take(kind, track.reorder.push(packet, arrival_s))
        other: Kind = "video" if kind == "audio" else "audio"
        self._take(other, self._tracks[other].reorder.ready(arrival_s))
        self._open_when_due(arrival_s)

    def on_sender_report(self, kind: Kind, ntp_s: float, rtp_timestamp: int) -> None:
        """Take the clocks of a sender report: NTP time as Unix seconds, and the RTP timestamp of that moment."""
        self._tracks[kind].timeline.report(ntp_s, rtp_timestamp)
        self._measure_delay()

    def _measure_delay(self) -> None:
        delay_s = video_delay_s(self._tracks["audio"].timeline, self._tracks["video"].timeline)
        if delay_s is None or (self._delay_s is not None and abs(delay_s - self._delay_s) < DELAY_STEP_S):
            return
        self._delay_s = round(delay_s, 4)
        self._tell_delay()

    def wants_keyframe(self) -> bool:
        """Say whether the recording waits for a keyframe; ask the host as often as its coalescing allows."""
        if self.sealed is not None or self._depacketizer is None or self._tracks["video"].ssrc is None:
            return False
        return self._depacketizer.broken or not self._has("video")

    # The viewers.

    def viewer_joined(self, key: str, name: str, school: str, now_s: float) -> None:
        """Note that a viewer came; one who is there already (a second window) stays one."""
        if self.sealed is not None or key in self._here:
            return
        stay = self._here[key] = Stay(key, name, school, round(now_s, 3))
        self._note(stay)

    def viewer_left(self, key: str, now_s: float) -> None:
        """Note that a viewer went."""
        stay = self._here.pop(key, None)
        if stay is not None and self.sealed is None:
            self._note(replace(stay, left_at=round(now_s, 3)))

    def _note(self, stay: Stay) -> None:
        self._stays[stay.key, stay.joined_at] = stay
        self._writer.attendance(stay)

    # The end.

    def seal(self, reason: str, now_s: float) -> Future[Path | None]:
        """Finish and write the manifest on the writer's thread; the future is also kept in `sealed`.

        It gives the manifest's path, None when there was nothing to record, or the OSError that stands in the way (the
        folder then stays for the next start to seal).
        """
        if self.sealed is None:
            self._flush(now_s)
            ended_at = None if reason in ("host_lost", "restart") else round(now_s, 3)
            self.sealed = self._writer.seal(reason, ended_at, list(self._stays.values()))
        return self.sealed

    def suspend(self, now_s: float) -> Future[Path | None]:
        """Stop without a seal, as the process goes down: the next one resumes the recording or seals it."""
        if self.sealed is None:
            self._flush(now_s)
            self.sealed = self._writer.suspend()
        return self.sealed

    def status(self) -> dict:
        """Return what the room state says of the recording.

        `failure` tells why nothing is written now, for the log, and `trouble` in one word for pages; None: all is well.
        """
        return {
            "id": self.identity.recording,
            "started_at": self.identity.started_at,
            "seconds": round(self._writer.seconds, 1),
            "bytes": self._writer.bytes,
            "failure": self._writer.failure or (PICTURE_REFUSED if self._picture_given_up() else None),
            "trouble": self._trouble(),
        }

    def _trouble(self) -> Literal["disk_full", "disk", "picture"] | None:
        if self._writer.failure is not None:
            return "disk_full" if self._writer.disk_full else "disk"
        return "picture" if self._picture_given_up() else None

    def _picture_given_up(self) -> bool:
        return self._refused_pictures >= MAX_REFUSED_PICTURES

    # From packets to frames.

    def _change_source(self, kind: Kind, arrival_s: float) -> None:
        """The sender took a new SSRC: its numbers and clocks begin anew, the segment goes on."""
        self._take(kind, self._tracks[kind].reorder.flush())
        fresh = _Track(self._tracks[kind].timeline.clock_hz)
        fresh.end, fresh.like = self._tracks[kind].end, self._tracks[kind].like
        self._tracks[kind] = fresh
        if kind == "video" and self._depacketizer is not None:
            self._depacketizer = Depacketizer(self._video_codec)

    def _flush(self, now_s: float) -> None:
        for kind, track in self._tracks.items():
            self._take(kind, track.reorder.flush())
        if self._held:
            self._open_when_due(now_s, at_once=True)

    def _take(self, kind: Kind, ready: list[tuple[int, RtpPacket, float]]) -> None:
        for sequence, packet, arrival_s in ready:
            if kind == "audio":
                self._voice(packet, arrival_s)
            elif self._depacketizer is not None:
                for frame in self._depacketizer.push(sequence, packet):
                    time_s = self._tracks["video"].timeline.place(frame.timestamp, arrival_s)
                    self._frame(_Held("video", frame.data, time_s, 0.0, frame.keyframe, frame.size), arrival_s)

    def _voice(self, packet: RtpPacket, arrival_s: float) -> None:
        try:
            samples = opus.packet_samples(packet.payload)
        except MalformedPacket:
            return
        time_s = self._tracks["audio"].timeline.place(packet.timestamp, arrival_s)
        self._frame(_Held("audio", packet.payload, time_s, samples / opus.CLOCK_HZ), arrival_s)

    def _has(self, kind: Kind) -> bool:
        """Say whether an open segment has this track."""
        if not self._segment or self._head is None:
            return False
        return (self._head.audio_codec if kind == "audio" else self._head.video_codec) is not None

    def _frame(self, frame: _Held, arrival_s: float) -> None:
        """Write a frame into the open segment, or hold it until one with its track is open."""
        if self._segment and self._writer.dead_segment == self._segment:
            self._segment_died(arrival_s)
        if self._failed_s is not None and arrival_s < self._failed_s + RETRY_S:
            return
        if self._has(frame.kind) and not (frame.keyframe and self._needs_new_segment(frame)):
            self._write(frame)
        elif frame.kind == "audio" or frame.keyframe or any(held.kind == "video" for held in self._held):
            if not self._held:
                self._held_since_s = arrival_s
            self._held.append(frame)
            self._open_when_due(arrival_s)

    def _needs_new_segment(self, keyframe: _Held) -> bool:
        return bool(self._held) or (self._head.width, self._head.height) != keyframe.size

    def _segment_died(self, arrival_s: float) -> None:
        """The muxer or the disk ended it: begin another at the next keyframe, after a pause where it is the disk."""
        self._segment = 0
        self._failed_s = arrival_s if self._writer.failure is not None else None
        if self._depacketizer is None:
            return
        self._depacketizer.break_off()
        if self._writer.failure is None:
            self._refused_pictures += 1
            if self._picture_given_up():
                self._video_codec, self._depacketizer = None, None

    # From frames to segments.

    def _open_when_due(self, now_s: float, at_once: bool = False) -> None:
        """Open a segment as soon as every expected track has come, or the first has waited long enough."""
        if not self._held:
            return
        has_voice = self._has("audio") or any(held.kind == "audio" for held in self._held)
        has_picture = any(held.kind == "video" for held in self._held)
        complete = (has_voice or not self._audio_expected) and (has_picture or self._video_codec is None)
        waited = now_s - self._held_since_s >= START_WAIT_S or len(self._held) > MAX_HELD
        if complete or waited or at_once:
            self._open(has_voice, has_picture)

    def _open(self, has_voice: bool, has_picture: bool) -> None:
        held, self._held = sorted(self._held, key=lambda each: each.time_s), []
        start_s = held[0].time_s
        voice = self._tracks["audio"]
        if self._has("audio") and voice.end is not None:
            # A change in mid-speech: the new segment begins where the old one's sound ends.
            old_end_s = self._head.started_at + voice.end / opus.CLOCK_HZ
            if abs(start_s - old_end_s) <= CONTINUES_S:
                start_s = old_end_s
        if not has_picture and self._depacketizer is not None:
            self._depacketizer.break_off()
        size = next((one.size for one in held if one.size is not None), (None, None))
        codec = self._video_codec if has_picture else None
        voice_like = next((one.data for one in held if one.kind == "audio"), voice.like)
        self._head = SegmentHead(
            container=container_for(codec),
            video_codec=codec,
            audio_codec="opus" if has_voice else None,
            started_at=start_s,
            width=size[0],
            height=size[1],
        )
        self._failed_s = None
        self._segment = self._writer.open_segment(self._head, opus.is_stereo(voice_like))
        for track in self._tracks.values():
            track.end = None
        self._measure_delay()  # the reports may have come before the first frames
        self._tell_delay()
        for frame in held:
            self._write(frame)

    def _close_segment(self) -> None:
        if self._segment:
            self._writer.close_segment()
        self._segment = 0
        self._held = []

    def _tell_delay(self) -> None:
        if self._delay_s is not None and self._segment:
            self._writer.video_delay(self._delay_s)

    def _write(self, frame: _Held) -> None:
        track = self._tracks[frame.kind]
        clock_hz = track.timeline.clock_hz
        at = max(0, round((frame.time_s - self._head.started_at) * clock_hz))
        duration = round(frame.duration_s * clock_hz)
        if frame.kind == "audio":
            self._write_voice(track, frame.data, at, duration)
            return
        # Frames carry no length: the last interval stands for it, the muxer corrects it by the next frame.
        end = track.end if track.end is not None else at - 1
        at = max(at, end + 1)
        interval = min(at - end, round(MAX_FRAME_S * clock_hz)) if track.end is not None else clock_hz // 15
        if self._writer.sample(Sample("video", frame.data, at, interval, frame.keyframe)):
            track.end = at
        elif self._depacketizer is not None:
            self._depacketizer.break_off()

    def _write_voice(self, track: _Track, data: bytes, at: int, duration: int) -> None:
        """Write a voice packet; what is missing before it (loss, silence under DTX) is filled with empty packets."""
        if track.end is not None:
            if at + duration <= track.end:
                return
            at = max(at, track.end)
            missing = at - track.end
            if missing <= MAX_FILLED_S * opus.CLOCK_HZ:
                at = self._fill(track, missing)
        if self._writer.sample(Sample("audio", data, at, duration, False)):
            track.end, track.like = at + duration, data

    def _fill(self, track: _Track, missing: int) -> int:
        """Fill whole packets' worth of `missing` ticks; return where the next packet begins."""
        begin, end = track.end, track.end + missing
        if track.like:
            filler, length = opus.filler(track.like), opus.packet_samples(track.like)
            while begin + length <= end and self._writer.sample(Sample("audio", filler, begin, length, False)):
                begin += length
        # Less than a packet is the sender's jitter of rounding: the sound stays seamless where it is tiny.
        return begin if end - begin <= opus.CLOCK_HZ // 1000 else end
