"""The front door of the live plane: who gets in, with what, and what they are told otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rules import tickets
from rules.lifecycle import SessionKind, SessionState
from rules.rights import Audience
from rules.tickets import Action, Ticket
from server.app import create_app
from server.liveplane import MediaAway
from store import guests, people, programme
from store.database import new_id, utc_now, write
from store.models import Session, SessionSchool
from tests.server.fakemedia import OFFER, FakeMedia

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"


@pytest.fixture
def media(app: Flask) -> Iterator[FakeMedia]:
    """A media process's control port in memory, in the place of the real one."""
    fake = FakeMedia(app.config["TROPA"])
    app.extensions["tropa_liveplane"] = fake.liveplane
    yield fake
    fake.liveplane.close()


@pytest.fixture
def lesson(app: Flask, district) -> Callable[..., str]:
    """Return a function that books a lesson at Sosnovka and gives its id; `starts_in` is in minutes from now."""

    def book(starts_in: float = 0, minutes: int = 45, state: SessionState = SessionState.BOOKED, invited=None) -> str:
        now = utc_now()
        row = Session(
            id=new_id(),
            kind=SessionKind.OPEN_LESSON.value,
            title="Дроби <b>и</b> доли",
            subject="Математика",
            grades="5+6",
            host_school_id=district.schools["sosnovka"],
            host_person_id=district.people["host"],
            starts_at=now + timedelta(minutes=starts_in),
            minutes=minutes,
            channel=1,
            audience=(Audience.DISTRICT if invited is None else Audience.INVITED).value,
            state=state.value,
            created_at=now,
            updated_at=now,
        )
        row.invited = [SessionSchool(school_id=district.schools[short]) for short in invited or ()]
        with app.app_context(), write() as session:
            session.add(row)
            session.flush()
            return row.id

    return book


@pytest.fixture
def ticket(app: Flask, district) -> Callable[..., str]:
    """Return a function that signs a ticket for one of the district's people."""

    def make(who: str, session_id: str, action: Action, *, key: str = "", expires_in: int = 600) -> str:
        bearer = key or f"person:{district.people[who]}"
        expires_s = int(utc_now().timestamp()) + expires_in
        secret = tickets.derive(app.config["TROPA"].secret_key, "tickets")
        return tickets.make(Ticket(action, session_id, bearer, "Имя", district.schools["sosnovka"], expires_s), secret)

    return make


def send(client: FlaskClient, url: str, bearer: str, body: str | bytes = OFFER, content_type: str = SDP):
    """Post an offer."""
    return client.post(url, data=body, content_type=content_type, headers={"Authorization": f"Bearer {bearer}"})


def state_of(app: Flask, session_id: str) -> str:
    with app.app_context():
        return programme.get_session(session_id).state


def test_a_host_publishes(client: FlaskClient, media: FakeMedia, lesson, ticket) -> None:
    """A host's offer is answered as RFC 9725 4.2 wants it, and reaches the media process whole."""
    session = lesson()
    answer = send(client, f"/whip/{session}", ticket("host", session, Action.HOST))
    assert answer.status_code == 201
    assert answer.mimetype == SDP
    assert answer.get_data(as_text=True) == "v=0\r\nanswer\r\n"
    assert answer.headers["Location"] == f"/whip/{session}/r1"
    assert answer.headers["ETag"] == '"e1"'
    assert answer.headers["Accept-Patch"] == FRAGMENT
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Location" in answer.headers["Access-Control-Expose-Headers"]
    assert media.calls == [("POST", f"/rooms/{session}/host", {"offer": OFFER, "title": "Дроби <b>и</b> доли"})]


def test_a_viewer_watches(client: FlaskClient, media: FakeMedia, lesson, ticket, district) -> None:
    """A viewer's offer carries who it is, so that attendance can be kept."""
    session = lesson()
    media.go_live(session)
    answer = send(client, f"/whep/{session}", ticket("other_teacher", session, Action.WATCH))
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/whep/{session}/r1"
    viewer = media.calls[0][2]["viewer"]
    assert viewer["key"] == f"person:{district.people['other_teacher']}"
    assert viewer["school"] == district.schools["sosnovka"]


