"""tus' headers, and how many bytes of a file count."""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules import tus
from rules.tus import Mark, TusError


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,10}", fullmatch=True), st.text(min_size=1, max_size=40), max_size=6))
def test_metadata_are_read_as_they_were_written(values):
    """Any UTF-8 survives, Cyrillic and emoji too."""
    pairs = (f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items())
    assert tus.metadata(",".join(pairs)) == values


def test_metadata_with_a_key_alone_is_empty_text():
    """tus allows a key without a value."""
    assert tus.metadata("is_confidential, filename dXJvaw==") == {"is_confidential": "", "filename": "urok"}
    assert tus.metadata(None) == tus.metadata("  ") == {}


@pytest.mark.parametrize(
    "text", ["a !", "a YQ==,a YQ==", " ,", "ключ YQ==", "a /w==", "a " + "YWFh" * 5000], ids=range(6)
)
def test_metadata_that_cannot_be_read_is_refused(text):
    """Broken base64, a key twice, no key, a key that is not ASCII, no UTF-8, too long."""
    with pytest.raises(TusError, match="Upload-Metadata"):
        tus.metadata(text)


@pytest.mark.parametrize("name", tus.ALGORITHMS)
def test_checksums_are_read(name):
    """Every algorithm that is announced is one of hashlib's, with digests of the right length."""
    digest = hashlib.new(tus.ALGORITHMS[name], b"x").digest()
    assert tus.checksum(f"{name} {base64.b64encode(digest).decode()}") == tus.Checksum(tus.ALGORITHMS[name], digest)
    with pytest.raises(TusError, match="digest"):
        tus.checksum(f"{name} {base64.b64encode(digest[1:]).decode()}")


@pytest.mark.parametrize("text", ["crc32 AAAA", "sha1", "sha1 !!", ""])
def test_checksums_that_cannot_be_used_are_refused(text):
    """Unknown algorithms and broken digests never pass for a chunk without a checksum."""
    with pytest.raises(TusError, match="Upload-Checksum"):
        tus.checksum(text)


@pytest.mark.parametrize("text", ["", None, "-1", "1.5", "1e3", " 1", "1_0", "٣"])
def test_only_plain_digits_are_a_length(text):
    """Nothing that int() would forgive is taken for an offset."""
    with pytest.raises(TusError, match="Upload-Offset"):
        tus.number("Upload-Offset", text)


@pytest.mark.parametrize("text", ["9" * 17, "9" * 5000])
def test_a_length_beyond_reason_is_a_length_all_the_same(text):
    """It is too much for everybody, and is answered as such, not as no number."""
    assert tus.number("Upload-Length", text) == 10**tus.MAX_DIGITS > 1e15
    assert tus.number("Upload-Length", "0" * 20 + "7") == 7


@pytest.mark.parametrize(
    "headers", [{"Upload-Concat": "partial"}, {"Upload-Defer-Length": "1"}, {"Trailer": "x, Upload-Checksum"}]
)
def test_extensions_that_are_not_offered_are_refused(headers):
    """A client that did not ask for them would else get something else than it believes."""
    with pytest.raises(TusError, match="unspoken"):
        tus.refuse_unspoken(headers)
    tus.refuse_unspoken({"Upload-Length": "5", "Trailer": "Expires"})


@pytest.mark.parametrize(
    ("mark", "size", "boot", "counts"),
    [
        (Mark(100, "b1", False), 140, "b1", 140),  # the process was killed: what it had written is in the file
        (Mark(100, "b1", False), 140, "b2", 100),  # the power was cut: only what was synced is certain
        (Mark(100, "b1", False), 60, "b2", 60),  # and never more than is there
        (Mark(100, "b1", True), 140, "b1", 100),  # a piece that waits for its checksum
        (Mark(100, "", False), 140, "", 100),  # a system that does not name its starts
        (Mark(), 140, "b1", 0),
    ],
)
def test_how_many_bytes_of_a_file_count(mark, size, boot, counts):
    """What was written counts while the machine runs, what was synced afterwards, what is unchecked never."""
    assert tus.counted(mark, size, boot) == counts


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("Урок 5.mp4", "Урок 5"),
        ("a/b/c.webm", "c"),
        (".mp4", ".mp4"),
        ("без точки", "без точки"),
        ("1. Вода", "1. Вода"),
    ],
)
def test_a_files_name_without_its_extension(name, title):
    """A title is proposed from the name."""
    assert tus.stem(name) == title
