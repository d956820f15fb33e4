"""Pure: which bytes of a file to ask for next, so that nothing that is there is fetched twice."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rules.chunks import CHUNK_BYTES, chunk_count, chunk_length


@dataclass(frozen=True, slots=True)
class Run:
    """Bytes [start, stop) to ask for; `is_open` where they reach the end of the file, so that no end need be named."""

    start: int
    stop: int
    is_open: bool

    @property
    def header(self) -> str:
        """Return the Range header (RFC 9110 14.1.2)."""
        return f"bytes={self.start}-" if self.is_open else f"bytes={self.start}-{self.stop - 1}"


def next_run(
    size: int, have: AbstractSet[int], tails: Mapping[int, int], avoid: AbstractSet[int] = frozenset()
) -> Run | None:
    """Return the first missing run of chunks, from the very byte where its first chunk broke off; None: all there.

    `tails` says how many bytes of a broken-off chunk are there. Chunks in `avoid` come last: they were damaged a moment
    ago, and the rest of the file is worth more than a second try.
    """
    count = chunk_count(size)
    missing = [chunk for chunk in range(count) if chunk not in have]
    wanted = [chunk for chunk in missing if chunk not in avoid] or missing
    if not wanted:
        return None
    first = last = wanted[0]
    # A run ends before a chunk that is there, or that is begun: its own first bytes need not come again.
    follow = set(wanted)
    while last + 1 in follow and not tails.get(last + 1):
        last += 1
    stop = last * CHUNK_BYTES + chunk_length(size, last)
    return Run(first * CHUNK_BYTES + tails.get(first, 0), stop, stop == size)


def missing_bytes(size: int, have: AbstractSet[int], tails: Mapping[int, int]) -> int:
    """Say how many bytes of a file are still to come."""
    there = sum(chunk_length(size, chunk) for chunk in have)
    return size - there - sum(length for chunk, length in tails.items() if chunk not in have)
