"""Keep files in a local folder or S3 (fsspec): whole or not at all, each with size and SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import fsspec
from fsspec.implementations.local import LocalFileSystem

COPY_BYTES = 1 << 20
MAX_KEY_CHARS = 200
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
# Marks a file that is still being written. No key may end so; upkeep may delete old ones.
UNFINISHED = ".part"
# What the list of a file's chunks (store/chunklists.py) is called beside it; it goes when the file goes.
CHUNK_LIST = ".chunks.json"


class BadKey(ValueError):
    """A storage key that is no plain relative path."""


class NoSuchFile(LookupError):
    """There is no file under this key."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What was put: its key, size in bytes and SHA-256 in hex."""

    key: str
    bytes: int
    sha256: str


def check_key(key: str) -> str:
    """Return a storage key that cannot leave the storage: "recordings/<id>/voice_opus-0123.opus".

    Parts of ASCII letters, digits, "_", "-" and "." that don't begin with a dot, at most 200 characters. Raises BadKey.
    """
    parts = key.split("/")
    if len(key) > MAX_KEY_CHARS or key.endswith(UNFINISHED) or not all(_PART.fullmatch(part) for part in parts):
        raise BadKey(key[:MAX_KEY_CHARS])
    return key


class Files:
    """A storage by its URL: file:///folder or s3://bucket/prefix. S3 credentials are read by s3fs as usual for AWS."""

    def __init__(self, url: str) -> None:
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = root.rstrip("/")
        self._is_local = isinstance(self._fs, LocalFileSystem)

    @property
    def folder(self) -> Path | None:
        """The storage's folder on this machine; None where it is elsewhere."""
        return Path(self._root) if self._is_local else None

    def put(self, local_path: str | os.PathLike[str], key: str) -> Stored:
        """Copy a file into the storage, hashing it on the way; what is under the key is replaced in one step.

        A reader sees the file whole or not at all, also after a crash or a power cut in between.
        """
        path = self._path(key)
        with open(local_path, "rb") as source:
            if self._is_local:
                return Stored(key, *_copy(source, path))
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            # An object appears when its upload is complete, so there is nothing to rename.
            self._fs.put_file(os.fspath(local_path), path)
            return Stored(key, source.tell(), digest)

    def adopt(self, local_path: str | os.PathLike[str], key: str) -> Stored:
        """Put a file that nobody will write to any more: without a copy where it lies on the storage's own disk.

        The file stays under its old name too, and is the caller's to remove.
        """
        path = self._path(key)
        if not self.is_beside(local_path):
            return self.put(local_path, key)
        with open(local_path, "rb") as source:
            digest = hashlib.file_digest(source, "sha256").hexdigest()
            size = source.tell()
            os.fsync(source.fileno())
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        unfinished = f"{path}.{secrets.token_hex(4)}{UNFINISHED}"
        try:
            os.link(local_path, unfinished)
        except OSError:  # a disk without hard links
            return self.put(local_path, key)
        os.replace(unfinished, path)
        # Two names of one file are left as they are by rename(2); the temporary one goes then.
        Path(unfinished).unlink(missing_ok=True)
        _sync_folder(Path(path).parent)
        return Stored(key, size, digest)

    def is_beside(self, local_path: str | os.PathLike[str]) -> bool:
        """Tell whether a local file lies on the same disk as the storage, so that taking it over needs no room."""
        folder = self.folder
        if folder is None:
            return False
        folder.mkdir(parents=True, exist_ok=True)
        return folder.stat().st_dev == os.stat(local_path).st_dev

    def open(self, key: str) -> BinaryIO:
        """Open a file for reading, seekable; raises NoSuchFile."""
        try:
            return self._fs.open(self._path(key), "rb")
        except FileNotFoundError:
            raise NoSuchFile(key) from None

    def size(self, key: str) -> int:
        """Tell a file's size in bytes; raises NoSuchFile."""
        try:
            return int(self._fs.size(self._path(key)))
        except FileNotFoundError:
            raise NoSuchFile(key) from None

    def exists(self, key: str) -> bool:
        """Tell whether there is a whole file under the key."""
        return self._fs.isfile(self._path(key))

    def delete(self, key: str) -> None:
        """Delete a file and the list of its chunks; one that is not there is as good as deleted."""
        for name in (key, key + CHUNK_LIST):
            with contextlib.suppress(FileNotFoundError):
                self._fs.rm_file(self._path(name))

    @contextlib.contextmanager
    def local_path(self, key: str, folder: Path | None = None) -> Iterator[Path]:
        """Give a file's path on this machine for the time of the block: its own, or a temporary copy's.

        `folder` is where copies go whose maker has a place of its own. Not to be written to. Raises NoSuchFile.
        """
        path = self._path(key)
        if not self.exists(key):
            raise NoSuchFile(key)
        if self._is_local:
            yield Path(path)
            return
        with tempfile.TemporaryDirectory(prefix="tropa-", dir=folder) as place:
            copy = Path(place, Path(path).name)
            self._fs.get_file(path, str(copy))
            yield copy

    def remove_unfinished_of(self, key: str) -> None:
        """Delete what killed writers left of this one file; for who knows that nobody else writes it now."""
        path = Path(self._path(key))
        for left in path.parent.glob(f"{path.name}.*{UNFINISHED}") if self._is_local else ():
            left.unlink(missing_ok=True)

    def remove_unfinished(self, before_s: float) -> int:
        """Delete what killed writers left and nobody has written to since (Unix seconds); returns how many.

        Remote storage shows no unfinished object, and forgets old uploads by a rule of its own.
        """
        removed = 0
        for path in Path(self._root).rglob(f"*{UNFINISHED}") if self._is_local else ():
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before_s:
                    path.unlink()
                    removed += 1
        return removed

    def _path(self, key: str) -> str:
        return f"{self._root}/{check_key(key)}"


def _copy(source: BinaryIO, path: str) -> tuple[int, str]:
    """Copy into a local file that is replaced in one step; returns size and SHA-256."""
    size, digest = 0, hashlib.sha256()
    with _replacing(path) as target:
        while block := source.read(COPY_BYTES):
            target.write(block)
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


@contextlib.contextmanager
def _replacing(path: str) -> Iterator[BinaryIO]:
    """Write a file under a temporary name beside it, and rename it when all of it is on the disk."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    unfinished = f"{path}.{secrets.token_hex(4)}{UNFINISHED}"
    try:
        with open(unfinished, "wb") as target:
            yield target
            target.flush()
            os.fsync(target.fileno())
        os.replace(unfinished, path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    _sync_folder(Path(path).parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut: the name is in the folder, which is written on its own."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
