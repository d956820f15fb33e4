"""Slides of a recording: a PDF comes and goes, times are set by hand, and of two editors nobody's work is lost."""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
from pathlib import Path

import pytest

from rules.lifecycle import RenditionState
from rules.renditions import Kind
from server import slides
from server.intake import Limits
from store import database, materials
from store.lessontables import Deck
from store.models import Recording
from tests.server.town import Town

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1500
TIMELINE = {"turns": [[0.0, 0], [12.34, 1]], "slides": ["a", "b"], "pages": [1, None], "chapters": [[0.0, "Начало"]]}


@pytest.fixture
def page(town: Town):
    """Give the address of the sample recording's slides, and put everything back afterwards."""
    yield f"/recordings/{town.lessons.recording}/slides"
    town.restore()


def send(town: Town, page: str, content: bytes = PDF, who: str = "host", name: str = "Реки.pdf"):
    """Send a PDF by the form."""
    form = {"file": (io.BytesIO(content), name, "application/pdf")}
    return town.client(who).post(f"{page}/deck", data=form, content_type="multipart/form-data")


def deck(town: Town) -> Deck | None:
    """Load the lesson's deck."""
    with town.app.app_context():
        return materials.deck(town.lessons.session)


def files(town: Town) -> list[str]:
    """List what lies in the storage of decks."""
    folder = Path(town.app.config["TROPA"].data, "files/decks")
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def publish_pack(town: Town) -> None:
    """Let the recording have a pack with a timeline that the server found."""
    key = f"recordings/{town.lessons.recording}/pack.zip"
    path = Path(town.app.config["TROPA"].data, "files", key)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as zipped:
        zipped.writestr("timeline.json", json.dumps(TIMELINE))
    with town.app.app_context(), database.write() as session:
        recording = session.get_one(Recording, town.lessons.recording)
        row = next(row for row in recording.renditions if row.kind == Kind.PACK)
        row.state, row.key, row.bytes, row.sha256 = RenditionState.PUBLISHED.value, key, 1000, "3" * 64


def test_a_pdf_comes_is_replaced_and_goes(town: Town, page: str):
    """Larger than other forms may be; the page tells how far it is, and no file stays that nobody needs."""
    assert send(town, page).status_code == 303
    row = deck(town)
    assert (row.name, row.bytes, row.state) == ("Реки.pdf", len(PDF), "waiting")
    assert "Its pages are being drawn" in town.client("host").get(page).get_data(as_text=True)
    with town.app.app_context():
        assert materials.note_deck(town.lessons.session, row.sha256, (), materials.DISK_FULL)
    said = town.client("host").get(page).get_data(as_text=True)
    assert "could not be drawn yet: the server&#39;s disk is full" in said and deck(town).state == "waiting"
    with town.app.app_context():
        pages = [{"key": "x", "extension": "png", "bytes": 5, "sha256": "4" * 64, "text": "Реки Сибири"}] * 2
        assert materials.note_deck(town.lessons.session, row.sha256, pages)
    assert send(town, page).status_code == 303
    assert deck(town).state == "ready", "the same file again costs no work"
    said = town.client("host").get(page).get_data(as_text=True)
    assert "2 pages" in said and "Реки Сибири" in said
    assert send(town, page, PDF + b"new").status_code == 303
    assert (deck(town).state, files(town)) == ("waiting", ["slides.pdf"])
    assert town.client("host").post(f"{page}/remove").status_code == 303
    assert (deck(town), files(town)) == (None, [])


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"PK\x03\x04 slides", "a.pptx", "This is no PDF."),
        (b"", "a.pdf", "This is no PDF."),
        (b"", "", "Choose a file."),
    ],
)
def test_what_is_no_pdf_is_refused_and_the_old_one_stays(town: Town, page: str, content: bytes, name: str, words: str):
    """The page says what is wrong with the file; the slides that were there are still there."""
    send(town, page)
    refused = send(town, page, content, name=name)
    assert refused.status_code == 422
    assert words in refused.get_data(as_text=True)
    assert deck(town).bytes == len(PDF)


def test_a_pdf_that_is_too_large_is_refused_in_words(town: Town, page: str):
    """By the shell, which reads no further, and by the form itself, whichever comes first."""
    client, most = town.client("host"), 30_000_000
    for method, where in (("POST", f"{page}/deck"), ("PUT", f"/api/v1{page}/deck")):
        refused = client.open(where, method=method, environ_overrides={"tropa.refused": 413})
        assert refused.status_code == 413
        assert "30" in refused.get_data(as_text=True) and "What was there stays" in refused.get_data(as_text=True)
    assert send(town, page, PDF + bytes(most - len(PDF) + 1)).status_code == 422
    assert deck(town) is None


def test_the_shell_lets_a_deck_be_large_and_nothing_beside_it():
    """The limit of decks is that of their two addresses alone."""
    limits = Limits(1000, [(path, 5000) for path in slides.DECK_PATHS])
    assert limits.for_path("/recordings/r1/slides/deck") == limits.for_path("/api/v1/recordings/r1/slides/deck") == 5000
    for path in ("/recordings/r1/slides", "/recordings/r1/x/slides/deck", "/recordings/r1/retry", "/"):
        assert limits.for_path(path) == 1000


