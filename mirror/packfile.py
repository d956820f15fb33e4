"""Read one file out of a lesson pack (a zip), bounded, so that the pack opens in a browser without being unpacked."""

from __future__ import annotations

import zipfile
from pathlib import Path

# The sound of a long lesson is some 30 MB; a bomb is not let out.
MAX_ENTRY_BYTES = 128_000_000
MAX_ENTRIES = 5000
TYPES = {
    **{"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"},
    **{"json": "application/json", "vtt": "text/vtt; charset=utf-8", "txt": "text/plain; charset=utf-8"},
    **{"svg": "image/svg+xml", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp"},
    **{"avif": "image/avif", "mp3": "audio/mpeg", "m4a": "audio/mp4", "opus": "audio/ogg", "ogg": "audio/ogg"},
}


def read_entry(path: Path, name: str) -> tuple[bytes, str] | None:
    """Return an entry's bytes and type by its name in the zip; None where there is none, or none to be shown."""
    kind = TYPES.get(name.rpartition(".")[2].lower())
    if kind is None:
        return None
    try:
        with zipfile.ZipFile(path) as pack:
            found = pack.getinfo(name) if len(pack.filelist) <= MAX_ENTRIES else None
            if found is None or found.file_size > MAX_ENTRY_BYTES:
                return None
            with pack.open(found) as entry:
                return entry.read(MAX_ENTRY_BYTES), kind
    except (KeyError, OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError):
        return None


def front_page(path: Path) -> str:
    """Return the name of the page that a pack opens with: the one that stands highest; "" where it has none."""
    try:
        with zipfile.ZipFile(path) as pack:
            names = [one.filename for one in pack.filelist[:MAX_ENTRIES] if one.filename.endswith("index.html")]
    except (OSError, zipfile.BadZipFile):
        return ""
    return min(names, key=lambda name: (name.count("/"), name), default="")
