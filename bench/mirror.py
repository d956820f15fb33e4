"""Fetch a lesson to a school over a slow link that is cut again and again: `python -m bench.mirror`, or with options

    .venv/bin/python -m bench.mirror [--megabytes 22] [--kbps 256] [--cuts 50] [--reboots 2] [--no-timestamps]

The mirror (python -m mirror) stands in a namespace of its own behind the link emulator, which counts every IP packet.
Half of the cuts are longer than TCP is waited for, the others shorter; a reboot is a kill -9 of the mirror. Afterwards
a bit of the finished file is flipped on the disk. Prints what was had and writes bench/results/mirror.json. Needs root,
or user namespaces, and /dev/net/tun.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bench import linkspace
from bench.linkspace import SERVER_IP, Seat
from bench.slowlink import machine
from config import Settings
from mirror.folder import Folder
from mirror.state import State
from rules.lifecycle import RenditionState
from rules.nightwindow import Window
from server.app import create_app
from store import database, mirrors
from store.mirrors import Choice
from store.models import Rendition, db
from tests.server.conftest import make_district
from tests.server.lessons import make_lessons
from tests.slow.stack import wait_until

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parent.parent
PORT = 31650
ORIGIN = f"http://{SERVER_IP}:{PORT}"
# IPv4 and TCP with timestamps, as Linux sends them, and how many of these are the timestamps'.
HEADER_BYTES = 52
TIMESTAMP_BYTES = 12
TIMESTAMPS = "/proc/sys/net/ipv4/tcp_timestamps"
# Nearly all: the emulator keeps to links that may carry something.
CUT = "loss=99.99"
LONG_CUT_S = 24.0
SHORT_CUT_S = 4.0
CLOSED_S = 60.0
PLAIN_BYTES = 2_000_000
# Cuts begin after the first bytes and end before the last, so that each of them cuts something.
MARGIN = 0.02


class Town:
    """The origin: its web part alone, with one lesson of one school that a mirror may fetch."""

    def __init__(self, data: Path, size: int) -> None:
        """Fill database and storage; nothing is started yet."""
        environment = {"TROPA_DATA": str(data), "SECRET_KEY": "0123456789abcdef" * 4, "TROPA_HOST": "0.0.0.0"}
        self._environment = {**environment, "PATH": os.environ["PATH"], "TROPA_LOG_LEVEL": "WARNING"}
        self.settings = Settings.from_env(environment)
        self._app = create_app(self.settings)
        database.upgrade(self._app)
        district = make_district(self._app)
        lessons = make_lessons(self._app, district)
        self.school = district.schools["sosnovka"]
        body = random.Random(1).randbytes(size)
        self.sha256 = hashlib.sha256(body).hexdigest()
        with self._app.app_context():
            query = db.select(Rendition).where(Rendition.recording_id == lessons.recording)
            with database.write():
                row = next(one for one in db.session.scalars(query) if one.kind == "video_small")
                row.state, row.key = RenditionState.PUBLISHED.value, f"recordings/{lessons.recording}/video_small-1.mp4"
                row.content_type, row.bytes, row.sha256 = "video/mp4", size, self.sha256
                row.duration_s, row.published_at = 2700.0, database.utc_now()
            self.file = row.id
            path = self.settings.data / "files" / row.key
            _made, self.token = mirrors.create(self.school, "bench", None, database.utc_now())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Town:
        command = [sys.executable, "-m", "uvicorn", "server.asgi:app", "--host", "0.0.0.0", "--port", str(PORT)]
        log = (self.settings.data / "web.log").open("wb")
        self._process = subprocess.Popen(command, cwd=ROOT, env=self._environment, stdout=log, stderr=log)
        log.close()
        health = ["curl", "-s", f"http://127.0.0.1:{PORT}/healthz"]
        wait_until(lambda: subprocess.run(health, capture_output=True).stdout, 60, "the web part answers")
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._process is not None:
            self._process.kill()  # it would wait for the end of downloads that were cut
            self._process.wait(20)

    def choose(self, window: Window | None) -> None:
        """Set the school's night."""
        with self._app.app_context():
            mirrors.choose(self.school, Choice(window=window, kinds=("video_small",)), database.utc_now())


