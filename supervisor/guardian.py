"""The guardian: a tiny process that outlives a killed supervisor just long enough to take its parts along.

PR_SET_PDEATHSIG reaches only direct children; a worker's own children (its pool, an encoder) would go on.
"""

from __future__ import annotations

import os
import signal
import time

GRACE_S = 3.0


def kill_group(group: int, number: int) -> bool:
    """Send a signal to a process group and tell whether anybody was left to get it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # the number belongs to somebody else by now
        return False
    return True


class Guardian:
    """The supervisor's end of the pipe: tells the guardian which process groups are alive."""

    def __init__(self) -> None:
        """Fork the guardian; call it before any thread or event loop exists."""
        reading, self._writing = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._writing)
            _watch(reading)
            os._exit(0)
        os.close(reading)
        # The parts must not hold the pipe open, or its end would never be seen.
        os.set_inheritable(self._writing, False)

    def dismiss(self) -> None:
        """Wait until the guardian is gone; it ends whatever is still noted, which after an orderly stop is nothing."""
        os.close(self._writing)
        os.waitpid(self._pid, 0)

    def add(self, group: int) -> None:
        """Note a group that must not outlive the supervisor."""
        os.write(self._writing, f"+{group}\n".encode())

    def remove(self, group: int) -> None:
        """Forget a group that is gone."""
        os.write(self._writing, f"-{group}\n".encode())


def _watch(reading: int) -> None:
    """Follow the pipe until the supervisor is gone, then end what it left behind."""
    # A session of its own: Ctrl-C in the terminal is the supervisor's to handle.
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    groups: set[int] = set()
    with os.fdopen(reading, "r") as pipe:
        for line in pipe:
            group = int(line[1:])
            if line[0] == "+":
                groups.add(group)
            else:
                groups.discard(group)
    left = {group for group in groups if kill_group(group, signal.SIGTERM)}
    deadline = time.monotonic() + GRACE_S
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = {group for group in left if kill_group(group, 0)}
    for group in left:
        kill_group(group, signal.SIGKILL)
