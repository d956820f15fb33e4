"""Kill workers at random, again and again, while one lesson is made into files; then look at what was published.

    .venv/bin/python -m bench.kills [--kills 50] [--minutes 4] [--seeds 1 2] [--aim pack]

Kills -9 workers, pool processes and encoders, whichever chance picks, and starts workers again. Prints what was hit and
what is wrong, and writes bench/results/kills.json. Ends with 1 where anything is wrong or was published twice.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from bench.processcost import machine
from tests.slow import killing, lessonmedia
from tests.slow.workstage import WorkStage

RESULTS = Path(__file__).parent / "results" / "kills.json"


def main() -> int:
    """Make a lesson with each seed, write what was seen."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--minutes", type=float, default=4.0)
    options.add_argument("--pause", type=float, default=6.0, help="mean pause between two kills, seconds")
    options.add_argument("--aim", default="", help="kill while this kind of file is made, the pack for instance")
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    options.add_argument("--port", type=int, default=31410)
    options.add_argument("--keep", default="", help="a folder for the workers' log of a run that went wrong")
    given = options.parse_args()
    runs = []
    for seed in given.seeds:
        runs.append(one_run(given, seed))
        print(json.dumps(runs[-1], indent=1, ensure_ascii=False), flush=True)
    result = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    result["machine"] = machine()
    result[f"aimed at {given.aim}" if given.aim else "runs"] = runs
    RESULTS.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return 1 if any(run["wrong"] for run in runs) else 0


def one_run(given: argparse.Namespace, seed: int) -> dict:
    """Make a lesson, kill, wait, look."""
    with tempfile.TemporaryDirectory(prefix="tropa-kills-") as place:
        folder = Path(place)
        film = lessonmedia.lesson(folder / "lesson.mp4", 60 * given.minutes, size="320x180")
        with WorkStage(folder, given.port, TROPA_WORKER_PROCESSES="2") as stage:
            lessonmedia.seal(stage.data, stage.session_id, "rec1", [film])
            stage.start_beat()
            stage.start_worker()
            began_s = time.monotonic()
            hit = killing.kill_at_random(stage, random.Random(seed), given.kills, given.pause, "rec1", given.aim)
            killed_s = time.monotonic() - began_s
            stage.wait_for_state("rec1", "published", patience_s=1800)
            took_s = time.monotonic() - began_s
            with contextlib.suppress(AssertionError):
                stage.wait(lambda: not killing.left_over(stage, "rec1"), "nothing is left over", patience_s=60)
            wrong = killing.left_over(stage, "rec1")
            rows = stage.recording("rec1").renditions
            deaths = stage.log("worker").count("died; somebody else goes on")
            if wrong and given.keep:
                shutil.copy(folder / "worker.log", Path(given.keep, f"worker-{seed}.log"))
    return {
        "seed": seed,
        "lesson_s": 60 * given.minutes,
        "kills": sum(count for what, count in hit.items() if not what.startswith("while")),
        "hit": dict(sorted(hit.items())),
        "leases_of_the_dead": deaths,
        "killing_s": round(killed_s),
        "published_after_s": round(took_s),
        "files": {row.kind: {"bytes": row.bytes, "duration_s": row.duration_s} for row in rows},
        "wrong": wrong,
    }


if __name__ == "__main__":
    sys.exit(main())
