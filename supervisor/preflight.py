"""Checks before the first process starts; each failure is one sentence that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from config import Settings
from supervisor import commands

LOCK_PATIENCE_S = 6.0


class NotReady(Exception):
    """The service cannot start; the text is for the person at the keyboard."""


def lock_data(data: Path) -> int:
    """Take the data folder for this supervisor and return the descriptor that holds the lock.

    Waits a few seconds, because the guardian of a killed supervisor still clears up behind it.
    """
    run = data / "run"
    try:
        run.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(run / "supervisor.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise NotReady(
            f"The folder {data} cannot be written ({error.strerror}). Give this user the right to write there, "
            "or name another folder in TROPA_DATA."
        ) from None
    deadline = time.monotonic() + LOCK_PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise NotReady(
                    f"Tropa already runs on the folder {data}. Stop it first, or name another folder in TROPA_DATA "
                    "and other ports in TROPA_PORT and TROPA_MEDIA_PORT."
                ) from None
            time.sleep(0.1)


def check_ports(settings: Settings) -> None:
    """Raise NotReady when a port that the parts will need is taken or not allowed."""
    _check(settings.host, settings.port, socket.SOCK_STREAM, "TROPA_PORT")
    _check("0.0.0.0", settings.media_port, socket.SOCK_DGRAM, "TROPA_MEDIA_PORT")
    _check("0.0.0.0", settings.media_port, socket.SOCK_STREAM, "TROPA_MEDIA_PORT")


def _check(host: str, port: int, kind: socket.SocketKind, setting: str) -> None:
    protocol = "TCP" if kind == socket.SOCK_STREAM else "UDP"
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        raise NotReady(f"TROPA_HOST={host} is no address of this PC. Write 0.0.0.0 for all its addresses.") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise NotReady(
                f"Port {port} ({protocol}) is taken by another program. "
                f"Stop that program, or set {setting} to a free port."
            ) from None
        if error.errno == errno.EACCES:
            raise NotReady(f"Port {port} needs administrator rights. Set {setting} to a port above 1023.") from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise NotReady(
                f"TROPA_HOST={host} is no address of this PC. Write 0.0.0.0 for all its addresses."
            ) from None
        raise NotReady(f"Port {port} ({protocol}) cannot be used: {error.strerror}. Check {setting}.") from None


def check_tls(settings: Settings) -> None:
    """Raise NotReady when TLS is set by halves or its files cannot be read."""
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise NotReady("TROPA_TLS_CERT and TROPA_TLS_KEY go together: set both, or neither.")
    for setting, path in (("TROPA_TLS_CERT", settings.tls_cert), ("TROPA_TLS_KEY", settings.tls_key)):
        if path and not os.access(path, os.R_OK):
            raise NotReady(f"{setting}={path} cannot be read. Check the path and the rights of the file.")


def run_step(arguments: tuple[str, ...], environment: Mapping[str, str], failure: str) -> None:
    """Run a short Python step to its end; its last line becomes the reason when it fails."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()
        raise NotReady(f"{failure} {said[-1]}")


def fold(environment: Mapping[str, str]) -> None:
    """After everything has stopped: leave a database file that is whole by itself. Trouble with it costs nothing."""
    with contextlib.suppress(NotReady):
        run_step(commands.FOLD, environment, "The journal of the database stays beside it:")


def migrate(settings: Settings, environment: Mapping[str, str]) -> None:
    """Bring the database to this version's tables."""
    run_step(
        commands.MIGRATE,
        environment,
        "The database could not be opened or brought up to date; nothing was started. Check DATABASE_URL. It said:",
    )
