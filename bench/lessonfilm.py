"""Make a lesson as the recorder leaves one, of any length, from the clips of real people; or something like it.

Camera clips are cut into takes that follow one another in a changing order, with a lecturer's narration.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg

from tests.slow import lessonmedia

ROOT = Path(__file__).parents[1]
MEDIA = ROOT.parent / "shared/media"
CAMERAS = ("simpl-whiteboard-meeting-720p.webm", "simpl-webcam-pair-720p.webm")
NARRATION = "swc-slides-narration-155s.mkv"
TAKE_S = 8
FPS = 25
# A host's own encoder: no B-frames. Far better than what is measured, so that the lesson is as hard as the clips.
TAKE = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-bf", "0", "-g", "250", "-pix_fmt", "yuv420p")


def make(target: Path, seconds: float, seed: int, media: Path = MEDIA) -> None:
    """Make a lesson; takes are encoded once and copied in a new order each round. What it needs passes beside it."""
    folder, rng = target.parent.resolve(), random.Random(seed)
    if not all((media / name).exists() for name in (*CAMERAS, NARRATION)):
        print(f"no clips in {media}: this run makes its own lesson, whose figures say little about others")
        lessonmedia.lesson(target, seconds, fps=15)
        return
    takes = folder / "takes"
    takes.mkdir(exist_ok=True)
    found = [take for name in CAMERAS for take in _takes(media / name, takes)]
    listed, last = [], None
    while len(listed) * TAKE_S < seconds:
        for take in rng.sample(found, len(found)):
            if take != last:
                listed.append(take)
                last = take
    order = folder / "order.txt"
    order.write_text("".join(f"file '{take}'\n" for take in listed))
    voice = folder / "voice.ogg"
    opus = ("-vn", "-t", str(seconds), "-c:a", "libopus", "-b:a", "24k", "-ac", "1", "-frame_duration", "60")
    run("-stream_loop", "-1", "-i", str(media / NARRATION), *opus, str(voice))
    pictures = ("-f", "concat", "-safe", "0", "-i", str(order))
    run(*pictures, "-i", str(voice), "-t", str(seconds), "-c", "copy", *lessonmedia.FRAGMENTED, str(target))
    shutil.rmtree(takes)
    order.unlink()
    voice.unlink()


def _takes(clip: Path, folder: Path) -> list[Path]:
    with av.open(str(clip)) as container:
        count = int(container.duration / av.time_base // TAKE_S)
    found = []
    for number in range(count):
        found.append(folder / f"{clip.stem}-{number}.mp4")
        window = ("-ss", str(number * TAKE_S), "-t", str(TAKE_S), "-i", str(clip), "-an", "-r", str(FPS))
        run(*window, *TAKE, str(found[-1]))
    return found


def run(*arguments: str) -> None:
    """Run ffmpeg."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, timeout=3600)
