"""Places for encoders on this machine: so many pictures and one voice at a time, so that a live lesson keeps its share.

A place is a lock on a file. The system frees it when its holder dies, however it dies.
"""

from __future__ import annotations

import contextlib
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def place(folder: Path, name: str, places: int) -> Iterator[bool]:
    """Take one of the places of this name for as long as the block runs; gives False at once where all are taken."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        for number in range(places):
            # The folder may be shared by several machines, the processor is not.
            file = held.enter_context((folder / f"{name}-{socket.gethostname()}-{number}.lock").open("w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield True
            return
        yield False
