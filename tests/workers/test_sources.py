"""Sources on a machine whose storage is elsewhere: fetched once, checked, within bounds, never taken from who reads."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import fsspec
import pytest

from config import Settings
from store.files import Files, NoSuchFile
from workers import sources
from workers.attempt import Refused

MB = 1_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A machine whose storage is not a folder, with room for 100 MB of sources."""
    fsspec.filesystem("memory").store.clear()
    environment = {"TROPA_DATA": str(tmp_path / "data"), "STORAGE_URL": "memory://bucket/x", "TROPA_CACHE_MB": "100"}
    return Settings.from_env({**environment, "TROPA_FREE_MB": "1", "TROPA_FREE_PERCENT": "0"})


def stored(settings: Settings, tmp_path: Path, name: str, content: bytes) -> dict:
    """Put a segment into storage and describe it as a recording does."""
    path = tmp_path / name
    path.write_bytes(content)
    kept = Files(settings.storage_url).put(path, f"recordings/r1/source/{name}.mp4")
    return {"key": kept.key, "bytes": kept.bytes, "sha256": kept.sha256}


def fetch(settings: Settings, segment: dict) -> bytes:
    """Fetch one segment and read it."""
    with sources.fetched(settings, [segment], lambda done: None) as [path]:
        return path.read_bytes()


def test_a_source_is_fetched_once_for_all_pieces(settings, tmp_path):
    """The second piece finds it on this machine, though storage has lost it meanwhile."""
    segment = stored(settings, tmp_path, "a", b"lesson")
    assert fetch(settings, segment) == b"lesson"
    Files(settings.storage_url).delete(segment["key"])
    assert fetch(settings, segment) == b"lesson"
    with pytest.raises(NoSuchFile):
        fetch(settings, {**segment, "sha256": hashlib.sha256(b"another").hexdigest()})


def test_what_is_not_what_was_recorded_is_refused_and_not_kept(settings, tmp_path):
    """Storage that gives other bytes is told apart from a missing file, and nothing of it stays."""
    segment = stored(settings, tmp_path, "a", b"lesson")
    with pytest.raises(Refused) as refused:
        fetch(settings, {**segment, "sha256": "0" * 64})
    assert refused.value.code == "source_damaged"
    assert [path for path in (settings.data / "cache").iterdir() if path.suffix != ".lock"] == []


def test_the_longest_unused_goes_first_and_what_is_in_use_stays(settings, tmp_path):
    """Room is made for a new source by removing old ones, but not one that somebody reads."""
    old, used, new = (stored(settings, tmp_path, name, name.encode()) for name in ("old", "used", "new"))
    for age_s, segment in ((300, used), (200, old)):
        fetch(settings, segment)
        path = settings.data / "cache" / segment["sha256"]
        os.truncate(path, 45 * MB)  # counted by size; nobody reads it again here
        os.utime(path, (time.time() - age_s, time.time() - age_s))
    with sources.fetched(settings, [used], lambda done: None):
        os.utime(settings.data / "cache" / used["sha256"], (1, 1))
        sources.make_room(settings, 50 * MB)
        kept = {path.name for path in (settings.data / "cache").iterdir() if not path.suffix}
    assert kept == {used["sha256"]}
    assert fetch(settings, new) == b"new"


def test_what_nobody_used_for_long_is_cleaned_up(settings, tmp_path):
    """Hours after the last piece of a lesson its source goes, and so does what a killed fetch left."""
    segment = stored(settings, tmp_path, "a", b"lesson")
    fetch(settings, segment)
    cache = settings.data / "cache"
    (cache / "half.part").write_bytes(b"les")
    sources.clean(settings)
    assert (cache / segment["sha256"]).exists() and (cache / "half.part").exists()
    for path in (cache / segment["sha256"], cache / "half.part"):
        os.utime(path, (1, 1))
    sources.clean(settings)
    assert not (cache / segment["sha256"]).exists() and not (cache / "half.part").exists()


def test_a_folder_is_used_where_it_is_and_read_through_once(settings, tmp_path):
    """On one machine nothing is copied; a file that changes after it was checked is checked again."""
    environment = {"TROPA_DATA": str(tmp_path / "own"), "STORAGE_URL": f"file://{tmp_path / 'files'}"}
    own = Settings.from_env(environment)
    segment = stored(own, tmp_path, "a", b"lesson")
    with sources.fetched(own, [segment], lambda done: None) as [path]:
        assert path == tmp_path / "files" / segment["key"]
    path.write_bytes(b"damage")
    os.utime(path, (1, 1))
    with pytest.raises(Refused):
        fetch(own, segment)
