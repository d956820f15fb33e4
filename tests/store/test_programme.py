"""The programme: what each actor sees, going live and ending, seminars, letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from rules.leases import MAIL_MAX_ATTEMPTS
from rules.lifecycle import IllegalTransition, SessionKind, SessionState
from rules.rights import NOBODY, Actor, Audience, Role, may_see_session
from store import guests, outbox, people, programme, seminars
from store.booking import Draft, book, cancel
from store.database import write
from store.models import Session, db
from tests.store.conftest import NOW

TEN = NOW + timedelta(hours=28)
HOUR = timedelta(hours=1)


@pytest.fixture
def district(app) -> list[tuple[str, str]]:
    """Three schools with a host each, as (school id, person id)."""
    made = []
    for n in range(3):
        school = people.create_school(f"Школа {n}", "Europe/Moscow", NOW)
        host = people.create_person(f"h{n}@example.org", "Ведущий", "a long password", [(Role.HOST, school.id)], NOW)
        made.append((school.id, host.id))
    return made


@pytest.fixture
def add(district):
    """Book sessions of the n-th school, an hour after the one before each."""
    turn = count()

    def add(n: int = 0, **change) -> str:
        school_id, host_id = district[n]
        draft = Draft(SessionKind.WEBINAR, "Т", "П", school_id, host_id, TEN + next(turn) * HOUR, 45)
        return book(replace(draft, **change), host_id, NOW, 4).session_id

    return add


def test_the_database_sees_with_the_eyes_of_the_rules(district, add):
    """For every sort of actor and session the list holds exactly what the rule allows."""
    for n in range(3):
        add(n)
        add(n, audience=Audience.INVITED)
        add(n, audience=Audience.INVITED, invited=frozenset({district[(n + 1) % 3][0]}))
    rows = list(db.session.scalars(db.select(Session)))
    actors = [NOBODY, Actor(person_id=district[1][1]), Actor(guest_id="g", guest_session_id=rows[4].id)]
    for role in Role:
        for school_id in (None, *(school for school, _ in district), "elsewhere"):
            actors.append(Actor(person_id="somebody", memberships=frozenset({(role, school_id)})))
    actors.append(Actor(person_id=district[1][1], memberships=frozenset({(Role.TEACHER, "elsewhere")})))
    for actor in actors:
        listed = {row.id for row in programme.sessions_between(actor, NOW, NOW + timedelta(days=7))}
        assert listed == {row.id for row in rows if may_see_session(actor, programme.session_facts(row))}, actor


def test_a_week_holds_what_touches_it(district, add, host):
    """A session that began before the first moment and runs into it belongs; one that ends at it does not."""
    actor = people.actor_of(host)
    first, second = add(), add()
    assert [row.id for row in programme.sessions_between(actor, TEN + HOUR / 2, TEN + HOUR)] == [first]
    assert [row.id for row in programme.sessions_between(actor, TEN + 0.75 * HOUR, TEN + 2 * HOUR)] == [second]
    cancel(first, NOW)
    assert programme.sessions_between(actor, TEN, TEN + HOUR) == []
    assert [row.id for row in programme.sessions_between(actor, TEN, TEN + HOUR, cancelled=True)] == [first]
    assert [row.id for row in programme.calendar_sessions(actor, NOW)] == [first, second]


def test_live_and_next(add, host):
    """A session is next until it goes live or its time is over; live until it has ended."""
    actor = people.actor_of(host)
    first, second = add(), add()
    assert [row.id for row in programme.next_sessions(actor, TEN)] == [first, second]
    assert [row.id for row in programme.next_sessions(actor, TEN + 0.75 * HOUR, limit=1)] == [second]
    assert programme.mark_live(first, TEN)
    assert not programme.mark_live(first, TEN + HOUR / 4)
    assert [row.id for row in programme.live_sessions(actor)] == [first]
    assert programme.get_session(first).first_live_at == TEN
    assert programme.mark_ended(first, TEN + HOUR / 2)
    assert not programme.mark_ended(first, TEN + HOUR)
    assert programme.live_sessions(actor) == []
    assert programme.get_session(first).ended_at == TEN + HOUR / 2
    assert set(programme.sessions_by_id([first, "nothing"])) == {first}


def test_a_cancelled_session_never_goes_live(add):
    """Going live with what was cancelled is refused; an unknown session is no session."""
    session_id = add()
    cancel(session_id, NOW)
    with pytest.raises(IllegalTransition):
        programme.mark_live(session_id, TEN)
    assert not programme.mark_live("nothing", TEN)


def test_what_nobody_held_ends_by_itself(add):
    """A booked session ends some time after its end, one that is live does not."""
    first, second = add(), add()
    programme.mark_live(second, TEN + HOUR)
    assert programme.end_unheld(TEN + 2.7 * HOUR) == 0
    assert programme.end_unheld(TEN + 2.75 * HOUR) == 1
    assert programme.get_session(first).state == SessionState.ENDED
    assert programme.get_session(second).state == SessionState.LIVE


def test_a_seminar_shows_what_may_be_seen(district, add, coordinator):
    """A seminar counts the visible sessions; one with hidden sessions only is hidden, save from its coordinators."""
    open_one = seminars.create_seminar("Открытый", "", None, coordinator.id, NOW)
    hidden = seminars.create_seminar("Скрытый", "", district[0][0], coordinator.id, NOW + HOUR)
    first, gone = add(seminar_id=open_one.id), add(seminar_id=open_one.id)
    add(seminar_id=open_one.id, audience=Audience.INVITED)
    add(seminar_id=hidden.id, audience=Audience.INVITED)
    cancel(gone, NOW)
    stranger = Actor(person_id="p", memberships=frozenset({(Role.TEACHER, "elsewhere")}))
    assert [(row.title, at, n) for row, at, n in seminars.seminars(stranger)] == [("Открытый", TEN, 1)]
    assert [row.id for row in seminars.seminar_sessions(open_one.id, stranger)] == [first]
    assert len(seminars.seminar_sessions(open_one.id, stranger, cancelled=True)) == 2
    assert [row.title for row, _, _ in seminars.seminars(people.actor_of(coordinator))] == ["Скрытый", "Открытый"]
    own = Actor(person_id="p", memberships=frozenset({(Role.COORDINATOR, district[0][0])}))
    assert [n for _, _, n in seminars.seminars(own)] == [1, 2]
    assert seminars.seminars(NOBODY) == []


def test_a_seminar_is_changed(coordinator):
    """A seminar's texts change; an unknown one is None."""
    row = seminars.create_seminar("А", "", None, coordinator.id, NOW)
    facts = {"title": "Б", "description": "о", "organiser_school_id": None, "now": NOW + HOUR}
    assert seminars.update_seminar(row.id, **facts).updated_at == NOW + HOUR
    assert seminars.get_seminar(row.id).title == "Б"
    assert seminars.update_seminar("nothing", **facts) is None


