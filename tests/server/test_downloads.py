"""A school's page for downloads: terms, best files by them, and computers that fetch."""

from __future__ import annotations

import re

from rules.rights import Audience
from store import mirrors
from store.database import utc_now, write
from store.models import Session, db
from tests.server.lessons import make_lessons
from tests.server.test_garbage_in_forms import GARBAGE

GOOD = {"night_from": "22:00", "night_to": "06:00", "rate_kbps": "128", "monthly_mb": "2000", "grades": "1-4"}


def page_of(district, school: str = "sosnovka") -> str:
    """Return the address of a school's page."""
    return f"/schools/{district.schools[school]}/downloads"


def test_a_teacher_sets_the_schools_night(app, as_role, as_api, district) -> None:
    """What was typed is kept, shown again, and given over the API in the same words."""
    teacher, url = as_role("teacher"), page_of(district)
    assert teacher.post(url, {**GOOD, "kinds": ["voice_opus", "video_small"]}).status_code == 303
    page = teacher.get(url).get_data(as_text=True)
    assert 'value="22:00"' in page and "at night from 22:00 to 06:00" in page and "128 kbit/s" in page
    found = app.test_client().get(f"/api/v1{url}", headers=as_api("teacher")).json
    assert found["kinds"] == ["voice_opus", "video_small"] and found["night_to"] == "06:00"
    assert teacher.post(url, {}).status_code == 303
    with app.app_context():
        assert mirrors.choice(district.schools["sosnovka"]) == mirrors.Choice()


BAD_TERMS = (
    {"night_to": ""},
    {"night_to": "22:00"},
    {"night_from": "25:00"},
    {"rate_kbps": "1"},
    {"monthly_mb": "0"},
    {"grades": "12"},
    {"kinds": ["source"]},
)


def test_terms_that_cannot_be_are_refused(as_role, district) -> None:
    """The form comes back filled in with what is wrong."""
    teacher = as_role("teacher")
    for change in BAD_TERMS:
        answer = teacher.post(page_of(district), {**GOOD, **change})
        assert answer.status_code == 422 and b'role="alert"' in answer.data, change
        typed = {**GOOD, **change}["monthly_mb"]
        assert f'value="{typed}"'.encode() in answer.data


def test_garbage_is_taken_calmly(as_role, district) -> None:
    """Nonsense in any field is refused, cleaned or kept as text."""
    teacher = as_role("teacher")
    token = teacher.csrf("/me")
    for name in (*GOOD, "kinds", "subjects", "label"):
        url = page_of(district) if name != "label" else f"/schools/{district.schools['sosnovka']}/mirrors"
        for garbage in GARBAGE.values():
            data = {**GOOD, name: garbage, "csrf_token": token}
            encoded = {key: value.encode("utf-8", "surrogatepass") for key, value in data.items()}
            answer = teacher.client.post(url, data=encoded)
            assert answer.status_code < 500 and b"<script>alert" not in answer.data


def test_a_computers_token_is_shown_once(app, as_role, district) -> None:
    """A second click on the same form makes no second one; revoking ends it."""
    teacher, school = as_role("teacher"), district.schools["sosnovka"]
    url, form = f"/schools/{school}/mirrors", {"label": "класс", "idempotency_key": "k1"}
    page = teacher.post(url, form).get_data(as_text=True)
    token = re.search(r'id="token"[^>]*value="([^"]+)"', page)[1]
    assert "python -m mirror init --origin http://localhost" in page
    assert teacher.post(url, form).status_code == 303
    program = app.test_client()
    assert program.get("/api/v1/mirror", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    with app.app_context():
        (row,) = mirrors.mirrors(school)
    assert "класс" in teacher.get(page_of(district)).get_data(as_text=True)
    assert teacher.post(f"{url}/{row.id}/revoke").status_code == 303
    assert program.get("/api/v1/mirror", headers={"Authorization": f"Bearer {token}"}).status_code == 401


def test_the_best_file_is_named(app, as_role, district) -> None:
    """On the recording's page and in the library, by the school's link, night and month."""
    lessons = make_lessons(app, district)
    with app.app_context():
        with write():
            db.session.get(Session, lessons.session).audience = Audience.DISTRICT.value
        school = district.schools["berezovka"]
        mirrors.choose(school, mirrors.Choice(monthly_mb=1, rate_kbps=8), utc_now())
    teacher = as_role("other_teacher")
    for url in (f"/recordings/{lessons.recording}", "/library"):
        page = " ".join(teacher.get(url).get_data(as_text=True).replace("\u00a0", " ").split())
        assert "For your school:</b> voice, smallest, 10 kB, 1 min" in page
        assert "8 kbit/s" in page and "left this month" in page
    page = teacher.get(f"/recordings/{lessons.recording}").get_data(as_text=True).replace("\u00a0", " ")
    assert f'class="button best" href="{lessons.file_url.removesuffix("x")}' in page
    assert page.count("<b>At your school: 1 min</b>") == page.count("Download, 10 kB")


def test_what_is_used_is_off_the_month(app, district) -> None:
    """What the school's computers have told of this month is gone; what they told of another month is not."""
    with app.app_context():
        school = district.schools["sosnovka"]
        mirrors.choose(school, mirrors.Choice(monthly_mb=10), utc_now())
        row, _token = mirrors.create(school, "класс", None, utc_now())
        mirrors.note_usage(row.id, "2026-11", 4_000_000, "")
        assert mirrors.terms(row.school, "2026-11").left_bytes == 6_000_000
        assert mirrors.terms(row.school, "2026-12").left_bytes == 10_000_000
