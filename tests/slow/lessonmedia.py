"""Media for tests of the recording pipeline: segments as a recorder leaves them, made with ffmpeg's own sources."""

from __future__ import annotations

import hashlib
import json
import subprocess
from array import array
from pathlib import Path

import av
import imageio_ffmpeg

STARTED = "2026-03-02T09:00:00Z"
ENDED = "2026-03-02T09:10:00Z"
FRAGMENTED = ("-movflags", "+empty_moov+default_base_moof+frag_keyframe", "-frag_duration", "1000000")


def make(target: Path, *arguments: str) -> Path:
    """Run ffmpeg with the given arguments and return the file that it made."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y"]
    subprocess.run([*command, *arguments, str(target)], check=True, timeout=120)
    return target


def lesson(
    target: Path,
    seconds: float,
    *,
    size: str = "640x360",
    fps: int = 25,
    video: str = "libx264",
    sample_rate_hz: int = 48000,
    with_video: bool = True,
    with_audio: bool = True,
    mark_s: float | None = None,
) -> Path:
    """Make one segment: a moving picture and a tone.

    With mark_s the picture is black and the sound silent but for half a second from mark_s on: white, and a tone.
    """
    inputs, codecs = [], []
    if with_video:
        source = f"testsrc2=size={size}:rate={fps}:duration={seconds}"
        if mark_s is not None:
            shown = f"between(t,{mark_s},{mark_s + 0.5})"
            source = f"color=black:size={size}:rate={fps}:duration={seconds},drawbox=c=white:t=fill:enable='{shown}'"
        inputs += ["-f", "lavfi", "-i", source]
        speed = {"libx264": ["-preset", "ultrafast"], "libvpx": ["-deadline", "realtime", "-b:v", "500k"]}
        codecs += ["-c:v", video, "-pix_fmt", "yuv420p", "-g", str(2 * fps), *speed.get(video, ["-preset", "12"])]
    if with_audio:
        tone = f"sine=frequency=440:sample_rate={sample_rate_hz}:duration={seconds}"
        if mark_s is not None:
            tone += f",volume='between(t,{mark_s},{mark_s + 0.5})':eval=frame"
        inputs += ["-f", "lavfi", "-i", tone]
        codecs += ["-c:a", "libopus", "-b:a", "24k", "-ac", "1"]
    container = () if target.suffix == ".webm" else FRAGMENTED
    return make(target, *inputs, *codecs, *container)


def drop_sound(source: Path, target: Path, from_s: float, to_s: float) -> Path:
    """Copy a segment without the sound's packets between two times, as DTX or loss leave it."""
    with av.open(str(source)) as given, av.open(str(target), "w") as made:
        streams = {stream.index: made.add_stream_from_template(stream) for stream in given.streams}
        for packet in given.demux():
            if packet.pts is None:
                continue
            at_s = float(packet.pts * packet.time_base)
            if packet.stream.type == "audio" and from_s <= at_s < to_s:
                continue
            packet.stream = streams[packet.stream.index]
            made.mux(packet)
    return target


def mark_times(path: Path) -> tuple[float | None, float | None]:
    """Find when the tone and the white picture first come in a file, in seconds of what a player plays."""
    heard = seen = None
    plain = av.AudioResampler(format="s16", layout="mono")
    with av.open(str(path)) as container:
        for packet in container.demux():
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame) and heard is None:
                    samples = array("h", bytes(plain.resample(frame)[0].planes[0])[: 2 * frame.samples])
                    loud = next((n for n, sample in enumerate(samples) if abs(sample) > 650), None)
                    heard = None if loud is None else frame.time + loud / frame.sample_rate
                if isinstance(frame, av.VideoFrame) and seen is None:
                    luma = bytes(frame.planes[0])
                    seen = frame.time if sum(luma) / len(luma) > 180 else None
    return heard, seen


def seal(
    data: Path, session: str, recording: str, segments: list[Path], *, video_delay_s: float = 0.0, spoil: bool = False
) -> Path:
    """Lay segments and a manifest into TROPA_DATA/live as the recorder does; spoil changes one byte afterwards."""
    folder = data / "live" / session / recording
    folder.mkdir(parents=True)
    start = {"version": 1, "session": session, "recording": recording, "started_at": STARTED}
    (folder / "recording.json").write_text(json.dumps(start))
    listed = []
    for number, source in enumerate(segments, start=1):
        kept = folder / f"segment-{number:04d}{source.suffix}"
        kept.write_bytes(source.read_bytes())
        listed.append(_entry(kept, video_delay_s))
    end = {
        "ended_at": ENDED,
        "reason": "ended",
        "segments": listed,
        "gaps": [{"after_segment": n, "at_s": 0.0, "seconds": 4.0} for n in range(1, len(listed))],
        "attendance": [
            {"key": "guest:g1", "name": "Анна", "school": "", "joined_at": STARTED, "left_at": ENDED},
        ],
    }
    draft = folder / "manifest.json.tmp"
    draft.write_text(json.dumps(start | end))
    draft.rename(folder / "manifest.json")
    if spoil:
        first = folder / listed[0]["file"]
        content = bytearray(first.read_bytes())
        content[len(content) // 2] ^= 0xFF
        first.write_bytes(bytes(content))
    return folder


def _entry(path: Path, video_delay_s: float) -> dict:
    content = path.read_bytes()
    with av.open(str(path)) as container:
        video = next(iter(container.streams.video), None)
        audio = next(iter(container.streams.audio), None)
        ends = [float((p.pts + (p.duration or 0)) * p.time_base) for p in container.demux() if p.pts is not None]
    return {
        "file": path.name,
        "container": path.suffix[1:],
        "video_codec": video.codec_context.name if video else None,
        "audio_codec": audio.codec_context.name if audio else None,
        "started_at": STARTED,
        "duration_s": max(ends),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parts": len(ends),
        "video_delay_s": video_delay_s,
        "width": video.codec_context.width if video else None,
        "height": video.codec_context.height if video else None,
    }
