"""Manifests and Metalink: true to the file, for those who may have it, made once and kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from rules import chunks
from server.manifestdoc import METALINK, METALINK_TYPE
from tests.server.lessons import BODY, TITLE, make_lessons


@pytest.fixture
def lessons(app, district):
    """A lesson with a voice file."""
    return make_lessons(app, district)


def test_a_manifest_describes_its_file(as_role, lessons) -> None:
    """Size, digests and the lesson's facts; its own ETag answers whoever has it already."""
    host = as_role("host")
    answer = host.get(f"/manifests/{lessons.rendition}.json")
    found = answer.json
    assert chunks.parse(found).chunks == (hashlib.sha256(BODY).hexdigest(),)
    assert (found["bytes"], found["sha256"]) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    lesson = found["lesson"]
    assert (lesson["title"], lesson["subject"], lesson["grades"]) == (TITLE, "Математика", "5+6")
    assert lesson["host_school"] == "Сосновская школа" and len(lesson["date"]) == 10
    etag = answer.headers["ETag"]
    assert etag.startswith('"')
    assert host.get(f"/manifests/{lessons.rendition}.json", headers={"If-None-Match": etag}).status_code == 304


def test_the_list_of_chunks_is_kept_beside_the_file(app, as_role, lessons) -> None:
    """It is made when it is first asked for, and made anew where it is damaged or of another file."""
    host = as_role("host")
    first = host.get(f"/manifests/{lessons.rendition}.json").json
    kept = next(Path(app.config["TROPA"].data, "files").rglob("*.chunks.json"))
    assert json.loads(kept.read_text())["chunks"] == first["chunks"]
    for damaged in ("{", json.dumps({**json.loads(kept.read_text()), "sha256": "0" * 64})):
        kept.write_text(damaged)
        assert host.get(f"/manifests/{lessons.rendition}.json").json == first


def test_metalink_names_pieces_and_address(as_role, lessons) -> None:
    """RFC 5854: hash of the whole, pieces with their length, and where the file is."""
    root = ElementTree.fromstring(as_role("host").get(f"/manifests/{lessons.rendition}.meta4").data)
    file = root.find(f"{{{METALINK}}}file")
    assert file.get("name").endswith(".opus")
    assert file.find(f"{{{METALINK}}}size").text == str(len(BODY))
    pieces = file.find(f"{{{METALINK}}}pieces")
    assert (pieces.get("type"), pieces.get("length"), len(pieces)) == ("sha-256", "131072", 1)
    assert f"/files/{lessons.rendition}/" in file.find(f"{{{METALINK}}}url").text


def test_a_file_leads_to_its_descriptions(as_role, lessons) -> None:
    """By Link headers; a program that asks for Metalink under the file's address gets it, browsers get the file."""
    host = as_role("host")
    address = host.get(lessons.file_url).headers["Location"]
    plain = host.get(address, headers={"Accept": "*/*"})
    assert plain.data == BODY and f"/manifests/{lessons.rendition}.meta4" in plain.headers["Link"]
    described = host.get(address, headers={"Accept": f"{METALINK_TYPE}, */*;q=0.1"})
    assert described.mimetype == METALINK_TYPE and "Accept" in described.headers["Vary"]


def test_a_file_that_cannot_be_read(app, as_role, lessons) -> None:
    """Storage that is away is told as such, with when to come again."""
    for path in Path(app.config["TROPA"].data, "files").rglob("*.opus"):
        path.unlink()
    answer = as_role("host").get(f"/manifests/{lessons.rendition}.json")
    assert answer.status_code == 503 and "Retry-After" in answer.headers
