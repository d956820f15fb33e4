"""File storage: whole or not at all, inside its folder, on a local disk and on another file system."""

from __future__ import annotations

import hashlib
import os

import fsspec
import pytest

from store.files import BadKey, Files, NoSuchFile

DATA = bytes(range(256)) * 5000
KEY = "recordings/abc/voice_opus-0123456789abcdef.opus"


@pytest.fixture(params=["file", "memory"])
def files(request, tmp_path) -> Files:
    """A storage in a folder, and one that is not on this machine's disk (as S3 is not)."""
    if request.param == "file":
        return Files(f"file://{tmp_path / 'files'}")
    fsspec.filesystem("memory").store.clear()
    return Files("memory://bucket/prefix")


@pytest.fixture
def source(tmp_path):
    """A local file of 1.28 MB."""
    path = tmp_path / "source.bin"
    path.write_bytes(DATA)
    return path


def read_range(files: Files, start: int, end: int) -> bytes:
    """Read the bytes from `start` up to `end` as a download does."""
    with files.open(KEY) as file:
        file.seek(start)
        return file.read(end - start)


def test_what_was_put_is_read_back(files, source):
    """Size, digest, ranges and the whole come back as they were; putting again replaces."""
    stored = files.put(source, KEY)
    assert (stored.bytes, stored.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert files.size(KEY) == len(DATA) and files.exists(KEY)
    assert read_range(files, 1000, 1010) == DATA[1000:1010]
    assert read_range(files, len(DATA) - 5, len(DATA) + 5) == DATA[-5:]
    with files.open(KEY) as file:
        assert file.read() == DATA
    with files.local_path(KEY) as path:
        assert path.read_bytes() == DATA
    source.write_bytes(b"new")
    files.put(source, KEY)
    assert read_range(files, 0, 10) == b"new"


def test_what_is_missing_is_said_so(files):
    """Every way to a file that is not there ends in NoSuchFile; deleting it is no error."""
    for look in (files.open, files.size):
        with pytest.raises(NoSuchFile):
            look(KEY)
    with pytest.raises(NoSuchFile), files.local_path(KEY):
        pass
    assert not files.exists(KEY)
    files.delete(KEY)


def test_deleted_is_gone(files, source):
    """A deleted file no longer exists."""
    files.put(source, KEY)
    files.delete(KEY)
    assert not files.exists(KEY)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "a/.b",
        "a\\b",
        "a\x00b",
        "ключ",
        "a" * 201,
        "a.part",
    ],
)
def test_keys_that_might_leave_the_storage_are_refused(files, source, key):
    """No key but a plain relative path reaches the file system, in any operation."""
    for use in (files.exists, files.open, files.delete, files.size, lambda key: files.put(source, key)):
        with pytest.raises(BadKey):
            use(key)


def test_a_put_that_breaks_off_leaves_the_old_file(tmp_path, source, monkeypatch):
    """When the disk fails in the middle, the file under the key is the old one and nothing else lies about."""
    files = Files(f"file://{tmp_path / 'files'}")
    files.put(source, KEY)
    source.write_bytes(b"new")

    def broken(_fd: int) -> None:
        raise OSError("no room")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="no room"):
        files.put(source, KEY)
    assert read_range(files, 0, len(DATA)) == DATA
    assert [path.name for path in (tmp_path / "files").rglob("*") if path.is_file()] == [KEY.rsplit("/", 1)[1]]
