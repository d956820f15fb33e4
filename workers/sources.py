"""Bring a recording's segments to this machine: once for all the work on it, checked, and within bounds.

Where storage is a folder, its files are used where they are. Else they are fetched into TROPA_DATA/cache, one file for
each digest. A file that is in use is locked (shared), so that nobody removes it; a file that is being fetched is locked
for one. The system frees both when their holder dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from config import Settings
from rules.space import Work
from store import space
from store.files import Files
from workers.attempt import Refused

# What nobody has used for so long goes; a lesson's pieces are made one after another.
UNUSED_S = 6 * 3600
# Sources that this process has found to be what was recorded, by path, size and time of change.
_known: dict[tuple[str, int, int], str] = {}
MAX_KNOWN = 1000


@contextlib.contextmanager
def fetched(
    settings: Settings, segments: Sequence[dict], on_progress: Callable[[float], None]
) -> Iterator[tuple[Path, ...]]:
    """Give the paths of these segments, in order, for the time of the block; on_progress gets the share done.

    Raises Refused where there is no room or a file is not what was recorded, NoSuchFile where one is missing.
    """
    storage = Files(settings.storage_url)
    total = sum(segment["bytes"] for segment in segments) or 1
    with contextlib.ExitStack() as held:
        paths, done = [], 0
        for segment in segments:
            if storage.folder is not None:
                path = held.enter_context(storage.local_path(segment["key"]))
                _check(path, segment)
            else:
                path = held.enter_context(_cached(settings, storage, segment))
            done += segment["bytes"]
            on_progress(done / total)
            paths.append(path)
        yield tuple(paths)


@contextlib.contextmanager
def _cached(settings: Settings, storage: Files, segment: dict) -> Iterator[Path]:
    cache = settings.data / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / segment["sha256"]
    with path.with_suffix(".lock").open("w") as lock:
        while True:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                make_room(settings, segment["bytes"])
                _fetch(storage, segment, path)
            os.utime(path)
            fcntl.flock(lock, fcntl.LOCK_SH)
            if path.exists():  # changing a lock is not one step: somebody may have removed the file in between
                break
        yield path


def _fetch(storage: Files, segment: dict, path: Path) -> None:
    part = path.with_suffix(".part")
    with storage.open(segment["key"]) as source, part.open("wb") as target:
        while block := source.read(1 << 20):
            target.write(block)
    try:
        _check(part, segment)
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)


def _check(path: Path, segment: dict) -> None:
    """Compare a file with what was recorded. A process reads each file once: a lesson has a hundred pieces."""
    facts = path.stat()
    known = (str(path), facts.st_size, facts.st_mtime_ns)
    if known not in _known:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        _known[known] = digest
    if _known[known] != segment["sha256"]:
        raise Refused("source_damaged", f"{segment['key']} is not what was recorded")


def make_room(settings: Settings, needed_bytes: int) -> None:
    """Remove the longest unused files until there is room for one of this size; Refused where there is none."""
    files = sorted(_entries(settings.data / "cache"), key=lambda entry: entry[1])
    used = sum(size for _, _, size in files)
    limit = settings.cache_mb * 1_000_000
    for path, _, size in files:
        if used + needed_bytes <= limit and space.room_for(settings, needed_bytes, Work.ENCODE).fits:
            break
        used -= size if _remove(path) else 0
    room = space.room_for(settings, needed_bytes, Work.ENCODE)
    if not room.fits:
        raise Refused("disk_full", f"{room.missing_bytes} bytes more are needed for {needed_bytes} bytes of source")


def clean(settings: Settings) -> None:
    """Remove what has not been used for long, and what killed fetches left."""
    cache = settings.data / "cache"
    for path, used_s, _ in _entries(cache):
        if used_s < time.time() - UNUSED_S:
            _remove(path)
    for part in cache.glob("*.part"):
        if part.stat().st_mtime < time.time() - UNUSED_S:
            part.unlink(missing_ok=True)


def _entries(cache: Path) -> list[tuple[Path, float, int]]:
    """List the cached files with when each was last used (Unix seconds) and its size."""
    found = []
    for path in cache.glob("*") if cache.is_dir() else ():
        if not path.suffix:
            with contextlib.suppress(FileNotFoundError):
                facts = path.stat()
                found.append((path, facts.st_mtime, facts.st_size))
    return found


def _remove(path: Path) -> bool:
    """Remove a cached file that nobody uses; its lock's file stays, as somebody may be waiting with it open."""
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        path.unlink(missing_ok=True)
    return True
