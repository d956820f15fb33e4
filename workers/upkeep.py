"""Remove what nobody needs any more (folders of dead encodes, expired logins, old keys), and end what was not held."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from datetime import datetime, timedelta
from pathlib import Path

from config import Settings
from rules.lifecycle import UploadState
from store import booking, linktests, logins, outbox, programme, resets, uploads
from store.database import utc_now
from store.files import Files
from workers import keeping, sources

log = logging.getLogger(__name__)

# Older than any lease: whoever worked here has long lost it.
STALE_TMP_S = 6 * 3600
# A repeated click comes within minutes, a program's repeat within a day.
KEEP_KEYS = timedelta(days=7)
KEEP_LINK_TESTS = timedelta(days=7)
KEEP_LOGINS = timedelta(days=30)
# What somebody wrote about a file outlives its bytes for a while.
KEEP_UPLOADS = timedelta(days=60)
KEEP_LETTERS = timedelta(days=90)


def clean(settings: Settings) -> None:
    """Remove once whatever is old enough; every step may be repeated."""
    stale_s = time.time() - STALE_TMP_S
    remove_stale(settings.data / "tmp", stale_s)
    remove_empty(settings.data / "live", stale_s)
    sources.clean(settings)
    Files(settings.storage_url).remove_unfinished(stale_s)
    now = utc_now()
    programme.end_unheld(now)
    expire_uploads(settings, now)
    keeping.remove_due(now)
    keeping.delete_removed(settings)
    booking.clean_keys(now - KEEP_KEYS)
    linktests.clean(now - KEEP_LINK_TESTS)
    logins.clean_logins(now - KEEP_LOGINS)
    resets.clean(now)
    outbox.clean(now - KEEP_LETTERS)


def expire_uploads(settings: Settings, now: datetime) -> int:
    """Remove the bytes of uploads that nobody went on with, and old rows; return how many files went.

    By the files, not by the rows: one whose removal was cut short last time goes too.
    """
    uploads.expire(now)
    folder, removed = uploads.folder(settings), 0
    for path in sorted(folder.glob("*.part")):
        row = uploads.find(path.stem)
        if row is None or row.state == UploadState.EXPIRED:
            uploads.remove_files(folder, path.stem)
            log.info("upload %s has expired or was removed; its file goes", path.stem)
            removed += 1
    uploads.clean(now - KEEP_UPLOADS)
    return removed


def remove_stale(parent: Path, before_s: float) -> int:
    """Remove the folders in `parent` in which nothing has changed since `before_s` (Unix seconds); return how many."""
    if not parent.is_dir():
        return 0
    removed = 0
    for folder in parent.iterdir():
        if folder.is_dir() and _newest_s(folder) < before_s:
            shutil.rmtree(folder, ignore_errors=True)
            log.info("removed %s, left by work that ended early", folder)
            removed += 1
    return removed


def remove_empty(parent: Path, before_s: float) -> int:
    """Remove the empty folders in `parent` that have been so since `before_s` (Unix seconds); return how many.

    Not at once: the recorder may be about to make the next recording of the same lesson in it.
    """
    removed = 0
    for folder in parent.iterdir() if parent.is_dir() else ():
        with contextlib.suppress(OSError):  # not empty, not a folder, or gone meanwhile
            if folder.stat().st_mtime < before_s:
                folder.rmdir()
                removed += 1
    return removed


def _newest_s(folder: Path) -> float:
    """Return when something in the folder changed last (Unix seconds); what vanishes meanwhile does not count."""
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            newest = max(newest, path.stat().st_mtime)
        except OSError:
            continue
    return newest