class Pc:
    """The school's computer: the mirror in its seat, killed and started at will."""

    def __init__(self, seat: Seat, folder: Path, token: str) -> None:
        self._seat, self.folder, self._token = seat, Folder(folder), token
        self._process: subprocess.Popen[bytes] | None = None

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of the mirror's commands to its end."""
        line = self._seat.command(sys.executable, "-m", "mirror", "--language", "en", *words)
        return subprocess.run([*line, "--folder", str(self.folder.root)], cwd=ROOT, capture_output=True, text=True)

    def join(self) -> None:
        """Join the origin. Raises RuntimeError with what the mirror says."""
        done = self.command("init", "--origin", ORIGIN, "--token", self._token)
        if done.returncode:
            raise RuntimeError(done.stdout + done.stderr)

    def start(self) -> None:
        """Switch on."""
        line = self._seat.command(sys.executable, "-m", "mirror", "run", "--port", "31651", "--host", "127.0.0.1")
        with (self.folder.root.parent / "mirror.log").open("ab") as log:
            command = [*line, "--folder", str(self.folder.root)]
            # The school's own zone, as on its computer: whoever takes it for UTC downloads by day.
            zone = {**os.environ, "TZ": "Asia/Krasnoyarsk"}
            self._process = subprocess.Popen(command, cwd=ROOT, env=zone, stdout=log, stderr=log)

    def kill(self) -> None:
        """Pull the plug."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def fetched(self, file: str) -> int:
        """Say how many bytes of the file are on the disk."""
        parts = self.folder.partial.glob(f"{file}-*/*")
        begun = [path for path in parts if path.name != "manifest.json"]
        return sum(path.stat().st_blocks * 512 if path.name == "part" else path.stat().st_size for path in begun)


def counted(seat: Seat) -> dict[str, int]:
    """Read the link's counters: IP bytes and packets that got through, both ways."""
    assert seat.link is not None
    time.sleep(0.3)  # the newest report is on its way
    last = seat.link.reports[-1]
    return {f"{way}_{what}": last[way][what] for way in ("down", "up") for what in ("delivered_bytes", "delivered")}


def since(now: dict[str, int], before: dict[str, int], header_bytes: int = HEADER_BYTES) -> dict[str, int]:
    """Subtract two readings; adds what TCP itself carried, without IP and TCP headers."""
    found = {name: now[name] - before[name] for name in now}
    for way in ("down", "up"):
        found[f"{way}_payload_bytes"] = found[f"{way}_delivered_bytes"] - header_bytes * found[f"{way}_delivered"]
    return found


def cut_and_reboot(given: argparse.Namespace, town: Town, pc: Pc, seat: Seat) -> dict:
    """Let the file arrive through cuts and reboots; returns what happened."""
    assert seat.link is not None
    chance, size = random.Random(given.seed), int(given.megabytes * 1e6)
    places = sorted(chance.uniform(MARGIN, 1 - MARGIN) * size for _ in range(given.cuts + given.reboots))
    reboots = set(chance.sample(range(len(places)), given.reboots))
    began_s, done = time.monotonic(), {"cuts": 0, "long_cuts": 0, "reboots": 0}
    for number, place in enumerate(places):
        wait_until(
            lambda place=place: pc.fetched(town.file) >= place or is_there(pc, town), 1800, "the next cut's place"
        )
        if is_there(pc, town):
            break
        if number in reboots:
            pc.kill()
            time.sleep(1.0)
            pc.start()
            done["reboots"] += 1
            continue
        is_long = done["cuts"] % 2 == 0
        seat.link.change(down=CUT, up=CUT)
        time.sleep(LONG_CUT_S if is_long else SHORT_CUT_S)
        seat.link.change(down="loss=0", up="loss=0")
        done["cuts"] += 1
        done["long_cuts"] += is_long
        print(f"  {done['cuts']} cuts, {done['reboots']} reboots, {pc.fetched(town.file)} bytes", flush=True)
    wait_until(lambda: is_there(pc, town), 1800, "the file is whole")
    return {**done, "seconds": round(time.monotonic() - began_s)}


def is_there(pc: Pc, town: Town) -> bool:
    """Tell whether the file stands in its place."""
    return any(manifest.chunks.sha256 == town.sha256 and path.exists() for path, manifest in pc.folder.manifests())


def flipped(pc: Pc, town: Town, seat: Seat, header_bytes: int) -> dict[str, int]:
    """Flip a bit of the finished file, have it verified and mended; returns what that cost."""
    path = next(path for path, _manifest in pc.folder.manifests())
    with path.open("r+b") as file:
        file.seek(5_000_001)
        byte = file.read(1)[0]
        file.seek(5_000_001)
        file.write(bytes([byte ^ 4]))
    before = counted(seat)
    pc.command("verify")
    wait_until(lambda: is_there(pc, town), 300, "the file is mended")
    return since(counted(seat), before, header_bytes)


