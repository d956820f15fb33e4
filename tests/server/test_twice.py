"""A second click on the same form makes nothing more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.app import create_app
from store import invitations, logins, outbox, people
from store.database import utc_now


def test_school_is_added_once(app, as_role) -> None:
    """Both clicks end at the list with one school; the form corrected and sent again adds another."""
    browser = as_role("coordinator")
    data = {"name": "Новая школа", "timezone": "Asia/Omsk", "idempotency_key": "k1"}
    for _click in range(2):
        assert browser.post("/schools/new", data, page="/me").location == "/schools"
    assert browser.post("/schools/new", {**data, "name": "Другая школа"}, page="/me").location == "/schools"
    with app.app_context():
        names = [row.name for row in people.schools()]
    assert names.count("Новая школа") == names.count("Другая школа") == 1


def test_invitation_is_made_once(app, district, as_role) -> None:
    """The second click leads to the list and explains where the link was."""
    browser = as_role("coordinator")
    data = {"role": "host", "place": district.schools["sosnovka"], "idempotency_key": "k2"}
    assert browser.post("/invitations", data, page="/me").status_code == 200
    assert browser.post("/invitations", data, page="/me").location == "/invitations"
    assert "made already" in browser.get("/invitations").get_data(as_text=True)
    with app.app_context():
        assert len(invitations.invitations(utc_now())) == 1


def test_token_is_made_once(app, district, as_role) -> None:
    """One click or two, one token."""
    browser = as_role("host")
    data = {"label": "журнал", "idempotency_key": "k3"}
    assert browser.post("/me/tokens", data, page="/me").status_code == 200
    assert browser.post("/me/tokens", data, page="/me").location == "/me"
    with app.app_context():
        assert [row.name for row in logins.api_tokens(district.people["host"])].count("журнал") == 1


@pytest.mark.parametrize("key", ["", "x" * 500, "ключ", "a\0b"])
def test_unusable_keys_are_no_hindrance(as_role, key: str) -> None:
    """A form whose key was damaged is accepted as one without."""
    data = {"role": "teacher", "place": "district", "idempotency_key": key}
    assert as_role("coordinator").post("/invitations", data, page="/me").status_code == 200


def test_invitation_is_mailed_where_there_is_mail(settings, app, district) -> None:
    """With a mail server and an address the letter is in the outbox, with the link that works."""
    from tests.server.conftest import Browser

    mailing = create_app(
        replace(settings, smtp_url="smtp://mail.example", public_url="https://tropa.example"), TESTING=True
    )
    with mailing.app_context():
        _row, token = logins.start_login(district.people["coordinator"], "tests", utc_now(), 1)
    browser = Browser(mailing.test_client())
    browser.client.set_cookie("tropa_login", token)
    data = {"role": "teacher", "place": "district", "name": "Вера", "email": "vera@tropa.example"}
    assert browser.post("/invitations", data, page="/me").status_code == 200
    with mailing.app_context():
        letter = outbox.due(utc_now())[0]
        assert letter.to_address == "vera@tropa.example"
        link = next(line for line in letter.body.splitlines() if line.startswith("https://tropa.example/invite/"))
        assert invitations.find_invitation(link.rpartition("/")[2], utc_now()).name == "Вера"
