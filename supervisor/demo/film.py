"""Encode the demo's lesson once, so that showing it costs no encoder: H.264 baseline and Opus in Matroska."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import imageio_ffmpeg

from supervisor.demo import lesson, tune
from supervisor.demo.board import HEIGHT, WIDTH

# The number grows when what is drawn or how it is encoded changes.
FILE = "lesson-1.mkv"
VIDEO = (
    *("-c:v", "libx264", "-profile:v", "baseline", "-preset", "veryfast", "-crf", "27"),
    *("-maxrate", "180k", "-bufsize", "180k"),
    # A keyframe every two seconds, and nowhere else: a viewer who joins waits no longer than that.
    *("-g", str(2 * lesson.FPS), "-keyint_min", str(2 * lesson.FPS), "-sc_threshold", "0"),
)
# ffmpeg's WHIP muxer takes 48 kHz stereo alone; Opus codes the equal channels as one.
AUDIO = ("-c:a", "libopus", "-ar", "48000", "-ac", "2", "-b:a", "28k")


def ensure(folder: Path) -> Path:
    """Return the film, made on the first start (a few seconds); a half-made one is never seen under its name."""
    film = folder / FILE
    if film.exists():
        return film
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="film-") as making:
        sound = Path(making) / "tune.s16"
        sound.write_bytes(tune.tune(lesson.SECONDS))
        made = Path(making) / FILE
        command = [
            *(imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error"),
            *("-f", "s16le", "-ar", str(tune.RATE_HZ), "-ac", "1", "-i", str(sound)),
            *(
                "-f",
                "rawvideo",
                "-pix_fmt",
                "yuv420p",
                "-s",
                f"{WIDTH}x{HEIGHT}",
                "-r",
                str(lesson.FPS),
                "-i",
                "pipe:0",
            ),
            *("-map", "1:v", "-map", "0:a", *VIDEO, *AUDIO, str(made)),
        ]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
            for frame in lesson.frames():
                encoder.stdin.write(frame)
        if encoder.returncode:
            raise RuntimeError(f"the demo's lesson could not be encoded: ffmpeg ended with {encoder.returncode}")
        os.replace(made, film)
    return film


def as_segment(film: Path, target: Path) -> None:
    """Copy the film into the form in which the recorder leaves a lesson: fragmented MP4, parts of one second."""
    command = [
        *(imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-loglevel", "error", "-y", "-i", str(film), "-c", "copy"),
        *("-movflags", "+empty_moov+default_base_moof", "-frag_duration", "1000000", str(target)),
    ]
    subprocess.run(command, check=True)
