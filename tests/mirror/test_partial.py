"""A file on its way: cuts, kills and flipped bits cost what they destroyed and nothing else."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest

from mirror.folder import DiskFull
from mirror.partial import Inconsistent, Partial
from rules.chunks import CHUNK_BYTES
from tests.mirror import sample

BODY = sample.body()
MANIFEST = sample.manifest(BODY)


@pytest.fixture
def folder(tmp_path: Path):
    """An empty mirror."""
    return sample.folder(tmp_path / "m")


def feed(partial: Partial, body: bytes = BODY, most: int | None = None, step: int = 10_000) -> int:
    """Give a partial file the bytes it asks for, in pieces, at most so many; returns how many it took."""
    taken = 0
    while (run := partial.next_run()) is not None:
        at = run.start
        while at < run.stop:
            if most is not None and taken >= most:
                return taken
            piece = body[at : min(at + step, run.stop, at + (most - taken if most is not None else step))]
            partial.feed(at, piece)
            at, taken = at + len(piece), taken + len(piece)
    return taken


def test_a_file_arrives(folder) -> None:
    """Verified as a whole, in its place, with its manifest, and nothing left beside it."""
    partial = Partial(folder, MANIFEST)
    assert feed(partial) == len(BODY)
    assert partial.finish() == []
    partial.close()
    assert folder.lesson_path(MANIFEST.offer).read_bytes() == BODY
    assert folder.has(MANIFEST.offer) and folder.kept_manifest(MANIFEST.offer) == MANIFEST
    assert list(folder.partial.iterdir()) == []


def test_cuts_cost_no_byte(folder) -> None:
    """However often it breaks off, every byte comes once; nothing is closed properly in between."""
    chance, taken = random.Random(5), 0
    while not folder.has(MANIFEST.offer):
        partial = Partial(folder, MANIFEST)
        taken += feed(partial, most=chance.randrange(1, 60_000), step=7_777)
        if partial.next_run() is None:
            assert partial.finish() == []
        # As after kill -9: descriptors are closed by the system, nothing else happens.
        os.close(partial._file)
    assert taken == len(BODY)


def test_a_bit_flipped_on_the_wire_costs_one_chunk(folder) -> None:
    """The chunk is asked for again; what came before and after it stays."""
    broken = bytearray(BODY)
    broken[CHUNK_BYTES + 9] ^= 16
    partial = Partial(folder, MANIFEST)
    run = partial.next_run()
    partial.feed(run.start, bytes(broken))
    assert partial.have == {0, 2, 3} and partial.missing == CHUNK_BYTES
    assert feed(partial) == CHUNK_BYTES
    assert partial.finish() == []
    partial.close()


def test_a_bit_flipped_on_the_disk_costs_one_chunk(folder) -> None:
    """Whether it is found when the file is opened again or at the very end."""
    partial = Partial(folder, MANIFEST)
    feed(partial, most=3 * CHUNK_BYTES)
    flip(folder.partial_path(MANIFEST.offer) / "part", 5)
    partial.close()
    partial = Partial(folder, MANIFEST)
    assert partial.have == {1, 2}
    feed(partial)
    flip(folder.partial_path(MANIFEST.offer) / "part", 2 * CHUNK_BYTES + 5)
    assert partial.finish() == [2]
    assert feed(partial) == CHUNK_BYTES
    assert partial.finish() == []
    partial.close()


def test_a_damaged_tail_costs_its_chunk(folder) -> None:
    """A chunk that broke off and was damaged on the disk comes again whole."""
    partial = Partial(folder, MANIFEST)
    feed(partial, most=CHUNK_BYTES + 500)
    partial.close()
    flip(folder.partial_path(MANIFEST.offer) / "tail-1", 100)
    partial = Partial(folder, MANIFEST)
    assert partial.next_run().start == CHUNK_BYTES + 500
    assert feed(partial) == len(BODY) - CHUNK_BYTES - 500 + CHUNK_BYTES
    assert partial.finish() == []
    partial.close()


def test_rubbish_in_its_folder_is_no_trouble(folder) -> None:
    """Tails of chunks that are no part of the file, too long ones and a file that is too long are put aside."""
    path = folder.partial_path(MANIFEST.offer)
    path.mkdir(parents=True)
    for name, size in (("tail-99", 5), ("tail-x", 5), ("tail-0", CHUNK_BYTES + 1), ("tail-3", 5000)):
        (path / name).write_bytes(bytes(size))
    (path / "part").write_bytes(bytes(len(BODY) + 10_000))
    partial = Partial(folder, MANIFEST)
    assert (partial.have, partial.tails) == (set(), {})
    assert feed(partial) == len(BODY)
    partial.close()


def test_a_manifest_that_contradicts_itself_is_not_believed(folder) -> None:
    """Chunks that all fit and a whole that does not: nothing is put into place."""
    lie = sample.manifest(BODY, sha256="0" * 64)
    partial = Partial(folder, lie)
    feed(partial)
    with pytest.raises(Inconsistent):
        partial.finish()
    partial.close()
    assert not folder.has(lie.offer)


def test_a_full_disk_keeps_what_came(folder, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told as such; the chunks before stay, and it goes on when there is room."""
    partial = Partial(folder, MANIFEST)
    feed(partial, most=2 * CHUNK_BYTES)
    real = os.pwrite

    def full(*_arguments):
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFull):
        feed(partial)
    partial.close()
    monkeypatch.setattr(os, "pwrite", real)
    partial = Partial(folder, MANIFEST)
    assert feed(partial) == len(BODY) - 2 * CHUNK_BYTES
    assert partial.finish() == []
    partial.close()


def flip(path: Path, at: int) -> None:
    """Flip a bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
