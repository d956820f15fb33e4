"""The forms of schools, people and one's own page with garbage, odd paths, and pages that stay light."""

from __future__ import annotations

import gzip
import re

import pytest

GARBAGE = {
    "empty": "",
    "spaces": "   ",
    "nul": "a\0b",
    "controls": "a\x07\x1b[31mb",
    "bidi": "a\u202eb",
    "lone surrogate": "\ud800",
    "long": "я" * 1000,
    "very long": "x" * 100_000,
    "html": "<script>alert(1)</script>",
    "quotes": "\"'><img src=x onerror=alert(1)>",
    "template": "{{ 7 * 7 }}%s%(name)s",
    "negative": "-5",
    "fraction": "1.5",
    "exponent": "1e309",
    "huge": "9" * 40,
    "arabic digits": "١٢",
    "old date": "1900-01-01",
    "no date": "2026-02-31",
    "path": "../../etc/passwd",
    "zone": "Europe/../Moscow",
}
FORMS = {
    "/schools/new": ("name", "place", "timezone", "link_down_kbps", "link_up_kbps"),
    "/invitations": ("role", "place", "name", "email"),
    "/me/profile": ("name", "locale", "timezone"),
    "/me/password": ("current", "password"),
    "/me/tokens": ("label",),
}
GOOD = {
    "/schools/new": {"name": "Новая школа", "timezone": "Asia/Omsk"},
    "/invitations": {"role": "teacher", "place": "district"},
    "/me/profile": {"name": "Имя", "locale": "en"},
    "/me/password": {"current": "x", "password": "long enough"},
    "/me/tokens": {"label": "script"},
}
CASES = [(url, name) for url, names in FORMS.items() for name in names]


@pytest.mark.parametrize(("url", "name"), CASES)
def test_forms_take_garbage_calmly(as_role, url: str, name: str) -> None:
    """A field full of nonsense is refused, cleaned or accepted as text; markup stays text on every page."""
    browser = as_role("coordinator")
    token = browser.csrf("/me")
    for garbage in GARBAGE.values():
        data = {**GOOD[url], name: garbage, "csrf_token": token}
        encoded = {key: value.encode("utf-8", "surrogatepass") for key, value in data.items()}
        answer = browser.client.post(url, data=encoded)
        assert answer.status_code < 500
        assert b"<script>alert" not in answer.data
        assert b"<img src=x" not in answer.data
    for page in ("/schools", "/people", "/invitations", "/me", "/"):
        assert b"<script>alert" not in browser.get(page).data


@pytest.mark.parametrize("url", list(FORMS))
def test_bodies_that_are_no_forms(as_role, url: str) -> None:
    """Other content types and broken multipart bodies are refused as a form that did not come."""
    browser = as_role("coordinator")
    for body, kind in (
        (b'{"name": 1}', "application/json"),
        (b"\xff\xfe\x00", "application/x-www-form-urlencoded"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"", "multipart/form-data"),
        (b"x" * 100, "nonsense"),
    ):
        answer = browser.client.post(url, data=body, content_type=kind)
        assert 400 <= answer.status_code < 500


@pytest.mark.parametrize(
    "query", ["page=-1", "page=x", "page=" + "9" * 30, "q=%00%ff", "school=%27--", "q=" + "я" * 300]
)
def test_queries_take_garbage_calmly(as_role, query: str) -> None:
    """Lists show something sensible whatever the query says."""
    assert as_role("coordinator").get(f"/people?{query}").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../config.py",
        "/static/%2e%2e/config.py",
        "/static/%00",
        "/static/" + "a" * 5000,
        "/schools/%00",
        "/schools/" + "я" * 500,
        "/people/'--",
        "/people/x/roles/99999999999999999999/remove",
        "/%ff%fe",
    ],
)
def test_odd_paths_are_not_found(as_role, path: str) -> None:
    """A path that means nothing is 404 or goes to the login, never a failure and never another file."""
    answer = as_role("coordinator").get(path)
    assert answer.status_code in (301, 308, 404, 405)


def test_names_keep_their_letters(app, as_role) -> None:
    """Decomposed letters are composed, spaces tidied, and apostrophes, hyphens and brackets stay as they are."""
    browser = as_role("coordinator")
    browser.post("/schools/new", {**GOOD["/schools/new"], "name": "  Школа №3  «Е\u0308лка» (с. О'Нил) "}, page="/me")
    assert "Школа №3 «Ёлка» (с. О&#39;Нил)" in browser.get("/schools").get_data(as_text=True)


def test_same_name_twice_is_told(as_role) -> None:
    """A second school of the same name is refused at its field, with what was typed kept."""
    browser = as_role("coordinator")
    answer = browser.post(
        "/schools/new", {**GOOD["/schools/new"], "name": "Сосновская школа", "place": "Бор"}, page="/me"
    )
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'aria-describedby=" e-name"' in text or 'aria-describedby="e-name"' in text
    assert 'value="Бор"' in text


PAGES = (
    *("/", "/login", "/nothing", "/me", "/schools", "/schools/new", "/people", "/people?q=x", "/invitations"),
    *("/people/{host}", "/schools/{sosnovka}"),
)


@pytest.mark.parametrize("url", PAGES)
def test_pages_are_light(district, as_role, url: str) -> None:
    """HTML and style sheet of a page come to less than 14 KB compressed, without scripts or inline styles."""
    browser = as_role("coordinator")
    page = browser.get(url.format(**district.people, **district.schools), follow_redirects=True).data
    style = browser.get(re.search(rb"/static/tropa\.css\?v=\w+", page)[0].decode(), headers={"Accept-Encoding": "gzip"})
    assert style.headers["Content-Encoding"] == "gzip"
    assert "immutable" in style.headers["Cache-Control"]
    assert len(gzip.compress(page, 6)) + len(style.data) < 14_000
    assert b" style=" not in page
    assert b"<style" not in page
    assert b"<script" not in page


def test_many_people_fit_into_a_light_page(app, district, as_role) -> None:
    """A district of 300 people is shown in pages."""
    from store.database import new_id, utc_now, write
    from store.models import Person

    with app.app_context(), write() as session:
        for number in range(300):
            session.add(
                Person(
                    id=new_id(),
                    email=f"p{number}@tropa.example",
                    name=f"Иванова Мария {number}",
                    password_hash="",
                    locale="ru",
                    calendar_secret=f"s{number}",
                    created_at=utc_now(),
                )
            )
    browser = as_role("coordinator")
    first = browser.get("/people")
    assert len(gzip.compress(first.data, 6)) < 11_000
    assert "page=2" in first.get_data(as_text=True)
    assert "p299@" in browser.get("/people?q=p299").get_data(as_text=True)
