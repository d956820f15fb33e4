"""The pages and the API of uploads: what they show, what may be changed, and the form for browsers without scripts."""

from __future__ import annotations

import gzip
import hashlib
import io
from datetime import timedelta

import pytest
from flask import Flask

from server.uploads import FORM_BYTES
from store import booking, database, programme, uploads
from store.models import Upload, db
from tests.server.lessons import lesson_draft, make_lessons

FILM = bytes(range(256)) * 2000


def only(app: Flask) -> Upload:
    """Load the one upload that there is."""
    with app.app_context():
        return db.session.query(Upload).one()


def send(browser, **fields: object):
    """Send the form without scripts."""
    film = (io.BytesIO(FILM), "Урок 1.mp4", "video/mp4")
    return browser.post("/uploads/form", {"file": film, **fields}, page="/uploads/", content_type="multipart/form-data")


def test_a_browser_without_scripts_sends_a_whole_file(app: Flask, as_role):
    """Larger than any other form may be; it is handed to the workers like one that came in pieces."""
    reply = send(as_role("host"), title="Дроби", subject="Математика", grades="5+6", description="О дробях")
    assert reply.status_code == 303
    row = only(app)
    assert (row.state, row.sha256, row.length) == ("received", hashlib.sha256(FILM).hexdigest(), len(FILM))
    assert (row.title, row.filename, row.grades) == ("Дроби", "Урок 1.mp4", "5+6")
    assert uploads.part_path(app.config["TROPA"], row.id).read_bytes() == FILM


def test_the_form_comes_back_filled_in(app: Flask, as_role):
    """Without a file, or with grades that are none, nothing is kept and everything typed is still there."""
    browser = as_role("host")
    reply = browser.post("/uploads/form", {"title": "Дроби", "grades": "первый"}, page="/uploads/")
    text = reply.get_data(as_text=True)
    assert reply.status_code == 422
    assert "Choose a file." in text and 'value="первый"' in text and 'value="Дроби"' in text


def test_other_forms_are_as_small_as_ever(as_role):
    """The one form that may be large lets no other be."""
    browser = as_role("host")
    assert browser.post("/me/profile", {"name": "x" * 400_000}, page="/me").status_code == 413
    assert FORM_BYTES > 400_000


def test_words_may_be_changed_while_bytes_come(app: Flask, as_role, as_api, district):
    """On the page and over the API; an empty title falls back to the file's name."""
    lessons = make_lessons(app, district)
    browser = as_role("host")
    page = browser.get(f"/uploads/{lessons.upload}/edit").get_data(as_text=True)
    assert f'<option value="{lessons.session}" selected>' in page
    form = {"title": "Реки", "description": "Волга", "subject": "География", "grades": "5", "session_id": ""}
    assert browser.post(f"/uploads/{lessons.upload}/edit", form).status_code == 303
    url = f"/api/v1/uploads/{lessons.upload}"
    row = app.test_client().get(url, headers=as_api("host")).get_json()
    assert (row["title"], row["session_id"], row["school_id"]) == ("Реки", None, district.schools["sosnovka"])
    row = app.test_client().patch(url, json={"title": ""}, headers=as_api("host")).get_json()
    assert (row["title"], row["description"]) == ("урок", "Волга")
    wrong = app.test_client().patch(url, json={"session_id": "nosuch"}, headers=as_api("host"))
    assert (wrong.status_code, list(wrong.get_json()["errors"])) == (422, ["session_id"])


def test_a_cancelled_lesson_and_anothers_school_take_no_recording(app: Flask, as_api, district):
    """The reasons are told by field."""
    lessons = make_lessons(app, district)
    with app.app_context():
        booking.cancel(lessons.open_session, database.utc_now())
    url = f"/api/v1/uploads/{lessons.upload}"
    asked = {"session_id": lessons.open_session}
    assert app.test_client().patch(url, json=asked, headers=as_api("host")).status_code == 422
    asked = {"session_id": None, "school_id": district.schools["berezovka"]}
    refused = app.test_client().patch(url, json=asked, headers=as_api("host"))
    assert (refused.status_code, list(refused.get_json()["errors"])) == (403, ["school_id"])


def test_the_list_says_how_each_file_stands(app: Flask, as_role, district):
    """Unfinished, refused with the reason, expired; each with what to do next."""
    make_lessons(app, district)
    with app.app_context():
        uploads.announce(
            uploads.Announced(district.people["host"], district.schools["sosnovka"], None, "старое.mp4", 7, "Старое"),
            database.utc_now() - timedelta(days=9),
            timedelta(days=7),
            20,
        )
        uploads.expire(database.utc_now())
    text = as_role("host").get("/uploads/").get_data(as_text=True)
    assert "Nothing has come yet. Choose the file to send it" in text
    assert "No recording could be made of it: there is neither sound nor picture in it" in text
    assert "Nothing came for too long, so its bytes were removed" in text
    assert "Look again" in text
    assert "старое.mp4" not in as_role("other_host").get("/uploads/").get_data(as_text=True)
    assert "Имя host" in as_role("school_coordinator").get("/uploads/").get_data(as_text=True)


@pytest.mark.parametrize(("days", "said"), [(400, "The file is kept until "), (36_500, "The file is kept.")])
def test_a_refused_file_says_how_long_it_is_kept(app: Flask, as_role, district, days: int, said: str):
    """A day of another year stands with its year; where the policy names no end, the page names no day."""
    refused = make_lessons(app, district).refused_upload
    until = database.utc_now() + timedelta(days=days)
    with app.app_context(), database.write():
        db.session.get(Upload, refused).expires_at = until
    text = as_role("host").get("/uploads/").get_data(as_text=True)
    assert said in text
    assert (str(until.year) in text) == ("until" in said)


def test_the_lessons_page_leads_here_and_its_lesson_is_chosen(app: Flask, as_role, district):
    """A lesson that is over, or recorded offline before its time; others' lessons are not offered."""
    now = database.utc_now()
    with app.app_context():
        draft = lesson_draft(district, starts_at=(now + timedelta(hours=1)).replace(minute=0, second=0, microsecond=0))
        made = booking.book(draft, district.people["host"], now, 4)
        assert programme.get_session(made.session_id) is not None
    text = as_role("host").get(f"/sessions/{made.session_id}").get_data(as_text=True)
    assert f'href="/uploads/?session={made.session_id}"' in text
    chosen = as_role("host").get(f"/uploads/?session={made.session_id}").get_data(as_text=True)
    assert f'<option value="{made.session_id}" selected>' in chosen
    assert made.session_id not in as_role("other_host").get("/uploads/").get_data(as_text=True)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_page_is_light(app: Flask, as_role, district, language: str):
    """HTML with its words for the script, and the stylesheet, within 14 KB; the script within 8 KB beside."""
    make_lessons(app, district)
    browser = as_role("host")
    browser.post("/language", {"language": language, "next": "/"})
    page = browser.get("/uploads/").get_data()
    sheet = browser.get("/static/tropa.css").get_data()
    script = browser.get("/static/joined/uploads/page.js").get_data()
    assert len(gzip.compress(page, 6)) + len(gzip.compress(sheet, 6)) <= 14 * 1024
    assert len(gzip.compress(script, 6)) <= 8 * 1024
