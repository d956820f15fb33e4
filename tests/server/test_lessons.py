"""Booking, calendars, downloads and the library as people and programs meet them."""

from __future__ import annotations

import gzip
import hashlib
import html
import re
from datetime import timedelta
from email.message import Message
from zoneinfo import ZoneInfo

import icalendar
import jsonschema
import pytest

from rules.rights import Audience
from server.slotwords import machine_time
from store import booking, database
from store.models import Session, db
from tests.server.lessons import BODY, TITLE, lesson_draft, make_lessons, next_lesson_start

SUGGESTION = re.compile(r'<button name="start" value="([^"]+)">')


@pytest.fixture
def lessons(app, district):
    """The sample lesson with all that belongs to it."""
    return make_lessons(app, district)


@pytest.fixture
def form(district) -> dict[str, str]:
    """A booking form as a browser would send it, for the hour of the sample lesson."""
    draft = lesson_draft(district)
    return {
        "kind": "open_lesson",
        "title": "Второй урок",
        "subject": "Физика",
        "grades": "5 и 6",
        "host_school_id": draft.host_school_id,
        "host_person_id": draft.host_person_id,
        "date": draft.starts_at.strftime("%Y-%m-%d"),
        "time": (draft.starts_at + timedelta(hours=3)).strftime("%H:%M"),  # the coordinator's zone is Moscow
        "minutes": "45",
        "audience": "district",
        "idempotency_key": "first-click",
    }


@pytest.fixture
def body(district) -> dict[str, object]:
    """A booking as the API takes it, for the hour of the sample lesson."""
    draft = lesson_draft(district)
    return {
        "kind": "webinar",
        "title": "Третий урок",
        "subject": "Физика",
        "host_school_id": draft.host_school_id,
        "host_person_id": draft.host_person_id,
        "starts_at": machine_time(draft.starts_at),
        "minutes": 45,
        "audience": "invited",
        "invited": [district.schools["berezovka"]],
    }


def test_a_clash_comes_back_filled_in_with_free_times_of_one_click(as_role, lessons, form):
    """The form says what is taken, keeps what was typed, and a click on a suggestion books that time."""
    coordinator = as_role("coordinator")
    refused = coordinator.post("/sessions/new", form, page="/sessions/new")
    page = refused.get_data(as_text=True)
    assert refused.status_code == 409
    assert TITLE in page and 'value="Второй урок"' in page
    starts = SUGGESTION.findall(page)
    assert len(starts) == 3
    booked = coordinator.post("/sessions/new", {**form, "start": starts[0]}, page="/sessions/new")
    assert booked.status_code == 303
    shown = coordinator.get(booked.headers["Location"]).get_data(as_text=True)
    assert starts[0] in shown and "grades 5+6" in shown


def test_a_clash_does_not_name_what_the_reader_may_not_see(as_api, client, lessons, body, district):
    """Whoever is refused by a closed lesson of another school learns that the time is taken, and not by what."""
    answer = client.post("/api/v1/sessions", json=body, headers=as_api("coordinator"))
    assert TITLE in answer.json["detail"]
    blind = client.get(f"/api/v1/sessions/{lessons.session}", headers=as_api("other_teacher"))
    assert blind.status_code == 404 and TITLE not in blind.get_data(as_text=True)


def test_a_double_click_books_once(as_role, district, form):
    """The same form sent twice leads to the same lesson; the same key with another content is refused."""
    coordinator = as_role("coordinator")
    first = coordinator.post("/sessions/new", form, page="/sessions/new")
    second = coordinator.post("/sessions/new", form, page="/sessions/new")
    assert first.status_code == second.status_code == 303
    assert first.headers["Location"] == second.headers["Location"]
    other = coordinator.post("/sessions/new", {**form, "title": "Другой"}, page="/sessions/new")
    assert other.status_code == 422


