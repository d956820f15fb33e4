"""The presets of other systems for small videos, as their own sources give them, run with the same ffmpeg."""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

PEERTUBE_BITS_PER_PIXEL = 0.17
PEERTUBE_LINES = 240


@dataclass(frozen=True, slots=True)
class Peer:
    """One preset: its name in the results, its container, ffmpeg's options, and where they are from.

    `{width}`, `{rate}` and `{buffer}` are filled in per clip where a preset depends on it.
    """

    name: str
    container: str
    options: tuple[str, ...]
    source: str


PEERS = (
    Peer(
        "kolibri",
        "mp4",
        (
            *("-profile:v", "baseline", "-level", "3.0", "-b:a", "32k", "-ac", "1"),
            *("-vf", "scale='w=-2:h=trunc(min(ih,480)/2)*2'", "-crf", "32", "-preset", "slow"),
            *("-movflags", "faststart"),
        ),
        "learningequality/pressurecooker, videos.py",
    ),
    Peer(
        "openzim-webm",
        "webm",
        (
            *("-codec:v", "libvpx-vp9", "-b:v", "140k", "-qmin", "30", "-qmax", "40", "-g", "240"),
            *("-quality", "good", "-speed", "4", "-vf", "scale='480:trunc(ow/a/2)*2'"),
            *("-codec:a", "libvorbis", "-b:a", "48k", "-ar", "44100"),
        ),
        "openzim/python-scraperlib, presets.py, VideoWebmLow version 3",
    ),
    Peer(
        "openzim-mp4",
        "mp4",
        (
            *("-codec:v", "h264", "-b:v", "300k", "-maxrate", "300k", "-minrate", "300k", "-bufsize", "1000k"),
            *("-qmin", "30", "-qmax", "42", "-vf", "scale='480:trunc(ow/a/2)*2'"),
            *("-codec:a", "aac", "-ar", "44100", "-b:a", "48k", "-movflags", "+faststart"),
        ),
        "openzim/python-scraperlib, presets.py, VideoMp4Low",
    ),
    Peer(
        "peertube-240p",
        "mp4",
        (
            *("-codec:v", "libx264", "-preset", "veryfast", "-maxrate", "{rate}", "-bufsize", "{buffer}"),
            *("-b_strategy", "1", "-bf", "16", "-pix_fmt", "yuv420p", "-vf", "scale=w=-2:h=240"),
            *("-codec:a", "aac", "-b:a", "96k", "-movflags", "faststart"),
        ),
        "Chocobozzz/PeerTube, default-transcoding-profiles.ts and core-utils/videos/bitrate.ts",
    ),
    Peer(
        "opencast-480p",
        "mp4",
        (
            *("-codec:v", "libx264", "-crf", "23", "-maxrate", "800k", "-bufsize", "800k", "-profile:v", "high"),
            *("-level", "4.0", "-pix_fmt", "yuv420p", "-x264opts", "keyint=25:min-keyint=25:no-scenecut"),
            *("-movflags", "+faststart", "-vf", r"scale='-2:min(ih\,480)',fps=fps=25"),
            *("-codec:a", "aac", "-b:a", "32k", "-ac", "1"),
        ),
        "opencast/opencast, etc/encoding/adaptive-streaming-movies.properties, adaptive-480p.http",
    ),
)


def encode(peer: Peer, source: Path, folder: Path, aspect: float, fps: float) -> tuple[Path, float]:
    """Encode a clip with a peer's preset; return the file and the seconds that it took."""
    rate = int(PEERTUBE_LINES * PEERTUBE_LINES * aspect * fps * PEERTUBE_BITS_PER_PIXEL)
    options = [option.format(rate=rate, buffer=2 * rate) for option in peer.options]
    target = folder / f"{peer.name}.{peer.container}"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", "-i", str(source), *options]
    began_s = time.monotonic()
    subprocess.run([*command, str(target)], check=True, timeout=3600)
    return target, time.monotonic() - began_s
