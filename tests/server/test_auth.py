"""Logging in and out, the first coordinator, invitations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rules.rights import Role
from server.app import create_app
from store import database, invitations, people
from tests.server.conftest import PASSWORD, Browser

FIRST = {
    "name": "Анна Петровна",
    "email": "anna@tropa.example",
    "password": PASSWORD,
    "school": "Методический центр",
    "timezone": "Asia/Irkutsk",
}


def test_password_opens_the_account(browser, district) -> None:
    """The right password leads to the page asked for, and the cookie is out of scripts' reach."""
    answer = browser.post(
        "/login", {"email": district.email("host"), "password": PASSWORD, "next": "/me"}, page="/login"
    )
    assert answer.status_code == 302
    assert answer.location == "/me"
    cookie = next(text for text in answer.headers.getlist("Set-Cookie") if text.startswith("tropa_login="))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "host" in browser.get("/me").get_data(as_text=True)


def test_address_is_taken_in_any_case(browser, district) -> None:
    """Capitals and spaces around the address make no difference."""
    assert browser.log_in(f" {district.email('host').upper()} ").status_code == 302


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("host@tropa.example", "wrong password"),
        ("stranger@tropa.example", PASSWORD),
        ("not an address", PASSWORD),
        ("host@tropa.example", "x" * 5000),
        ("host@tropa.example\0", PASSWORD),
    ],
)
def test_failures_look_alike(browser, district, email: str, password: str) -> None:
    """A wrong password and an unknown address get the same words, so that accounts cannot be found out."""
    answer = browser.log_in(email, password)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "The e-mail or the password is not right." in text
    assert password not in text


def test_disabled_account_is_closed(app, browser, district) -> None:
    """Whoever was disabled cannot log in, and is told no more than others."""
    with app.app_context():
        people.set_disabled(district.people["host"], True, database.utc_now())
    assert browser.log_in(district.email("host")).status_code == 422


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "javascript:alert(1)",
        "/a\r\nb",
        "me",
    ],
)
def test_next_stays_here(browser, district, target: str) -> None:
    """After the login nobody is sent to another site."""
    data = {"email": district.email("host"), "password": PASSWORD, "next": target}
    assert browser.post("/login", data, page="/login").location == "/"


def test_logout_ends_the_login(app, browser, district) -> None:
    """After logging out the old cookie is worthless, even if somebody kept it."""
    browser.log_in(district.email("host"))
    kept = browser.client.get_cookie("tropa_login").value
    assert browser.post("/logout", page="/me").location == "/"
    thief = app.test_client()
    thief.set_cookie("tropa_login", kept)
    assert thief.get("/me").status_code == 302


def test_login_attempts_are_limited(settings, tmp_path) -> None:
    """One address cannot try passwords of one account without end; other accounts of the same school go on."""
    app = create_app(settings, TESTING=True, LOGIN_LIMIT="3 per minute")
    with app.app_context():
        database.db.create_all()
    browser = Browser(app.test_client())
    token = browser.csrf("/login")
    data = {"csrf_token": token, "email": "a@tropa.example", "password": "wrong password"}
    answers = [browser.client.post("/login", data=data).status_code for _ in range(4)]
    assert answers == [422, 422, 422, 429]
    assert browser.client.post("/login", data={**data, "email": "b@tropa.example"}).status_code == 422


