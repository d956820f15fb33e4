"""Have a foreign file read by a process that may die of it: little memory, little time, no writing (workers.reader)."""

from __future__ import annotations

import ctypes
import json
import logging
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rules.intake import FileFacts, Measured, Medium, StreamFacts, Trouble
from workers import samples

log = logging.getLogger(__name__)

MEMORY_BYTES = 2_000_000_000  # of address space; an honest 4K film takes about half
SECONDS = 120.0
# A slow disk reads this much in a second.
BYTES_A_SECOND = 5_000_000
MAX_SAID_BYTES = 200_000
NICENESS = 15
PR_SET_PDEATHSIG = 1
ROOT = Path(__file__).parents[1]
_libc = ctypes.CDLL(None, use_errno=True)


def examine(path: Path, max_s: float) -> FileFacts:
    """Find out what a file holds; one that kills its reader, or keeps it too long, is Trouble.TOO_COSTLY."""
    done = _run(path, [sys.executable, "-m", "workers.reader", str(path), str(max_s)])
    return FileFacts(Trouble.TOO_COSTLY) if done is None else facts_of(done.stdout[:MAX_SAID_BYTES])


def opens(path: Path, streams: Sequence[int]) -> bool:
    """Tell whether the encoders' own ffmpeg opens a file too: it is another version than the reader's, and stricter."""
    return _run(path, samples.opening(path, streams)) is not None


def _run(path: Path, command: list[str]) -> subprocess.CompletedProcess[bytes] | None:
    """Run what reads a foreign file, with little of everything; None where it failed or took too long."""
    limit_s = SECONDS + path.stat().st_size / BYTES_A_SECOND
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=limit_s,
            check=False,
            env={
                "PATH": os.defpath,
                "LC_ALL": "C.UTF-8",
                "PYTHONDONTWRITEBYTECODE": "1",
            },  # no secret of ours reaches it
            preexec_fn=_setup(os.getpid(), limit_s),
        )
    except subprocess.TimeoutExpired:
        log.warning("%s was not read within %.0f s", path, limit_s)
        return None
    if done.returncode != 0:
        log.warning("the reader of %s ended with %d: %s", path, done.returncode, done.stderr[-500:])
        return None
    return done


def facts_of(said: bytes) -> FileFacts:
    """Read back what the reader said; what cannot be read counts as a reader that died."""
    try:
        told = json.loads(said)
        return FileFacts(
            trouble=Trouble(told["trouble"]) if told["trouble"] else None,
            demuxer=told["demuxer"],
            declared_s=told["declared_s"],
            streams=tuple(StreamFacts(**{**one, "medium": Medium(one["medium"])}) for one in told["streams"]),
            audio=Measured(**told["audio"]) if told["audio"] else None,
            video=Measured(**told["video"]) if told["video"] else None,
            begins_anew=told["begins_anew"],
        )
    except (ValueError, KeyError, TypeError):
        return FileFacts(Trouble.TOO_COSTLY)


def _setup(parent: int, limit_s: float):
    """Return what the child does first: take its limits, and die when its worker dies."""

    def setup() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.nice(NICENESS)
        cpu_s = int(limit_s)
        for which, limit in (
            (resource.RLIMIT_AS, MEMORY_BYTES),
            (resource.RLIMIT_CPU, cpu_s),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_NOFILE, 64),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(which, (limit, limit))

    return setup
