"""Signs of life: heartbeats in Redis for /healthz, leases named after processes, and how a worker is told to stop."""

from __future__ import annotations

import ctypes
import hashlib
import json
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from functools import cache
from pathlib import Path

import redis
from celery import signals

from config import Settings

log = logging.getLogger(__name__)

HEARTBEAT_EVERY_S = 5
HEARTBEAT_TTL_S = 20
BEAT_TTL_S = 30
BEAT_KEY = "tropa:beat"
# What media processes keep there of each room, for seconds.
ROOM_KEYS = "tropa:room:"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
# Made before the pool forks, so that its processes see what their worker is told. A plain byte without a lock: one that
# a killed process held would keep all others waiting.
_stopping = multiprocessing.RawValue("b", 0)
_stopped = threading.Event()


def worker_key() -> str:
    """Name the key of this machine's worker in Redis."""
    return f"tropa:worker:{socket.gethostname()}"


def install(settings: Settings) -> None:
    """Connect heartbeats and ends to the worker's life; signals keep weak references unless told otherwise."""

    def ready(**_facts) -> None:
        threading.Thread(target=_beat, args=(settings.redis_url,), name="heartbeat", daemon=True).start()

    signals.worker_ready.connect(ready, weak=False)
    signals.worker_shutting_down.connect(_stop, weak=False)
    signals.worker_process_init.connect(_die_with_parent, weak=False)


def _stop(**_facts) -> None:
    """Tell encodes to let go: the next worker begins them again, and an orderly stop does not wait for hours."""
    _stopping.value = 1
    _stopped.set()


def is_stopping() -> bool:
    """Tell whether this process's worker was told to stop."""
    return bool(_stopping.value)


def _die_with_parent(**_facts) -> None:
    """End a pool process when its worker is killed: it would go on without anybody to report to."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _beat(redis_url: str) -> None:
    client = quick_redis(redis_url)
    while True:
        try:
            client.set(worker_key(), json.dumps({"pid": os.getpid(), "at": time.time()}), ex=HEARTBEAT_TTL_S)
        except redis.RedisError as trouble:
            log.warning("no heartbeat: Redis is away (%s)", trouble)
        if _stopped.wait(HEARTBEAT_EVERY_S):
            return


def note_beat(redis_url: str) -> None:
    """Note that beat's messages arrive; /healthz reads the key. Redis being away is not worth a failure."""
    try:
        quick_redis(redis_url).set(BEAT_KEY, str(time.time()), ex=BEAT_TTL_S)
    except redis.RedisError as trouble:
        log.warning("beat not noted: Redis is away (%s)", trouble)


def is_lesson_live(redis_url: str) -> bool:
    """Tell whether a lesson is live, here or elsewhere: encoders make room for it. While Redis is away, one may be."""
    try:
        return next(quick_redis(redis_url).scan_iter(f"{ROOM_KEYS}*", count=1000), None) is not None
    except redis.RedisError:
        return True


@cache
def quick_redis(redis_url: str) -> redis.Redis:
    """Return a client for hints: it gives up within a second, as nobody must wait for a hint."""
    return redis.Redis.from_url(redis_url, socket_timeout=1.0, socket_connect_timeout=1.0)


@cache
def _realm() -> str:
    """Identify the kernel and the process namespace in which a process number means something."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return hashlib.sha256(f"{boot} {os.readlink('/proc/self/ns/pid')}".encode()).hexdigest()[:12]


def _started(pid: int) -> str | None:
    """Return a process's start time in clock ticks (proc(5), field 22), None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def lease_owner() -> str:
    """Name this process as the owner of a lease: realm, process number, start time."""
    pid = os.getpid()
    return f"{_realm()}:{pid}:{_started(pid)}"


def worker_scope() -> str:
    """Name the worker that this pool process belongs to."""
    return f"{_realm()}:{os.getppid()}"


def is_dead(owner: str) -> bool:
    """Tell whether a lease's owner is known to be gone; of processes elsewhere nothing is known, so they are not."""
    realm, _, rest = owner.partition(":")
    pid, _, started = rest.partition(":")
    if realm != _realm() or not pid.isdigit():
        return False
    return _started(int(pid)) != started
