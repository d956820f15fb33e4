"""A lesson's file with its manifest, as the origin gives them."""

from __future__ import annotations

import random
from pathlib import Path

from mirror import shapes
from mirror.folder import Folder
from mirror.shapes import Manifest
from rules.chunks import Digester

SIZE = 3 * 131072 + 5000


def body(size: int = SIZE, seed: int = 1) -> bytes:
    """Return a file's bytes."""
    return random.Random(seed).randbytes(size)


def document(data: bytes, **changes: object) -> dict:
    """Return the manifest of a file as the origin writes it."""
    digester = Digester()
    digester.update(data)
    listed = digester.finish()
    lesson = {
        "title": "Дроби: повторение",
        "subject": "Математика",
        "grades": "5+6",
        "host_school": "Сосновская школа",
        "date": "2026-11-20",
        "duration_s": 2400.0,
    }
    facts = {"id": "file1", "recording": "rec1", "kind": "video_small", "type": "video/mp4", "extension": "mp4"}
    return {**facts, "name": "урок.mp4", "lesson": lesson, **listed.document(), **changes}


def manifest(data: bytes, **changes: object) -> Manifest:
    """Return it as the mirror reads it."""
    return shapes.manifest(document(data, **changes))


def subscription(*files: dict, **changes: object) -> dict:
    """Return what the origin says of a school."""
    school = {"id": "s1", "name": "Берёзовская школа", "timezone": "Asia/Krasnoyarsk"}
    top = {"version": 1, "school": school, "window": None, "rate_kbps": None, "monthly_mb": None}
    return {**top, "files": [{name: file[name] for name in file if name != "chunks"} for file in files], **changes}


def folder(path: Path) -> Folder:
    """Make an empty mirror's folder."""
    made = Folder(path)
    made.make()
    return made
