"""A real mirror against a real server through a proxy that limits, cuts and damages; and its pages over HTTP."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import Settings
from mirror.folder import MANIFEST, Folder, write_json
from mirror.state import State
from rules.lifecycle import RenditionState
from server.app import create_app
from store import database, mirrors
from store.mirrors import Choice
from store.models import Rendition, db
from tests.mirror import sample
from tests.server.conftest import make_district
from tests.server.lessons import make_lessons
from tests.slow.stack import ROOT, free_port, wait_until

pytestmark = pytest.mark.slow

SIZE = 3_000_000
RATE_BPS = 6_000_000
CUTS = 8


class Proxy:
    """A slow link to a port of this machine: cuts after so many bytes, flips bits at places of the download stream."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.cuts: list[int] = []
        self.flip_at: int | None = None
        self.down_bytes = self.up_bytes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take nobody any more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _address = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(near, far), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(65536):
                self.up_bytes += len(data)
                far.sendall(data)
        except OSError:
            return
        finally:
            far.close()

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := bytearray(far.recv(8192)):
                if self.flip_at is not None and self.down_bytes <= self.flip_at < self.down_bytes + len(data):
                    data[self.flip_at - self.down_bytes] ^= 8
                self.down_bytes += len(data)
                near.sendall(data)
                if self.cuts and self.down_bytes >= self.cuts[0]:
                    self.cuts.pop(0)
                    return
                time.sleep(len(data) * 8 / RATE_BPS)
        except OSError:
            return
        finally:
            near.close()
            far.close()