def test_a_letter_stands_or_falls_with_what_it_tells_of(app, add):
    """A letter written in a transaction that fails is not sent."""
    session_id = add()
    with pytest.raises(RuntimeError), write():
        outbox.enqueue("a@example.org", "Отмена", "…", NOW)
        cancel(session_id, NOW)
        raise RuntimeError
    assert outbox.due(NOW) == []
    assert programme.get_session(session_id).state == SessionState.BOOKED


def test_letters_are_claimed_sent_and_forgotten(app):
    """A letter is claimed by one worker at a time, due again when that worker vanished, and over when sent."""
    outbox.enqueue("a@example.org", "Тема\r\nBcc: x@example.org", "…", NOW)
    (letter,) = outbox.due(NOW)
    assert letter.subject == "Тема Bcc: x@example.org"
    assert outbox.claim(letter.id, NOW) is not None
    assert outbox.claim(letter.id, NOW) is None
    assert outbox.claim(letter.id, NOW + HOUR) is not None
    outbox.mark_sent(letter.id, NOW + HOUR)
    assert outbox.claim(letter.id, NOW + 9 * HOUR) is None
    assert outbox.clean(NOW) == 0
    assert outbox.clean(NOW + 2 * HOUR) == 1


def test_a_letter_that_is_refused_waits_and_is_given_up(app):
    """Each refusal pauses longer; the last keeps the letter, with its error, but never sends it again."""
    outbox.enqueue("a@example.org", "Тема", "…", NOW)
    letter_id, moment = outbox.due(NOW)[0].id, NOW
    for _ in range(MAIL_MAX_ATTEMPTS - 1):
        later = outbox.mark_failed(letter_id, moment, "451 try later")
        assert later > moment
        assert outbox.due(moment) == []
        moment = later
    assert outbox.mark_failed(letter_id, moment, "550 no such user") is None
    assert outbox.due(NOW + timedelta(days=3650)) == []


def test_guests_pages_list_by_name(add, district):
    """Guests of one session are not those of another."""
    first, second = add(), add()
    for name in ("Яна", "Анна"):
        guests.add_guest(first, None, name, None, NOW, TEN)
    assert [guest.name for guest in guests.guests(first)] == ["Анна", "Яна"]
    assert guests.guests(second) == []
