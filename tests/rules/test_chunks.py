"""Lists of chunks: made in pieces of any size, read with suspicion."""

from __future__ import annotations

import hashlib

import pytest

from rules import chunks
from rules.chunks import CHUNK_BYTES, BadChunkList, Digester

BODY = bytes(range(256)) * 1200  # two whole chunks and a rest


def listed(body: bytes, step: int) -> chunks.ChunkList:
    """Hash a body given in pieces of `step` bytes."""
    digester = Digester()
    for at in range(0, len(body), step):
        digester.update(body[at : at + step])
    return digester.finish()


@pytest.mark.parametrize("step", [1000, CHUNK_BYTES, CHUNK_BYTES + 1, len(BODY)])
def test_chunks_do_not_depend_on_how_the_file_came(step: int) -> None:
    """Every chunk is hashed by itself, the last one as short as it is, and the whole beside them."""
    found = listed(BODY, step)
    pieces = [BODY[at : at + CHUNK_BYTES] for at in range(0, len(BODY), CHUNK_BYTES)]
    assert found.chunks == tuple(hashlib.sha256(piece).hexdigest() for piece in pieces)
    assert (found.bytes, found.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert chunks.parse(found.document()) == found


def test_a_file_of_whole_chunks_has_no_empty_one() -> None:
    """The end of the last chunk begins no further one."""
    assert len(listed(bytes(2 * CHUNK_BYTES), 4096).chunks) == chunks.chunk_count(2 * CHUNK_BYTES) == 2
    assert chunks.chunk_length(2 * CHUNK_BYTES, 1) == CHUNK_BYTES


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"bytes": 0},
        {"bytes": 10**15},
        {"bytes": True},
        {"bytes": "300"},
        {"chunk_bytes": 1},
        {"chunks": []},
        {"chunks": "x" * 3},
        {"chunks": ["0" * 63] * 3},
        {"sha256": None},
    ],
)
def test_lists_that_cannot_be_true_are_refused(change: dict) -> None:
    """A list with a wrong number of chunks, absurd sizes or digests that are none is not believed."""
    with pytest.raises(BadChunkList):
        chunks.parse(listed(BODY, 4096).document() | change)
