"""Have decks rendered by a guarded child, and keep their pages as small images with their text."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from config import Settings
from rules.packbudget import LEVELS
from rules.space import Work
from store import materials, space
from store.files import Files, NoSuchFile
from store.lessontables import Deck
from workers import slideimages
from workers.deckpages import LOCKED, NO_ROOM, OK, TOO_MANY

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent
LIMIT_S = 180
NICENESS = 15
PR_SET_PDEATHSIG = 1
REASONS = {LOCKED: "deck_locked", TOO_MANY: "deck_pages", NO_ROOM: materials.DISK_FULL}
_libc = ctypes.CDLL(None, use_errno=True)


def render_waiting(settings: Settings) -> int:
    """Render every deck that waits; returns how many. A second one at the same time leaves at once."""
    with _alone(settings.data / "run") as alone:
        waiting = materials.waiting_decks() if alone else []
        for row in waiting:
            prepare(settings, row)
    return len(waiting)


def prepare(settings: Settings, row: Deck) -> None:
    """Render one deck and note its pages, or the code of the reason why it has none."""
    session_id, sha256 = row.session_id, row.sha256
    if not space.room_for(settings, row.bytes, Work.ENCODE).fits:
        materials.note_deck(session_id, sha256, (), materials.DISK_FULL)
        return
    (settings.data / "tmp").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deck-", dir=settings.data / "tmp") as name:
        pages, error = _rendered(settings, row, Path(name))
    materials.note_deck(session_id, sha256, pages, error)
    log.info("deck of session %s: %d pages %s", session_id, len(pages), error)


def _rendered(settings: Settings, row: Deck, folder: Path) -> tuple[list[dict], str]:
    storage = Files(settings.storage_url)
    try:
        with storage.local_path(row.key) as path:
            code = _child(path, folder, settings.deck_pages)
    except NoSuchFile:
        return [], "deck_missing"
    if code != OK:
        return [], REASONS.get(code, "deck_damaged")
    pages: list[dict] = []
    try:
        for number, text in enumerate(json.loads((folder / "pages.json").read_text("utf-8")), 1):
            pages.append(_kept(storage, row, folder, number, str(text)))
        return pages, ""
    except (ValueError, OSError, Image.DecompressionBombError) as trouble:
        log.warning("the pages of the deck of session %s cannot be used: %s", row.session_id, trouble)
        for page in pages:
            storage.delete(page["key"])
        is_full = isinstance(trouble, OSError) and trouble.errno in (errno.ENOSPC, errno.EDQUOT)
        return [], materials.DISK_FULL if is_full else "deck_damaged"


def _kept(storage: Files, row: Deck, folder: Path, number: int, text: str) -> dict:
    """Store one page as it goes into packs at best."""
    with Image.open(folder / f"page-{number:04d}.png", formats=("PNG",)) as image:
        made = slideimages.compress(image, LEVELS[0])
    digest = hashlib.sha256(made.content).hexdigest()
    small = folder / f"small-{number:04d}"
    small.write_bytes(made.content)
    key = f"decks/{row.session_id}/{row.sha256[:16]}/{number:04d}-{digest[:16]}.{made.extension}"
    storage.put(small, key)
    return {
        "key": key,
        "extension": made.extension,
        "bytes": len(made.content),
        "sha256": digest,
        "width": made.width,
        "height": made.height,
        "text": text,
    }


def _child(path: Path, folder: Path, most_pages: int) -> int:
    """Run the renderer; returns its exit code, a negative one where a limit ended it."""
    command = [sys.executable, "-m", "workers.deckpages", str(path), str(folder), str(most_pages)]
    parent = os.getpid()

    def setup() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        os.nice(NICENESS)

    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=setup,
    )
    try:
        return child.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        return -signal.SIGKILL
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "decks.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
