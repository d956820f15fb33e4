"""Ranges, conditions, digests and names of downloads."""

import base64
import hashlib
from email.message import Message

import pytest

from server.ranges import answer_file, disposition

BODY = bytes(range(100))
SHA = hashlib.sha256(BODY).hexdigest()
ETAG = f'"{SHA}"'


@pytest.mark.parametrize(
    ("header", "status", "start", "stop"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=-5", 206, 95, 100),
        ("bytes=-500", 206, 0, 100),
        ("bytes=90-200", 206, 90, 100),
        ("bytes=40-", 206, 40, 100),
        ("bytes=100-", 416, 0, 0),
        ("bytes=99999999999999999999-", 416, 0, 0),
        ("bytes=5-2", 200, 0, 100),
        ("bytes=a-b", 200, 0, 100),
        ("bytes=0-1,5-6", 200, 0, 100),
        ("lines=1-2", 200, 0, 100),
        ("\x00", 200, 0, 100),
    ],
)
def test_a_range_gets_its_bytes_and_nonsense_gets_the_whole_file(header, status, start, stop):
    """Each form of Range is answered as RFC 9110 14 says."""
    answer = answer_file({"Range": header}, 100, SHA)
    assert (answer.status, answer.start, answer.stop) == (status, start, stop)


def test_a_partial_answer_names_its_place():
    """A 206 carries Content-Range and its own length, a 416 the size of the file."""
    part = answer_file({"Range": "bytes=10-19"}, 100, SHA)
    assert part.headers["Content-Range"] == "bytes 10-19/100"
    assert part.headers["Content-Length"] == "10"
    assert answer_file({"Range": "bytes=200-"}, 100, SHA).headers["Content-Range"] == "bytes */100"


@pytest.mark.parametrize(
    ("if_range", "status"),
    [(ETAG, 206), (f"W/{ETAG}", 200), ('"other"', 200), ("Mon, 23 Nov 2026 19:00:00 GMT", 200), ("nonsense", 200)],
)
def test_if_range_lets_only_the_same_file_resume(if_range, status):
    """A download that was cut off goes on only when the strong ETag is the one it began with."""
    assert answer_file({"Range": "bytes=50-", "If-Range": if_range}, 100, SHA).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": ETAG}, 304),
        ({"If-None-Match": f"W/{ETAG}"}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": '"other"'}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Match": ETAG}, 200),
        ({"If-None-Match": ETAG, "Range": "bytes=0-1"}, 304),
    ],
)
def test_conditions_are_kept(headers, status):
    """If-Match and If-None-Match are judged before the range."""
    assert answer_file(headers, 100, SHA).status == status


def test_every_answer_carries_the_digest_of_the_whole_file():
    """Repr-Digest speaks of the whole file even in a 206, so a resumed download can be checked (RFC 9530 3.1)."""
    expected = "sha-256=:" + base64.b64encode(hashlib.sha256(BODY).digest()).decode() + ":"
    for headers in ({}, {"Range": "bytes=0-9"}, {"If-None-Match": ETAG}, {"Range": "bytes=200-"}):
        assert answer_file(headers, 100, SHA).headers["Repr-Digest"] == expected


def test_an_empty_file_has_no_range():
    """A range of an empty file cannot be satisfied; the whole of it can."""
    assert answer_file({"Range": "bytes=0-"}, 0, SHA).status == 416
    assert answer_file({}, 0, SHA).headers["Content-Length"] == "0"


def test_a_cyrillic_name_survives_in_the_header():
    """The header is pure ASCII, and a parser of RFC 8187 reads the Cyrillic name back."""
    name = "2026-11-24 Дроби, 5+6 класс (голос).opus"
    header = disposition("attachment", name)
    assert header.isascii()
    message = Message()
    message["Content-Disposition"] = header.split("; filename=", 1)[0] + "; " + header.rsplit("; ", 1)[1]
    assert message.get_filename() == name


@pytest.mark.parametrize("hostile", ['a"; filename=x', "a\r\nSet-Cookie: x=1", "a\\b%00", "\x00;", "…" * 500])
def test_a_hostile_name_cannot_break_out_of_the_header(hostile):
    """Quotes, line ends and percent signs reach the header only in their encoded form."""
    header = disposition("attachment", hostile)
    assert "\r" not in header and "\n" not in header and "\0" not in header and header.count('"') == 2
