"""Run one program for a worker: nice to live lessons on the same PC, ended with its worker, within a time limit."""

from __future__ import annotations

import ctypes
import os
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO

NICENESS = 15
TAIL_CHARS = 2000
TICK_S = 1.0
READ_BYTES = 65_536
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class ChildFailed(Exception):
    """A program that did not do its work; `code` is "damaged", "disk_full" or "timeout", `tail` the end of its log."""

    def __init__(self, code: str, tail: str) -> None:
        super().__init__(f"{code}: {tail[-300:]}")
        self.code = code
        self.tail = tail


class ChildKilled(Exception):
    """A program that somebody else ended: the kernel for lack of memory, an administrator. Its work is not to blame."""


# What comes from outside; a program that ends by a fault of its own has other signals.
FROM_OUTSIDE = frozenset({signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


def run(
    command: Sequence[str], limit_s: float, on_output: Callable[[bytes], None], on_tick: Callable[[], None]
) -> None:
    """Run a program to its end: on_output gets its output piece by piece, on_tick comes about once a second.

    Whatever either raises ends the program and goes on to the caller. Raises ChildFailed, ChildKilled.
    """
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            preexec_fn=_setup(os.getpid()),
        )
        try:
            _follow(child, time.monotonic() + limit_s, on_output, on_tick)
        except TimeoutError:
            raise ChildFailed("timeout", f"not ready after {limit_s:.0f} s; {_tail(errors)}") from None
        finally:
            if child.poll() is None:
                child.kill()
            child.wait()
            child.stdout.close()
        if -child.returncode in FROM_OUTSIDE:
            raise ChildKilled(f"{command[0].rpartition('/')[2]} was ended by signal {-child.returncode}")
        if child.returncode != 0:
            tail = _tail(errors)
            is_full = "No space left on device" in tail or "Disk quota exceeded" in tail
            code = "disk_full" if is_full else "damaged"
            raise ChildFailed(code, f"{command[0].rpartition('/')[2]} ended with {child.returncode}; {tail}")


def _follow(
    child: subprocess.Popen, deadline: float, on_output: Callable[[bytes], None], on_tick: Callable[[], None]
) -> None:
    """Read the output until it closes; call on_tick once a second even when there was none."""
    next_tick = time.monotonic() + TICK_S
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while True:
            now = time.monotonic()
            if now > deadline:
                raise TimeoutError
            if now >= next_tick:
                next_tick = now + TICK_S
                on_tick()
            if not selector.select(timeout=max(0.0, next_tick - now)):
                continue
            chunk = os.read(child.stdout.fileno(), READ_BYTES)
            if not chunk:
                break
            on_output(chunk)
    child.wait(timeout=60)


def _setup(parent: int) -> Callable[[], None]:
    """Return what the child does before it becomes the program: step back for others, and die when its worker dies."""

    def setup() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # the worker died before the line above
            os._exit(1)
        os.nice(NICENESS)

    return setup


def _tail(errors: IO[bytes]) -> str:
    """Return the end of the program's messages."""
    size = errors.seek(0, os.SEEK_END)
    errors.seek(max(0, size - TAIL_CHARS))
    return errors.read().decode(errors="replace").strip()
