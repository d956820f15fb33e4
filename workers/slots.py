"""Places for encoders of one worker: so many pictures and one voice at a time, so that a live lesson keeps its share.

A place is a name in the kernel (abstract UNIX socket, unix(7)). It is free again when its holder dies, however it dies,
and leaves nothing in any folder.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def place(scope: str, name: str, places: int) -> Iterator[bool]:
    """Take one of the places of this name for as long as the block runs; gives False at once where all are taken.

    `scope` names whose places they are, at most 60 characters.
    """
    for number in range(places):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as held:
            try:
                held.bind(f"\0tropa:{scope}:{name}:{number}")
            except OSError as trouble:
                if trouble.errno != errno.EADDRINUSE:
                    raise
                continue
            yield True
            return
    yield False
