"""Leave last week's lesson where the recorder leaves lessons, so that the demo's library fills by the real way."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path

from store import recordings
from store.models import Session
from supervisor.demo import film, lesson
from supervisor.demo.board import HEIGHT, WIDTH

SEGMENT = "segment-0001.mp4"


def keep(data: Path, folder: Path, session: Session) -> None:
    """Seal the recording of a session (docs/architecture.md), once; the worker finds it and makes its files.

    The recording has the session's id, so that it is known again on the next start.
    """
    sealed = data / "live" / session.id / session.id
    if sealed.exists() or recordings.known_failure(session.id) is not None:
        return
    making = folder / "recording"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    film.as_segment(film.ensure(folder), making / SEGMENT)
    content = (making / SEGMENT).read_bytes()
    written = manifest(session.id, session.starts_at, content)
    (making / "manifest.json").write_text(json.dumps(written, ensure_ascii=False), "utf-8")
    sealed.parent.mkdir(parents=True, exist_ok=True)
    os.replace(making, sealed)


def manifest(session_id: str, started_at: datetime, content: bytes) -> dict[str, object]:
    """Return the manifest of a recording in one segment."""
    segment = {
        "file": SEGMENT,
        "container": "mp4",
        "video_codec": "H264",
        "audio_codec": "opus",
        "started_at": started_at.isoformat(),
        "duration_s": lesson.SECONDS,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "parts": lesson.SECONDS,
        "video_delay_s": 0.0,
        "width": WIDTH,
        "height": HEIGHT,
    }
    return {
        "version": 1,
        "session": session_id,
        "recording": session_id,
        "started_at": started_at.isoformat(),
        "ended_at": (started_at + timedelta(seconds=lesson.SECONDS)).isoformat(),
        "reason": "ended",
        "segments": [segment],
        "gaps": [],
        "attendance": [],
    }