def plain(town: Town, seat: Seat, file: str) -> dict[str, int]:
    """Download the first bytes of the file with curl over the same link, uncut, for comparison."""
    before = counted(seat)
    address = f"{ORIGIN}/api/v1/mirror/files/{file}"
    header = f"Authorization: Bearer {town.token}"
    line = ["curl", "-s", "-o", "/dev/null", "-H", header, "-r", f"0-{PLAIN_BYTES - 1}", address]
    subprocess.run(seat.command(*line), check=True)
    return since(counted(seat), before)


def percent_over(found: int, wanted: int) -> float:
    return round(100 * (found / wanted - 1), 2)


def measure(given: argparse.Namespace, folder: Path) -> dict:
    """Run every part and return the figures."""
    size = int(given.megabytes * 1e6)
    data, pc_folder = folder / "data", folder / "pc" / "lessons"
    data.mkdir()
    pc_folder.parent.mkdir()
    words = f"rate={given.kbps},delay=40,queue=400"
    with Town(data, size) as town, Seat(1, words, words, seed=given.seed) as seat:
        header_bytes = HEADER_BYTES
        if given.no_timestamps:
            subprocess.run(seat.command("sh", "-c", f"echo 0 > {TIMESTAMPS}"), check=True)
            header_bytes -= TIMESTAMP_BYTES
        pc = Pc(seat, pc_folder, town.token)
        local = datetime.now(UTC).astimezone(ZoneInfo("Asia/Krasnoyarsk")) + timedelta(hours=12)
        minute = local.hour * 60 + local.minute
        town.choose(Window(minute, (minute + 60) % 1440))
        pc.join()
        time.sleep(2.0)
        before = counted(seat)
        try:
            pc.start()
            time.sleep(CLOSED_S)
            outside = since(counted(seat), before)
            pc.kill()
            town.choose(None)
            pc.join()
            compared = plain(town, seat, town.file)
            before = counted(seat)
            pc.start()
            done = cut_and_reboot(given, town, pc, seat)
            time.sleep(3.0)
            cost = since(counted(seat), before, header_bytes)
            usage = State.load(pc.folder).usage.wire_bytes
            mended = flipped(pc, town, seat, header_bytes)
            path = next(path for path, _manifest in pc.folder.manifests())
            verified = hashlib.sha256(path.read_bytes()).hexdigest() == town.sha256
        finally:
            pc.kill()
            shutil.copy(folder / "pc" / "mirror.log", given.log) if given.log else None
    payload = cost["down_payload_bytes"] + cost["up_payload_bytes"]
    return {
        "machine": machine(),
        "link": {"kbps": given.kbps, "delay_ms": 40, "queue_ms": 400},
        "file_bytes": size,
        "verified": verified,
        **done,
        "payload_bytes": payload,
        "payload_over_percent": percent_over(payload, size),
        "ip_down_bytes": cost["down_delivered_bytes"],
        "ip_up_bytes": cost["up_delivered_bytes"],
        "ip_down_over_percent": percent_over(cost["down_delivered_bytes"], size),
        "uncut_ip_down_over_percent": percent_over(compared["down_delivered_bytes"], PLAIN_BYTES),
        "counted_by_the_mirror_bytes": usage,
        "outside_the_window_bytes": outside["down_delivered_bytes"] + outside["up_delivered_bytes"],
        "flipped_bit_payload_bytes": mended["down_payload_bytes"],
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    parser.add_argument("--megabytes", type=float, default=22.0)
    parser.add_argument("--kbps", type=int, default=256)
    parser.add_argument("--cuts", type=int, default=50)
    parser.add_argument("--reboots", type=int, default=2)
    parser.add_argument("--no-timestamps", action="store_true", help="switch TCP's timestamps off at the school")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", default="", help="a file for what the mirror has said")
    parser.add_argument("--out", default="", help="where the results go; else bench/results, for the full run only")
    given = parser.parse_args()
    is_full = given.megabytes >= 22 and given.cuts >= 50 and given.reboots >= 2
    given.out = given.out or (str(RESULTS) if is_full else "")
    return given


def main() -> int:
    """Run; 1 when the acceptance is missed, 2 when it could not be measured."""
    given = arguments()
    try:
        linkspace.enter("bench.mirror", sys.argv[1:])
    except linkspace.NoNamespaces as error:
        print(f"bench.mirror: {error}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="tropa-bench-mirror-") as temporary:
        found = measure(given, Path(temporary))
    print(json.dumps(found, indent=1))
    if given.out:
        path = Path(given.out, "mirror.json")
        told = json.loads(path.read_text("utf-8")) if path.is_file() else {}
        told["without_timestamps" if given.no_timestamps else "as_linux_sends"] = found
        path.write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    is_met = found["verified"] and found["payload_over_percent"] <= 3 and found["outside_the_window_bytes"] == 0
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())
