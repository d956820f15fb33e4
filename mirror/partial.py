"""A file on its way: verified chunks in `part`, the one that is coming in `tail-<chunk>`; nothing good is lost.

No list says which chunks are there: they are verified when the file is opened. So a kill, a power cut or a flipped bit
costs what it destroyed and nothing else.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

from mirror import runs
from mirror.folder import MANIFEST, Folder, full_disk, read_manifest, write_json
from mirror.runs import Run
from mirror.shapes import Manifest
from rules.chunks import CHUNK_BYTES, Digester, chunk_count, chunk_length

READ_BYTES = 1 << 20
SYNC_EVERY_S = 5.0


class Inconsistent(RuntimeError):
    """Every chunk fits the manifest and the whole does not: the manifest itself is wrong."""


class Partial:
    """A file being put together; one process at a time (mirror.folder.Folder.changing). Close it after use."""

    def __init__(self, folder: Folder, manifest: Manifest) -> None:
        """Open what is there, or begin; verifies every chunk. Raises DiskFull."""
        self.manifest = manifest
        self.size = manifest.chunks.bytes
        self.have: set[int] = set()
        self.tails: dict[int, int] = {}
        self.damaged: dict[int, int] = {}
        self._folder = folder
        self._path = folder.partial_path(manifest.offer)
        self._tail: tuple[int, int] | None = None  # chunk, descriptor
        self._synced_s = time.monotonic()
        if read_manifest(self._path / "manifest.json") != manifest:
            write_json(self._path / "manifest.json", manifest.document())
        with full_disk():
            self._file = os.open(self._path / "part", os.O_RDWR | os.O_CREAT, 0o644)
        self._find_chunks()
        self._find_tails()

    def close(self) -> None:
        """Let go of the files; everything stays as it is."""
        self._close_tail()
        os.close(self._file)

    def next_run(self) -> Run | None:
        """Return the bytes to ask for next; None: everything is there."""
        return runs.next_run(self.size, self.have, self.tails, self.damaged.keys())

    @property
    def missing(self) -> int:
        """How many bytes are still to come."""
        return runs.missing_bytes(self.size, self.have, self.tails)

    def feed(self, at: int, piece: bytes) -> None:
        """Take bytes that belong at this place of the file, in order within a run. Raises DiskFull."""
        view = memoryview(piece)
        while view:
            chunk = at // CHUNK_BYTES
            length = chunk_length(self.size, chunk)
            inside = at - chunk * CHUNK_BYTES
            taken = view[: length - inside]
            self._append(chunk, inside, taken)
            if inside + len(taken) == length:
                self._end_chunk(chunk)
            at += len(taken)
            view = view[len(taken) :]

    def put_chunk(self, chunk: int, data: bytes) -> bool:
        """Take a whole chunk from elsewhere (a USB stick) if it is the right one. Raises DiskFull."""
        if chunk in self.have or not self._is_right(chunk, data):
            return False
        self._store(chunk, data)
        return True

    def finish(self) -> list[int]:
        """Verify the whole and put it in its place; returns the chunks that were damaged on the disk, [] when done.

        Those are to be fetched again. Raises Inconsistent.
        """
        found = self._digest()
        wanted = self.manifest.chunks
        bad = [chunk for chunk, digest in enumerate(wanted.chunks) if found.chunks[chunk : chunk + 1] != (digest,)]
        if bad:
            self.have -= set(bad)
            return bad
        if found.sha256 != wanted.sha256:
            raise Inconsistent(self.manifest.offer.id)
        os.fsync(self._file)
        target = self._folder.lesson_path(self.manifest.offer)
        write_json(target.with_name(target.name + MANIFEST), self.manifest.document())
        os.replace(self._path / "part", target)
        sync_folder(target.parent)
        shutil.rmtree(self._path, ignore_errors=True)
        return []

    def _find_chunks(self) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)
        if os.fstat(self._file).st_size > self.size:
            os.ftruncate(self._file, self.size)
        for chunk in range(chunk_count(self.size)):
            data = os.pread(self._file, chunk_length(self.size, chunk), chunk * CHUNK_BYTES)
            if not data:
                return
            if self._is_right(chunk, data):
                self.have.add(chunk)

    def _find_tails(self) -> None:
        for path in self._path.glob("tail-*"):
            name = path.name.removeprefix("tail-")
            chunk = int(name) if name.isdecimal() else -1
            is_wanted = 0 <= chunk < chunk_count(self.size) and chunk not in self.have
            length = path.stat().st_size
            if not is_wanted or length > chunk_length(self.size, chunk):
                path.unlink()
            elif length == chunk_length(self.size, chunk):
                self.put_chunk(chunk, path.read_bytes())
                path.unlink()
            elif length:
                self.tails[chunk] = length

    def _append(self, chunk: int, inside: int, piece: memoryview) -> None:
        if self._tail is None or self._tail[0] != chunk:
            self._close_tail()
            with full_disk():
                opened = os.open(self._tail_path(chunk), os.O_WRONLY | os.O_CREAT, 0o644)
            os.ftruncate(opened, inside)
            self._tail = (chunk, opened)
        with full_disk():
            written = 0
            while written < len(piece):
                written += os.pwrite(self._tail[1], piece[written:], inside + written)
        self.tails[chunk] = inside + len(piece)

    def _end_chunk(self, chunk: int) -> None:
        self._close_tail()
        path = self._tail_path(chunk)
        data = path.read_bytes()
        self.tails.pop(chunk, None)
        if self._is_right(chunk, data):
            self._store(chunk, data)
        else:
            self.damaged[chunk] = self.damaged.get(chunk, 0) + 1
        path.unlink(missing_ok=True)

    def _store(self, chunk: int, data: bytes) -> None:
        with full_disk():
            os.pwrite(self._file, data, chunk * CHUNK_BYTES)
            if time.monotonic() - self._synced_s >= SYNC_EVERY_S:
                os.fdatasync(self._file)
                self._synced_s = time.monotonic()
        self.have.add(chunk)
        self.damaged.pop(chunk, None)

    def _is_right(self, chunk: int, data: bytes) -> bool:
        return hashlib.sha256(data).hexdigest() == self.manifest.chunks.chunks[chunk]

    def _digest(self):
        digester, at = Digester(), 0
        while at < self.size and (block := os.pread(self._file, READ_BYTES, at)):
            digester.update(block)
            at += len(block)
        return digester.finish()

    def _tail_path(self, chunk: int) -> Path:
        return self._path / f"tail-{chunk}"

    def _close_tail(self) -> None:
        if self._tail is not None:
            os.close(self._tail[1])
            self._tail = None


def sync_folder(path: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
