"""The live pages: who sees them, what they are given, and the end of a lesson."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask

from rules import tickets
from rules.lifecycle import SessionKind, SessionState
from rules.rights import Audience
from rules.tickets import Action, Ticket
from server.onair import OnAir
from store import guests, programme
from store.database import new_id, utc_now, write
from store.models import Session
from tests.server.fakemedia import FakeMedia

LESSON = re.compile(r'<script type="application/json" id="lesson">(.*?)</script>', re.S)


@pytest.fixture
def media(app: Flask) -> Iterator[FakeMedia]:
    """A media process's control port in memory, in the place of the real one."""
    fake = FakeMedia(app.config["TROPA"])
    app.extensions["tropa_liveplane"] = fake.liveplane
    yield fake
    fake.liveplane.close()


@pytest.fixture
def lesson(app: Flask, district, media: FakeMedia) -> str:
    """A lesson of the district that starts now."""
    now = utc_now()
    row = Session(
        id=new_id(),
        kind=SessionKind.OPEN_LESSON.value,
        title="</script><b>Дроби",
        subject="Математика",
        grades="5+6",
        host_school_id=district.schools["sosnovka"],
        host_person_id=district.people["host"],
        starts_at=now,
        minutes=45,
        channel=1,
        audience=Audience.INVITED.value,
        state=SessionState.BOOKED.value,
        created_at=now,
        updated_at=now,
    )
    with app.app_context(), write() as session:
        session.add(row)
        session.flush()
        return row.id


@pytest.fixture
def link(app: Flask, lesson: str) -> Callable[..., tuple[str, str]]:
    """Return a function that adds a guest and gives the personal link and the guest's id."""

    def make(expires_in: int = 3600, session_id: str = lesson) -> tuple[str, str]:
        now = utc_now()
        with app.app_context():
            guest = guests.add_guest(session_id, None, "Анна Петровна", None, now, now + timedelta(hours=1)).id
        secret = tickets.derive(app.config["TROPA"].secret_key, "tickets")
        expires_s = int(now.timestamp()) + expires_in
        shown = Ticket(Action.JOIN, session_id, f"guest:{guest}", "Анна Петровна", "", expires_s)
        return f"/join/{tickets.make(shown, secret)}", guest

    return make


def data_of(page: str) -> dict:
    """Return what the page's script starts from."""
    found = LESSON.search(page)
    assert found, page
    return json.loads(found[1])


def state_of(app: Flask, session_id: str) -> str:
    with app.app_context():
        return programme.get_session(session_id).state


def test_the_watch_page_is_for_those_who_may(as_role, browser, lesson: str) -> None:
    """A teacher of the host's school opens it, one of a school that was not invited does not, nobody logs in first."""
    page = as_role("teacher").get(f"/sessions/{lesson}/live")
    assert page.status_code == 200
    assert as_role("other_teacher").get(f"/sessions/{lesson}/live").status_code == 404
    answer = browser.get(f"/sessions/{lesson}/live")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/login")


def test_the_watch_page_starts_from_the_present(app: Flask, as_role, media: FakeMedia, lesson: str) -> None:
    """State, addresses and a watch ticket that fits are in the page; nothing in a title can leave its JSON block."""
    data = data_of(as_role("teacher").get(f"/sessions/{lesson}/live").get_data(as_text=True))
    assert (data["state"], data["whep_url"], data["events_url"]) == ("waiting", f"/whep/{lesson}", f"/events/{lesson}")
    key = tickets.derive(app.config["TROPA"].secret_key, "tickets")
    ticket = tickets.check(data["token"], key, utc_now().timestamp(), actions={Action.WATCH}, session_id=lesson)
    assert ticket.name == "Имя teacher"
    media.go_live(lesson)
    assert data_of(as_role("teacher").get(f"/sessions/{lesson}/live").get_data(as_text=True))["state"] == "live"
    media.down = True
    assert data_of(as_role("teacher").get(f"/sessions/{lesson}/live").get_data(as_text=True))["state"] == "away"


def test_the_hosts_desk_is_for_hosts(as_role, lesson: str) -> None:
    """The host and coordinators open the desk, a teacher is refused in words."""
    for who in ("host", "coordinator", "school_coordinator"):
        page = as_role(who).get(f"/sessions/{lesson}/host")
        assert page.status_code == 200
        assert data_of(page.get_data(as_text=True))["whip_url"] == f"/whip/{lesson}"
    assert as_role("teacher").get(f"/sessions/{lesson}/host").status_code == 403
    assert as_role("other_host").get(f"/sessions/{lesson}/host").status_code == 404