def test_a_double_click_makes_one_seminar_and_one_link(as_role, lessons, client, as_api):
    """The same form or the same Idempotency-Key twice makes one thing."""
    coordinator = as_role("coordinator")
    seminar = {"title": "Семинар", "idempotency_key": "s"}
    made = {coordinator.post("/seminars/new", seminar).headers["Location"] for _ in range(2)}
    assert len(made) == 1
    guest, headers = {"name": "Учитель"}, {**as_api("coordinator"), "Idempotency-Key": "g"}
    address = f"/api/v1/sessions/{lessons.session}/guests"
    assert len({client.post(address, json=guest, headers=headers).json["id"] for _ in range(2)}) == 1


def test_a_change_from_a_stale_form_is_not_saved(as_role, lessons, form):
    """Two people open the form; the second to save is told that the lesson has changed."""
    coordinator = as_role("coordinator")
    address = f"/sessions/{lessons.session}/edit"
    version = re.search(r'name="version" value="([^"]+)"', coordinator.get(address).get_data(as_text=True))[1]
    change = {**form, "version": version}
    assert coordinator.post(address, {**change, "title": "Первая правка"}).status_code == 303
    assert coordinator.post(address, {**change, "title": "Вторая правка"}).status_code == 412
    assert "Первая правка" in coordinator.get(f"/sessions/{lessons.session}").get_data(as_text=True)


def test_the_api_books_changes_and_cancels(client, as_api, district, body):
    """201 with Location and ETag; 428 and 412 without the right If-Match; a cancelled time is free again."""
    me = as_api("coordinator")
    booked = client.post("/api/v1/sessions", json=body, headers={**me, "Idempotency-Key": "k"})
    assert booked.status_code == 201
    again = client.post("/api/v1/sessions", json=body, headers={**me, "Idempotency-Key": "k"})
    assert (again.status_code, again.headers["Location"]) == (201, booked.headers["Location"])
    where, tag = booked.headers["Location"], booked.headers["ETag"]
    assert client.patch(where, json={"title": "Иначе"}, headers=me).status_code == 428
    assert client.patch(where, json={"title": "Иначе"}, headers={**me, "If-Match": '"x"'}).status_code == 412
    changed = client.patch(where, json={"title": "Иначе"}, headers={**me, "If-Match": f"W/{tag}"})
    assert changed.status_code == 200 and changed.json["title"] == "Иначе" and changed.json["sequence"] == 1
    assert client.post(f"{where}/cancel", headers=me).json["state"] == "cancelled"
    assert client.post(f"{where}/cancel", headers=me).status_code == 409
    assert client.post("/api/v1/sessions", json=body, headers=me).status_code == 201


def test_the_api_names_clashes_and_suggestions(client, as_api, lessons, body):
    """A 409 is problem details with the taken resources and three free starts, each of which can be booked."""
    answer = client.post("/api/v1/sessions", json=body, headers=as_api("coordinator"))
    assert (answer.status_code, answer.mimetype) == (409, "application/problem+json")
    assert {clash["session_id"] for clash in answer.json["clashes"]} == {lessons.session}
    assert len(answer.json["suggestions"]) == 3
    moved = {**body, "starts_at": answer.json["suggestions"][0]}
    assert client.post("/api/v1/sessions", json=moved, headers=as_api("coordinator")).status_code == 201


