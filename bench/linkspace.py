"""A small network of namespaces for one bench: everything in it ends with the process that made it.

`enter` moves the bench itself into a namespace of its own, where the server runs; each `Seat` is one more, for a
browser, joined by a plain cable or by an emulated link. Nothing has a name outside, so nothing can be left behind.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSIDE = "TROPA_BENCH_INSIDE"
SERVER_IP = "10.99.0.1"
READY_S = 20
STOP_S = 10


class NoNamespaces(RuntimeError):
    """The machine does not let us make networks; the text says what is needed."""


def enter(module: str, arguments: list[str]) -> None:
    """Start this program again in a network of its own, where the server's address is on the loopback device.

    Returns inside; outside it never returns. Without root a user namespace is tried. Raises NoNamespaces.
    """
    if os.environ.get(INSIDE):
        _ip("link", "set", "lo", "up")
        _ip("address", "add", f"{SERVER_IP}/32", "dev", "lo")
        return
    rights = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    prefix = ["unshare", *rights, "--net"]
    try:
        works = subprocess.run([*prefix, "true"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoNamespaces("the program unshare (package util-linux) is needed") from None
    if works.returncode:
        raise NoNamespaces(f"this needs root, or user namespaces that are allowed: {works.stderr.strip()}")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        raise NoNamespaces("/dev/net/tun cannot be opened: load the module tun, or run as root")
    sys.stdout.flush()
    os.execvpe(prefix[0], [*prefix, sys.executable, "-m", module, *arguments], {**os.environ, INSIDE: "1"})


class Seat:
    """One namespace with one way to the server; a context manager. `number` from 1 to 250 makes its addresses."""

    def __init__(self, number: int, down: str = "", up: str = "", *, seed: int = 1) -> None:
        """Without words for both directions it is a plain cable."""
        self.address = f"10.99.{number}.2"
        self.link: EmulatedLink | None = None
        self._number, self._down, self._up, self._seed = number, down, up, seed
        self._holder: subprocess.Popen[str] | None = None

    def __enter__(self) -> Seat:
        try:
            self._open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        if self.link is not None:
            self.link.stop()
        if self._holder is not None:
            _end(self._holder)

    @property
    def pid(self) -> int:
        """The process that holds the namespace."""
        assert self._holder is not None
        return self._holder.pid

    def command(self, *words: str) -> list[str]:
        """Return a command line that runs another one in this namespace."""
        return ["nsenter", f"--net=/proc/{self.pid}/ns/net", "--", *words]

    def wrapper(self, folder: Path, program: str) -> Path:
        """Write a script that stands for a program and runs it here, for whoever starts programs by path."""
        path = folder / f"seat-{self._number}"
        path.write_text(f'#!/bin/sh\nexec {" ".join(self.command(program))} "$@"\n')
        path.chmod(0o700)
        return path

    def _open(self) -> None:
        # cat ends when our end of its input does, however we end.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo there; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline().strip() != "there":
            raise NoNamespaces("a second namespace could not be made")
        near, far = f"near{self._number}", f"far{self._number}"
        if self._down and self._up:
            self.link = EmulatedLink(near, far, self._down, self._up, self._seed)
        else:
            _ip("link", "add", near, "type", "veth", "peer", "name", far)
        _ip("link", "set", far, "netns", str(self.pid))
        _ip("link", "set", near, "up")
        # The source is named, as a server that listens on every address would else answer from another one.
        if self.link is None:
            _ip("address", "add", f"10.99.{self._number}.1/24", "dev", near)
            _ip("route", "change", f"10.99.{self._number}.0/24", "dev", near, "src", SERVER_IP)
        else:
            _ip("route", "add", f"{self.address}/32", "dev", near, "src", SERVER_IP)
        self._inside("link", "set", "lo", "up")
        self._inside("address", "add", f"{self.address}/24", "dev", far)
        self._inside("link", "set", far, "up")
        gateway = ("via", f"10.99.{self._number}.1") if self.link is None else ()
        self._inside("route", "add", "default", *gateway, "dev", far)

    def _inside(self, *words: str) -> None:
        _run(*self.command("ip", *words))


class EmulatedLink:
    """The emulator's process, and what it reported; `reports` grows by ten a second."""

    def __init__(self, near: str, far: str, down: str, up: str, seed: int = 1) -> None:
        """Start it and wait for its devices. Raises RuntimeError with its own words."""
        self.reports: list[dict] = []
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "bench.linkemu", "--near", near, "--far", far),
                *("--down", down, "--up", up, "--seed", str(seed)),
            ],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        first = self._process.stdout.readline()
        if not first:
            said = self._process.communicate(timeout=STOP_S)[1]
            raise RuntimeError(f"the link emulator ended: {said.strip()}")
        self.priority = json.loads(first)["priority"]
        self._reader = threading.Thread(target=self._read, name="link reports", daemon=True)
        self._reader.start()

    def change(self, **words: str) -> None:
        """Change directions in mid-run: change(down="rate=64", up="block=udp")."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End the process; its devices go with it."""
        if self._process.poll() is None:
            _end(self._process)
            self._reader.join(STOP_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.reports.append(json.loads(line))


def _end(process: subprocess.Popen[str]) -> None:
    """Close a process's input and see it end; kill it by its id where it does not."""
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_S)


def _ip(*words: str) -> None:
    _run("ip", *words)


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNamespaces(f"{' '.join(words)}: {done.stderr.strip()}")