def test_a_personal_link_asks_nothing(browser, link, media: FakeMedia, lesson: str) -> None:
    """The link greets by name, holds a watch ticket that opens WHEP, and the live page opens afterwards too."""
    url, _guest = link()
    page = browser.get(url)
    text = page.get_data(as_text=True)
    assert page.status_code == 200
    assert "Анна Петровна" in text
    media.go_live(lesson)
    headers = {"Authorization": f"Bearer {data_of(text)['token']}"}
    answer = browser.client.post(f"/whep/{lesson}", data="v=0\r\n", content_type="application/sdp", headers=headers)
    assert answer.status_code == 201
    assert browser.get(f"/sessions/{lesson}/live").status_code == 200
    assert browser.get(f"/sessions/{lesson}/host").status_code in (302, 403)


def test_a_link_that_does_not_work_says_why(app: Flask, browser, link) -> None:
    """Expired and revoked links are gone, damaged ones are not found; each page is readable and says what to do."""
    url, guest = link()
    assert browser.get(link(expires_in=-5)[0]).status_code == 410
    for damaged in (url[:-4], "/join/x", "/join/" + "a" * 3000):
        answer = browser.get(damaged)
        assert answer.status_code == 404
        assert "<h1>" in answer.get_data(as_text=True)
    with app.app_context():
        guests.revoke_guest(guest, utc_now())
    assert browser.get(url).status_code == 410


def test_the_host_ends_the_lesson(app: Flask, as_role, media: FakeMedia, lesson: str) -> None:
    """The end is told to the media process and written down; a teacher cannot do it, and doing it twice says so."""
    media.go_live(lesson)
    with app.app_context():
        programme.mark_live(lesson, utc_now())
    assert as_role("teacher").post(f"/sessions/{lesson}/end").status_code == 403
    host = as_role("host")
    answer = host.post(f"/sessions/{lesson}/end", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    assert answer.json == {"state": "ended"}
    assert state_of(app, lesson) == "ended"
    assert lesson not in media.rooms
    assert host.post(f"/sessions/{lesson}/end", headers={"Accept": "application/json"}).status_code == 409


def test_the_end_is_not_claimed_while_media_is_away(app: Flask, as_role, media: FakeMedia, lesson: str) -> None:
    """Where the media process cannot be told, the lesson has not ended, and the page says what to do."""
    with app.app_context():
        programme.mark_live(lesson, utc_now())
    media.down = True
    answer = as_role("host").post(f"/sessions/{lesson}/end")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert state_of(app, lesson) == "live"


def test_the_end_needs_the_forms_token(as_role, lesson: str) -> None:
    """Another site cannot end a lesson with the host's cookie."""
    assert as_role("host").client.post(f"/sessions/{lesson}/end").status_code == 400


def test_rooms_are_written_down(app: Flask, lesson: str) -> None:
    """Arriving media makes the session live, the live plane's end ends it, and the host's grace outlasts a restart."""
    on_air = OnAir(app, grace_s=600)
    assert on_air.session_state(lesson) is SessionState.BOOKED
    assert on_air.session_state("none") is None
    on_air.take_rooms({lesson: {"state": "waiting"}, "unknown": {"state": "live"}}, True)
    assert state_of(app, lesson) == "booked"
    on_air.take_rooms({lesson: {"state": "live", "since": utc_now().timestamp()}}, True)
    assert state_of(app, lesson) == "live"
    on_air.take_rooms({}, True)
    assert state_of(app, lesson) == "live"
    on_air.take_end(lesson)
    assert state_of(app, lesson) == "ended"
    on_air.take_rooms({lesson: {"state": "live", "since": utc_now().timestamp() - 60}}, True)
    assert state_of(app, lesson) == "ended"


def test_events_are_open_to_ticket_and_login(app: Flask, as_role, lesson: str, district) -> None:
    """A bearer or a login lets in; hosts are told more; nobody and other schools are refused in problem details."""
    on_air = OnAir(app, grace_s=600)

    def bearer(who: str) -> list[tuple[bytes, bytes]]:
        return [(b"authorization", f"Bearer {district.tokens[who]}".encode())]

    assert on_air.authorize(lesson, bearer("host")).host
    assert not on_air.authorize(lesson, bearer("teacher")).host
    assert on_air.authorize(lesson, bearer("other_teacher")).status == 404
    denied = on_air.authorize(lesson, [])
    assert denied.status == 401
    assert json.loads(denied.body)["status"] == 401
    login = as_role("teacher").client.get_cookie("tropa_login")
    assert not on_air.authorize(lesson, [(b"cookie", f"tropa_login={login.value}".encode())]).host
