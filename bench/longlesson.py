"""Have one real lesson of 45 minutes made into files by a worker: bytes, quality, and the time after its end.

    .venv/bin/python -m bench.longlesson [--minutes 45] [--keep FOLDER] [--only make,work,judge]

The lesson is what the recorder would leave: the camera clips of ../shared/media, cut into takes that follow one another
in a changing order (seeded), with the lecturer's narration. One worker with the settings of a fresh installation makes
all its files. VMAF is the small video's against the lesson, at the plan's own frame rate, over stretches spread evenly.
Prints and writes bench/results/longlesson.json. Time counts in the step "work" alone; with --keep, a step goes on from
what an earlier run left in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg

from bench.encode_ours import REFERENCE
from bench.processcost import machine
from bench.workers import until_published
from rules.renditions import Kind
from store.files import Files
from tests.slow import lessonmedia
from tests.slow.workstage import WorkStage
from workers import samples

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench/results/longlesson.json"
MEDIA = ROOT.parent / "shared/media"
CAMERAS = ("simpl-whiteboard-meeting-720p.webm", "simpl-webcam-pair-720p.webm")
NARRATION = "swc-slides-narration-155s.mkv"
TAKE_S = 8
FPS = 25
# A host's own encoder: no B-frames. Far better than what is measured, so that the lesson is as hard as the clips.
TAKE = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-bf", "0", "-g", "250", "-pix_fmt", "yuv420p")
STRETCH_S = 20
# What a file is called in the folder that steps share.
FILM, SMALL, FACTS = "lesson.mp4", "small.mp4", "work.json"


def main() -> None:
    """Go through the steps that are wanted, print, write."""
    given = _options()
    with tempfile.TemporaryDirectory(prefix="tropa-longlesson-") as place:
        folder = given.keep or Path(place)
        folder.mkdir(parents=True, exist_ok=True)
        if "make" in given.only:
            make(given.media, folder, 60 * given.minutes, random.Random(given.seed))
        if "work" in given.only:
            work(folder, given.port)
        if "judge" in given.only:
            told = {"machine": machine(), "minutes": given.minutes, "seed": given.seed}
            told |= json.loads((folder / FACTS).read_text()) | judge(folder, 60 * given.judged_minutes)
            print(json.dumps(told, indent=1))
            RESULTS.write_text(json.dumps(told, indent=1) + "\n")


def make(media: Path, folder: Path, seconds: float, rng: random.Random) -> None:
    """Make the lesson: takes are encoded once and copied in a new order each round."""
    if not all((media / name).exists() for name in (*CAMERAS, NARRATION)):
        print(f"no clips in {media}: this run makes its own lesson, whose figures say little about others")
        lessonmedia.lesson(folder / FILM, seconds, fps=15)
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
    _ffmpeg("-stream_loop", "-1", "-i", str(media / NARRATION), *opus, str(voice))
    pictures = ("-f", "concat", "-safe", "0", "-i", str(order))
    _ffmpeg(*pictures, "-i", str(voice), "-t", str(seconds), "-c", "copy", *lessonmedia.FRAGMENTED, str(folder / FILM))
    shutil.rmtree(takes)


def _takes(clip: Path, folder: Path) -> list[Path]:
    with av.open(str(clip)) as container:
        count = int(container.duration / av.time_base // TAKE_S)
    found = []
    for number in range(count):
        found.append(folder / f"{clip.stem}-{number}.mp4")
        window = ("-ss", str(number * TAKE_S), "-t", str(TAKE_S), "-i", str(clip), "-an", "-r", str(FPS))
        _ffmpeg(*window, *TAKE, str(found[-1]))
    return found


def work(folder: Path, port: int) -> None:
    """Have every file made of the lesson; keep the small video and what is known of all."""
    facts: dict = {"load_before": [round(load, 2) for load in os.getloadavg()]}

    def keep(stage: WorkStage) -> None:
        row = stage.recording("rec1")
        facts["bytes"] = {one.kind: one.bytes for one in row.renditions if one.bytes}
        facts["picture"] = row.plan["lesson"]["picture"]
        facts["content"] = row.plan["lesson"]["content"]
        facts["predicted_vmaf"] = row.plan["lesson"]["predicted_vmaf"]
        facts["stretches"] = len(row.plan["bounds_s"]) + 1
        key = next(one.key for one in row.renditions if one.kind == Kind.VIDEO_SMALL)
        with Files(stage.settings.storage_url).local_path(key) as path:
            shutil.copyfile(path, folder / SMALL)

    film = folder / FILM
    began_s = time.monotonic()
    facts["seconds_after_the_end"] = until_published(film, [os.sched_getaffinity(0)], port, list(Kind), keep)
    facts["bench_took_s"] = round(time.monotonic() - began_s)
    facts["processors"] = len(os.sched_getaffinity(0))
    facts["source_bytes"] = film.stat().st_size
    with av.open(str(film)) as container:
        length_s = container.duration / av.time_base
    small_s = facts["seconds_after_the_end"][Kind.VIDEO_SMALL]
    facts["length_s"] = round(length_s, 2)
    facts["small_times_real_time"] = round(length_s / small_s, 2)
    facts["load_after"] = [round(load, 2) for load in os.getloadavg()]
    (folder / FACTS).write_text(json.dumps(facts, indent=1))
    print(json.dumps(facts, indent=1), flush=True)


@dataclass(frozen=True, slots=True)
class Judged:
    """VMAF of one stretch that begins at this second."""

    at_s: int
    vmaf: float


def judge(folder: Path, seconds: float) -> dict:
    """Compare the small video with the lesson over so many seconds of it in all."""
    facts = json.loads((folder / FACTS).read_text())
    wanted = max(1, round(min(seconds, facts["length_s"]) / STRETCH_S))
    share_s = (facts["length_s"] - STRETCH_S) / max(1, wanted - 1)
    found = [_judge(folder, int(number * share_s), facts["picture"]["fps"]) for number in range(wanted)]
    worst = min(found, key=lambda one: one.vmaf)
    return {
        "vmaf": round(sum(one.vmaf for one in found) / len(found), 2),
        "vmaf_of_s": wanted * STRETCH_S,
        "worst_stretch": {"at_s": worst.at_s, "vmaf": round(worst.vmaf, 2)},
    }


def _judge(folder: Path, at_s: int, fps: float) -> Judged:
    cut = []
    for name in (FILM, SMALL):
        cut.append(folder / f"judged-{name}.mkv")
        lossless = ("-an", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0")
        _ffmpeg("-ss", str(at_s), "-t", str(STRETCH_S), "-i", str(folder / name), *lossless, str(cut[-1]))
    film, small = cut
    found = Judged(at_s, samples.vmaf(small, film, fps, REFERENCE, folder, lambda: None))
    for path in cut:
        path.unlink()
    return found


def _ffmpeg(*arguments: str) -> None:
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-nostdin", "-y", *arguments]
    subprocess.run(command, check=True, timeout=3600)


def _options() -> argparse.Namespace:
    steps = ("make", "work", "judge")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--judged-minutes", type=float, default=9.0)
    parser.add_argument("--media", type=Path, default=MEDIA, help="folder of clips")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for what the steps hand on; a temporary one")
    parser.add_argument("--only", type=lambda said: said.split(","), default=steps, help="of make, work, judge")
    parser.add_argument("--port", type=int, default=31430)
    return parser.parse_args()


if __name__ == "__main__":
    main()
