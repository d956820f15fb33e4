"""Find the clips that encoders are measured on, or make some where there are none."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from workers import planning
from workers.plan import Timeline

# The clips that everybody is compared on, by what they show.
NAMES = {
    "simpl-webcam-pair-720p.webm": "webcam",
    "composite-whiteboard-with-voice-41s.mkv": "whiteboard",
    "swc-slides-narration-155s.mkv": "slides",
    "gnome-screencast-dual-monitors.webm": "screencast",
}
# The same picture as the whiteboard with a voice.
DOUBLES = ("simpl-whiteboard-meeting-720p.webm",)
SUFFIXES = (".webm", ".mkv", ".mp4", ".mov")
MADE = {
    # Something that moves all over, and something that stands but for a clock.
    "made-moving": ("mandelbrot=size=1280x720:rate=25:end_scale=0.3", 12),
    "made-standing": ("smptehdbars=size=1280x720:rate=25,drawgrid=w=40:h=40:c=black", 12),
}


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip: what it is called in the results, its file, and where its tracks stand."""

    name: str
    path: Path
    line: Timeline


def clips(folder: Path, own: Path, only: tuple[str, ...]) -> tuple[list[Clip], bool]:
    """Return the clips of a folder, or where it has none some made in `own`; and whether they were given.

    `only` names those wanted, () all.
    """
    given = sorted(one for one in folder.glob("*") if one.suffix in SUFFIXES and one.name not in DOUBLES)
    found = [(NAMES.get(path.name, path.stem), path) for path in given] or [
        (name, _made(own / f"{name}.mkv", source, seconds)) for name, (source, seconds) in MADE.items()
    ]
    wanted = [(name, path) for name, path in found if not only or name in only]
    return [Clip(name, path, timeline(path)) for name, path in wanted], bool(given)


def timeline(path: Path) -> Timeline:
    """Lay a file out as a recording of one segment."""
    return planning.timeline({}, [path], [{"video_delay_s": 0.0, "duration_s": None}])


def _made(target: Path, source: str, seconds: int) -> Path:
    sound = f"sine=frequency=220:beep_factor=4:duration={seconds},volume=0.3"
    inputs = ["-f", "lavfi", "-t", str(seconds), "-i", source, "-f", "lavfi", "-i", sound]
    codecs = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-pix_fmt", "yuv420p", "-c:a", "libopus"]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *inputs, *codecs, str(target)]
    subprocess.run(command, check=True, timeout=600)
    return target
