"""Every route, asked by every role and by nobody: one table says who may, and no route may be missing in it."""

from __future__ import annotations

import re

import pytest

from tests.server.askers import ROLES, Row
from tests.server.routes import TABLE
from tests.server.town import Town


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.rule} {row.body}".strip())
def test_a_route_is_open_to_those_who_may_and_to_nobody_else(row: Row, town: Town):
    """Each role gets what the table says; whoever may not is refused and, on pages, sent to the login if nobody."""
    for who in ROLES:
        answer = town.ask(row, who)
        said = answer.get_data(as_text=True)[-1500:] if answer.status_code >= 400 else ""
        if who in row.who:
            assert answer.status_code == row.ok, (who, answer.status_code, said)
        else:
            assert answer.status_code in row.refused, (who, answer.status_code, said)
            if answer.status_code == 302 and row.rule not in ("/login",):
                assert answer.headers["Location"].startswith("/login"), (who, answer.headers["Location"])
        if row.method != "GET":
            town.restore()


def test_no_route_is_missing_in_the_table(town: Town):
    """Whoever adds a route has to say here who may use it."""
    known = {(row.method, row.rule) for row in TABLE}
    there = {
        (method, rule.rule) for rule in town.app.url_map.iter_rules() for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert there - known == set()
    assert known - there == set()


@pytest.mark.parametrize("who", ["other_teacher", "other_host", "guest", "nobody_yet"])
def test_other_schools_files_do_not_exist(town: Town, who: str):
    """Somebody outside the audience cannot tell a file that is closed to them from one that never was."""
    client = town.client(who)
    closed = client.get(f"/files/{town.lessons.rendition}/x")
    missing = client.get("/files/nosuchfile/x")
    assert (closed.status_code, missing.status_code) in {(404, 404), (403, 403)}
    said = [re.sub(r'value="[^"]*"', "", answer.get_data(as_text=True)) for answer in (closed, missing)]
    assert said[0] == said[1]


def test_a_revoked_guest_is_nobody(town: Town):
    """A personal link that was taken back opens nothing, not even in a browser that used it."""
    guest = town.client("guest")
    assert guest.get(f"/sessions/{town.lessons.session}").status_code == 200
    host = town.client("host")
    assert host.post(f"/sessions/{town.lessons.session}/guests/{town.lessons.guest}/revoke").status_code == 303
    assert guest.get(f"/sessions/{town.lessons.session}").status_code in (302, 401)
    assert town.client("nobody").get(f"/join/{town.lessons.guest_ticket}").status_code in (401, 403, 404, 410)


def test_a_guest_sees_no_other_lesson(town: Town):
    """A personal link is for one lesson; the district's others are closed to its bearer."""
    for path in ("", "/live", ".ics"):
        assert town.client("guest").get(f"/sessions/{town.lessons.open_session}{path}").status_code == 404
