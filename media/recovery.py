"""After a restart: cut recordings back to their last whole part, offer the young ones for resumption, seal the rest."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

from media.manifest import (
    ATTENDANCE_FILE,
    MANIFEST_FILE,
    RECORDING_FILE,
    Part,
    Segment,
    Stay,
    close_stays,
    end_of,
    read_attendance,
    read_segment_lines,
    segment_of,
)
from media.parts import PROBE_BYTES, is_mdat, part_bytes
from media.writer import Identity, seal_folder

log = logging.getLogger(__name__)

_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Resumable:
    """An unsealed recording, cut back to what is whole; `last_s` is the Unix time of its last sample."""

    folder: Path
    identity: Identity
    stays: list[Stay]
    last_s: float


def recover(live_folder: Path, now_s: float, grace_s: float) -> dict[str, Resumable]:
    """Go through TROPA_DATA/live and return by session what may be resumed; everything else is sealed as "restart".

    Of several unsealed recordings of one session only the newest may be resumed. A recording that cannot be recovered
    is logged and left as it is.
    """
    found: dict[str, Resumable] = {}
    for path in sorted(live_folder.glob(f"*/*/{RECORDING_FILE}")):
        folder = path.parent
        if (folder / MANIFEST_FILE).exists():
            continue
        try:
            one = _cut_back(folder)
            rival = found.get(one.identity.session)
            if one.last_s + grace_s < now_s or not one.identity.segments:
                seal_recovered(one)
            elif rival is None:
                found[one.identity.session] = one
            else:
                older, newer = sorted((rival, one), key=lambda each: each.last_s)
                found[one.identity.session] = newer
                seal_recovered(older)
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.error("recording in %s could not be recovered and stays as it is: %s", folder, error)
    return found


def seal_recovered(one: Resumable, reason: str = "restart") -> Path | None:
    """Seal a recording that nobody continues; it ended with its last sample. Raises OSError."""
    return seal_folder(one.folder, one.identity, one.identity.segments, reason, None, one.stays)


def _cut_back(folder: Path) -> Resumable:
    """Read what is there; trim every segment to its whole parts. Raises OSError, ValueError, KeyError, TypeError."""
    about = json.loads((folder / RECORDING_FILE).read_text("utf-8"))
    segments: list[Segment] = []
    # Every file counts for the next number: a kill may leave a segment without its lines.
    last_number = max((int(path.stem.removeprefix("segment-")) for path in folder.glob("segment-*")), default=0)
    for lines in sorted(folder.glob("segment-*.jsonl")):
        segment = trim_segment(lines)
        if segment is not None:
            segments.append(segment)
    started_at = float(about["started_at"])
    last_s = segments[-1].ended_at if segments else started_at
    attendance = folder / ATTENDANCE_FILE
    stays = read_attendance(attendance.read_text("utf-8", "replace")) if attendance.exists() else []
    identity = Identity(str(about["session"]), str(about["recording"]), started_at, segments, last_number + 1)
    return Resumable(folder, identity, close_stays(stays, last_s), last_s)


def trim_segment(lines: Path) -> Segment | None:
    """Cut a segment to its last whole part and sum it up; one without any is removed. Raises OSError, ValueError."""
    head, parts = read_segment_lines(lines.read_text("utf-8", "replace"))
    media = None if head is None else lines.with_suffix(f".{head.container}")
    whole: list[Part] = []
    if media is not None and media.exists():
        with open(media, "r+b") as file:
            size = file.seek(0, os.SEEK_END)
            for part in parts:
                if part.offset + part.bytes > size or not _is_whole(file, head.container, part):
                    break
                whole.append(part)
            if whole:
                file.truncate(end_of(whole))
                os.fsync(file.fileno())
                file.seek(0)
                return segment_of(media.name, head, whole, _sha256(file))
        media.unlink()
    lines.unlink()
    return None


def _is_whole(file, container: str, part: Part) -> bool:
    """Check that moof and mdat, or one Cluster, fill exactly the bytes that the line gives."""
    file.seek(part.offset)
    size = part_bytes(container, file.read(PROBE_BYTES))
    if size is None or container == "webm":
        return size == part.bytes
    if size >= part.bytes:
        return False
    file.seek(part.offset + size)
    return is_mdat(file.read(PROBE_BYTES), part.bytes - size)


def _sha256(file) -> str:
    digest = hashlib.sha256()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    return digest.hexdigest()
