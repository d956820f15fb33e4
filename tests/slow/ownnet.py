"""A network for tests where UDP can be blocked: this thread and what it starts move into a namespace of their own."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator

from bench import linkspace

CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)


def allowed() -> bool:
    """Whether this machine lets us make networks and TUN devices."""
    return os.geteuid() == 0 and os.access("/dev/net/tun", os.R_OK | os.W_OK)


def _call(function, *arguments: int) -> None:
    if function(*arguments):
        raise OSError(ctypes.get_errno(), "no network of our own")


@contextlib.contextmanager
def own_network() -> Iterator[str]:
    """Be in a new network inside; gives the server's address there. Seats of bench.linkspace join it."""
    former = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _call(LIBC.unshare, CLONE_NEWNET)
    os.environ[linkspace.INSIDE] = "1"
    try:
        linkspace.enter("", [])
        yield linkspace.SERVER_IP
    finally:
        del os.environ[linkspace.INSIDE]
        _call(LIBC.setns, former, CLONE_NEWNET)
        os.close(former)
