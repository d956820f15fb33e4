"""The mirror's folder: JSON files written by rename, and one lock for whoever changes lessons.

mirror.json            the origin's address and the token (mode 600)
subscription.json      what the origin said last, with its ETag
state.json             the month's count, the clock's correction, the last contact and trouble
lessons/<recording>/   verified files, each with <name>.manifest.json beside it
partial/<file>/        what is being fetched: manifest.json, part, tail-<chunk>
receipts/<file>.json   what has arrived and was not yet told to the origin
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from mirror import shapes
from mirror.shapes import BadDocument, Manifest, Offer

MAX_JSON_BYTES = 32_000_000
IMPORT_WAITS_S = 60.0


class DiskFull(OSError):
    """There is no room on this computer's disk."""


class Busy(RuntimeError):
    """Another process of the mirror is changing lessons."""


class Folder:
    """Paths and documents of one mirror; every document is whole or not there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lessons = root / "lessons"
        self.partial = root / "partial"
        self.receipts = root / "receipts"
        self.import_wanted = root / "import-wanted"

    def make(self) -> None:
        """Make the folder and what stands in it."""
        for path in (self.root, self.lessons, self.partial, self.receipts):
            path.mkdir(parents=True, exist_ok=True)

    def read(self, name: str) -> dict | None:
        """Read a document of the folder; None where there is none, or it was damaged."""
        return read_json(self.root / name)

    def write(self, name: str, document: dict, mode: int = 0o644) -> None:
        """Write a document of the folder by rename. Raises DiskFull."""
        write_json(self.root / name, document, mode)

    def lesson_path(self, offer: Offer) -> Path:
        """Return where a verified file stands."""
        return self.lessons / offer.recording / offer.filename

    def partial_path(self, offer: Offer) -> Path:
        """Return the folder of a file that is being fetched; another version of it has another one."""
        return self.partial / f"{offer.id}-{offer.sha256[:16]}"

    def has(self, offer: Offer) -> bool:
        """Tell whether a file is there, verified and of its size."""
        try:
            return self.lesson_path(offer).stat().st_size == offer.bytes
        except OSError:
            return False

    def kept_manifest(self, offer: Offer) -> Manifest | None:
        """Return the manifest kept for a file, of a finished or a begun one; None where there is none for it."""
        finished = self.lesson_path(offer)
        for path in (finished.with_name(finished.name + MANIFEST), self.partial_path(offer) / "manifest.json"):
            found = read_manifest(path)
            if found is not None and found.chunks.sha256 == offer.sha256 and found.offer.bytes == offer.bytes:
                return found
        return None

    def manifests(self) -> Iterator[tuple[Path, Manifest]]:
        """Yield the finished files with their manifests."""
        for path in sorted(self.lessons.glob(f"*/*{MANIFEST}")):
            found = read_manifest(path)
            if found is not None:
                yield path.with_name(path.name.removesuffix(MANIFEST)), found

    def begun_bytes(self, offer: Offer) -> int:
        """Say about how many bytes of a file are on the disk, for choosing; what they are worth is seen later."""
        try:
            names = (path for path in self.partial_path(offer).iterdir() if path.name != "manifest.json")
            return sum(path.stat().st_size for path in names)
        except OSError:
            return 0

    def remove_older(self, offer: Offer) -> None:
        """Remove earlier versions of a file that has arrived anew."""
        for path in self.lessons.joinpath(offer.recording).glob(f"{offer.kind}-*"):
            if not path.name.startswith(offer.filename):
                path.unlink(missing_ok=True)
        for path in self.partial.glob(f"{offer.id}-*"):
            shutil.rmtree(path, ignore_errors=True)

    def is_import_waiting(self) -> bool:
        """Tell whether an import waits for its turn; one that was killed while it waited is soon forgotten."""
        try:
            return time.time() - self.import_wanted.stat().st_mtime < IMPORT_WAITS_S
        except OSError:
            return False

    def free_bytes(self) -> int:
        """Say how much room the disk has for us."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the right to change lessons for the time of the block. Raises Busy where another process has it."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # freed by the system, also after kill -9
            except BlockingIOError:
                raise Busy("another process of the mirror is working in this folder") from None
            yield


MANIFEST = ".manifest.json"


def read_manifest(path: Path) -> Manifest | None:
    """Read a manifest from a file; None where it is missing, damaged or not one."""
    try:
        return shapes.manifest(read_json(path))
    except BadDocument:
        return None


def read_json(path: Path) -> dict | None:
    """Read a JSON object from a file of bounded size; None where it is missing or none."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_JSON_BYTES + 1)
        found = json.loads(raw) if len(raw) <= MAX_JSON_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def write_json(path: Path, document: dict, mode: int = 0o644) -> None:
    """Write a JSON file under another name and rename it when all of it is on the disk. Raises DiskFull."""
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with full_disk():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(document, file, ensure_ascii=False, separators=(",", ":"))
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Turn the system's word for a full disk, or a quota on it, into DiskFull."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) and not isinstance(error, DiskFull):
            raise DiskFull(error.errno, error.strerror) from error
        raise
