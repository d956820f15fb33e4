"""Keep each published file's list of chunks beside it in storage: made when it is published, else when first asked for.

Facts that may change, as a lesson's title, are not in it: they join it in the manifest when that is asked for.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from rules import chunks
from rules.chunks import ChunkList, Digester
from store.files import CHUNK_LIST, COPY_BYTES, Files


def key_of(file_key: str) -> str:
    """Name the list of a stored file."""
    return file_key + CHUNK_LIST


def digest(path: Path) -> ChunkList:
    """Read a local file through and list its chunks."""
    digester = Digester()
    with path.open("rb") as file:
        while block := file.read(COPY_BYTES):
            digester.update(block)
    return digester.finish()


def keep(storage: Files, file_key: str, made: ChunkList) -> None:
    """Store a file's list beside it."""
    with tempfile.NamedTemporaryFile("w", suffix=CHUNK_LIST, encoding="ascii") as file:
        json.dump(made.document(), file, separators=(",", ":"))
        file.flush()
        storage.put(file.name, key_of(file_key))


def load(storage: Files, file_key: str, sha256: str) -> ChunkList:
    """Return a file's list, made now where there is none that fits the file; raises NoSuchFile without the file.

    A file that is not what the database says is listed as it is: whoever fetches it finds the difference at the end.
    """
    if storage.exists(key_of(file_key)):
        with storage.open(key_of(file_key)) as file:
            try:
                kept = chunks.parse(json.load(file))
            except ValueError:  # cut off or written over by hand: made anew
                kept = None
        if kept is not None and kept.sha256 == sha256:
            return kept
    with storage.local_path(file_key) as path:
        made = digest(path)
    keep(storage, file_key, made)
    return made
