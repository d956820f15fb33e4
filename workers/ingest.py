"""Take sealed recordings over from the recorder: check, probe, store, make the rows, then remove the folder.

Every step may be repeated. The rows are made in one transaction after the files are in storage, and the folder goes
last, so that a worker killed anywhere leaves either a folder to do again or rows whose folder is only to be removed.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from config import Settings
from store import database, recordings, takeover
from store.files import Files
from store.models import db
from store.takeover import NoSuchSession
from workers import plan, probe, sealed

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
LIVE = "live"
# Where folders go whose recording cannot be used: nothing is deleted, and nothing is tried again by itself.
BROKEN = "broken"


class Unusable(Exception):
    """A recording of which nothing can be made; `code` is what the pages translate."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Checked:
    """A recording whose files are what the manifest says; the real lengths of its segments, in order."""

    durations_s: tuple[float, ...]
    line: plan.Timeline


def scan(settings: Settings) -> int:
    """Take over every sealed recording and return how many; a second scanner at the same time leaves at once."""
    (settings.data / "run").mkdir(parents=True, exist_ok=True)
    with (settings.data / "run" / "ingest.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return 0
        manifests = sorted((settings.data / LIVE).glob(f"*/*/{MANIFEST}"))
        return sum(_take_over(settings, manifest.parent) for manifest in manifests)


def _take_over(settings: Settings, folder: Path) -> bool:
    """Take over one folder; trouble with it must not keep the others waiting."""
    try:
        failure = recordings.known_failure(folder.name)
        if failure is None:
            failure = _ingest(settings, folder)
        _clear(settings, folder, keep=bool(failure))
    except NoSuchSession:
        log.warning("%s belongs to no known session and stays where it is", folder)
        return False
    except OSError as trouble:
        db.session.rollback()
        log.error("%s waits: %s", folder, trouble)
        return False
    except Exception:  # the boundary of one recording: the folder stays, and is tried again by the next scan
        db.session.rollback()
        log.exception("%s is tried again later", folder)
        return False
    return True


def _ingest(settings: Settings, folder: Path) -> str:
    """Make the rows of a recording; returns the code of the reason where nothing can be made of it, else ""."""
    session_id, recording_id = folder.parent.name, folder.name
    now = database.utc_now()
    try:
        manifest = sealed.parse((folder / MANIFEST).read_text("utf-8", errors="replace"), session_id, recording_id)
    except sealed.ManifestDamaged as damage:
        log.error("%s: the manifest cannot be read: %s", folder, damage)
        at = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime, UTC)
        nothing = sealed.Sealed(session_id, recording_id, at, at, (), (), ())
        takeover.create_recording(_row(nothing, None, "manifest_damaged"), now)
        return "manifest_damaged"
    try:
        checked = _check(folder, manifest)
    except Unusable as reason:
        log.error("%s cannot be used and is kept: %s: %s", folder, reason.code, reason)
        takeover.create_recording(_row(manifest, None, reason.code), now)
        return reason.code
    storage = Files(settings.storage_url)
    for segment in manifest.segments:
        # A sealed segment is never written to again, so where storage is on the same disk it needs no second copy.
        if storage.adopt(folder / segment.file, _key(recording_id, segment)).sha256 != segment.sha256:
            raise OSError(f"{segment.file} changed on its way into storage")
    takeover.create_recording(_row(manifest, checked, ""), now)
    log.info("took over recording %s of session %s: %.1f s", recording_id, session_id, checked.line.duration_s)
    return ""


def _row(manifest: sealed.Sealed, checked: Checked | None, failure: str) -> takeover.Sealed:
    """Describe the recording for the database; without a check its segments are not in storage and are not named."""
    segments = (
        []
        if checked is None
        else [
            {
                "key": _key(manifest.recording, segment),
                "bytes": segment.bytes,
                "sha256": segment.sha256,
                "duration_s": segment.duration_s,
                "video_delay_s": segment.video_delay_s,
                "container": segment.container,
                "video_codec": segment.video_codec,
            }
            for segment in manifest.segments
        ]
    )
    return takeover.Sealed(
        id=manifest.recording,
        session_id=manifest.session,
        started_at=manifest.started_at,
        ended_at=manifest.ended_at,
        has_video=checked is not None and checked.line.has_video,
        has_audio=checked is not None and checked.line.has_audio,
        segments=segments,
        gaps=[] if checked is None else sealed.gaps_in(manifest, checked.durations_s),
        attendance=[
            takeover.Stay(one.key, one.name, one.school, one.joined_at, one.left_at) for one in manifest.attendance
        ],
        duration_s=None if checked is None else checked.line.duration_s,
        failure=failure,
    )


def _check(folder: Path, manifest: sealed.Sealed) -> Checked:
    """Compare every segment with the manifest and probe it. Raises Unusable."""
    facts = []
    for segment in manifest.segments:
        path = folder / segment.file
        if not path.is_file() or path.is_symlink():
            raise Unusable("segment_missing", segment.file)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != segment.sha256:
            raise Unusable("checksum", f"{segment.file} has SHA-256 {digest}, the manifest says {segment.sha256}")
        facts.append(plan.SegmentFacts(*probe.tracks(path), segment.video_delay_s, segment.duration_s))
    try:
        line = plan.timeline(tuple(facts))
    except ValueError as trouble:
        raise Unusable("no_sound_or_picture", str(trouble)) from trouble
    durations = {one.index: one.duration_s for one in line.segments}
    return Checked(tuple(durations.get(index, 0.0) for index in range(len(facts))), line)


def _key(recording_id: str, segment: sealed.Segment) -> str:
    return f"recordings/{recording_id}/source/{segment.file}"


def _clear(settings: Settings, folder: Path, *, keep: bool) -> None:
    """Take the folder out of the recorder's way in one step; what a kill leaves of it then is upkeep's to remove.

    The session's own folder stays for upkeep: the recorder may be about to make the next recording in it.
    """
    place = settings.data / (BROKEN if keep else "tmp")
    place.mkdir(parents=True, exist_ok=True)
    target = place / f"ingested-{folder.parent.name}-{folder.name}-{time.time_ns()}"
    folder.rename(target)
    if keep:
        log.error("the files of recording %s are kept in %s", folder.name, target)
    else:
        shutil.rmtree(target, ignore_errors=True)
