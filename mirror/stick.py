"""USB sticks: take what fits the manifests, whole files or single chunks, and give what is here. Never the internet."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from mirror import receipts
from mirror.folder import MANIFEST, Busy, Folder, full_disk, read_manifest, write_json
from mirror.partial import READ_BYTES, Inconsistent, Partial, sync_folder
from mirror.shapes import Manifest
from mirror.state import State
from rules.chunks import CHUNK_BYTES, chunk_count, chunk_length

FOLDER = "tropa"
# A stick is somebody's whole life; what we look at is bounded.
MOST_FILES = 20_000
MOST_DEPTH = 6
WAIT_S = 60.0
PROBES = 8


@dataclass(slots=True)
class Imported:
    """What an import brought: titles of whole lessons, chunks of others, files that were damaged."""

    arrived: list[str] = field(default_factory=list)
    known: int = 0
    chunks: int = 0
    damaged: list[str] = field(default_factory=list)


@contextlib.contextmanager
def turn(folder: Folder) -> Iterator[None]:
    """Take the folder over from a running mirror for the time of the block. Raises Busy after a minute."""
    deadline_s = time.monotonic() + WAIT_S
    with contextlib.ExitStack() as held:
        while True:
            with full_disk():
                folder.import_wanted.touch()
            try:
                held.enter_context(folder.changing())
                break
            except Busy:
                if time.monotonic() > deadline_s:
                    folder.import_wanted.unlink(missing_ok=True)
                    raise
                time.sleep(0.2)
        folder.import_wanted.unlink(missing_ok=True)
        yield


def take(folder: Folder, state: State, stick: Path, say: Callable[[str], None]) -> Imported:
    """Import from a stick; `say` is told each lesson's title as it is looked at. Raises DiskFull, Busy, OSError."""
    done = Imported()
    with turn(folder):
        paths = list(_files(stick))
        wanted = list(_wanted(folder, state, paths))
        candidates = [path for path in paths if not path.name.endswith(".json")]
        for manifest in wanted:
            offer = manifest.offer
            if folder.has(offer):
                done.known += 1
                continue
            sources = _sources(manifest, candidates)
            if sources:
                say(offer.lesson.title)
                _put_together(folder, state, manifest, sources, done)
    return done


def give(folder: Folder, stick: Path, say: Callable[[str], None]) -> tuple[int, int]:
    """Copy every verified file to a stick with its manifest; returns how many were copied and how many were there.

    Raises DiskFull where the stick is full: what was copied whole stays good.
    """
    copied = there = 0
    target = stick / FOLDER
    for path, manifest in folder.manifests():
        if not folder.has(manifest.offer):
            continue
        place = target / manifest.offer.recording / manifest.offer.filename
        if place.exists() and place.stat().st_size == manifest.offer.bytes:
            there += 1
            continue
        say(manifest.offer.lesson.title)
        with full_disk():
            _copy(path, place)
        write_json(place.with_name(place.name + MANIFEST), manifest.document())
        copied += 1
    return copied, there


def verify(folder: Folder, say: Callable[[str, int], None]) -> int:
    """Read every file through; one that was damaged keeps its good chunks and is fetched again where it is not.

    `say` is told each damaged lesson's title and its number of bad chunks. Returns how many files were read.
    """
    checked = 0
    with turn(folder):
        for path, manifest in list(folder.manifests()):
            if not path.exists():
                continue
            checked += 1
            bad = _bad_chunks(path, manifest)
            if bad:
                begun = folder.partial_path(manifest.offer)
                begun.mkdir(parents=True, exist_ok=True)
                write_json(begun / "manifest.json", manifest.document())
                os.replace(path, begun / "part")
                path.with_name(path.name + MANIFEST).unlink(missing_ok=True)
                say(manifest.offer.lesson.title, len(bad))
    return checked


