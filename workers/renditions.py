"""Make one file of a recording: fetch, encode, verify, publish. Whoever holds the lease works; only one can publish."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis
from sqlalchemy.exc import SQLAlchemyError

from config import Settings
from rules import renditions as presets
from rules.leases import Verdict
from rules.lifecycle import RenditionState
from store import database, recordings
from store.files import Files, NoSuchFile
from store.models import db
from store.recordings import PublishedFile, Work
from workers import alive, child, encoder, plan, probe, slots

log = logging.getLogger(__name__)

FETCH, ENCODE, VERIFY, PUBLISH = "fetch", "encode", "verify", "publish"
REPORT_EVERY_S = 1.0
# Files told of in one go; the next sweep tells of the next ones.
LIMIT = 50
# Room that an encode leaves on the disk for the lesson that is being recorded meanwhile.
SPARE_BYTES = 200_000_000


class LeaseLost(Exception):
    """Somebody else works on this file now, or it was taken away; what is half made is thrown away."""


class Stopping(Exception):
    """The worker is told to stop; the file waits for the next one, and this attempt does not count."""


class Refused(Exception):
    """A reason why there is no file; `code` is what the pages translate, `permanent`: another try cannot help."""

    def __init__(self, code: str, detail: str, *, permanent: bool = False) -> None:
        super().__init__(detail)
        self.code = code
        self.permanent = permanent


@dataclass(slots=True)
class Progress:
    """Tells the database, and through it everybody, how far a file is; every report also renews the lease."""

    settings: Settings
    work: Work
    owner: str
    reported_s: float = 0.0
    stage: str = ""

    def report(self, stage: str, done: float = 0.0, eta_s: float | None = None) -> None:
        """Report a stage and its share done (0 to 1), at most once a second unless the stage is new.

        Raises LeaseLost, and Stopping when the worker is told to stop. A database that is away for a moment costs a
        report, not the encode.
        """
        if alive.stopping.is_set():
            raise Stopping
        now_s = time.monotonic()
        if stage == self.stage and now_s - self.reported_s < REPORT_EVERY_S:
            return
        self.stage, self.reported_s = stage, now_s
        percent = round(100 * min(done, 1.0), 1)
        state = RenditionState.VERIFYING if stage in (VERIFY, PUBLISH) else RenditionState.ENCODING
        try:
            kept = recordings.progress(
                *(self.work.rendition_id, self.owner, database.utc_now()),
                **{"state": state, "stage": stage, "percent": percent, "eta_s": eta_s},
            )
        except SQLAlchemyError as trouble:
            db.session.rollback()
            log.warning("progress of %s not noted: %s", self.work.rendition_id, trouble)
            return
        if not kept:
            raise LeaseLost
        announce(self.settings, self.work, state, stage, percent, eta_s)


def announce(
    settings: Settings, work: Work, state: RenditionState, stage: str, percent: float, eta_s: float | None
) -> None:
    """Tell open pages; an event is a hint, so a Redis that is away is not waited for."""
    event = {
        "type": "rendition",
        "recording": work.recording_id,
        "kind": work.kind.value,
        "state": state.value,
        "stage": stage,
        "percent": percent,
        "eta_s": None if eta_s is None else round(eta_s),
    }
    with contextlib.suppress(redis.RedisError):
        alive.quick_redis(settings.redis_url).publish(f"tropa:events:{work.session_id}", json.dumps(event))


def next_up() -> list[Work]:
    """List what should be made now, in this order. No picture is begun while a voice waits or is being made.

    Leases of processes that died on this machine end here; those of other machines run out by themselves.
    """
    now, voice_busy = database.utc_now(), False
    for rendition_id, owner, kind in recordings.leases_held(now):
        if alive.is_dead(owner):
            log.warning("the process that made %s died; somebody else goes on", rendition_id)
            recordings.end_lease(rendition_id, owner)
        elif kind not in presets.VIDEO_KINDS:
            voice_busy = True
    found = [work for one in recordings.next_renditions(now, LIMIT) if (work := recordings.work(one)) is not None]
    voices = [work for work in found if work.kind not in presets.VIDEO_KINDS]
    return voices if voices or voice_busy else found


def encode(settings: Settings, rendition_id: str) -> bool:
    """Make a file if this machine has a place free for its sort; tell whether any work was done.

    The message says what sort of work there is; the database says which file is the first of that sort by now.
    """
    named = recordings.work(rendition_id)
    if named is None:
        return False
    is_picture = named.kind in presets.VIDEO_KINDS
    name, places = ("picture", settings.worker_processes) if is_picture else ("voice", 1)
    with slots.place(settings.data / "run" / "places", name, places) as free:
        if not free:
            return False
        owner = alive.lease_owner()
        for work in next_up():
            if (work.kind in presets.VIDEO_KINDS) != is_picture:
                continue
            if recordings.take(work.rendition_id, owner, database.utc_now()) is Verdict.TAKE:
                _attempt(Progress(settings, work, owner))
                return True
    return False


def _attempt(progress: Progress) -> None:
    """Go through the stages; whatever goes wrong becomes a reason in the row and a line in the log."""
    work = progress.work
    log.info("making %s of recording %s, attempt %d", work.kind.value, work.recording_id, work.attempts + 1)
    try:
        with _workshop(progress.settings, work) as folder:
            _publish(progress, _make(progress, folder))
    except LeaseLost:
        log.warning("%s of recording %s is somebody else's now", work.kind.value, work.recording_id)
    except Stopping:
        recordings.release(work.rendition_id, progress.owner)
        log.info("%s of recording %s waits for the next worker", work.kind.value, work.recording_id)
    except Refused as refusal:
        _give_up(progress, refusal.code, str(refusal), permanent=refusal.permanent)
    except child.ChildFailed as failure:
        _give_up(progress, failure.code, failure.tail)
    except NoSuchFile as missing:
        _give_up(progress, "source_missing", str(missing))
    except OSError as trouble:
        _give_up(progress, "disk_full" if trouble.errno == errno.ENOSPC else "storage", str(trouble))
    except Exception as trouble:  # the boundary of the task: the reason is kept, and the file is tried again
        log.exception("making %s of recording %s broke", work.kind.value, work.recording_id)
        _give_up(progress, "internal", f"{type(trouble).__name__}: {trouble}")


def _give_up(progress: Progress, code: str, detail: str, *, permanent: bool = False) -> None:
    """Put the file back to wait, or mark it failed; pages get the code of the reason, the log gets the rest."""
    work = progress.work
    db.session.rollback()
    delay_s = recordings.fail(work.rendition_id, progress.owner, database.utc_now(), code, permanent=permanent)
    log.error("%s of recording %s: %s: %s", work.kind.value, work.recording_id, code, detail)
    state = RenditionState.FAILED if delay_s is None else RenditionState.WAITING
    announce(progress.settings, work, state, "", 0.0, delay_s)


def _publish(progress: Progress, made: Made) -> None:
    """Put the file into storage under a name made of its content, then let the database decide who won."""
    work, container = progress.work, presets.CONTAINERS[progress.work.kind]
    progress.report(PUBLISH)
    key = f"recordings/{work.recording_id}/{work.kind.value}-{made.sha256[:16]}.{container.extension}"
    storage = Files(progress.settings.storage_url)
    stored = storage.put(made.path, key)
    file = PublishedFile(
        key=key,
        content_type=container.content_type,
        bytes=stored.bytes,
        sha256=stored.sha256,
        duration_s=made.duration_s,
        width=made.picture.width if made.picture else None,
        height=made.picture.height if made.picture else None,
        fps=made.picture.fps if made.picture else None,
    )
    if stored.sha256 != made.sha256:
        raise Refused("storage", "the file changed on its way into storage")
    if not recordings.publish(work.rendition_id, progress.owner, database.utc_now(), file):
        # The winner's file may be the same to the last byte, and then this is its key too.
        if not recordings.is_referenced(key):
            storage.delete(key)
        raise LeaseLost
    announce(progress.settings, work, RenditionState.PUBLISHED, "", 100.0, 0.0)
    log.info("published %s of recording %s: %d bytes", work.kind.value, work.recording_id, stored.bytes)


@dataclass(frozen=True, slots=True)
class Made:
    """A finished, verified file that is not published yet."""

    path: Path
    sha256: str
    duration_s: float
    picture: presets.Picture | None


@contextlib.contextmanager
def _workshop(settings: Settings, work: Work) -> Iterator[Path]:
    """Make a folder for this attempt alone and remove it afterwards.

    What an attempt left that was killed goes first: with the lease, this one is the only attempt that counts.
    """
    parent = settings.data / "tmp"
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"encode-{work.rendition_id}-*"):
        shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"encode-{work.rendition_id}-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make(progress: Progress, folder: Path) -> Made:
    """Fetch the source, encode it, and verify what came out."""
    with contextlib.ExitStack() as held:
        sources = _fetch(progress, folder, held)
        line = _plan(progress.work, sources)
        kind = progress.work.kind
        job = encoder.Job(kind, sources, line, folder / f"made.{presets.CONTAINERS[kind].extension}")
        began_s = time.monotonic()

        def on_progress(made_s: float) -> None:
            done = made_s / line.duration_s
            progress.report(ENCODE, done, plan.eta_s(done, time.monotonic() - began_s))

        progress.report(ENCODE)
        encoder.run(job, plan.time_limit_s(kind, line.duration_s), on_progress)
    progress.report(VERIFY)
    checked = probe.decode(job.target, lambda at_s: progress.report(VERIFY, at_s / line.duration_s))
    found = plan.faults(checked, line, job.picture)
    if found:
        raise Refused("damaged", "; ".join(found))
    lengths = [length for length in (checked.audio_s, checked.video_s) if length is not None]
    return Made(job.target, _sha256(job.target), max(lengths), job.picture)


def _plan(work: Work, sources: tuple[Path, ...]) -> plan.Timeline:
    facts = tuple(
        plan.SegmentFacts.of_upload(segment["tracks"])
        if "tracks" in segment
        else plan.SegmentFacts(*probe.tracks(path), segment["video_delay_s"], segment["duration_s"])
        for path, segment in zip(sources, work.segments, strict=True)
    )
    try:
        return plan.timeline(facts)
    except ValueError as trouble:
        raise Refused("no_sound_or_picture", str(trouble), permanent=True) from trouble


def _fetch(progress: Progress, folder: Path, held: contextlib.ExitStack) -> tuple[Path, ...]:
    """Bring every segment to a local path, for as long as `held` is open, and check its digest."""
    segments = progress.work.segments
    progress.report(FETCH)
    needed = sum(segment["bytes"] for segment in segments)
    if shutil.disk_usage(folder).free < needed + SPARE_BYTES:
        raise Refused("disk_full", f"{needed + SPARE_BYTES} bytes are needed in {folder.parent}")
    storage = Files(progress.settings.storage_url)
    paths, fetched = [], 0
    for segment in segments:
        path = held.enter_context(storage.local_path(segment["key"]))
        fetched += segment["bytes"]
        if _sha256(path) != segment["sha256"]:
            raise Refused("source_damaged", f"{segment['key']} is not what was recorded")
        progress.report(FETCH, fetched / max(1, needed))
        paths.append(path)
    return tuple(paths)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
