"""The child's entry: `python -m media.lowrung FD PARENT`, started by `media/lowrung/client.py` alone."""

from __future__ import annotations

import ctypes
import logging
import os
import resource
import signal
import socket
import sys

import av

from media.lowrung.worker import Worker

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
NICENESS = 5
MAX_MEMORY_BYTES = 3 << 30
"""Of addresses, not of use: decoders of 4K pictures reserve a gigabyte. The lesson outlives what asks for more."""

logger = logging.getLogger("media.lowrung")


def main() -> int:
    """Serve one room until its socket closes; return the exit status."""
    descriptor, parent = int(sys.argv[1]), int(sys.argv[2])
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent closes the socket
    _confine(parent)
    av.logging.set_level(av.logging.FATAL)
    with socket.socket(fileno=descriptor) as sock:
        try:
            Worker(sock).run()
        except (BrokenPipeError, ConnectionResetError):
            logger.info("the media process is gone")
    return 0


def _confine(parent: int) -> None:
    """Yield to the lesson, die with the parent, and keep hostile pictures from having more than they need."""
    os.nice(NICENESS)
    libc = ctypes.CDLL(None, use_errno=True)
    for option, value in ((PR_SET_PDEATHSIG, signal.SIGKILL), (PR_SET_NO_NEW_PRIVS, 1)):
        if libc.prctl(option, value, 0, 0, 0):
            logger.warning("prctl %d: %s", option, os.strerror(ctypes.get_errno()))
    if os.getppid() != parent:
        raise SystemExit("the parent died before its child could ask to die with it")
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    sys.exit(main())