def test_what_the_server_found_is_changed_by_hand(town: Town, page: str):
    """Rows begin with what the pack goes by; what is left as found stays found; the pack is made anew."""
    publish_pack(town)
    host = town.client("host")
    said = host.get(page).get_data(as_text=True)
    assert re.findall(r'name="at" size="8" value="([^"]*)"', said) == ["0:00", "0:12.3", "", "", ""]
    form = {"version": "0", "at": ["0:00", "0:12.3", "1:00"], "page": ["1", "", ""], "title": ["Начало", "", "Озёра"]}
    assert host.post(page, data=form).status_code == 303
    with town.app.app_context():
        row = materials.timeline(town.lessons.recording)
        assert (row.version, row.chapters) == (1, [[0, "Начало"], [60_000, "Озёра"]])
        pack = next(one for one in materials.lesson_of(row.recording_id).renditions if one.kind == Kind.PACK)
        assert pack.state == RenditionState.WAITING and pack.is_available
    assert "being made anew" in host.get(page).get_data(as_text=True)


def test_of_two_editors_nobody_loses_anything(town: Town, page: str):
    """The second one sees what the first has saved, and keeps what they typed, to save it knowingly."""
    first, second = town.client("host"), town.client("coordinator")
    assert first.post(page, data={"version": "0", "at": "0:10", "page": "1", "title": "Первый"}).status_code == 303
    typed = {"version": "0", "at": "0:20", "page": "2", "title": "Второй"}
    refused = second.post(page, data=typed)
    said = refused.get_data(as_text=True)
    assert refused.status_code == 409
    assert "0:10 · page 1 · Первый" in said and 'value="Второй"' in said
    version = re.search(r'name="version" value="(\d+)"', said)[1]
    assert second.post(page, data={**typed, "version": version}).status_code == 303
    with town.app.app_context():
        assert materials.timeline(town.lessons.recording).pages == [[20_000, 2]]


def test_rows_that_cannot_be_kept_come_back_as_typed(town: Town, page: str):
    """With the place and the reason; and rows are added and taken away without any script, and without saving."""
    host = town.client("host")
    form = {"version": "0", "at": ["0:10", "later"], "page": ["1", "2"], "title": ["", "<script>alert(1)</script>"]}
    refused = host.post(page, data=form)
    said = refused.get_data(as_text=True)
    assert refused.status_code == 422
    assert "Row 2: Write the time" in said and 'value="later"' in said and "<script>alert" not in said
    fewer = host.post(page, data={**form, "drop": "1"}).get_data(as_text=True)
    more = host.post(page, data={**form, "more": "1"}).get_data(as_text=True)
    assert (fewer.count('name="at"'), more.count('name="at"')) == (4, 12)
    assert "later" not in fewer
    with town.app.app_context():
        assert materials.timeline(town.lessons.recording) is None


def test_the_same_over_the_api(town: Town, page: str):
    """A PDF as bytes, pages and chapters as JSON with the version they were made from, faults by field."""
    client, url = town.app.test_client(), f"/api/v1{page}"
    headers = {"Authorization": f"Bearer {town.district.tokens['host']}"}
    sent = client.put(f"{url}/deck?name=a.pdf", data=PDF, content_type="application/pdf", headers=headers)
    assert (sent.status_code, sent.json["deck"]["state"]) == (202, "waiting")
    wrong = {"version": 0, "pages": [{"at_ms": 0, "page": 1}, {"at_ms": 5, "page": 999}], "chapters": []}
    refused = client.put(url, json=wrong, headers=headers)
    assert (refused.status_code, list(refused.json["errors"])) == (422, ["pages.1"])
    right = {"version": 0, "pages": [{"at_ms": 1500, "page": 3}], "chapters": [{"at_ms": 0, "title": "Начало"}]}
    saved = client.put(url, json=right, headers=headers)
    assert (saved.status_code, saved.json["version"], saved.json["pages"]) == (200, 1, right["pages"])
    assert client.put(url, json=right, headers=headers).status_code == 409
    assert client.get(url, headers=headers).json["chapters"] == right["chapters"]
    assert client.delete(f"{url}/deck", headers=headers).status_code == 204
    assert client.get(url, headers=headers).json["deck"] is None


def test_a_lesson_of_seventy_slides_stays_light(town: Town, page: str):
    """The page with its style sheet, without scripts, within 14 KB compressed."""
    form = {
        "version": "0",
        "at": [f"{index // 2}:{index % 2 * 30:02d}" for index in range(70)],
        "page": [str(index + 1) for index in range(70)],
        "title": [f"Глава {index}" for index in range(70)],
    }
    host = town.client("host")
    assert host.post(page, data=form).status_code == 303
    body, sheet = host.get(page).data, host.get("/static/tropa.css").data
    assert b"<script" not in body
    assert len(gzip.compress(body, 6)) + len(gzip.compress(sheet, 6)) <= 14 * 1024
