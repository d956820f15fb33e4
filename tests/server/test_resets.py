"""Forgotten passwords: links that set a new one, and who may make them for whom."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta

import pytest

from rules.rights import Role
from store import people, resets
from store.database import utc_now, write
from store.models import OutboxMail, PasswordReset, db
from tests.server.conftest import PASSWORD, Browser

NEW = "четыре новых коротких слова"
LINK = re.compile(r'value="http://localhost(/reset/[\w-]+)"')


def link_by(browser: Browser, person_id: str) -> str:
    """Make a link by the person's page and return its path."""
    answer = browser.post(f"/people/{person_id}/reset", page="/me")
    assert answer.status_code == 200
    return LINK.search(answer.get_data(as_text=True))[1]


def test_link_sets_a_password_and_ends_every_login(app, district, as_role) -> None:
    """The new password opens, the old one does not, browsers logged in before are out, and the link is used up."""
    elsewhere, here = as_role("teacher"), Browser(app.test_client())
    path = link_by(as_role("school_coordinator"), district.people["teacher"])
    assert "Имя teacher" in here.get(path).get_data(as_text=True)
    assert elsewhere.get("/me").status_code == 200
    assert here.post(path, {"password": NEW}, page=path).location == "/"
    assert "Имя teacher" in here.get("/me").get_data(as_text=True)
    assert elsewhere.get("/me").status_code == 302
    assert Browser(app.test_client()).log_in(district.email("teacher")).status_code == 422
    assert Browser(app.test_client()).log_in(district.email("teacher"), NEW).status_code == 302
    again = Browser(app.test_client())
    assert again.get(path).status_code == 410
    assert again.post(path, {"password": PASSWORD}, page="/").status_code == 410


def test_weak_password_leaves_the_link_usable(app, district, as_role) -> None:
    """A password that is too short is refused at its field, changes nothing and uses nothing up."""
    path, here = link_by(as_role("coordinator"), district.people["teacher"]), Browser(app.test_client())
    assert here.post(path, {"password": "short"}, page=path).status_code == 422
    assert Browser(app.test_client()).log_in(district.email("teacher")).status_code == 302
    assert here.post(path, {"password": NEW}, page=path).status_code == 302


@pytest.mark.parametrize(
    ("who", "whom"),
    [
        ("school_coordinator", "administrator"),
        ("school_coordinator", "coordinator"),
        ("school_coordinator", "other_teacher"),
        ("coordinator", "administrator"),
        ("teacher", "host"),
        ("coordinator", "coordinator"),
    ],
)
def test_nobody_resets_above_their_reach(app, district, as_role, as_api, who: str, whom: str) -> None:
    """A school's coordinator takes over nobody of another school or higher rights, no coordinator an administrator."""
    target = district.people[whom]
    page = as_role(who).post(f"/people/{target}/reset", page="/me")
    api = app.test_client().post(f"/api/v1/people/{target}/password-reset", headers=as_api(who))
    assert page.status_code in (403, 404) and api.status_code in (403, 404)
    with app.app_context():
        assert db.session.query(PasswordReset).count() == 0


def test_somebody_with_another_role_elsewhere_is_out_of_a_schools_reach(app, district, as_role) -> None:
    """A teacher here who hosts at another school too is reset by the district's coordinator only."""
    with app.app_context():
        people.grant(district.people["teacher"], Role.HOST, district.schools["berezovka"])
    refused = as_role("school_coordinator").post(f"/people/{district.people['teacher']}/reset", page="/me")
    assert refused.status_code == 403
    assert "An administrator can make the link." in refused.get_data(as_text=True)
    assert link_by(as_role("coordinator"), district.people["teacher"])


def test_rights_are_asked_again_when_the_link_is_used(app, district, as_role) -> None:
    """A link made for a teacher does not open what has become an administrator's account since."""
    path = link_by(as_role("school_coordinator"), district.people["teacher"])
    with app.app_context():
        people.grant(district.people["teacher"], Role.ADMINISTRATOR, None)
    assert Browser(app.test_client()).get(path).status_code == 410


def test_only_the_newest_link_works_and_not_for_ever(app, district, as_role) -> None:
    """Another link ends the one before; two days later none works, and a disabled account has none."""
    coordinator, teacher = as_role("coordinator"), district.people["teacher"]
    first, second = link_by(coordinator, teacher), link_by(coordinator, teacher)
    assert Browser(app.test_client()).get(first).status_code == 410
    assert Browser(app.test_client()).get(second).status_code == 200
    with app.app_context():
        token, late = second.removeprefix("/reset/"), utc_now() + resets.LASTS + timedelta(seconds=1)
        assert resets.find_reset(token, utc_now()).person_id == teacher
        with pytest.raises(resets.ResetRefused):
            resets.find_reset(token, late)
        people.set_disabled(teacher, True, utc_now())
    assert Browser(app.test_client()).get(second).status_code == 410
    assert coordinator.post(f"/people/{teacher}/reset", page="/me").status_code == 409


def test_two_who_use_one_link_at_once(app, district) -> None:
    """The second of two is refused, whatever it saw before."""
    with app.app_context():
        _row, token = resets.make_reset(district.people["teacher"], district.people["coordinator"], utc_now())
        resets.accept_reset(token, NEW, utc_now())
        with pytest.raises(resets.ResetRefused):
            resets.accept_reset(token, PASSWORD, utc_now())
        assert people.authenticate(district.email("teacher"), NEW) is not None


def test_a_second_click_makes_no_second_link(app, district, as_role) -> None:
    """The same form sent twice leaves the first link working."""
    browser, teacher = as_role("coordinator"), district.people["teacher"]
    data = {"idempotency_key": "one click"}
    shown = browser.post(f"/people/{teacher}/reset", data, page="/me").get_data(as_text=True)
    assert browser.post(f"/people/{teacher}/reset", data, page="/me").location == f"/people/{teacher}"
    assert Browser(app.test_client()).get(LINK.search(shown)[1]).status_code == 200


def test_api_makes_a_link_and_mail_carries_it(app, district, as_api) -> None:
    """Over the API the same: the address is in the answer, and in a letter in the person's language."""
    app.config["TROPA"] = dataclasses.replace(app.config["TROPA"], smtp_url="smtp://127.0.0.1:9")
    url = f"/api/v1/people/{district.people['teacher']}/password-reset"
    answer = app.test_client().post(url, headers=as_api("coordinator"))
    assert answer.status_code == 201 and answer.json["mailed"] is True
    with app.app_context():
        letter = db.session.query(OutboxMail).one()
        assert letter.to_address == district.email("teacher")
        assert answer.json["url"] in letter.body


def test_only_a_digest_is_kept_and_old_ones_go(app, district) -> None:
    """The database cannot give a link away, and upkeep removes those that have expired."""
    with app.app_context():
        row, token = resets.make_reset(district.people["teacher"], district.people["coordinator"], utc_now())
        assert token not in (row.id, row.token_sha256)
        assert resets.clean(utc_now()) == 0
        assert resets.clean(row.expires_at + timedelta(seconds=1)) == 1
        with write() as session:
            assert session.query(PasswordReset).count() == 0
