"""Who may use what: every view says it, and the gate asks it."""

from __future__ import annotations

import pytest
from flask import Flask

from rules.rights import Role
from server import access
from store import database, people

COORDINATING = ("administrator", "coordinator", "school_coordinator")
EVERYBODY = (*COORDINATING, "host", "teacher", "librarian", "nobody_yet")


def test_every_view_declares_who_may_use_it(app: Flask) -> None:
    """A view that nobody thought about is a failure here, and closed in operation."""
    undeclared = [
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"OPTIONS", "HEAD"}
        if access.declared(app, rule.endpoint, method) is None
    ]
    assert undeclared == []


def test_view_without_declaration_is_closed(app: Flask, as_role) -> None:
    """The gate refuses what says nothing, even to administrators."""
    app.add_url_rule("/forgotten", "forgotten", lambda: "secret")
    assert as_role("administrator").get("/forgotten").status_code == 403


def test_nobody_is_sent_to_log_in_and_back(browser) -> None:
    """A page that needs a login leads there, and from there back to the page."""
    for url in ("/me", "/schools", "/schools/new", "/people", "/people/x", "/invitations"):
        answer = browser.get(url)
        assert answer.status_code == 302
        assert answer.location == f"/login?next={url}"


def test_programs_get_401_instead(client) -> None:
    """A program is told that a token is missing; it cannot fill in a form."""
    answer = client.get("/me", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["status"] == 401


def test_pages_for_coordinators(as_role) -> None:
    """Coordinators of any reach and administrators open them; others are told whom to ask."""
    for who in EVERYBODY:
        browser = as_role(who)
        for url in ("/schools", "/people", "/invitations"):
            answer = browser.get(url)
            assert answer.status_code == (200 if who in COORDINATING else 403)
            assert who in COORDINATING or "coordinator of your district" in answer.get_data(as_text=True)


def test_own_page_is_everybodys(as_role) -> None:
    """Everybody with an account has a page of their own and a first page."""
    for who in EVERYBODY:
        browser = as_role(who)
        assert browser.get("/me").status_code == 200
        assert browser.get("/").status_code == 200


def test_bearer_token_speaks_alone(as_role, as_api, app) -> None:
    """A wrong token is refused even where a cookie would open the door; a right one needs no cookie."""
    host = as_role("host")
    assert host.get("/me", headers={"Authorization": "Bearer wrong", "Accept": "application/json"}).status_code == 401
    assert app.test_client().get("/me", headers=as_api("host")).status_code == 200


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Basic YTpi", "Bearer \xff\xfe", "Bearer " + "x" * 8000, "\0"])
def test_garbage_authorization_is_nobody(client, value: str) -> None:
    """Whatever stands in Authorization, nobody gets in and nothing breaks."""
    assert client.get("/me", headers={"Authorization": value}).status_code in (302, 401)


@pytest.mark.parametrize("cookie", ["", "x", "%00", "é" * 50, "a" * 4000])
def test_garbage_cookies_are_nobody(client, cookie: str) -> None:
    """A forged or damaged cookie is no login."""
    client.set_cookie("tropa_login", cookie)
    client.set_cookie("tropa_guest", cookie)
    assert client.get("/me").status_code == 302


def test_forms_need_their_token(as_role) -> None:
    """Another site cannot send our forms in somebody's name."""
    client = as_role("coordinator").client
    for url in ("/me/profile", "/me/tokens", "/schools/new", "/invitations", "/logout", "/language"):
        answer = client.post(url, data={"name": "x"})
        assert answer.status_code == 400
        assert "The form has expired" in answer.get_data(as_text=True)


def test_login_form_needs_its_token(client) -> None:
    """Nobody can be logged in unknowingly under another's account."""
    assert client.post("/login", data={"email": "a@b.example", "password": "x"}).status_code == 400


def test_school_coordinator_stays_within_the_school(app, district, as_role) -> None:
    """A school's coordinator changes that school and no other, and sees no other school's people."""
    own, other = district.schools["sosnovka"], district.schools["berezovka"]
    browser = as_role("school_coordinator")
    assert browser.get(f"/schools/{own}").status_code == 200
    assert browser.get(f"/schools/{other}").status_code == 403
    assert browser.get("/schools/new").status_code == 403
    listed = browser.get("/people").get_data(as_text=True)
    assert district.email("host") in listed
    assert district.email("other_host") not in listed
    assert district.email("other_host") not in browser.get(f"/people?school={other}").get_data(as_text=True)
    assert browser.get(f"/people/{district.people['host']}").status_code == 200
    assert browser.get(f"/people/{district.people['other_host']}").status_code == 404


def test_nobody_raises_themselves(app, district, as_role) -> None:
    """A school's coordinator cannot give a district role, nor a district coordinator the administrator's."""
    for who, role, place in (
        ("school_coordinator", "coordinator", "district"),
        ("school_coordinator", "teacher", district.schools["berezovka"]),
        ("coordinator", "administrator", "district"),
    ):
        browser = as_role(who)
        url = f"/people/{district.people[who]}"
        answer = browser.post(f"{url}/roles", {"role": role, "place": place}, page=url)
        assert answer.status_code == 422
        answer = browser.post("/invitations", {"role": role, "place": place}, page="/invitations")
        assert answer.status_code == 422


def test_disabling_ends_everything_at_once(app, district, as_role, as_api) -> None:
    """A disabled account is out on the next request, by cookie and by token."""
    host = as_role("host")
    url = f"/people/{district.people['host']}"
    assert as_role("coordinator").post(f"{url}/disable", page=url).status_code == 302
    assert host.get("/me").status_code == 302
    headers = {**as_api("host"), "Accept": "application/json"}
    assert app.test_client().get("/me", headers=headers).status_code == 401
    as_role("coordinator").post(f"{url}/enable", page=url)
    assert host.log_in(district.email("host")).status_code == 302


def test_last_administrator_stays(district, as_role) -> None:
    """The district is never left without an administrator, and the page says what to do instead."""
    browser = as_role("administrator")
    url = f"/people/{district.people['administrator']}"
    membership = browser.get(url).get_data(as_text=True).split("/roles/")[1].split("/")[0]
    answer = browser.post(f"{url}/roles/{membership}/remove", page=url)
    assert answer.status_code == 409
    assert "somebody else first" in answer.get_data(as_text=True)


def test_role_given_and_taken(app, district, as_role) -> None:
    """A coordinator gives a role and takes it away again."""
    browser = as_role("school_coordinator")
    school = district.schools["sosnovka"]
    url = f"/people/{district.people['teacher']}"
    assert browser.post(f"{url}/roles", {"role": "host", "place": school}, page=url).status_code == 302
    with app.app_context():
        row = people.person(district.people["teacher"])
        assert people.actor_of(row).has(Role.HOST, school)
        membership = next(m.id for m in row.memberships if m.role == Role.HOST)
    assert browser.post(f"{url}/roles/{membership}/remove", page=url).status_code == 302
    with app.app_context():
        assert not people.actor_of_person(district.people["teacher"]).has(Role.HOST, school)
        database.db.session.rollback()