def test_answers_keep_to_the_published_description(client, as_api, lessons):
    """What the API answers has the shape that /api/openapi.json promises."""
    described = client.get("/api/openapi.json").json
    assert described["openapi"].startswith("3.")
    paths = {
        "/api/v1/me": "/api/v1/me",
        "/api/v1/schools": "/api/v1/schools",
        "/api/v1/people": "/api/v1/people",
        "/api/v1/sessions": f"/api/v1/sessions?date={next_lesson_start():%Y-%m-%d}",
        "/api/v1/sessions/{session_id}": f"/api/v1/sessions/{lessons.session}",
        "/api/v1/sessions/{session_id}/attendance": f"/api/v1/sessions/{lessons.session}/attendance",
        "/api/v1/sessions/{session_id}/guests": f"/api/v1/sessions/{lessons.session}/guests",
        "/api/v1/sessions/{session_id}/recordings": f"/api/v1/sessions/{lessons.session}/recordings",
        "/api/v1/seminars/{seminar_id}": f"/api/v1/seminars/{lessons.seminar}",
        "/api/v1/recordings": "/api/v1/recordings",
        "/api/v1/recordings/{recording_id}": f"/api/v1/recordings/{lessons.recording}",
    }
    for path, address in paths.items():
        answer = client.get(address, headers=as_api("coordinator"))
        content = described["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        schema = {**_strict(content["schema"]), "components": _strict(described["components"])}
        assert answer.json, path
        jsonschema.validate(answer.json, schema)


def _strict(schema):
    """Turn OpenAPI 3.0's nullable into JSON Schema's, and refuse what the description does not name."""
    if isinstance(schema, list):
        return [_strict(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _strict(inner) for name, inner in schema.items()}
    if made.pop("nullable", False) and "type" in made:
        made["type"] = [made["type"], "null"]
    if made.get("type") == "object" and isinstance(made.get("properties"), dict):
        made["additionalProperties"] = False
    return made


def test_a_calendar_file_tells_everything_and_follows_changes(as_role, lessons):
    """UTC start, a UID that stays, a SEQUENCE that rises, CANCELLED in the end, and a Cyrillic file name."""
    coordinator = as_role("coordinator")
    answer = coordinator.get(f"/sessions/{lessons.session}.ics")
    event = icalendar.Calendar.from_ical(answer.data).walk("VEVENT")[0]
    assert event.start == next_lesson_start() and event["DTSTART"].to_ical().endswith(b"Z")
    assert event.end - event.start == timedelta(minutes=45)
    assert str(event["SUMMARY"]) == TITLE and "Сосновская школа" in str(event["LOCATION"])
    assert str(event["URL"]).endswith(f"/sessions/{lessons.session}") and str(event["STATUS"]) == "CONFIRMED"
    assert "filename*=UTF-8''%D0%94" in answer.headers["Content-Disposition"]
    coordinator.post(f"/sessions/{lessons.session}/cancel")
    gone = icalendar.Calendar.from_ical(coordinator.get(f"/sessions/{lessons.session}.ics").data).walk("VEVENT")[0]
    assert str(gone["UID"]) == str(event["UID"]) and str(gone["STATUS"]) == "CANCELLED"
    assert int(gone["SEQUENCE"]) > int(event["SEQUENCE"])


def test_subscriptions_show_each_person_their_own(app, client, as_role, district, lessons):
    """The secret address gives what its owner may see: the closed lesson for its own school, not for another's."""
    found = {}
    for who in ("teacher", "other_teacher"):
        page = as_role(who).get("/me").get_data(as_text=True)
        address = re.search(r"/calendar/[^\"<]+\.ics", page)[0]
        calendar = icalendar.Calendar.from_ical(client.get(address).data)
        found[who] = {str(event["UID"]) for event in calendar.walk("VEVENT")}
    assert f"session-{lessons.session}@tropa" in found["teacher"]
    assert found["other_teacher"] == {f"session-{lessons.open_session}@tropa"}


def test_the_next_lesson_of_a_seminar_begins_where_the_last_one_ends(app, as_role, lessons):
    """A coordinator who builds a programme of an afternoon types its day once."""
    coordinator = as_role("coordinator")
    page = coordinator.get(f"/seminars/{lessons.seminar}").get_data(as_text=True)
    (query,) = re.findall(rf'href="/sessions/new\?(seminar={lessons.seminar}&amp;date=[^"]*)"', page)
    form = coordinator.get(f"/sessions/new?{html.unescape(query)}").get_data(as_text=True)
    with app.app_context():
        (row,) = db.session.query(Session).filter_by(seminar_id=lessons.seminar)
        end = (row.starts_at + timedelta(minutes=row.minutes)).astimezone(ZoneInfo(app.config["TROPA_TIMEZONE"]))
    assert f'type="date" value="{end:%Y-%m-%d}"' in form and f'type="time" value="{end:%H:%M}"' in form


def test_a_seminar_shows_its_programme_and_gives_it_as_a_file(as_role, lessons):
    """The page has the lesson with its time, the file one event for each."""
    teacher = as_role("teacher")
    assert TITLE in teacher.get(f"/seminars/{lessons.seminar}").get_data(as_text=True)
    calendar = icalendar.Calendar.from_ical(teacher.get(f"/seminars/{lessons.seminar}.ics").data)
    assert len(calendar.walk("VEVENT")) == 1


def test_a_download_goes_on_where_it_broke_off(as_role, lessons):
    """Two ranges make the whole file; ETag, digest, name and length are those of the file."""
    teacher = as_role("teacher")
    address = teacher.get(lessons.file_url).headers["Location"]
    first = teacher.get(f"{address}?download=1", headers={"Range": "bytes=0-4999"})
    rest = teacher.get(address, headers={"Range": "bytes=5000-", "If-Range": first.headers["ETag"]})
    assert (first.status_code, rest.status_code) == (206, 206)
    assert hashlib.sha256(first.data + rest.data).digest() == hashlib.sha256(BODY).digest()
    whole = teacher.get(address)
    assert whole.data == BODY and whole.headers["Content-Length"] == str(len(BODY))
    assert whole.headers["Accept-Ranges"] == "bytes" and whole.headers["Repr-Digest"].startswith("sha-256=:")
    assert whole.headers["Content-Disposition"].startswith("inline;")
    assert first.headers["Content-Disposition"].startswith("attachment;")
    message = Message()
    message["Content-Disposition"] = "attachment; " + first.headers["Content-Disposition"].rpartition("; ")[2]
    assert "Дроби повторение" in message.get_filename()
    assert teacher.get(address, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    changed = teacher.get(address, headers={"Range": "bytes=5000-", "If-Range": '"other"'})
    assert changed.status_code == 200 and changed.data == BODY


def test_a_range_past_the_end_is_problem_details_or_a_page(as_role, lessons):
    """416 names the size; HEAD has the headers and no bytes."""
    teacher = as_role("teacher")
    address = teacher.get(lessons.file_url).headers["Location"]
    beyond = teacher.get(address, headers={"Range": "bytes=999999-"})
    assert beyond.status_code == 416 and beyond.headers["Content-Range"] == f"bytes */{len(BODY)}"
    head = teacher.client.head(address)
    assert head.data == b"" and head.headers["Content-Length"] == str(len(BODY))


def test_the_library_finds_by_every_filter(as_role, lessons, district):
    """Words, subject, grade, school and days narrow the list; other schools find nothing of a closed lesson."""
    teacher = as_role("teacher")
    day = next_lesson_start() - timedelta(days=2)
    found = (
        "words=дроби",
        "subject=Математика",
        "grade=6",
        f"school={district.schools['sosnovka']}",
        f"from={day - timedelta(days=1):%Y-%m-%d}",
        f"to={day + timedelta(days=1):%Y-%m-%d}",
    )
    missed = (
        "words=синус",
        "subject=Физика",
        "grade=9",
        f"school={district.schools['berezovka']}",
        f"from={day + timedelta(days=2):%Y-%m-%d}",
        f"to={day - timedelta(days=2):%Y-%m-%d}",
    )
    for query in found:
        assert lessons.recording in teacher.get(f"/library?{query}").get_data(as_text=True), query
    for query in missed:
        assert lessons.recording not in teacher.get(f"/library?{query}").get_data(as_text=True), query
    assert lessons.recording not in as_role("other_teacher").get("/library").get_data(as_text=True)


def test_a_recording_page_shows_files_progress_and_trouble(as_role, lessons):
    """Sizes, minutes, digest, percent, time left, the gap, and the reason of a failure with its HTML escaped."""
    page = as_role("teacher").get(f"/recordings/{lessons.recording}").get_data(as_text=True)
    digest = hashlib.sha256(BODY).hexdigest()
    for text in (digest, "10\u00a0kB", "1:30", "1:01", "12 seconds", "&lt;b&gt;no picture", "http-equiv=", "<audio"):
        assert text in page, text
    progress = as_role("teacher").get(f"/recordings/{lessons.recording}/progress").json
    assert progress["done"] is False and progress["ready"] == 1
    assert next(file for file in progress["files"] if file["kind"] == "video_small")["percent"] == 42.0


def test_a_ticket_of_the_api_is_for_its_purpose(client, as_api, lessons):
    """A teacher gets a ticket to watch with the WHEP address, and none to host."""
    path = f"/api/v1/sessions/{lessons.session}/tickets"
    watch = client.post(path, json={"action": "watch"}, headers=as_api("teacher"))
    assert watch.json["whep_url"].endswith(f"/whep/{lessons.session}") and watch.json["whip_url"] is None
    assert client.post(path, json={"action": "host"}, headers=as_api("teacher")).status_code == 403


def test_a_guest_link_lets_in_and_is_shown_again(as_role, app, lessons):
    """The page shows the same personal address each time, and the address opens the lesson without a login."""
    pages = [as_role("host").get(f"/sessions/{lessons.session}/guests").get_data(as_text=True) for _ in range(2)]
    links = [re.search(r"/join/([^\"]+)", page)[0] for page in pages]
    assert links[0] == links[1]
    stranger = app.test_client()
    assert stranger.get(links[0]).status_code == 200
    assert stranger.get(f"/sessions/{lessons.session}").status_code == 200


def test_a_full_week_stays_light(as_role, app, district):
    """Sixty lessons in one week, the stylesheet included, fit into 14 KB compressed."""
    with app.app_context():
        monday = next_lesson_start() + timedelta(days=7 - next_lesson_start().weekday())
        for n in range(60):
            draft = lesson_draft(
                district,
                title=f"Урок {n}: {hashlib.sha256(bytes([n])).hexdigest()[:24]}",
                starts_at=monday + timedelta(days=n % 6, hours=n // 6),
                audience=Audience.DISTRICT,
                invited=frozenset(),
            )
            booked = booking.book(draft, district.people["coordinator"], database.utc_now(), 4)
            assert isinstance(booked, booking.Booked)
    browser = as_role("coordinator")
    page = browser.get(f"/week?date={monday:%Y-%m-%d}").data
    assert page.count(b'class="slot is-') == 60
    sheet = browser.get("/static/tropa.css").data
    assert len(gzip.compress(page, 6)) + len(gzip.compress(sheet, 6)) <= 14 * 1024


@pytest.mark.parametrize(("state", "reason"), [("ended", "This lesson is over"), ("cancelled", "was cancelled")])
def test_a_lesson_that_is_over_offers_no_personal_links(as_role, as_api, app, lessons, state, reason):
    """No way to them on the lesson's page; whoever asks for one is told why there is none, over the API too."""
    with app.app_context(), database.write() as session:
        session.get_one(Session, lessons.session).state = state
    host, address = as_role("host"), f"/sessions/{lessons.session}/guests"
    assert address not in host.get(f"/sessions/{lessons.session}").get_data(as_text=True)
    page = host.get(address).get_data(as_text=True)
    assert reason in page and "/join/" not in page and 'name="name"' not in page
    asked = {"name": "Учитель", "school_id": ""}
    refused = host.post(address, asked, page="/me")
    assert refused.status_code == 409 and reason in refused.get_data(as_text=True)
    answer = app.test_client().post(f"/api/v1{address}", json={"name": "Учитель"}, headers=as_api("coordinator"))
    assert answer.status_code == 409 and reason in answer.json["detail"]
