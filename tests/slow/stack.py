"""The whole service as processes of their own, for slow tests: started by the supervisor, stopped by its id."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import rmtree
from typing import TypeVar

import psutil

from config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
START_S = 60
STOP_S = 30
SECRET = "0123456789abcdef" * 4

T = TypeVar("T")


def free_port() -> int:
    """Return a port that is free over TCP and UDP on every address at this moment."""
    while True:
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind(("0.0.0.0", 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind(("0.0.0.0", port))
            except OSError:
                continue
            return port


def wait_until(condition: Callable[[], T], timeout_s: float, what: str) -> T:
    """Ask every 50 ms until the answer is truthy and return it; TimeoutError says what was waited for."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline_s:
            raise TimeoutError(f"not within {timeout_s} s: {what}")
        time.sleep(0.05)


class Stack:
    """Redis, web, media, worker and beat on free ports with a data folder of their own; use as a context manager.

    `extra` goes over the environment (DATABASE_URL, REDIS_URL …); `mode` is "run" or "demo"; `data` is kept when it is
    given, else a temporary folder is made and removed. `settings` are those of the running service, so a test may open
    its database. The log of all parts is in `log_path`.
    """

    def __init__(self, extra: Mapping[str, str] | None = None, *, mode: str = "run", data: Path | None = None) -> None:
        """Choose ports and folder; nothing is started yet."""
        self._temporary = data is None
        self.data = data or Path(tempfile.mkdtemp(prefix="tropa-stack-"))
        self.mode = mode
        own = {
            "TROPA_HOST": "127.0.0.1",
            "TROPA_PORT": str(free_port()),
            "TROPA_MEDIA_PORT": str(free_port()),
            "TROPA_DATA": str(self.data),
            "SECRET_KEY": SECRET,
            **(extra or {}),
        }
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self.environment = {**inherited, **own}
        self.settings = Settings.from_env(own)
        self.base_url = f"http://127.0.0.1:{self.settings.port}"
        self.log_path = self.data / "stack.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Stack:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()
        if self._temporary:
            rmtree(self.data, ignore_errors=True)

    def start(self) -> None:
        """Start every part and wait until the web part answers and the media part has opened its control port."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "supervisor", self.mode],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until(
                lambda: self._failed() or (self._answers() and self._media_runs()), START_S, "the service answers"
            )
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log ends:\n{self.log_tail()}") from None
        if self.process.poll() is not None:
            raise RuntimeError(f"the supervisor ended with {self.process.returncode}; its log ends:\n{self.log_tail()}")

    def stop(self) -> None:
        """Stop as Ctrl-C does; what does not end in time is killed by id."""
        if self.process is None or self.process.poll() is not None:
            return
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            for member in family:
                if member.is_running():
                    member.kill()
            self.process.kill()
            self.process.wait(STOP_S)

    def pid_of(self, *words: str) -> int:
        """Return the id of the first process of the service whose command line holds all the words in this order.

        For instance pid_of("-m", "media"), pid_of("celery", "worker"), pid_of("redis-server").
        """
        assert self.process is not None
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                line = " ".join(child.cmdline())
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
            rest = line
            for word in words:
                _, found, rest = rest.partition(word)
                if not found:
                    break
            else:
                return child.pid
        raise LookupError(f"no process of the service runs {' '.join(words)}")

    def kill(self, *words: str) -> int:
        """Kill the process that pid_of finds with SIGKILL, return its former id; the supervisor starts it again."""
        pid = self.pid_of(*words)
        os.kill(pid, signal.SIGKILL)
        return pid

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the service's log."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text("utf-8", "replace").splitlines()[-lines:])

    def _failed(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.base_url}/healthz", timeout=2):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def _media_runs(self) -> bool:
        try:
            return psutil.pid_exists(json.loads((self.data / "run" / "media.json").read_text())["pid"])
        except (OSError, ValueError, KeyError):
            return False