def _wanted(folder: Folder, state: State, paths: list[Path]) -> Iterator[Manifest]:
    """Yield the manifests to import by: ours, as the origin gave them, else the stick's for what we have none of.

    Where the origin was asked, only what it offers this school is taken, and only under the digest that it told.
    """
    offers = {one.id: one for one in state.subscription.files} if state.subscription is not None else None
    seen = set()
    for offer in (offers or {}).values():
        kept = folder.kept_manifest(offer)
        if kept is not None:
            seen.add(offer.id)
            yield kept
    for path in paths:
        found = read_manifest(path) if path.name.endswith(MANIFEST) else None
        if found is None or found.offer.id in seen:
            continue
        offered = offers.get(found.offer.id) if offers is not None else found.offer
        if offered is not None and (offered.sha256, offered.bytes) == (found.chunks.sha256, found.offer.bytes):
            seen.add(found.offer.id)
            yield Manifest(offered, found.chunks)


def _sources(manifest: Manifest, candidates: Iterable[Path]) -> list[Path]:
    """Find the files that hold chunks of this one, under whatever name a browser or a person gave them."""
    found = []
    for path in candidates:
        try:
            size = path.stat().st_size
            if 0 < size <= manifest.offer.bytes and _shares_chunk(path, size, manifest):
                found.append(path)
        except OSError:
            continue
    return sorted(found, key=lambda path: -path.stat().st_size)


def _shares_chunk(path: Path, size: int, manifest: Manifest) -> bool:
    """Tell whether one of a few chunks of a file is where the manifest says; a damaged first one must not hide it."""
    whole = chunk_count(size) if size == manifest.offer.bytes else size // CHUNK_BYTES
    with path.open("rb") as file:
        for chunk in sorted({whole * probe // PROBES for probe in range(PROBES)}):
            if chunk < whole and _read_chunk(file, manifest, chunk)[1]:
                return True
    return False


def _read_chunk(file, manifest: Manifest, chunk: int) -> tuple[bytes, bool]:
    file.seek(chunk * CHUNK_BYTES)
    data = file.read(chunk_length(manifest.offer.bytes, chunk))
    return data, hashlib.sha256(data).hexdigest() == manifest.chunks.chunks[chunk]


def _put_together(folder: Folder, state: State, manifest: Manifest, sources: list[Path], done: Imported) -> None:
    offer = manifest.offer
    partial = Partial(folder, manifest)
    try:
        for path in sources:
            with path.open("rb") as file:
                for chunk in range(chunk_count(path.stat().st_size)):
                    if chunk not in partial.have and partial.put_chunk(chunk, _read_chunk(file, manifest, chunk)[0]):
                        done.chunks += 1
        arrived = partial.missing == 0 and not partial.finish()
    except Inconsistent:
        arrived = False
    finally:
        partial.close()
    if arrived:
        receipts.add(folder, offer, "usb", state.clock.now(datetime.now(UTC)))
        folder.remove_older(offer)
        done.arrived.append(offer.lesson.title)
    else:
        done.damaged.append(offer.lesson.title)


def _files(root: Path) -> Iterator[Path]:
    """Yield the files of a stick, links left alone, not endlessly deep or many."""
    count = 0
    for folder, names, files in os.walk(root):
        if len(Path(folder).relative_to(root).parts) >= MOST_DEPTH:
            names.clear()
        for name in files:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                count += 1
                if count > MOST_FILES:
                    return
                yield path


def _copy(source: Path, place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    unfinished = place.with_name(f".{place.name}.part")
    try:
        with source.open("rb") as read, unfinished.open("wb") as written:
            while block := read.read(READ_BYTES):
                written.write(block)
            written.flush()
            os.fsync(written.fileno())
        os.replace(unfinished, place)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    sync_folder(place.parent)


def _bad_chunks(path: Path, manifest: Manifest) -> list[int]:
    with path.open("rb") as file:
        return [
            chunk for chunk in range(chunk_count(manifest.offer.bytes)) if not _read_chunk(file, manifest, chunk)[1]
        ]
