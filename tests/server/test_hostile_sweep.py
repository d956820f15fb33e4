"""A sweep of hostile values through every form, query and API route: a 4xx that explains itself, or harmless."""

from __future__ import annotations

import pytest

from tests.server.askers import Row
from tests.server.routes import TABLE
from tests.server.town import Town

LONG = "я" * 1000
HOSTILE = [
    "",
    "\x00",
    "a\x00b",
    LONG,
    "<script>alert(1)</script>",
    "' OR 1=1 --",
    "‮overrides",
    "-5",
    "0",
    "99999999999999999999999999",
    "1900-01-01",
    "0000-00-00",
    "9999-12-31",
    "25:61",
    "NaN",
    "1e309",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
]
JSON_HOSTILE = [*HOSTILE, None, True, -1, 10**30, 1.5, [], ["x"], {}, {"a": [1]}, [[["deep"]]], "1900-01-01T00:00:00Z"]
# 503: waits for the media process, which does not run here, and takes no fields.
PAGES = [row for row in TABLE if not row.rule.startswith(("/api/", "/whip", "/whep")) and row.ok != 503]
FORMS = [row for row in PAGES if row.method == "POST"]
JSON = [row for row in TABLE if row.method in ("POST", "PATCH") and row.rule.startswith("/api/v1")]
GETS = [row for row in TABLE if row.method == "GET" and "<" in row.rule]
WITH_QUERY = {
    "/week": ["date"],
    "/library": ["words", "subject", "grade", "school", "from", "to", "page"],
    "/people": ["q", "school", "page"],
    "/seminars": ["page"],
    "/sessions/new": ["date", "seminar"],
    "/login": ["next"],
    "/api/v1/sessions": ["date"],
    "/api/v1/recordings": ["words", "subject", "grade", "school", "from", "to", "page"],
}
FINE = {200, 201, 202, 204, 302, 303, 308}


def judge(answer, what: object) -> None:
    """Accept success (the value was harmless there) or a 4xx that explains itself; unescaped HTML never."""
    text = answer.get_data(as_text=True)
    assert answer.status_code in FINE or 400 <= answer.status_code < 500, (what, answer.status_code, text[-500:])
    assert "<script>alert" not in text or answer.mimetype != "text/html", what
    if answer.status_code >= 400:
        assert answer.mimetype in ("text/html", "application/problem+json"), (what, answer.mimetype)
        if answer.mimetype == "application/problem+json":
            assert {"type", "title", "status", "detail"} <= set(answer.json), what


@pytest.mark.parametrize("row", FORMS, ids=lambda row: f"{row.rule} {row.body}".strip())
def test_forms_explain_what_is_wrong(row: Row, town: Town):
    """Each field of each form with each hostile value, the others being right."""
    path = (row.path or row.rule).format(**town.names)
    client = town.client("administrator")
    good = town.bodies[row.body]
    for name in [*good, "nosuchfield"]:
        for value in HOSTILE:
            answer = client.post(path, data={**good, name: value})
            judge(answer, (name, value))
            if answer.status_code < 400:
                town.restore()
                client = town.client("administrator")


@pytest.mark.parametrize("row", FORMS, ids=lambda row: f"{row.rule} {row.body}".strip())
def test_forms_take_no_other_kinds_of_body(row: Row, town: Town):
    """Garbage, JSON and broken multipart sent to a form."""
    path = (row.path or row.rule).format(**town.names)
    for body, kind in (
        (b"\xff\xfe\x00garbage", "application/x-www-form-urlencoded"),
        (b"title=%ff%fe&date=%00", "application/x-www-form-urlencoded"),
        (b'{"a": 1}', "application/json"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--", "multipart/form-data"),
        (b"\x00" * 1000, "video/mp4"),
    ):
        judge(town.client("administrator").post(path, data=body, content_type=kind), (kind, body[:20]))


@pytest.mark.parametrize("row", JSON, ids=lambda row: f"{row.method} {row.rule} {row.body}".strip())
def test_the_api_answers_with_problem_details(row: Row, town: Town):
    """Each field of each body with each hostile value of each JSON type."""
    path = (row.path or row.rule).format(**town.names)
    client = town.app.test_client()
    headers = {"Authorization": f"Bearer {town.district.tokens['administrator']}", "If-Match": "*"}
    good = town.bodies[row.body]
    for name in [*good, "nosuchfield"] if row.body else []:
        for value in JSON_HOSTILE:
            answer = client.open(path, method=row.method, json={**good, name: value}, headers=headers)
            judge(answer, (name, value))
            assert answer.status_code < 300 or answer.mimetype == "application/problem+json", (name, value)
            if answer.status_code < 300:
                town.restore()
    if not row.body:
        return
    for body, kind in (
        (b"garbage", "application/json"),
        (b"[1,2,3]", "application/json"),
        (b"null", "application/json"),
        (b'"text"', "application/json"),
        (b"\xff\xfe", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b"a=1", "application/x-www-form-urlencoded"),
        (b"{}", "text/plain"),
        (b"", ""),
    ):
        answer = client.open(path, method=row.method, data=body, content_type=kind, headers=headers)
        judge(answer, (kind, body[:20]))
        if row.method == "POST":
            assert answer.status_code >= 400, (kind, body[:20])
        town.restore()


@pytest.mark.parametrize("row", GETS, ids=lambda row: row.rule)
def test_addresses_that_lead_nowhere_say_so(row: Row, town: Town):
    """Hostile text in place of every id."""
    for value in ("x" * 300, "%00", "..%2f..%2fetc%2fpasswd", "%D1%8F", "' OR 1=1", "-1", "%ff", "a%0d%0ab"):
        path = row.rule
        while "<" in path:
            path = path[: path.index("<")] + value + path[path.index(">") + 1 :]
        judge(town.client("administrator").get(path), path)
        token = town.district.tokens["administrator"]
        judge(town.app.test_client().get(path, headers={"Authorization": f"Bearer {token}"}), path)


@pytest.mark.parametrize("path", WITH_QUERY)
def test_hostile_queries_are_refused_or_harmless(path: str, town: Town):
    """Each parameter of each query with each hostile value."""
    client = town.client("administrator")
    for name in WITH_QUERY[path]:
        for value in HOSTILE:
            judge(client.get(path, query_string={name: value}), (name, value))


def test_a_booking_form_keeps_what_was_typed(town: Town):
    """After a mistake every field still has its text, escaped, and the mistake is named."""
    good = town.bodies["lesson_form"]
    typed = {**good, "title": "<b>Дроби</b>", "minutes": "-5", "description": "Возьмите циркуль"}
    answer = town.client("coordinator").post("/sessions/new", data=typed)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "&lt;b&gt;Дроби&lt;/b&gt;" in page and "<b>Дроби" not in page
    assert "Возьмите циркуль" in page and 'value="-5"' in page and 'href="#f-minutes"' in page
