"""Places for encoders of one worker: so many pictures and one voice at a time, so that a live lesson keeps its share.

A place is a name in the kernel (abstract UNIX socket, unix(7)). It is free again when its holder dies, however it dies,
and leaves nothing in any folder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator

# A place for each processor is best: stretches need nothing of one another, threads of one encoder do. But an encoder
# takes 300 MB, so a worker that was told no number stops here and gives each encoder more threads.
MOST_PLACES = 4


def pictures(asked: int, processors: int, *, live: bool = False) -> int:
    """Say how many pictures are encoded at a time: as many as were asked for, 0 leaves it to the number of processors.

    Then a lesson that is live has one processor to itself, unless there is only one.
    """
    return asked or max(1, min(MOST_PLACES, processors - live))


def threads(places: int, processors: int, *, live: bool = False) -> int:
    """Say how many threads each of so many encoders gets: all together a processor fewer while a lesson is live."""
    return max(1, (processors - live) // places)


def processors() -> int:
    """Count the processors that this process may use."""
    return len(os.sched_getaffinity(0))


@contextlib.contextmanager
def place(scope: str, name: str, places: int) -> Iterator[int | None]:
    """Take one of the places of this name for as long as the block runs, and give its number, counted from 0.

    Gives None at once where all are taken. `scope` names whose places they are, at most 60 characters.
    """
    for number in range(places):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
            try:
                held.bind(f"\0tropa:{scope}:{name}:{number}")
            except OSError as trouble:
                if trouble.errno != errno.EADDRINUSE:
                    raise
                continue
            yield number
            return
    yield None
