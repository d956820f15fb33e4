"""Measure how fast a lesson becomes files: with one worker and with two, each on a processor of its own; and its voice.

    .venv/bin/python -m bench.workers [--minutes 10] [--voice-minutes 45]

Prints a table and writes bench/results/workers.json. The lesson is bench.lessonfilm's. Times are counted from the
moment at which the recorder seals the recording, so that taking it over counts.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from bench import lessonfilm
from bench.processcost import machine
from rules.renditions import Kind
from store.models import Recording
from tests.slow import lessonmedia
from tests.slow.workstage import WorkStage

RESULTS = Path(__file__).parent / "results" / "workers.json"
PATIENCE_S = 3600


def until_published(
    film: Path,
    processors: list[set[int]],
    port: int,
    kinds: list[Kind],
    then: Callable[[WorkStage], None] = lambda stage: None,
) -> dict[str, float]:
    """Have a lesson made by one worker on each of these sets of processors; seconds to each of these kinds of file.

    `then` may look at what was made before it is thrown away.
    """
    with tempfile.TemporaryDirectory(prefix="tropa-workers-") as place, WorkStage(Path(place), port) as stage:
        for own in processors:
            stage.start_worker(processors=own)
        stage.start_beat()
        stage.wait(lambda: stage.log("worker").count("ready.") == len(processors), "the workers are ready")
        lessonmedia.seal(stage.data, stage.session_id, "rec1", [film])
        sealed = datetime.fromtimestamp(
            (stage.data / "live" / stage.session_id / "rec1" / "manifest.json").stat().st_mtime
        ).astimezone()

        def is_done() -> bool:
            row = stage.recording("rec1")
            return row is not None and all(one.published_at for one in row.renditions if one.kind in kinds)

        stage.wait(is_done, "the files are published", patience_s=PATIENCE_S)
        then(stage)
        return _times(stage.recording("rec1"), sealed)


def _times(row: Recording, sealed: datetime) -> dict[str, float]:
    found = {one.kind: one.published_at for one in row.renditions if one.published_at}
    taken = {"taken over": row.created_at}
    return {name: round((at - sealed).total_seconds(), 1) for name, at in (taken | found).items()}


def main() -> None:
    """Make lessons, measure, print, write."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=10.0)
    options.add_argument("--voice-minutes", type=float, default=45.0)
    options.add_argument("--only", choices=("workers", "voice"))
    options.add_argument("--port", type=int, default=31420)
    given = options.parse_args()
    one, two = sorted(os.sched_getaffinity(0))[:2]
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept |= {"machine": machine(), "load_before": [round(load, 2) for load in os.getloadavg()]}
    with tempfile.TemporaryDirectory(prefix="tropa-workers-film-") as place:
        if given.only != "voice":
            lessonfilm.make(film := Path(place, "lesson.mp4"), 60 * given.minutes, seed=1)
            every = list(Kind)
            alone = until_published(film, [{one}], given.port, every)
            together = until_published(film, [{one}, {two}], given.port + 1, every)
            ratio = round(max(alone.values()) / max(together.values()), 2)
            kept["workers"] = {"minutes": given.minutes, "one": alone, "two": together, "ratio": ratio}
        if given.only != "workers":
            lessonfilm.make(film := Path(place, "long.mp4"), 60 * given.voice_minutes, seed=1)
            times = until_published(film, [{one, two}], given.port + 2, [Kind.VOICE_OPUS])
            kept["voice"] = {"minutes": given.voice_minutes, "bytes": film.stat().st_size, **times}
    kept["load_after"] = [round(load, 2) for load in os.getloadavg()]
    print(json.dumps(kept, indent=1))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


if __name__ == "__main__":
    main()
