"""What every attempt at a file or a piece of one has in common: a lease to renew, a folder of its own, and an end.

Whatever goes wrong in an attempt becomes the code of a reason in the row and a line in the log.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from sqlalchemy.exc import SQLAlchemyError

from config import Settings
from rules.lifecycle import RenditionState
from rules.renditions import Kind
from store.files import NoSuchFile
from store.models import db
from workers import alive
from workers.child import ChildFailed, ChildKilled

log = logging.getLogger(__name__)

FETCH, LISTEN, ENCODE, VERIFY, PUBLISH = "fetch", "listen", "encode", "verify", "publish"
REPORT_EVERY_S = 1.0
FOLDER_PREFIX = "work-"


class LeaseLost(Exception):
    """Somebody else works on this now, or it was taken away or cancelled; what is half made is thrown away."""


class Stopping(Exception):
    """The worker is told to stop; the work waits for the next one, and this attempt does not count."""


class Refused(Exception):
    """A reason why there is no file; `code` is what the pages translate, `permanent`: another try cannot help."""

    def __init__(self, code: str, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.permanent = permanent


class Attempt:
    """One attempt under a lease; `name` says in the log what is attempted."""

    def __init__(self, settings: Settings, owner: str, name: str) -> None:
        self.settings = settings
        self.owner = owner
        self.name = name
        self.stage = ""
        self._reported_s = 0.0

    def report(self, stage: str, done: float = 0.0, eta_s: float | None = None) -> None:
        """Report a stage and its share done (0 to 1), at most once a second unless the stage is new.

        Every report renews the lease. Raises LeaseLost, and Stopping when the worker is told to stop. A database that
        is away for a moment costs a report, not the work.
        """
        if alive.is_stopping():
            raise Stopping
        now_s = time.monotonic()
        if stage == self.stage and now_s - self._reported_s < REPORT_EVERY_S:
            return
        self.stage, self._reported_s = stage, now_s
        try:
            kept = self.note(stage, round(100 * min(done, 1.0), 1), eta_s)
        except SQLAlchemyError as trouble:
            db.session.rollback()
            log.warning("progress of %s not noted: %s", self.name, trouble)
            return
        if not kept:
            raise LeaseLost

    def run(self, body: Callable[[Path], None]) -> None:
        """Do the work in a folder of its own; see to its end, however it ends."""
        log.info("making %s", self.name)
        try:
            with folder(self.settings, self.owner) as place:
                body(place)
        except LeaseLost:
            log.warning("%s is somebody else's now, or nobody's", self.name)
        except Stopping:
            self.release()
            log.info("%s waits for the next worker", self.name)
        except Refused as refusal:
            self._give_up(refusal.code, str(refusal), permanent=refusal.permanent)
        except ChildKilled as death:
            db.session.rollback()
            self.bury()
            log.warning("%s: %s; it is done again", self.name, death)
        except ChildFailed as failure:
            self._give_up(failure.code, failure.tail)
        except NoSuchFile as missing:
            self._give_up("source_missing", str(missing))
        except OSError as trouble:
            is_full = trouble.errno in (errno.ENOSPC, errno.EDQUOT)
            self._give_up("disk_full" if is_full else "storage", str(trouble))
        except Exception as trouble:  # the boundary of the task: the reason is kept, and it is tried again
            log.exception("%s broke", self.name)
            self._give_up("internal", f"{type(trouble).__name__}: {trouble}")

    def _give_up(self, code: str, detail: str, *, permanent: bool = False) -> None:
        """Put the work back to wait, or mark it failed; pages get the code of the reason, the log gets the rest."""
        db.session.rollback()
        self.fail(code, permanent=permanent)
        log.error("%s: %s: %s", self.name, code, detail)

    def note(self, stage: str, percent: float, eta_s: float | None) -> bool:
        """Tell the database, and open pages; returns False where the lease is lost."""
        raise NotImplementedError

    def release(self) -> None:
        """Give the work back uncounted."""
        raise NotImplementedError

    def bury(self) -> None:
        """Give the work back as after the death of its worker."""
        raise NotImplementedError

    def fail(self, code: str, *, permanent: bool) -> None:
        """Give the work back with a reason."""
        raise NotImplementedError


def announce(
    settings: Settings,
    session_id: str,
    recording_id: str,
    kind: Kind,
    state: RenditionState,
    stage: str = "",
    percent: float = 0.0,
    eta_s: float | None = None,
) -> None:
    """Tell open pages of a file; an event is a hint, so a Redis that is away is not waited for."""
    event = {
        "type": "rendition",
        "recording": recording_id,
        "kind": kind.value,
        "state": state.value,
        "stage": stage,
        "percent": percent,
        "eta_s": None if eta_s is None else round(eta_s),
    }
    with contextlib.suppress(redis.RedisError):
        alive.quick_redis(settings.redis_url).publish(f"tropa:events:{session_id}", json.dumps(event))


@contextlib.contextmanager
def folder(settings: Settings, owner: str) -> Iterator[Path]:
    """Make a folder for one attempt alone and remove it afterwards; it is named after the process that works there."""
    parent = settings.data / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix=f"{FOLDER_PREFIX}{owner}-", dir=parent))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def remove_abandoned(settings: Settings) -> None:
    """Remove the folders of processes of this machine that died at work; those of other machines are theirs."""
    for place in (settings.data / "tmp").glob(f"{FOLDER_PREFIX}*"):
        owner = place.name.removeprefix(FOLDER_PREFIX).rpartition("-")[0]
        if alive.is_dead(owner):
            shutil.rmtree(place, ignore_errors=True)