class Town:
    """A web part with one lesson, and the token of a school that may have it."""

    def __init__(self, data: Path) -> None:
        self.port = free_port()
        environment = {"TROPA_DATA": str(data), "SECRET_KEY": "0123456789abcdef" * 4, "TROPA_LOG_LEVEL": "CRITICAL"}
        app = create_app(Settings.from_env(environment))
        database.upgrade(app)
        district = make_district(app)
        lessons = make_lessons(app, district)
        self.body = random.Random(1).randbytes(SIZE)
        self.school, self.app = district.schools["sosnovka"], app
        with app.app_context():
            with database.write():
                query = db.select(Rendition).where(Rendition.recording_id == lessons.recording)
                row = next(one for one in db.session.scalars(query) if one.kind == "video_small")
                row.state, row.key = RenditionState.PUBLISHED.value, f"recordings/{lessons.recording}/video_small-1.mp4"
                row.content_type, row.bytes, row.duration_s = "video/mp4", SIZE, 2400.0
                row.sha256, row.published_at = hashlib.sha256(self.body).hexdigest(), database.utc_now()
            path = data / "files" / row.key
            self.token = mirrors.create(self.school, "slow", None, database.utc_now())[1]
            mirrors.choose(self.school, Choice(kinds=("video_small",)), database.utc_now())
            self.recording = db.session.get(Rendition, row.id).recording
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.body)
        command = [sys.executable, "-m", "uvicorn", "server.asgi:app", "--host", "127.0.0.1", "--port", str(self.port)]
        log = subprocess.DEVNULL
        given = {**environment, "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=log, stderr=log)
        wait_until(lambda: answers(f"http://127.0.0.1:{self.port}/healthz"), 60, "the web part answers")

    def receipts(self) -> int:
        """Count what has been told to have arrived."""
        with self.app.app_context():
            rows = db.session.execute(db.text("SELECT count(*) FROM receipt")).scalar()
            db.session.commit()
        return rows


def answers(url: str) -> bool:
    """Tell whether there is an answer, a refusal too."""
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run one command of the mirror to its end."""
    line = [sys.executable, "-m", "mirror", "--language", "en", *words, "--folder", str(folder)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120)


class Pc:
    """A mirror that runs."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        line = [sys.executable, "-m", "mirror", "run", "--host", "127.0.0.1", "--port", str(self.port)]
        with (folder.parent / "pc.log").open("ab") as log:
            command = [*line, "--folder", str(folder)]
            # A school's clock stands on the school's zone, and not on UTC as test machines do.
            zone = {**os.environ, "TZ": "Asia/Krasnoyarsk"}
            self.process = subprocess.Popen(command, cwd=ROOT, env=zone, stdout=log, stderr=log)

    def kill(self) -> None:
        """Pull the plug."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(20)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A server."""
    made = Town(tmp_path / "data")
    yield made
    made.process.kill()
    made.process.wait(20)


def test_a_lesson_arrives_through_cuts_a_kill_and_a_flipped_bit(town: Town, tmp_path: Path) -> None:
    """Whole, told of, and with little more on the wire than the file and the one chunk that was damaged."""
    proxy = Proxy(town.port)
    folder = tmp_path / "pc" / "lessons"
    folder.parent.mkdir()
    said = run(folder, "init", "--origin", f"http://127.0.0.1:{proxy.port}", "--token", town.token)
    assert said.returncode == 0 and "1 file to fetch" in said.stdout
    assert f"Now start it: python -m mirror run --folder {folder}" in said.stdout
    proxy.cuts = [SIZE * (number + 1) // (CUTS + 2) for number in range(CUTS)]
    proxy.flip_at = SIZE // 2
    before = proxy.down_bytes + proxy.up_bytes
    pc = Pc(folder)
    mirror = Folder(folder)
    try:
        wait_until(lambda: proxy.down_bytes > SIZE * 0.4, 120, "almost half of the file")
        pc.kill()
        pc = Pc(folder)
        wait_until(town.receipts, 300, f"a receipt; the log ends: {(folder.parent / 'pc.log').read_text()[-2000:]}")
        cost = proxy.down_bytes + proxy.up_bytes - before
        path, manifest = next(mirror.manifests())
        assert path.read_bytes() == town.body and manifest.offer.lesson.title
        assert not proxy.cuts and cost - SIZE - 131_072 < 0.03 * SIZE
        status = run(folder, "status").stdout
        assert "1 file is here and verified" in status
        assert State.load(mirror).clock.offset_s == 0, "a clock that is right was put wrong"
        page = urllib.request.urlopen(f"http://127.0.0.1:{pc.port}/", timeout=10).read().decode()
        assert manifest.offer.lesson.title in page
        data = bytearray(path.read_bytes())
        data[1_000_000] ^= 1
        path.write_bytes(bytes(data))
        before = proxy.down_bytes
        assert "1 piece" in run(folder, "verify").stdout
        wait_until(lambda: path.exists() and path.read_bytes() == town.body, 60, "the file is mended")
        assert 131_072 <= proxy.down_bytes - before < 131_072 + 20_000
    finally:
        pc.kill()
        proxy.close()


def ask(port: int, path: str, **headers: str):
    """Ask a mirror's pages; redirects are followed, refusals returned."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
    try:
        return urllib.request.urlopen(request, timeout=10)
    except urllib.error.HTTPError as refused:
        return refused


def test_the_school_sees_its_lessons(tmp_path: Path) -> None:
    """List with search, player, ranges, a pack out of its zip, and nothing that is not a lesson."""
    folder = sample.folder(tmp_path / "lessons")
    folder.write("mirror.json", {"version": 1, "origin": "http://127.0.0.1:9", "token": "x"}, 0o600)
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        pack.writestr("lesson/index.html", "<h1>пакет</h1>")
        pack.writestr("lesson/voice.opus", bytes(range(200)))
        pack.writestr("lesson/evil.exe", b"MZ")
    for kind, extension, data in (
        ("video_small", "mp4", sample.body()),
        ("pack", "zip", (tmp_path / "pack.zip").read_bytes()),
    ):
        manifest = sample.manifest(data, id=f"f{kind[:3]}", kind=kind, extension=extension)
        path = folder.lesson_path(manifest.offer)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        write_json(path.with_name(path.name + MANIFEST), manifest.document())
    name = folder.lesson_path(sample.manifest(sample.body()).offer).name
    pc = Pc(folder.root)
    try:
        wait_until(lambda: answers(f"http://127.0.0.1:{pc.port}/"), 30, "the pages answer")
        assert "Дроби: повторение" in ask(pc.port, "/").read().decode()
        assert "rec1" in ask(pc.port, "/?words=%D0%94%D0%A0%D0%9E%D0%91%D0%98").read().decode()
        assert "rec1" not in ask(pc.port, "/?words=nothing&page=-1").read().decode()
        page = ask(pc.port, "/lesson/rec1", **{"Accept-Language": "en"}).read().decode()
        assert "<video" in page and "/pack/rec1/" in page and "Download, " in page
        part = ask(pc.port, f"/files/rec1/{name}", Range="bytes=100-199")
        assert (part.status, part.read()) == (206, sample.body()[100:200])
        saved = ask(pc.port, f"/files/rec1/{name}?download=1")
        assert "%D1%83%D1%80%D0%BE%D0%BA.mp4" in saved.headers["Content-Disposition"]
        assert ask(pc.port, "/pack/rec1/").read().decode() == "<h1>пакет</h1>"
        sound = ask(pc.port, "/pack/rec1/lesson/voice.opus", Range="bytes=10-19")
        assert (sound.status, sound.read()) == (206, bytes(range(10, 20)))
        assert ask(pc.port, "/state").status == 200
        hidden = ("/pack/rec1/lesson/evil.exe", "/pack/rec1/../../../mirror.json", "/files/rec1/..%2f..%2fmirror.json")
        for path in (
            *hidden,
            f"/files/rec1/{name}.manifest.json",
            "/static/../mirror.json",
            "/lesson/x",
            "/mirror.json",
        ):
            assert ask(pc.port, path).status in (400, 404), path
    finally:
        pc.kill()
