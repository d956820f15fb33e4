"""One's own page: profile, password, logins, tokens, calendar address."""

from __future__ import annotations

import re

import pytest

from server.me import browser_name
from store import logins, people
from store.database import utc_now
from tests.server.conftest import PASSWORD, Browser


def test_name_and_language_change(as_role) -> None:
    """The page speaks the language chosen and shows the new name at once."""
    browser = as_role("host")
    assert browser.post("/me/profile", {"name": "Новое имя", "locale": "ru"}, page="/me").location == "/me"
    text = browser.get("/me").get_data(as_text=True)
    assert "Новое имя" in text
    assert '<html lang="ru">' in text


def test_new_password_ends_other_logins(app, district, as_role) -> None:
    """After a change the new password opens, the old one does not, and only this browser stays."""
    here, there = as_role("host"), as_role("host")
    data = {"current": PASSWORD, "password": "совсем другие слова"}
    assert here.post("/me/password", data, page="/me").location == "/me"
    assert here.get("/me").status_code == 200
    assert there.get("/me").status_code == 302
    assert Browser(app.test_client()).log_in(district.email("host")).status_code == 422
    assert Browser(app.test_client()).log_in(district.email("host"), "совсем другие слова").status_code == 302


def test_password_needs_the_present_one(app, as_role) -> None:
    """Whoever finds a browser open cannot change the password."""
    browser = as_role("host")
    answer = browser.post("/me/password", {"current": "guess", "password": "long enough"}, page="/me")
    assert answer.status_code == 422
    assert "not your current password" in answer.get_data(as_text=True)


def test_login_can_be_ended_from_elsewhere(app, as_role) -> None:
    """A login left open on another PC is ended from here; nobody ends another person's."""
    here, there, stranger = as_role("host"), as_role("host"), as_role("teacher")
    with app.app_context():
        row = logins.find_login(there.client.get_cookie("tropa_login").value, utc_now()).id
    assert here.get("/me").get_data(as_text=True).count("this one") == 1
    assert stranger.post(f"/me/logins/{row}/end", page="/me").status_code == 404
    assert there.get("/me").status_code == 200
    assert here.post(f"/me/logins/{row}/end", page="/me").location == "/me"
    assert there.get("/me").status_code == 302
    assert here.get("/me").status_code == 200


def test_token_is_shown_once_and_works_until_revoked(app, as_role) -> None:
    """A new token is on one page only, opens the account for programs, and stops when revoked."""
    browser = as_role("host")
    page = browser.post("/me/tokens", {"label": "Журнал"}, page="/me").get_data(as_text=True)
    token = re.search(r'id="token"[^>]*value="([^"]+)"', page)[1]
    listed = browser.get("/me").get_data(as_text=True)
    assert token not in listed
    assert "Журнал" in listed
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    assert app.test_client().get("/me", headers=headers).status_code == 200
    for row in re.findall(r"/me/tokens/(\w+)/revoke", listed):
        browser.post(f"/me/tokens/{row}/revoke", page="/me")
    assert app.test_client().get("/me", headers=headers).status_code == 401


def test_tokens_are_limited_in_number(as_role, monkeypatch) -> None:
    """Tokens do not pile up without end."""
    monkeypatch.setattr("server.me.MAX_TOKENS", 1)
    answer = as_role("host").post("/me/tokens", {"label": "second"}, page="/me")
    assert answer.status_code == 422
    assert "revoke one first" in answer.get_data(as_text=True)


def test_calendar_address_is_renewed(app, district, as_role) -> None:
    """A new address replaces the old one, which then belongs to nobody."""
    browser = as_role("host")
    with app.app_context():
        before = people.person(district.people["host"]).calendar_secret
    assert before in browser.get("/me").get_data(as_text=True)
    browser.post("/me/calendar", page="/me")
    assert before not in browser.get("/me").get_data(as_text=True)
    with app.app_context():
        assert people.person_by_calendar_secret(before) is None


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (
            "Mozilla/5.0 (Windows NT 6.1) AppleWebKit/537.36 Chrome/109.0 YaBrowser/23.1 Safari/537.36",
            "Yandex, Windows",
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("curl/8.5", "curl/8.5"),
        ("", ""),
    ],
)
def test_browsers_are_named_plainly(user_agent: str, name: str) -> None:
    """People recognise their browser, not its User-Agent."""
    assert browser_name(user_agent) == name


def test_everybody_may_choose_a_clock(app, district, as_role) -> None:
    """Times follow the chosen zone; nothing chosen is the school's, or for the district the installation's."""
    for who, usual, said in (("host", "UTC+7", "as at my school"), ("coordinator", "UTC+3", "as everywhere")):
        browser = as_role(who)
        page = browser.get("/me").get_data(as_text=True)
        assert re.search(rf"<dt>Time zone</dt><dd>[^<]*\({re.escape(usual)}\)", page)
        assert said in page
        chosen = {"name": "Имя", "locale": "en", "timezone": "Asia/Vladivostok"}
        assert browser.post("/me/profile", chosen, page="/me").status_code == 302
        page = browser.get("/me").get_data(as_text=True)
        assert "(UTC+10) <span" in page and "chosen by you" in page
        assert '<option value="Asia/Vladivostok" selected>' in page
        browser.post("/me/profile", {"name": "Имя", "locale": "en"}, page="/me")
        assert "(UTC+10) <span" in browser.get("/me").get_data(as_text=True), "a form without the field changes nothing"
        browser.post("/me/profile", {**chosen, "timezone": ""}, page="/me")
        assert "chosen by you" not in browser.get("/me").get_data(as_text=True)
        wrong = browser.post("/me/profile", {**chosen, "timezone": "Mars/Olympus"}, page="/me")
        assert wrong.status_code == 422


def test_programs_change_profile_and_addresses(app, district, as_api) -> None:
    """What one's own page does with name, calendar and podcast goes over the API too; passwords do not."""
    client, headers = app.test_client(), as_api("teacher")
    changed = client.patch("/api/v1/me", json={"name": "Другое имя", "timezone": "Asia/Omsk"}, headers=headers).json
    assert (changed["name"], changed["timezone"], changed["locale"]) == ("Другое имя", "Asia/Omsk", "en")
    assert client.patch("/api/v1/me", json={"timezone": "Mars"}, headers=headers).status_code == 422
    assert client.patch("/api/v1/me", json={"password": "other words"}, headers=headers).status_code == 422
    first = client.get("/api/v1/me/addresses", headers=headers).json
    assert first["podcast"] is None and client.get(first["calendar"]).status_code == 200
    renewed = client.post("/api/v1/me/calendar", headers=headers).json["calendar"]
    assert (client.get(first["calendar"]).status_code, client.get(renewed).status_code) == (404, 200)
    podcast = client.put("/api/v1/me/podcast", json={"kind": "voice_aac"}, headers=headers).json["podcast"]
    assert client.get(podcast).status_code == 200
    assert client.post("/api/v1/me/podcast/renew", headers=headers).json["podcast"] != podcast
    assert client.get(podcast).status_code == 404
    assert client.delete("/api/v1/me/podcast", headers=headers).status_code == 204
    assert client.delete("/api/v1/me/podcast", headers=headers).status_code == 404
