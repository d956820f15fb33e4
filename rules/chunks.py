"""Cut a file into chunks of 128 KB, each with its SHA-256, so that what is damaged on the way costs one chunk."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

CHUNK_BYTES = 128 * 1024
LIST_VERSION = 1
# A lesson of twelve hours as it was recorded stays below; whoever claims more is mistaken or hostile.
MAX_FILE_BYTES = 64 * 1024**3
SHA256_HEX = re.compile(r"[0-9a-f]{64}")


class BadChunkList(ValueError):
    """A list of chunks that cannot be true; the text says why."""


@dataclass(frozen=True, slots=True)
class ChunkList:
    """A file's size in bytes, its SHA-256, and that of every chunk in order, all in hex."""

    bytes: int
    sha256: str
    chunks: tuple[str, ...]

    def document(self) -> dict:
        """Return it as it is written to storage and into manifests."""
        return {
            "version": LIST_VERSION,
            "bytes": self.bytes,
            "sha256": self.sha256,
            "chunk_bytes": CHUNK_BYTES,
            "chunks": list(self.chunks),
        }


@dataclass(slots=True)
class Digester:
    """Hash a file as it goes by: `update` with pieces of any size, then `finish`."""

    _whole: hashlib._Hash = field(default_factory=hashlib.sha256)
    _chunk: hashlib._Hash = field(default_factory=hashlib.sha256)
    _in_chunk: int = 0
    _bytes: int = 0
    _chunks: list[str] = field(default_factory=list)

    def update(self, piece: bytes) -> None:
        """Take the next bytes of the file."""
        self._whole.update(piece)
        self._bytes += len(piece)
        view = memoryview(piece)
        while view:
            taken = view[: CHUNK_BYTES - self._in_chunk]
            self._chunk.update(taken)
            self._in_chunk += len(taken)
            view = view[len(taken) :]
            if self._in_chunk == CHUNK_BYTES:
                self._end_chunk()

    def finish(self) -> ChunkList:
        """Return the list; the last chunk is as short as it is. An empty file has no chunk."""
        if self._in_chunk:
            self._end_chunk()
        return ChunkList(self._bytes, self._whole.hexdigest(), tuple(self._chunks))

    def _end_chunk(self) -> None:
        self._chunks.append(self._chunk.hexdigest())
        self._chunk, self._in_chunk = hashlib.sha256(), 0


def chunk_count(size_bytes: int) -> int:
    """Say how many chunks a file of this size has."""
    return -(-size_bytes // CHUNK_BYTES)


def chunk_length(size_bytes: int, index: int) -> int:
    """Say how long one chunk of a file is, in bytes; the last one is the rest."""
    return min(CHUNK_BYTES, size_bytes - index * CHUNK_BYTES)


def parse(document: object) -> ChunkList:
    """Read a list that came from elsewhere. Raises BadChunkList saying what is wrong with it."""
    if not isinstance(document, dict):
        raise BadChunkList("not an object")
    if document.get("version") != LIST_VERSION:
        raise BadChunkList(f"version {str(document.get('version'))[:20]!r} is unknown; {LIST_VERSION} is known")
    size, sha256, chunks = document.get("bytes"), document.get("sha256"), document.get("chunks")
    if type(size) is not int or not 0 < size <= MAX_FILE_BYTES:
        raise BadChunkList(f"{str(size)[:30]} bytes is no size of a file")
    if document.get("chunk_bytes") != CHUNK_BYTES:
        raise BadChunkList(f"chunks of {str(document.get('chunk_bytes'))[:20]} bytes are unknown")
    if not isinstance(chunks, list) or len(chunks) != chunk_count(size):
        raise BadChunkList("the number of chunks does not fit the size")
    if not all(isinstance(one, str) and SHA256_HEX.fullmatch(one) for one in (sha256, *chunks)):
        raise BadChunkList("a digest is not SHA-256 in hex")
    return ChunkList(size, sha256, tuple(chunks))
