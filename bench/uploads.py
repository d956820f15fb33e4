"""Send files over an emulated link that is cut 100 times to a server that is killed 5 times, send 2 GB and look at what
memory the web process takes, and fill the disk up in the middle of a file.

    .venv/bin/python -m bench.uploads [--only links|memory|disk] [--cuts 100] [--kills 5] [--gigabytes 2]

Prints what it sees and writes bench/results/uploads.json. `links` and `disk` need root, or a user namespace, and TUN.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from bench import linkspace, tusclients
from bench.cutlink import CutLink, Link
from bench.linkspace import SERVER_IP, Seat
from bench.processcost import machine
from bench.webserver import WebServer
from store import database, uploads
from store.models import Upload, db

RESULTS = Path(__file__).parent / "results" / "uploads.json"
WEB_PORT, CUT_PORT = 31180, 31181
UP, DOWN = "rate=4000,delay=40,queue=200", "rate=4000,delay=40,queue=200"
LINK_BYTES = 24_000_000
MEAN_LIFE_S = 0.4
CLIENTS = {"tuspy": 500_000, "tus-js-client": 0}  # bytes of a piece; 0: all that is left, in one request
SAMPLE_S = 0.05
DISK_BYTES = 60_000_000
CLONE_NEWNS = 0x20000


def newest(web: WebServer) -> Upload | None:
    """Load the upload that was begun last."""
    with database.bare_app(web.settings).app_context():
        return db.session.query(Upload).order_by(Upload.created_at.desc()).first()


def file_of(folder: Path, size: int) -> Path:
    """Make a file of random bytes."""
    path = folder / "film.mp4"
    with path.open("wb") as file:
        for start in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - start)))
    return path


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def over_links(cuts: int, kills: int) -> list[dict]:
    """Send a file with each official client from behind the emulated link, cut and killed at random moments."""
    rows = []
    for number, (name, piece) in enumerate(CLIENTS.items(), start=1):
        with tempfile.TemporaryDirectory() as made:
            folder = Path(made)
            film = file_of(folder, LINK_BYTES)
            with WebServer(folder / "data", WEB_PORT) as web, Seat(number, DOWN, UP) as seat:
                token, _login = web.host_person()
                link = Link(mean_life_s=MEAN_LIFE_S, cuts=cuts)
                with CutLink(("127.0.0.1", WEB_PORT), link, seed=number, host=SERVER_IP, port=CUT_PORT) as cutting:
                    rows.append(_one_client(name, piece, film, web, seat, cutting, token, kills))
        print(rows[-1])
    return rows


def _one_client(
    name: str, piece: int, film: Path, web: WebServer, seat: Seat, cutting: CutLink, token: str, kills: int
) -> dict:
    endpoint = f"http://{SERVER_IP}:{CUT_PORT}/uploads/"
    command = [sys.executable, "-m", "bench.tusclients", name, endpoint, token, str(film), str(piece)]
    began_s = time.monotonic()
    process = subprocess.Popen(seat.command(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed = _kill_at_random(web, process, kills)
    said, complaint = process.communicate(timeout=3600)
    row = newest(web)
    there = uploads.part_path(web.settings, row.id)
    return {
        "client": name,
        "bytes": LINK_BYTES,
        "cuts": cutting.cuts,
        "kills": killed,
        "seconds": round(time.monotonic() - began_s, 1),
        "sent_bytes": cutting.bytes_up,
        "sent_share": round(cutting.bytes_up / LINK_BYTES, 3),
        "ok": process.returncode == 0 and said.strip().endswith(row.id),
        "state": row.state,
        "bit_exact": row.sha256 == sha256(film) == sha256(there),
        "complaint": complaint[-300:],
    }


def _kill_at_random(web: WebServer, process: subprocess.Popen, kills: int) -> int:
    """Kill the server when a random share of the file is there, and start it again at once."""
    shares = sorted(random.Random(7).uniform(0.05, 0.9) for _ in range(kills))
    killed = 0
    while shares and process.poll() is None:
        time.sleep(SAMPLE_S)
        there = [part.stat().st_size for part in uploads.folder(web.settings).glob("*.part")]
        if max(there, default=0) >= shares[0] * LINK_BYTES:
            shares.pop(0)
            web.kill()
            web.start()
            killed += 1
    return killed


def memory(gigabytes: float) -> dict:
    """Send one large file in a single request over loopback; watch the web process meanwhile."""
    size = int(gigabytes * 1_000_000_000)
    block = os.urandom(1 << 20)
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as made, WebServer(Path(made), WEB_PORT) as web:
        token, _login = web.host_person()
        before, seen, done = web.memory_bytes(), [], threading.Event()

        def watch() -> None:
            while not done.wait(SAMPLE_S):
                seen.append(web.memory_bytes())

        def body() -> Iterator[bytes]:
            for start in range(0, size, len(block)):
                piece = block[: size - start]
                digest.update(piece)
                yield piece

        watching = threading.Thread(target=watch)
        watching.start()
        began_s = time.monotonic()
        url = _asked("POST", "/uploads/", token, {"Upload-Length": str(size)}).getheader("Location")
        named = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0", "Content-Length": str(size)}
        status = _asked("PATCH", url, token, named, body()).status
        spent_s = time.monotonic() - began_s
        done.set()
        watching.join()
        row = newest(web)
        told = {
            "bytes": size,
            "status": status,
            "state": row.state,
            "bit_exact": row.sha256 == digest.hexdigest(),
            "seconds": round(spent_s, 1),
            "web_mb_before": round(before / 1e6, 1),
            "web_mb_most": round(max(seen) / 1e6, 1),
        }
    print(told)
    return told


def full_disk() -> dict:
    """Let the disk of the uploads fill up in the middle of a file, make room, and go on."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        raise OSError(ctypes.get_errno(), "a mount namespace of our own is needed")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    with tempfile.TemporaryDirectory() as made:
        data = Path(made, "data")
        (data / "uploads").mkdir(parents=True)
        film = file_of(Path(made), DISK_BYTES // 2)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(data / "uploads")], check=True)
        ballast = data / "uploads" / "ballast"
        try:
            with WebServer(data, WEB_PORT) as web:
                ballast.write_bytes(bytes(DISK_BYTES * 3 // 4))
                told = _fill_and_go_on(web, film, ballast)
        finally:
            subprocess.run(["umount", str(data / "uploads")], check=True)
    print(told)
    return told


def _fill_and_go_on(web: WebServer, film: Path, ballast: Path) -> dict:
    token, _login = web.host_person()
    size = film.stat().st_size
    named = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    url = _asked("POST", "/uploads/", token, {"Upload-Length": str(size)}).getheader("Location")
    refused = _asked("PATCH", url, token, named, film.read_bytes())
    detail = json.loads(refused.read())
    kept = int(_asked("HEAD", url, token, {}).getheader("Upload-Offset"))
    again = _asked("PATCH", url, token, named | {"Upload-Offset": str(kept)}, film.read_bytes()[kept:])
    ballast.unlink()
    rest = _asked("PATCH", url, token, named | {"Upload-Offset": str(kept)}, film.read_bytes()[kept:])
    return {
        "status_when_full": refused.status,
        "title": detail.get("title"),
        "detail": detail.get("detail"),
        "kept_bytes": kept,
        "status_still_full": again.status,
        "status_with_room": rest.status,
        "bit_exact": newest(web).sha256 == sha256(film),
    }


def _asked(method: str, path: str, token: str, headers: dict, body: object = None) -> http.client.HTTPResponse:
    """Send one request; a server that answers and closes while a body is still sent has its answer read."""
    connection = http.client.HTTPConnection("127.0.0.1", WEB_PORT, timeout=300)
    known = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {token}", "Accept-Language": "en"}
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.request(method, path, body=body, headers=known | headers)
    return connection.getresponse()


def main() -> None:
    """Run what was asked for and keep its figures beside those of earlier runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("links", "memory", "disk"))
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    options = parser.parse_args()
    if options.only in (None, "links"):
        tusclients.install_js()  # before the network of our own, which leads nowhere
    if options.only != "memory":
        linkspace.enter("bench.uploads", sys.argv[1:])
    told = json.loads(RESULTS.read_text("utf-8")) if RESULTS.is_file() else {}
    told["machine"] = machine()
    if options.only in (None, "links"):
        told["links"] = {"up": UP, "down": DOWN, "clients": over_links(options.cuts, options.kills)}
    if options.only in (None, "memory"):
        told["memory"] = memory(options.gigabytes)
    if options.only in (None, "disk"):
        told["disk"] = full_disk()
    RESULTS.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
