"""Have one real lesson of 45 minutes made into files by a worker: bytes, quality, and the time after its end.

    .venv/bin/python -m bench.longlesson [--minutes 45] [--keep FOLDER] [--only make,work,judge]

The lesson (bench.lessonfilm) is made of camera clips in a changing order, with a lecturer's narration. One worker with
the settings of a fresh installation makes all its files. VMAF is the small video's against the lesson, at the plan's
own frame rate, over stretches spread evenly. Prints and writes bench/results/longlesson.json. Time counts in the step
"work" alone; with --keep, a step goes on from what an earlier run left in the folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av

from bench import lessonfilm
from bench.encode_ours import REFERENCE
from bench.processcost import machine
from bench.workers import until_published
from rules.renditions import Kind
from store.files import Files
from tests.slow.workstage import WorkStage
from workers import samples

RESULTS = Path(__file__).parent / "results" / "longlesson.json"
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
            lessonfilm.make(folder / FILM, 60 * given.minutes, given.seed, given.media)
        if "work" in given.only:
            work(folder, given.port)
        if "judge" in given.only:
            told = {"machine": machine(), "minutes": given.minutes, "seed": given.seed}
            told |= json.loads((folder / FACTS).read_text()) | judge(folder, 60 * given.judged_minutes)
            print(json.dumps(told, indent=1))
            RESULTS.write_text(json.dumps(told, indent=1) + "\n")


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
        lessonfilm.run("-ss", str(at_s), "-t", str(STRETCH_S), "-i", str(folder / name), *lossless, str(cut[-1]))
    film, small = cut
    found = Judged(at_s, samples.vmaf(small, film, fps, REFERENCE, folder, lambda: None))
    for path in cut:
        path.unlink()
    return found


def _options() -> argparse.Namespace:
    steps = ("make", "work", "judge")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=45.0)
    parser.add_argument("--judged-minutes", type=float, default=9.0)
    parser.add_argument("--media", type=Path, default=lessonfilm.MEDIA, help="folder of clips")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, help="folder for what the steps hand on; a temporary one")
    parser.add_argument("--only", type=lambda said: said.split(","), default=steps, help="of make, work, judge")
    parser.add_argument("--port", type=int, default=31430)
    return parser.parse_args()


if __name__ == "__main__":
    main()
