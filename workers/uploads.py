"""Take uploaded files over: look into each, store the original, make the rows, then remove the file that was sent.

Every step may be repeated. The recording's id follows from the upload's, so that a worker killed anywhere leaves a file
to do again under the same key, or rows whose file is only to be removed. A file of which nothing can be made is refused
with a reason, and stays where it is for its owner.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from config import Settings
from rules import intake
from rules.intake import Accepted, Measured, Refusal
from rules.lifecycle import UploadState
from rules.retention import Sort
from rules.space import Work
from store import database, retention, space, takeupload, uploads
from store.files import Files
from store.models import Upload, db
from store.takeupload import Original
from workers import examine, plan

log = logging.getLogger(__name__)

# How a stored original is named, by what it is and not by what its sender called it; other containers: "bin".
EXTENSIONS = {
    "mov": "mp4",
    "matroska": "mkv",
    "avi": "avi",
    "mpegts": "ts",
    "mpeg": "mpg",
    "asf": "wmv",
    "flv": "flv",
    "ogg": "ogg",
    "mp3": "mp3",
    "wav": "wav",
    "w64": "w64",
    "aac": "aac",
    "flac": "flac",
    "amr": "amr",
    "caf": "caf",
    "aiff": "aiff",
    "dv": "dv",
    "mxf": "mxf",
}
# A refused file stays this long where the policy says for ever: a row needs some date.
FOR_EVER = timedelta(days=36_500)


def scan(settings: Settings) -> int:
    """Take over every upload that is whole and return how many; a second scanner at the same time leaves at once."""
    (settings.data / "run").mkdir(parents=True, exist_ok=True)
    with (settings.data / "run" / "uploads.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        done = sum(_take_over(settings, upload_id) for upload_id in uploads.received())
        _remove_taken(settings)
        return done


def _take_over(settings: Settings, upload_id: str) -> bool:
    """Take over one upload; trouble with it must not keep the others waiting."""
    try:
        row = uploads.find(upload_id)
        return row is not None and row.state == UploadState.RECEIVED and _intake(settings, row)
    except OSError as trouble:
        db.session.rollback()
        log.error("upload %s waits: %s", upload_id, trouble)
    except Exception:  # the boundary of one upload: the file stays, and is tried again by the next scan
        db.session.rollback()
        log.exception("upload %s is tried again later", upload_id)
    return False


def _intake(settings: Settings, row: Upload) -> bool:
    """Make a recording of an upload, or refuse it; False where it has to wait."""
    path = uploads.part_path(settings, row.id)
    if row.length == 0:
        return _refuse(row, intake.Trouble.EMPTY)
    if not path.is_file():
        # Another machine took it and has it on its disk; a worker runs there too.
        if path.parent.is_dir():
            log.error("upload %s: its file is not on this machine", row.id)
        return False
    earlier = takeupload.same_file(row)
    if earlier is not None and _digest(path) == row.sha256 and takeupload.take_as(row.id, earlier, database.utc_now()):
        log.info("upload %s is the same file as recording %s", row.id, earlier)
        return True
    facts = examine.examine(path, settings.max_lesson_hours * 3600)
    decided = intake.decide(facts, settings.max_lesson_hours * 3600)
    if isinstance(decided, Refusal):
        return _refuse(row, decided.trouble)
    if not examine.opens(path, [one.index for one in (decided.audio, decided.video) if one is not None]):
        return _refuse(row, intake.Trouble.UNDECODABLE)
    storage = Files(settings.storage_url)
    if not storage.is_beside(path) and not space.room_for(settings, row.length, Work.ENCODE).fits:
        log.error("upload %s waits for room on the disk", row.id)
        return False
    extension = EXTENSIONS.get(facts.demuxer.partition(",")[0], "bin")
    key = f"recordings/{row.id}/source/segment-0001.{extension}"
    stored = storage.adopt(path, key)
    if stored.sha256 != row.sha256:
        storage.delete(key)
        return _refuse(row, "checksum")
    return _make_rows(storage, row.id, key, stored.bytes, stored.sha256, decided)


def _make_rows(storage: Files, upload_id: str, key: str, size: int, sha256: str, decided: Accepted) -> bool:
    segment = {
        "key": key,
        "bytes": size,
        "sha256": sha256,
        "duration_s": decided.duration_s,
        "video_delay_s": 0.0,
        "container": key.rpartition(".")[2],
        "video_codec": decided.video.codec if decided.video else None,
        "tracks": {"audio": _track(decided.audio), "video": _track(decided.video)},
    }
    original = Original(
        recording_id=upload_id,
        segment=segment,
        duration_s=decided.duration_s,
        has_audio=decided.audio is not None,
        has_video=decided.video is not None,
        notes=decided.notes,
    )
    made = takeupload.take(upload_id, original, database.utc_now())
    if made != upload_id:
        storage.delete(key)  # somebody made a recording of the same file meanwhile
    log.info("upload %s became recording %s: %.1f s", upload_id, made, decided.duration_s)
    return made is not None


def _track(measured: Measured | None) -> dict | None:
    """Turn what was measured into what the plan of every encode is made from."""
    if measured is None:
        return None
    facts = plan.TrackFacts(
        codec=measured.codec,
        first_s=measured.first_s,
        end_s=measured.end_s,
        frames=measured.frames,
        width=measured.width,
        height=measured.height,
        active_fps=measured.active_fps,
        stream=measured.index,
        pixel_aspect=measured.pixel_aspect,
        interlaced=measured.interlaced,
    )
    return asdict(facts)


def _refuse(row: Upload, code: str) -> bool:
    """Say why nothing can be made of an upload; the file stays as long as the policy says."""
    days = retention.days(Sort.REFUSED)
    keep = FOR_EVER if days is None else timedelta(days=days)
    upload_id, name = row.id, row.filename
    log.warning("upload %s (%r) is refused: %s", upload_id, name, code)
    return uploads.mark_refused(upload_id, str(code), database.utc_now(), keep)


def _remove_taken(settings: Settings) -> None:
    """Remove the files of uploads whose recording is in the database: storage has them under their own name."""
    for path in uploads.folder(settings).glob("*.part"):
        row = db.session.get(Upload, path.stem, populate_existing=True)
        if row is not None and row.state == UploadState.TAKEN:
            path.with_suffix(".json").unlink(missing_ok=True)
            path.unlink(missing_ok=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
