"""A school's own computer at the server: sees what its school may see, and tells what has arrived."""

from __future__ import annotations

import hashlib

import pytest
from flask import Flask

from mirror import shapes
from rules import rights
from rules.rights import Audience
from store import library, mirrors, programme
from store.database import utc_now, write
from store.models import Recording, Rendition, Session, db
from tests.server.lessons import BODY, make_lessons

SHA = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def lessons(app: Flask, district):
    """A lesson of Sosnovka's for itself, with a voice file."""
    return make_lessons(app, district)


@pytest.fixture
def pc(app: Flask, district):
    """Return a function that gives the headers of a school's computer."""

    def headers(school: str) -> dict[str, str]:
        with app.app_context():
            _row, token = mirrors.create(district.schools[school], "класс", None, utc_now())
        return {"Authorization": f"Bearer {token}"}

    return headers


def audience(app: Flask, session_id: str, value: Audience) -> None:
    """Change whom a lesson is for."""
    with app.app_context(), write():
        db.session.get(Session, session_id).audience = value.value


def test_a_subscription_is_what_the_mirror_reads(app, client, lessons, pc) -> None:
    """What the server writes is what the mirror takes, manifest and bytes included."""
    headers = pc("sosnovka")
    answer = client.get("/api/v1/mirror", headers=headers)
    found = shapes.subscription(answer.json)
    assert [(one.kind, one.bytes) for one in found.files] == [("voice_opus", len(BODY))]
    path = f"/api/v1/mirror/files/{found.files[0].id}"
    manifest = shapes.manifest(client.get(f"{path}/manifest", headers=headers).json)
    assert manifest.chunks.sha256 == SHA
    part = client.get(path, headers={**headers, "Range": "bytes=5-", "If-Match": f'"{SHA}"'})
    assert (part.status_code, part.data) == (206, BODY[5:])
    changed = client.get(path, headers={**headers, "If-Match": f'"{"0" * 64}"'})
    assert changed.status_code == 412 and len(changed.data) < 500
    again = client.get("/api/v1/mirror", headers={**headers, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_another_schools_lesson_does_not_exist(app, client, lessons, pc) -> None:
    """Until it is for the whole district; a token that was revoked opens nothing at all."""
    headers = pc("berezovka")
    path = f"/api/v1/mirror/files/{lessons.rendition}"
    assert client.get("/api/v1/mirror", headers=headers).json["files"] == []
    assert [client.get(p, headers=headers).status_code for p in (path, f"{path}/manifest")] == [404, 404]
    audience(app, lessons.session, Audience.DISTRICT)
    assert len(client.get("/api/v1/mirror", headers=headers).json["files"]) == 1
    assert client.get(path, headers=headers).status_code == 200
    with app.app_context():
        row = mirrors.find(headers["Authorization"].removeprefix("Bearer "), utc_now())
        assert mirrors.revoke(row.id, row.school_id, utc_now())
    assert client.get("/api/v1/mirror", headers=headers).status_code == 401


def test_a_persons_token_is_no_schools_token(client, as_api, lessons, pc) -> None:
    """And a school's token opens nothing that is a person's."""
    assert client.get("/api/v1/mirror", headers=as_api("administrator")).status_code == 401
    headers = pc("sosnovka")
    for path in ("/api/v1/me", "/api/v1/recordings", f"/files/{lessons.rendition}/x", "/library"):
        assert client.get(path, headers=headers).status_code in (302, 401)


def test_sources_and_unfinished_files_are_not_for_mirrors(app, client, lessons, pc) -> None:
    """The recording as it came and files that are being made stay where they are."""
    headers = pc("sosnovka")
    assert client.get(f"/api/v1/mirror/files/{lessons.failed_rendition}", headers=headers).status_code == 404
    with app.app_context(), write():
        db.session.get(Rendition, lessons.rendition).kind = "source"
    assert client.get("/api/v1/mirror", headers=headers).json["files"] == []
    assert client.get(f"/api/v1/mirror/files/{lessons.rendition}", headers=headers).status_code == 404


def test_the_list_is_what_the_rule_says(app, district, lessons) -> None:
    """The database cuts the list as rules.rights.school_may_see would."""
    with app.app_context():
        for audience_ in Audience:
            with write():
                db.session.get(Session, lessons.session).audience = audience_.value
            facts = programme.session_facts(programme.get_session(lessons.session))
            for school in district.schools.values():
                listed = bool(mirrors.files_for(school, mirrors.Choice()))
                assert listed is rights.school_may_see(school, facts)


CHOICES = (
    (mirrors.Choice(kinds=("voice_opus",)), 1),
    (mirrors.Choice(kinds=("video_small",)), 0),
    (mirrors.Choice(subjects=("Математика", "Физика")), 1),
    (mirrors.Choice(subjects=("Физика",)), 0),
    (mirrors.Choice(grades="6"), 1),
    (mirrors.Choice(grades="7-9"), 0),
)


def test_a_school_chooses(app, district, lessons) -> None:
    """By kind of file, subject and grade."""
    with app.app_context():
        for choice, count in CHOICES:
            assert len(mirrors.files_for(district.schools["sosnovka"], choice)) == count, choice


def receipt(lessons, **changes) -> dict:
    """Return a receipt for the voice file."""
    return {"file": lessons.rendition, "sha256": SHA, "way": "net", "verified_at": "2026-11-24T02:00:00Z", **changes}


def test_receipts_are_kept_once_and_shown(app, client, as_role, as_api, lessons, pc) -> None:
    """To the lesson's host and coordinators, on its pages and over the API; a repetition changes nothing."""
    audience(app, lessons.session, Audience.DISTRICT)
    headers = pc("berezovka")
    report = {"month": "2026-11", "month_bytes": 7_000_000, "receipts": [receipt(lessons)]}
    for _time in range(2):
        answer = client.post("/api/v1/mirror/report", json=report, headers=headers)
        assert answer.json == {"kept": [lessons.rendition], "unknown": []}
    page = as_role("host").get(f"/recordings/{lessons.recording}").get_data(as_text=True)
    assert "Arrived at 1 of 1 school." in page and "Берёзовская школа" in page
    assert "At the schools" not in as_role("teacher").get(f"/recordings/{lessons.recording}").get_data(as_text=True)
    found = client.get(f"/api/v1/recordings/{lessons.recording}/arrivals", headers=as_api("host")).json
    assert [(one["school"], one["files"][0]["way"]) for one in found] == [("Берёзовская школа", "net")]
    with app.app_context():
        files = library.recording(lessons.recording).renditions
        assert sum(len(one.receipts) for one in mirrors.arrivals(files[0].recording)) == 1


def test_receipts_for_what_is_not_theirs_are_not_kept(app, client, lessons, pc) -> None:
    """Of files that the school may not see, that were made anew since, or that never were."""
    foreign = {"month": "2026-11", "month_bytes": 0, "receipts": [receipt(lessons)]}
    assert client.post("/api/v1/mirror/report", json=foreign, headers=pc("berezovka")).json["kept"] == []
    others = [receipt(lessons, sha256="0" * 64), receipt(lessons, file="nothing")]
    answer = client.post("/api/v1/mirror/report", json={**foreign, "receipts": others}, headers=pc("sosnovka"))
    assert answer.json == {"kept": [], "unknown": [lessons.rendition, "nothing"]}


BAD_REPORTS = (
    {"month": "November"},
    {"month_bytes": -1},
    {"month_bytes": "много"},
    {"said": "x" * 301},
    {"receipts": [{}] * 3},
    {"receipts": "x"},
    {"receipts": [{"file": "x", "sha256": SHA, "way": "net", "verified_at": "2026-11-24T02:00:00Z"}] * 201},
    {"receipts": [{"file": "../x", "sha256": SHA, "way": "net", "verified_at": "2026-11-24T02:00:00Z"}]},
    {"receipts": [{"file": "x", "sha256": "SHA", "way": "net", "verified_at": "2026-11-24T02:00:00Z"}]},
    {"receipts": [{"file": "x", "sha256": SHA, "way": "pigeon", "verified_at": "yesterday"}]},
)


def test_reports_that_cannot_be_used_are_refused(client, lessons, pc) -> None:
    """With 422 and what is wrong; nothing of them is kept."""
    headers = pc("sosnovka")
    for change in BAD_REPORTS:
        body = {"month": "2026-11", "month_bytes": 0, **change}
        assert client.post("/api/v1/mirror/report", json=body, headers=headers).status_code == 422, change


def test_an_older_receipt_does_not_stand_for_a_new_file(app, client, lessons, pc) -> None:
    """A file that was made anew has not arrived by its former version."""
    audience(app, lessons.session, Audience.DISTRICT)
    body = {"month": "2026-11", "month_bytes": 0, "receipts": [receipt(lessons)]}
    client.post("/api/v1/mirror/report", json=body, headers=pc("berezovka"))
    with app.app_context():
        with write():
            db.session.get(Rendition, lessons.rendition).sha256 = "1" * 64
        arrivals = mirrors.arrivals(db.session.get(Recording, lessons.recording))
        assert [one.receipts for one in arrivals] == [{}]
