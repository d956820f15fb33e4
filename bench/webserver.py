"""The web process alone, as the supervisor starts it, to be killed and started again by benches and slow tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import psutil

from config import Settings
from rules.rights import Role
from store import database, logins, people

ROOT = Path(__file__).resolve().parent.parent
START_S = 60
PASSWORD = "три коротких слова"


class WebServer:
    """`uvicorn server.asgi:app` on a port with a data folder; use as a context manager. The log is `data/web.log`."""

    def __init__(self, data: Path, port: int, extra: Mapping[str, str] | None = None, host: str = "127.0.0.1") -> None:
        """Make the tables; nothing is started yet."""
        self.data, self.port, self.host = data, port, host
        own = {"TROPA_DATA": str(data), "SECRET_KEY": "0123456789abcdef" * 4, "TROPA_REQUESTS_PER_MINUTE": "1000000"}
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {**inherited, **own, **(extra or {})}
        self.settings = Settings.from_env({**own, **(extra or {})})
        self.process: subprocess.Popen[bytes] | None = None
        database.upgrade(database.bare_app(self.settings))

    def __enter__(self) -> WebServer:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start the process and wait until it answers."""
        command = [sys.executable, "-m", "uvicorn", "server.asgi:app", "--host", self.host, "--port", str(self.port)]
        with (self.data / "web.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--log-level", "warning", "--no-access-log"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline_s = time.monotonic() + START_S
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(
                    f"the web process does not answer:\n{(self.data / 'web.log').read_text('utf-8')[-3000:]}"
                )
            time.sleep(0.05)

    def kill(self) -> None:
        """End the process as kill -9 does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def memory_bytes(self) -> int:
        """Return the resident memory of the process, shared pages included."""
        return psutil.Process(self.process.pid).memory_info().rss

    def host_person(self) -> tuple[str, str]:
        """Make a school with a host; return an API token and a login's cookie."""
        now = database.utc_now()
        with database.bare_app(self.settings).app_context():
            school = people.create_school("Сосновская школа", "Asia/Krasnoyarsk", now).id
            row = people.create_person(
                "host@t.example", "Анна Петрова", PASSWORD, [(Role.HOST, school)], now, locale="en"
            )
            return logins.create_api_token(row.id, "bench", now)[1], logins.start_login(row.id, "bench", now, 1)[1]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{self.host}:{self.port}/healthz", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True  # some part is away, as it must be here; the web part answers
        except OSError:
            return False
