"""The supervisor with small real processes: nothing dies unnoticed, nothing outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from supervisor.embedded_redis import EmbeddedRedis
from tests.slow.stack import ROOT, free_port, wait_until

pytestmark = pytest.mark.slow

# A service of three stages; the last one has a child of its own that ignores being asked to stop.
SERVICE = """
import asyncio, sys
from supervisor.guardian import Guardian
from supervisor.processes import Part, Supervisor
guardian = Guardian()
sleep = (
    "import signal, sys, time; signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit()));"
    " print('up', flush=True)"
)
stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)"
child = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {stubborn!r}])"
stages = [
    [Part("first", (sys.executable, "-c", sleep + "; time.sleep(600)"))],
    [Part("second", (sys.executable, "-c", sleep + "; print(sys.stdin.read(), flush=True); time.sleep(60)"), b"piped")],
    [Part("third", (sys.executable, "-c", child + "; " + sleep + "; time.sleep(600)"))],
    [Part("once", (sys.executable, "-c", "print('noise'); print('done', flush=True)"), once=True, chatter=("noise",))],
]
asyncio.run(Supervisor(stages, {"PATH": "/usr/bin:/bin"}, guardian).run())
"""


class Little:
    """The small service under test, with what it printed."""

    def __init__(self, log: Path) -> None:
        self.log = log
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVICE], cwd=ROOT, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
            )

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def wait_for(self, *lines: str) -> None:
        wait_until(lambda: set(lines) <= set(self.lines()), 20, f"{lines} in {self.lines()}")

    def part_saying(self, text: str) -> int:
        """Return the id of the direct child whose command holds the text, and which is no child of a part."""
        own = psutil.Process(self.process.pid).children()
        # The guardian is a fork, so its command line is that of the whole service.
        return next(one.pid for one in own if text in (line := " ".join(one.cmdline())) and "Guardian" not in line)


@pytest.fixture
def little(tmp_path: Path) -> Iterator[Little]:
    """Start the small service and wait until all its parts are up; kill whatever a failing test leaves."""
    service = Little(tmp_path / "log")
    family: list[psutil.Process] = []
    try:
        service.wait_for("first  | up", "second | up", "third  | up", "once   | done")
        family = service.family()
        yield service
    finally:
        if service.process.poll() is None:
            service.process.kill()
        service.process.wait()
        for one in family:
            if one.is_running():
                one.kill()


def gone(family: list[psutil.Process]) -> bool:
    """Tell whether every process has ended (a zombie has)."""
    return not [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_ctrl_c_stops_everything_in_reverse_order(little: Little) -> None:
    """SIGINT ends every part, the last stage first, and leaves no process, not even a stubborn grandchild."""
    family = little.family()
    assert len(family) == 5  # three parts, a grandchild and the guardian
    little.process.send_signal(signal.SIGINT)
    assert little.process.wait(20) == 0
    wait_until(lambda: gone(family), 5, "every process is gone")
    assert [line for line in little.lines() if line.endswith("bye")] == ["third  | bye", "second | bye", "first  | bye"]


def test_chatter_is_not_shown(little: Little) -> None:
    """What a part says at every start is left out, what follows it is not."""
    little.wait_for("once   | done")
    assert not [line for line in little.lines() if "noise" in line]


def test_killed_part_is_started_again_without_its_leftovers(little: Little) -> None:
    """A part that is killed comes back; the child that the dead one left behind does not stay beside the new one's."""
    third = psutil.Process(little.part_saying("subprocess.Popen"))
    orphan = third.children()[0]
    third.kill()
    wait_until(lambda: little.lines().count("third  | up") == 2, 20, "the part is up again")
    wait_until(lambda: gone([orphan]), 5, "the orphan is gone")
    assert any("third ended (killed by SIGKILL); starting it again" in line for line in little.lines())


def test_killed_supervisor_takes_everything_along(little: Little) -> None:
    """After kill -9 of the supervisor itself nothing is left, a stubborn grandchild and the guardian included."""
    family = little.family()
    little.process.kill()
    wait_until(lambda: gone(family), 15, "every process is gone")


def test_standard_input_carries_what_must_not_show(little: Little) -> None:
    """A part's standard input is its secret configuration; the others have none."""
    little.wait_for("second | piped")


def test_embedded_redis_wants_its_password(tmp_path: Path) -> None:
    """The redis-server of one PC takes its configuration from the pipe, and refuses whoever has no password."""
    redis = EmbeddedRedis.prepare(tmp_path / "redis data")
    with subprocess.Popen(redis.argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as server:
        server.stdin.write(redis.configuration)
        server.stdin.close()
        try:

            def answer() -> bytes:
                try:
                    with socket.create_connection(("127.0.0.1", redis.port), 2) as connection:
                        connection.sendall(b"PING\r\n")
                        return connection.recv(100)
                except ConnectionRefusedError:
                    return b""

            assert wait_until(answer, 10, "Redis answers").startswith(b"-NOAUTH")
            assert redis.password not in " ".join(psutil.Process(server.pid).cmdline())
            assert list((tmp_path / "redis data").glob("append*"))
        finally:
            server.kill()


def start(tmp_path: Path, **names: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m supervisor run` where it cannot start, and return what it said."""
    environment = {"PATH": os.environ["PATH"], "TROPA_DATA": str(tmp_path), "TROPA_HOST": "127.0.0.1", **names}
    command = [sys.executable, "-m", "supervisor", "run"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("TROPA_PORT", socket.SOCK_STREAM),
        ("TROPA_MEDIA_PORT", socket.SOCK_DGRAM),
        ("TROPA_MEDIA_PORT", socket.SOCK_STREAM),
    ],
)
def test_taken_port_is_one_plain_sentence(setting: str, kind: socket.SocketKind, tmp_path: Path) -> None:
    """A port that is taken is named together with the setting that changes it, without a traceback."""
    names = {"TROPA_PORT": str(free_port()), "TROPA_MEDIA_PORT": str(free_port())}
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", int(names[setting])))
        if kind == socket.SOCK_STREAM:
            other.listen()
        done = start(tmp_path, **names)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert names[setting] in done.stderr
    assert f"set {setting} to a free port" in done.stderr


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ({"TROPA_PORT": "eighty"}, "TROPA_PORT"),
        ({"SECRET_KEY": "short"}, "SECRET_KEY"),
        ({"TROPA_TLS_CERT": "/nowhere.pem"}, "TROPA_TLS_KEY"),
        ({"TROPA_HOST": "192.0.2.1"}, "TROPA_HOST"),
        ({"DATABASE_URL": "postgresql://tropa@127.0.0.1:1/none"}, "DATABASE_URL"),
        ({"TROPA_DATA": "/proc/tropa"}, "TROPA_DATA"),
    ],
)
def test_bad_setting_is_one_plain_sentence(names: dict[str, str], said: str, tmp_path: Path) -> None:
    """A setting that cannot be used stops the start with one sentence that names it."""
    defaults = {"TROPA_PORT": str(free_port()), "TROPA_MEDIA_PORT": str(free_port())}
    done = start(tmp_path, **{**defaults, **names})
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