def test_limited_page_says_when_to_try_again(settings) -> None:
    """429 is a page with Retry-After."""
    app = create_app(settings, TESTING=True, REQUESTS_LIMIT="2 per minute")
    with app.app_context():
        database.db.create_all()
    client = Browser(app.test_client())
    answers = [client.get("/login") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert int(answers[2].headers["Retry-After"]) > 0
    assert "Too many requests" in answers[2].get_data(as_text=True)


def first_link(app, settings) -> str:
    with app.app_context():
        return f"/first/{invitations.first_link_token(settings)}"


def test_first_link_makes_coordinator_and_school(app, settings, browser) -> None:
    """The link of the first start makes the coordinator, who is administrator too, and the first school; once."""
    link = first_link(app, settings)
    answer = browser.post(link, FIRST, page=link)
    assert answer.location == "/schools"
    assert "Методический центр" in browser.get("/schools").get_data(as_text=True)
    with app.app_context():
        actor = people.actor_of(people.person_by_email(FIRST["email"]))
        assert actor.has(Role.ADMINISTRATOR, None)
        assert actor.has(Role.COORDINATOR, None)
    again = Browser(app.test_client()).get(link)
    assert again.status_code == 410
    assert "once" in again.get_data(as_text=True)


def test_first_form_comes_back_filled_in(app, settings, browser) -> None:
    """What was typed stays, except the password; each error stands at its field and in the summary."""
    link = first_link(app, settings)
    typed = {**FIRST, "email": "no address", "password": "short", "timezone": "Mars/Olympus"}
    answer = browser.post(link, typed, page=link)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert 'value="Анна Петровна"' in text
    assert 'href="#f-email"' in text
    assert 'aria-invalid="true"' in text
    assert "short" not in text.replace("shortcut", "")
    with app.app_context():
        assert not invitations.has_coordinator()


def invitation(app, district, role=Role.TEACHER, days=1, **more) -> str:
    with app.app_context():
        _row, token = invitations.invite(
            role, district.schools["sosnovka"], None, database.utc_now(), days, name="Вера", **more
        )
    return f"/invite/{token}"


ACCOUNT = {"name": "Вера", "email": "vera@tropa.example", "password": PASSWORD}


def test_invitation_makes_an_account(app, district, browser) -> None:
    """The link shows the role, makes the account and logs it in; a second use is refused."""
    link = invitation(app, district)
    assert "Сосновская школа" in browser.get(link).get_data(as_text=True)
    assert browser.post(link, ACCOUNT, page=link).location == "/"
    assert "vera@tropa.example" in browser.get("/me").get_data(as_text=True)
    assert Browser(app.test_client()).get(link).status_code == 410


def test_invitation_extends_an_account(app, district, as_role) -> None:
    """Who is logged in accepts with that account, without a new password."""
    link = invitation(app, district, Role.LIBRARIAN)
    other = as_role("other_teacher")
    assert other.post(link, {"accept": "1"}, page=link).status_code == 302
    with app.app_context():
        actor = people.actor_of_person(district.people["other_teacher"])
        assert actor.has(Role.LIBRARIAN, district.schools["sosnovka"])


def test_invitation_does_not_take_over_an_account(app, district, browser) -> None:
    """Somebody else's address cannot be taken with an invitation; the invitation stays usable."""
    link = invitation(app, district)
    answer = browser.post(link, {**ACCOUNT, "email": district.email("host")}, page=link)
    assert answer.status_code == 422
    assert browser.post(link, ACCOUNT, page=link).status_code == 302


def test_expired_invitation_is_refused(app, district, browser) -> None:
    """An invitation past its days is gone."""
    with app.app_context():
        past = database.utc_now() - timedelta(days=3)
        _row, token = invitations.invite(Role.HOST, None, None, past, 2)
    assert browser.get(f"/invite/{token}").status_code == 410


@pytest.mark.parametrize("token", ["x", "%00", "%ff%fe", "a" * 3000, "..%2f..", "'--"])
def test_garbage_links_are_refused(browser, token: str) -> None:
    """Nonsense in a link is answered like an old one."""
    for room in ("invite", "first"):
        assert browser.get(f"/{room}/{token}").status_code in (404, 410)


def test_language_switch_is_kept(browser, district) -> None:
    """Russian is what strangers get; the switch is kept in a cookie, and with the account once there is one."""
    browser.client.delete_cookie("tropa_language")
    assert '<html lang="ru">' in browser.get("/").get_data(as_text=True)
    assert browser.post("/language", {"language": "en", "next": "/login"}).location == "/login"
    assert '<html lang="en">' in browser.get("/").get_data(as_text=True)
    browser.log_in(district.email("host"))
    browser.post("/language", {"language": "ru"}, page="/me")
    assert '<html lang="ru">' in browser.get("/me").get_data(as_text=True)
    assert browser.post("/language", {"language": "xx", "next": "//evil.example"}, page="/me").location == "/"