def test_an_api_token_opens_both_doors(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """A person's API token is a bearer too, with the rights that the person has."""
    session = lesson()
    assert send(client, f"/whip/{session}", district.tokens["host"]).status_code == 201
    media.go_live(session)
    assert send(client, f"/whep/{session}", district.tokens["other_teacher"]).status_code == 201
    assert send(client, f"/whip/{session}", district.tokens["other_teacher"]).status_code == 403


def test_a_guest_watches_until_revoked(app: Flask, client: FlaskClient, media: FakeMedia, lesson, ticket) -> None:
    """A guest's ticket dies with the guest's row."""
    session = lesson()
    media.go_live(session)
    now = utc_now()
    with app.app_context():
        guest = guests.add_guest(session, None, "Гость", None, now, now + timedelta(hours=1)).id
    bearer = ticket("", session, Action.WATCH, key=f"guest:{guest}")
    assert send(client, f"/whep/{session}", bearer).status_code == 201
    assert media.calls[0][2]["viewer"]["name"] == "Гость"
    with app.app_context():
        guests.revoke_guest(guest, now)
    assert send(client, f"/whep/{session}", bearer).status_code == 401


def test_nobody_and_forged_bearers_are_asked_for_one(client: FlaskClient, media: FakeMedia, lesson, ticket) -> None:
    """Without a bearer, with a forged, expired or unknown one: 401 with WWW-Authenticate, and no call is made."""
    session = lesson()
    good = ticket("host", session, Action.HOST)
    bad = [
        good[:-3] + "AAA",
        "t1.x.y",
        "nonsense",
        "t1." + "A" * 5000,
        ticket("host", session, Action.HOST, expires_in=-1),
    ]
    for door in ("whip", "whep"):
        answers = [client.post(f"/{door}/{session}", data=OFFER, content_type=SDP)]
        answers += [send(client, f"/{door}/{session}", text) for text in bad]
        for answer in answers:
            assert answer.status_code == 401
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert answer.mimetype == "application/problem+json"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert not media.calls


def test_tickets_fit_one_session_and_one_purpose(client: FlaskClient, media: FakeMedia, lesson, ticket) -> None:
    """A ticket of another lesson, or for another purpose, is refused with 403."""
    session, other = lesson(), lesson(starts_in=1)
    media.go_live(session)
    assert send(client, f"/whip/{session}", ticket("host", other, Action.HOST)).status_code == 403
    assert send(client, f"/whip/{session}", ticket("host", session, Action.WATCH)).status_code == 403
    assert send(client, f"/whep/{session}", ticket("host", session, Action.JOIN)).status_code == 403
    assert not media.calls


def test_a_ticket_gives_no_right_that_was_lost(
    app: Flask, client: FlaskClient, media: FakeMedia, lesson, ticket, district
) -> None:
    """Rights are asked anew: a signed host ticket of a mere teacher, or of a disabled person, does not help."""
    session = lesson()
    assert send(client, f"/whip/{session}", ticket("teacher", session, Action.HOST)).status_code == 403
    with app.app_context():
        people.set_disabled(district.people["host"], True, utc_now())
    assert send(client, f"/whip/{session}", ticket("host", session, Action.HOST)).status_code == 401
    assert not media.calls


def test_a_lesson_for_others_does_not_exist(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """A lesson to which a school was not invited is answered like one that is not there."""
    session = lesson(invited=("sosnovka",))
    media.go_live(session)
    assert send(client, f"/whep/{session}", district.tokens["other_teacher"]).status_code == 404
    assert send(client, "/whep/zzzzzzzzzzzz", district.tokens["other_teacher"]).status_code == 404
    assert send(client, "/whep/%00", district.tokens["other_teacher"]).status_code == 404
    assert send(client, f"/whep/{session}", district.tokens["teacher"]).status_code == 201


@pytest.mark.parametrize(
    ("starts_in", "state", "status"),
    [
        (14, SessionState.BOOKED, 201),
        (16, SessionState.BOOKED, 403),
        (-55, SessionState.BOOKED, 201),
        (-61, SessionState.BOOKED, 403),
        (-61, SessionState.LIVE, 201),
        (0, SessionState.ENDED, 201),
        (0, SessionState.CANCELLED, 403),
    ],
)
def test_going_live_has_its_hours(
    client: FlaskClient, media: FakeMedia, lesson, district, starts_in: float, state: SessionState, status: int
) -> None:
    """A quarter of an hour before until a quarter after the booked time; what is live goes on."""
    session = lesson(starts_in, 45, state)
    for who in ("host", "coordinator"):
        assert send(client, f"/whip/{session}", district.tokens[who]).status_code == status


def test_nobody_is_live_yet(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """Before the host's media a viewer is told to come again in a few seconds."""
    session = lesson()
    answer = send(client, f"/whep/{session}", district.tokens["teacher"])
    assert answer.status_code == 409
    assert answer.headers["Retry-After"] == "3"
    assert answer.json["reason"] == "not_live"


def test_full_and_away_say_when_to_come_again(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """A full room and a media process that is away are both 503 with Retry-After, and told apart."""
    session = lesson()
    media.go_live(session)
    media.places = 0
    answer = send(client, f"/whep/{session}", district.tokens["teacher"])
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["reason"]) == (503, "30", "full")
    media.down = True
    for door, who in (("whep", "teacher"), ("whip", "host")):
        answer = send(client, f"/{door}/{session}", district.tokens[who])
        assert (answer.status_code, answer.headers["Retry-After"], answer.json["reason"]) == (503, "1", "away")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (OFFER, "text/plain", 415),
        (OFFER, "application/json", 415),
        ("garbage", SDP, 422),
        ("", SDP, 422),
        (OFFER + "a=only-g711\r\n", SDP, 422),
        (b"v=0\r\n\xff\xfe", SDP, 400),
        ("v=0\r\n" + "a" * 65_536, SDP, 413),
    ],
)
def test_bad_offers(
    client: FlaskClient, media: FakeMedia, lesson, district, body, content_type: str, status: int
) -> None:
    """What is no offer is refused with problem details, by both doors."""
    session = lesson()
    media.go_live(session)
    for door, who in (("whip", "host"), ("whep", "teacher")):
        answer = send(client, f"/{door}/{session}", district.tokens[who], body, content_type)
        assert answer.status_code == status
        assert answer.mimetype == "application/problem+json"
        assert answer.json["detail"]


def test_trickle_and_leaving(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """PATCH answers 204 while the resource is there, 404 afterwards; DELETE removes it."""
    session = lesson()
    media.go_live(session)
    headers = {"Authorization": f"Bearer {district.tokens['teacher']}"}
    url = send(client, f"/whep/{session}", district.tokens["teacher"]).headers["Location"]
    assert client.patch(url, data="a=end-of-candidates", content_type=FRAGMENT, headers=headers).status_code == 204
    assert client.patch(url, data="x", content_type="text/plain", headers=headers).status_code == 415
    assert client.delete(url, headers=headers).status_code == 200
    assert client.patch(url, data="a=x", content_type=FRAGMENT, headers=headers).status_code == 404
    assert client.delete(url, headers=headers).status_code == 404
    assert client.delete(url).status_code == 401


def test_a_viewer_chooses_the_quality_and_hears_what_is_sent(
    client: FlaskClient, media: FakeMedia, lesson, district
) -> None:
    """JSON on the viewer's own resource: the choice goes to the live plane, the answer comes back; nonsense is 400."""
    session = lesson()
    media.go_live(session)
    headers = {"Authorization": f"Bearer {district.tokens['teacher']}"}
    url = send(client, f"/whep/{session}", district.tokens["teacher"]).headers["Location"]
    told = client.patch(url, json={"mode": "saver"}, headers=headers)
    assert (told.status_code, told.json["rung"], told.json["mode"]) == (200, "low", "saver")
    # It is asked each 12 s beside the voice: a page's headers would double it.
    assert len(str(told.headers)) + len(told.data) < 600
    assert client.patch(url, json={}, headers=headers).status_code == 200
    for nonsense in ({"mode": "best"}, {"mode": ["auto"]}, [], "auto"):
        assert client.patch(url, json=nonsense, headers=headers).status_code == 400
    assert client.patch(url + "x", json={"mode": "auto"}, headers=headers).status_code == 404


def test_an_ice_restart_has_an_answer(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """New ICE names with If-Match "*" get 200, a fragment and a new ETag; without it 428, with another tag 412."""
    session = lesson()
    media.go_live(session)
    names = "a=ice-ufrag:abcd\r\na=ice-pwd:" + "x" * 24
    for door, who in (("whip", "host"), ("whep", "teacher")):
        created = send(client, f"/{door}/{session}", district.tokens[who])

        def patch(if_match: str | None, url=created.headers["Location"], token=district.tokens[who], body=names):
            headers = {"Authorization": f"Bearer {token}"} | ({"If-Match": if_match} if if_match else {})
            return client.patch(url, data=body, content_type=FRAGMENT, headers=headers)

        restarted = patch('"*"')
        assert (restarted.status_code, restarted.mimetype, restarted.headers["ETag"]) == (200, FRAGMENT, '"e2"')
        assert "a=ice-ufrag:new" in restarted.text
        assert [patch(tag).status_code for tag in (None, '"e9"', "x" * 300)] == [428, 412, 412]
        assert patch('"*"', body="a=ice-pwd:x").status_code == 400
        assert patch('"e1"').status_code == 204


def test_a_displaced_host_learns_who_is_on_air(client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """The 404 of a host's trickle tells a restart (come back) from another page that took over (stay away)."""
    session = lesson()
    headers = {"Authorization": f"Bearer {district.tokens['host']}"}
    for on_air in (False, True):
        if on_air:
            media.go_live(session)
        answer = client.patch(f"/whip/{session}/gone", data="a=x", content_type=FRAGMENT, headers=headers)
        assert (answer.status_code, answer.json["on_air"]) == (404, on_air)


def test_the_hosts_goodbye_ends_the_lesson(app: Flask, client: FlaskClient, media: FakeMedia, lesson, district) -> None:
    """DELETE by the host ends the session; a viewer's does not."""
    session = lesson(state=SessionState.LIVE)
    teacher = {"Authorization": f"Bearer {district.tokens['teacher']}"}
    host = {"Authorization": f"Bearer {district.tokens['host']}"}
    desk = send(client, f"/whip/{session}", district.tokens["host"]).headers["Location"]
    media.go_live(session)
    seat = send(client, f"/whep/{session}", district.tokens["teacher"]).headers["Location"]
    assert client.delete(seat, headers=teacher).status_code == 200
    assert state_of(app, session) == "live"
    assert client.delete(desk, headers=teacher).status_code == 403
    assert client.delete(desk, headers=host).status_code == 200
    assert state_of(app, session) == "ended"


def test_a_host_beside_another_ends_nothing(
    app: Flask, client: FlaskClient, media: FakeMedia, lesson, district
) -> None:
    """The goodbye of a page that another page has replaced leaves the lesson live."""
    session = lesson(state=SessionState.LIVE)
    host = {"Authorization": f"Bearer {district.tokens['host']}"}
    first = send(client, f"/whip/{session}", district.tokens["host"]).headers["Location"]
    second = send(client, f"/whip/{session}", district.tokens["host"]).headers["Location"]
    media.go_live(session)
    assert client.delete(first, headers=host).status_code == 200
    assert state_of(app, session) == "live"
    assert client.delete(second, headers=host).status_code == 200
    assert state_of(app, session) == "ended"


def test_preflight_is_open_to_any_origin(client: FlaskClient, lesson) -> None:
    """A browser on another site is told what it may send, without a bearer."""
    session = lesson()
    for path in (f"/whip/{session}", f"/whep/{session}", f"/whep/{session}/r1"):
        answer = client.options(path, headers={"Origin": "https://player.example"})
        assert answer.status_code == 204
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
        assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert answer.headers["Accept-Post"] == SDP
    assert client.get(f"/whip/{session}").status_code == 405


def test_a_stale_registry_is_an_absent_media_process(app: Flask, media: FakeMedia) -> None:
    """Without a readable file and without Redis there is no media process, and that is said."""
    file = app.config["TROPA"].data / "run" / "media.json"
    for text in ("", "{", "[]", '{"node": 1}'):
        file.write_text(text)
        with pytest.raises(MediaAway):
            media.liveplane.room("s1")
    file.unlink()
    with pytest.raises(MediaAway):
        media.liveplane.rooms()


def test_a_school_behind_one_address_is_not_hindered(
    settings, app: Flask, media: FakeMedia, lesson, ticket, district
) -> None:
    """The pace is counted by bearer: many people at one address come back at once, one bearer alone is slowed down."""
    counted = create_app(replace(settings, requests_per_minute=10), TESTING=True, PROPAGATE_EXCEPTIONS=False)
    counted.extensions["tropa_liveplane"] = media.liveplane
    client = counted.test_client()
    session = lesson()
    media.go_live(session)
    everybody = [ticket("teacher", session, Action.WATCH, expires_in=600 + number) for number in range(30)]
    for bearer in everybody * 3:
        assert send(client, f"/whep/{session}", bearer).status_code == 201
    answers = [send(client, f"/whep/{session}", everybody[0]) for _ in range(200)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["Retry-After"]
    assert answers[-1].mimetype == "application/problem+json"
