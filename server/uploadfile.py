"""The file of an upload, as it grows: `<id>.part` holds the bytes, `<id>.json` says how many of them count.

Everything here blocks and runs in threads. One process writes a file at a time, by a lock that the system frees.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

from rules.tus import Mark, counted
from store.uploads import paths

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Busy(Exception):
    """Another process writes to this file."""


@functools.cache
def boot() -> str:
    """Name this start of the machine; "" where it cannot be told, and only what was synced counts then."""
    try:
        return BOOT_ID.read_text("ascii").strip()
    except OSError:
        return ""


def offset(folder: Path, upload_id: str) -> int:
    """Return how many bytes of an upload count now; 0 where there is no file."""
    part, mark_path = paths(folder, upload_id)
    try:
        while True:
            mark, size = _read(mark_path), part.stat().st_size
            # A writer may have begun or ended in between; the two belong together only where nothing changed.
            if _read(mark_path) == mark:
                return counted(mark, size, boot())
    except FileNotFoundError:
        return 0


def digest(folder: Path, upload_id: str) -> str:
    """Hash a whole file with SHA-256, in hex."""
    with paths(folder, upload_id)[0].open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class PartFile:
    """One request's hold on the file: pieces are appended, then committed or dropped."""

    def __init__(self, folder: Path, upload_id: str) -> None:
        """Open and lock the file, made where it is missing, without what does not count. Raises Busy, OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        path, self._mark_path = paths(folder, upload_id)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            size = os.fstat(self._fd).st_size
            self._mark = _read(self._mark_path)
            self.offset = counted(self._mark, size, boot())
            if size > self.offset:
                os.ftruncate(self._fd, self.offset)
        except BlockingIOError:
            os.close(self._fd)
            raise Busy from None
        except BaseException:
            os.close(self._fd)
            raise

    def begin(self, *, checked: bool) -> None:
        """Say before the first piece whether the bytes to come count at once, or only when their checksum fits."""
        self._note(Mark(self.offset, boot(), checked))

    def write(self, piece: bytes) -> None:
        """Append bytes. Raises OSError; what was written before that stays and counts like the rest."""
        view = memoryview(piece)
        while view:
            written = os.pwrite(self._fd, view, self.offset)
            self.offset += written
            view = view[written:]

    def commit(self) -> None:
        """Bring everything written to the disk and let it count."""
        os.fsync(self._fd)
        self._note(Mark(self.offset, boot(), self._mark.checked))

    def drop(self) -> None:
        """Forget what was written since the last commit."""
        os.ftruncate(self._fd, self._mark.committed)
        self.offset = self._mark.committed

    def close(self) -> None:
        """Let the file go, and with it the lock."""
        os.close(self._fd)

    def _note(self, mark: Mark) -> None:
        if mark == self._mark:
            return
        first = self._mark == Mark()
        fresh = self._mark_path.with_suffix(".new")
        with fresh.open("w") as file:
            json.dump(asdict(mark), file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut may leave an empty one, and nothing would count
        os.replace(fresh, self._mark_path)
        if first:
            _sync_folder(self._mark_path.parent)  # the names too, once
        self._mark = mark


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _read(path: Path) -> Mark:
    with contextlib.suppress(OSError, ValueError, TypeError):
        found = Mark(**json.loads(path.read_bytes()))
        if isinstance(found.committed, int) and found.committed >= 0:
            return found
    return Mark()
