"""Which bytes are asked for next: all that are missing, none that are there."""

from __future__ import annotations

import random

from mirror import runs
from mirror.runs import Run
from rules.chunks import CHUNK_BYTES

SIZE = 5 * CHUNK_BYTES + 1000


def test_an_empty_file_is_asked_for_in_one_open_request() -> None:
    """No end is named where everything up to the end is wanted."""
    assert runs.next_run(SIZE, set(), {}) == Run(0, SIZE, True)
    assert runs.next_run(SIZE, set(), {}).header == "bytes=0-"


def test_it_goes_on_from_the_very_byte() -> None:
    """A chunk that broke off is asked for from its first missing byte."""
    found = runs.next_run(SIZE, {0, 1}, {2: 777})
    assert found == Run(2 * CHUNK_BYTES + 777, SIZE, True)


def test_a_gap_is_asked_for_alone() -> None:
    """What follows a gap and is there does not come again."""
    found = runs.next_run(SIZE, {0, 2, 3, 4, 5}, {})
    assert found == Run(CHUNK_BYTES, 2 * CHUNK_BYTES, False)
    assert found.header == f"bytes={CHUNK_BYTES}-{2 * CHUNK_BYTES - 1}"


def test_a_run_ends_before_a_chunk_that_was_begun() -> None:
    """Its first bytes are here already."""
    assert runs.next_run(SIZE, {0}, {3: 50}) == Run(CHUNK_BYTES, 3 * CHUNK_BYTES, False)


def test_damaged_chunks_come_last() -> None:
    """The rest of the file is worth more than a second try at once."""
    assert runs.next_run(SIZE, {0}, {}, {1}) == Run(2 * CHUNK_BYTES, SIZE, True)
    assert runs.next_run(SIZE, {0, 2, 3, 4, 5}, {}, {1}) == Run(CHUNK_BYTES, 2 * CHUNK_BYTES, False)


def test_nothing_is_asked_for_twice() -> None:
    """From any state, following the runs fetches exactly what is missing, and then nothing."""
    chance = random.Random(3)
    for _round in range(200):
        have = {chunk for chunk in range(6) if chance.random() < 0.5}
        tails = {c: chance.randrange(1, 1000) for c in range(6) if c not in have and chance.random() < 0.5}
        missing, asked = runs.missing_bytes(SIZE, have, tails), 0
        while (run := runs.next_run(SIZE, have, tails)) is not None:
            asked += run.stop - run.start
            have |= set(range(run.start // CHUNK_BYTES, -(-run.stop // CHUNK_BYTES)))
        assert asked == missing
