"""`make run` and `make demo` from a copy of the tree: they answer, show a lesson, recover, and leave nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import sync_playwright

from tests.slow.chromium import launch
from tests.slow.livestage import RECORD_CONNECTIONS, wait_playing
from tests.slow.stack import ROOT, free_port, wait_until

pytestmark = pytest.mark.slow

START_S = 90
PARTS = {
    "web": ("-m", "server"),
    "media": ("-m", "media"),
    "worker": ("celery", "worker"),
    "beat": ("celery", "beat"),
    "redis": ("redis-server",),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the tree as a clone has it, but with the environment that is already installed."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    copy = tmp_path / "tropa"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / ".venv").symlink_to(ROOT / ".venv")
    # Installing is the business of the first start on a new PC, not of this test.
    for name in ("requirements.txt", "requirements-dev.txt"):
        os.utime(copy / name, (0, 0))
    return copy


class Made:
    """One `make` of a target in the copied tree, in a process group of its own, as a terminal has it."""

    def __init__(self, tree: Path, target: str) -> None:
        self.tree = tree
        self.port = free_port()
        self.log = tree / "make.log"
        self.environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "TROPA_HOST": "127.0.0.1",
            "TROPA_PORT": str(self.port),
            "TROPA_MEDIA_PORT": str(free_port()),
        }
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.start(target)

    def start(self, target: str) -> None:
        """Start make; what an earlier start announced must not be taken for this one's."""
        (self.tree / "var" / "demo.json").unlink(missing_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                ["make", target],
                cwd=self.tree,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def family(self) -> list[psutil.Process]:
        return [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]

    def part(self, words: tuple[str, ...]) -> psutil.Process | None:
        """Return the oldest process whose command line has all these words: a worker's pool looks like the worker."""
        found = []
        for process in self.family():
            try:
                if all(any(word in argument for argument in process.cmdline()) for word in words):
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.ZombieProcess):
                continue
        return min(found, key=lambda process: process.create_time(), default=None)

    def page(self, path: str) -> tuple[int, str]:
        """Fetch a page; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(self.base_url + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def wait(self, condition: Any, what: str) -> Any:
        try:
            return wait_until(lambda: self._ended() or condition(), START_S, what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the log ends:\n{self.log.read_text()[-6000:]}") from None

    def _ended(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(f"make ended with {self.process.returncode}:\n{self.log.read_text()[-6000:]}")
        return False

    def healthy(self) -> bool:
        """Tell whether /healthz calls every part well; the disk is this machine's own affair."""
        status, body = self.page("/healthz")
        if status != 200:
            return False
        parts = json.loads(body)["parts"]
        return all(parts[name]["state"] == "ok" for name in ("database", "redis", "media", "workers"))

    def demo(self) -> dict | None:
        """Return demo.json when it is there."""
        try:
            return json.loads((self.tree / "var" / "demo.json").read_text("utf-8"))
        except FileNotFoundError:
            return None

    def ctrl_c(self) -> None:
        """Press Ctrl-C and wait until everything is gone."""
        family = self.family()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(30)
        wait_until(lambda: not left(family), 10, "every process is gone")


def left(family: list[psutil.Process]) -> list[psutil.Process]:
    """Return the processes that still run."""
    return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def make(tree: Path) -> Iterator[Any]:
    """Start targets; whatever a failing test leaves running is killed by its id."""
    started: list[Made] = []

    def begin(target: str) -> Made:
        started.append(Made(tree, target))
        return started[-1]

    yield begin
    for made in started:
        if made.process.poll() is None:
            family = made.family()
            os.killpg(made.process.pid, signal.SIGINT)
            try:
                made.process.wait(20)
            except subprocess.TimeoutExpired:
                for process in left(family):
                    process.kill()


def test_run_serves_the_first_page_and_leaves_nothing_behind(make: Any) -> None:
    """The first page and every part answer, a link for the first coordinator is printed, Ctrl-C ends everything."""
    service = make("run")
    service.wait(lambda: service.page("/")[0] == 200, "the first page")
    service.wait(lambda: "/first/" in service.log.read_text(), "the link for the first coordinator")
    service.wait(service.healthy, "every part is well")
    service.ctrl_c()
    service.start("run")
    service.wait(lambda: service.page("/")[0] == 200, "the first page of the second start")
    service.ctrl_c()
    said = service.log.read_text()
    assert "Traceback" not in said
    assert "oO0OoO0OoO0Oo" not in said, "the banner of Redis"
    journal = service.tree / "var" / "tropa.db-wal"
    assert not journal.exists() or journal.stat().st_size == 0, "a copy of tropa.db alone would not be whole"


def test_killed_parts_come_back(make: Any) -> None:
    """After kill -9 of each part in turn a new one takes its place and all is well again."""
    service = make("run")
    service.wait(service.healthy, "every part is well")
    for name, words in PARTS.items():
        killed = service.part(words)
        assert killed is not None, name
        killed.kill()
        service.wait(
            lambda words=words, killed=killed: (found := service.part(words)) and found.pid != killed.pid,
            f"{name} is started again",
        )
    service.wait(service.healthy, "every part is well again")
    service.ctrl_c()


def test_demo_shows_a_lesson_that_moves_and_sounds(make: Any) -> None:
    """demo.json is complete and private, its guest's link plays, a killed live plane is followed by its host."""
    service = make("demo")
    demo = service.wait(service.demo, "demo.json")
    assert (service.tree / "var" / "demo.json").stat().st_mode & 0o777 == 0o600
    assert demo["base_url"] == service.base_url
    for role in ("coordinator", "host", "teacher", "school"):
        assert set(demo[role]) == {"login", "password", "token"}
        assert api(service, demo[role]["token"], "/api/v1/sessions") == 200
    assert {"id", "watch_url", "whep_url", "whep_token"} <= set(demo["live"])
    assert {"id", "whip_url", "whip_token", "whep_url", "whep_token"} <= set(demo["idle"])
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(locale="ru-RU")
        page.add_init_script(RECORD_CONNECTIONS)
        page.goto(demo["live"]["watch_url"])
        before = wait_playing(page, START_S)["stream"]
        service.part(PARTS["media"]).kill()
        wait_playing(page, START_S, other_than=before)
        browser.close()
    service.ctrl_c()
    service.start("demo")
    again = service.wait(service.demo, "demo.json of the second start")
    assert {role: again[role] for role in ("coordinator", "host", "teacher", "school")} == {
        role: demo[role] for role in ("coordinator", "host", "teacher", "school")
    }
    assert again["idle"]["id"] == demo["idle"]["id"]
    service.ctrl_c()


def api(service: Made, token: str, path: str) -> int:
    """Return the status of an API address asked with a token."""
    request = urllib.request.Request(service.base_url + path, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status
