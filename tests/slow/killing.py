"""Kill workers at random, as power cuts, the kernel's memory killer and impatient people do, and see what is left."""

from __future__ import annotations

import contextlib
import hashlib
import random
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

import psutil

from rules.renditions import Kind
from store import materials
from tests.slow.workstage import WorkStage
from workers import pack, probe


def victims(stage: WorkStage) -> list[psutil.Process]:
    """List the workers of a stage, their pool processes and their encoders; the first one of a worker is itself."""
    found = []
    for worker in stage.workers:
        with contextlib.suppress(psutil.Error):
            parent = psutil.Process(worker.pid)
            found += [parent, *parent.children(recursive=True)]
    return found


def kill_at_random(
    stage: WorkStage, rng: random.Random, count: int, mean_s: float, recording_id: str, aim: str = ""
) -> Counter:
    """Kill -9 this many processes, each after a random pause, and start workers again that died; tell what they did.

    aim: the kind of file that must be at work when the pause begins. Ends early when the recording is published.
    """
    doing: Counter = Counter()
    for _ in range(count):
        while aim and not _is_made(stage, recording_id, aim):
            time.sleep(0.05)
        time.sleep(rng.expovariate(1 / mean_s))
        row = stage.recording(recording_id)
        if row is not None and row.state == "published":
            break
        doings = {f"{one.kind} {one.stage}" for one in row.renditions if one.stage} if row is not None else {"takeover"}
        with contextlib.suppress(psutil.Error):
            victim = rng.choice(victims(stage))
            is_encoder = "ffmpeg" in victim.name()
            is_parent = victim.pid in {worker.pid for worker in stage.workers}
            victim.send_signal(signal.SIGKILL)
            doing["encoder" if is_encoder else "worker" if is_parent else "pool process"] += 1
            doing.update(f"while: {what}" for what in doings or {"between"})
        stage.restart_dead_workers()
    return doing


def _is_made(stage: WorkStage, recording_id: str, kind: str) -> bool:
    """Tell whether a file is being made, or the recording is published and it will not be."""
    row = stage.recording(recording_id)
    is_over = row is not None and row.state == "published"
    return is_over or (row is not None and any(one.kind == kind and one.stage for one in row.renditions))


def left_over(stage: WorkStage, recording_id: str) -> list[str]:
    """Say what is wrong with a recording that should be published once, whole, with nothing left beside it."""
    recording = stage.recording(recording_id)
    found = [f"{row.kind} is {row.state}: {row.error}" for row in recording.renditions if row.state != "published"]
    root = stage.data / "files"
    for row in recording.renditions:
        if row.state == "published":
            content = (root / row.key).read_bytes()
            if (len(content), hashlib.sha256(content).hexdigest()) != (row.bytes, row.sha256):
                found.append(f"{row.key} is not what was published")
            if row.kind == Kind.PACK:
                with tempfile.TemporaryDirectory() as folder:
                    faults = pack.faults(root / row.key, row.duration_s, Path(folder))
                found += [f"{row.key}: {fault}" for fault in faults]
            elif errors := probe.decode(root / row.key).errors:
                found.append(f"{row.key}: {errors} frames cannot be decoded")
    wanted = {segment["key"] for segment in recording.segments} | {row.key for row in recording.renditions}
    with stage.rows():
        wanted |= {slide["key"] for slide in materials.found_slides(recording_id) or ()}
    found += [f"{key} is left in storage" for key in sorted(stage.stored() - wanted)]
    found += [f"{key} is missing" for key in sorted(wanted - stage.stored())]
    found += [f"{path} is left" for path in sorted((stage.data / "tmp").iterdir())]
    found += [f"{path} is left" for path in sorted((stage.data / "live").glob("*/*"))]
    found += [f"piece {piece.id} is left" for piece in stage.pieces(recording_id)]
    published = stage.log("worker").count("] published ")
    if published != len(recording.renditions):
        found.append(f"{published} publications of {len(recording.renditions)} files")
    return found
