"""Booking: the database refuses what is taken, whoever comes at once, and the free times are named."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select

from rules.lifecycle import IllegalTransition, SessionKind, SessionState
from rules.rights import Audience, Role
from rules.schedule import SlotFault
from store import booking, people
from store.booking import Booked, Clash, Draft, Invalid, KeyReused, NoSuch, NotMovable, book, cancel, reschedule
from store.models import BookingBucket, Session, db
from store.programme import mark_ended, mark_live
from tests.store.conftest import NOW

TEN = NOW + timedelta(hours=28)  # the next day at 10:00 in Moscow
RIVALS = 50


@pytest.fixture
def draft(school, host) -> Draft:
    """An open lesson of the school, tomorrow at ten for 45 minutes."""
    return Draft(SessionKind.OPEN_LESSON, "Дроби", "Математика", school.id, host.id, TEN, 45, grades=frozenset({5, 6}))


@pytest.fixture
def other(app) -> tuple[str, str]:
    """Another school and its host: shares nothing with the first but the channels."""
    school = people.create_school("Школа № 2", "Asia/Novosibirsk", NOW)
    host = people.create_person("other@example.org", "Другой", "a long password", [(Role.HOST, school.id)], NOW)
    return school.id, host.id


def elsewhere(draft: Draft, other: tuple[str, str]) -> Draft:
    return replace(draft, host_school_id=other[0], host_person_id=other[1])


def bucket_rows() -> int:
    return db.session.scalar(select(func.count()).select_from(BookingBucket))


def test_a_booking_takes_its_channel_host_and_link(draft, coordinator):
    """A booked session stands in the database as drafted and has every bucket of three resources."""
    booked = book(draft, coordinator.id, NOW, 2)
    row = db.session.get(Session, booked.session_id)
    assert (row.grades, row.starts_at, row.state, row.channel) == ("5+6", TEN, SessionState.BOOKED, 1)
    assert bucket_rows() == 3 * 9


def test_a_taken_host_is_refused_with_free_times(draft, coordinator):
    """The second booking of the same host names the first one, and each suggested time can be booked."""
    first = book(draft, coordinator.id, NOW, 2)
    clash = book(replace(draft, starts_at=TEN + timedelta(minutes=20)), coordinator.id, NOW, 2)
    assert isinstance(clash, Clash)
    assert {conflict.session_id for conflict in clash.conflicts} == {first.session_id}
    assert clash.suggestions[0].minutes_away == 25
    for suggestion in clash.suggestions:
        assert isinstance(book(replace(draft, starts_at=suggestion.starts_at), coordinator.id, NOW, 2), Booked)


def test_another_school_gets_the_next_channel_until_none_is_left(draft, other, coordinator):
    """Sessions that share no host nor link take different channels; without a free channel they clash."""
    assert book(draft, coordinator.id, NOW, 2).channel == 1
    assert book(elsewhere(draft, other), coordinator.id, NOW, 2).channel == 2
    third = replace(draft, host_school_id=other[0], host_person_id=coordinator.id)
    assert "channel" in {conflict.resource for conflict in book(third, coordinator.id, NOW, 2).conflicts}


def test_a_session_that_ends_where_another_begins_is_no_clash(draft, coordinator):
    """Back to back is allowed."""
    book(draft, coordinator.id, NOW, 1)
    assert isinstance(book(replace(draft, starts_at=TEN + timedelta(minutes=45)), coordinator.id, NOW, 1), Booked)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"minutes": -45}, SlotFault.TOO_SHORT),
        ({"minutes": 481}, SlotFault.TOO_LONG),
        ({"starts_at": NOW.replace(year=1900)}, SlotFault.BAD_YEAR),
        ({"starts_at": NOW - timedelta(days=1)}, SlotFault.IN_THE_PAST),
    ],
)
def test_impossible_times_are_invalid(draft, coordinator, change, fault):
    """A time that is never booked is refused by its code and leaves no row."""
    assert book(replace(draft, **change), coordinator.id, NOW, 1) == Invalid((fault,))
    assert bucket_rows() == 0


@pytest.mark.parametrize("field", ["host_school_id", "host_person_id", "seminar_id"])
def test_unknown_references_are_named(draft, coordinator, field):
    """A draft that names what does not exist is refused by the field's name."""
    with pytest.raises(NoSuch) as caught:
        book(replace(draft, **{field: "nothing"}), coordinator.id, NOW, 1)
    assert caught.value.field == field


def test_a_repeated_request_gives_the_same_session(draft, coordinator):
    """The same request under the same key books once; another request under that key is refused."""
    first = book(draft, coordinator.id, NOW, 1, "key")
    again = book(draft, coordinator.id, NOW + timedelta(days=3), 1, "key")
    assert again == replace(first, repeated=True)
    with pytest.raises(KeyReused):
        book(replace(draft, title="Другое"), coordinator.id, NOW, 1, "key")
    assert bucket_rows() == 3 * 9


def test_a_refused_request_may_be_repeated_under_its_key(draft, other, coordinator):
    """A clash does not use the key up: when the time is free again the same request books."""
    first = book(elsewhere(draft, other), coordinator.id, NOW, 1)
    assert isinstance(book(draft, coordinator.id, NOW, 1, "key"), Clash)
    cancel(first.session_id, NOW)
    assert isinstance(book(draft, coordinator.id, NOW, 1, "key"), Booked)


def test_moving_frees_the_old_time_and_raises_the_sequence(draft, other, coordinator):
    """A moved session has its new time only, and calendars learn of it."""
    booked = book(draft, coordinator.id, NOW, 1)
    moved = reschedule(booked.session_id, replace(draft, starts_at=TEN + timedelta(minutes=20)), NOW, 1)
    assert moved == Booked(booked.session_id, 1)
    assert db.session.get(Session, booked.session_id).sequence == 1
    assert isinstance(book(replace(elsewhere(draft, other), minutes=20), coordinator.id, NOW, 1), Booked)
    assert bucket_rows() == 3 * (9 + 4)


def test_moving_onto_another_session_changes_nothing(draft, other, coordinator):
    """A move that clashes leaves the session as it was in every field."""
    book(elsewhere(draft, other), coordinator.id, NOW, 1)
    later = replace(draft, starts_at=TEN + timedelta(hours=2))
    booked = book(later, coordinator.id, NOW, 1)
    clash = reschedule(booked.session_id, replace(draft, title="Новое"), NOW, 1)
    assert isinstance(clash, Clash) and clash.suggestions
    row = db.session.get(Session, booked.session_id)
    assert (row.title, row.starts_at, row.sequence) == ("Дроби", later.starts_at, 0)
    assert bucket_rows() == 2 * 3 * 9


def test_texts_change_in_mid_lesson_but_not_the_time(draft, coordinator):
    """A live session may get another title, never another time."""
    booked = book(draft, coordinator.id, NOW, 1)
    mark_live(booked.session_id, TEN)
    assert isinstance(reschedule(booked.session_id, replace(draft, title="Новое"), TEN, 1), Booked)
    with pytest.raises(NotMovable):
        reschedule(booked.session_id, replace(draft, minutes=60), TEN, 1)


def test_invited_schools_change_with_the_session(draft, other, coordinator):
    """Invitations follow the draft: schools are added and taken away."""
    invited = replace(draft, audience=Audience.INVITED, invited=frozenset({other[0]}))
    booked = book(invited, coordinator.id, NOW, 1)
    row = db.session.get(Session, booked.session_id)
    assert [school.school_id for school in row.invited] == [other[0]]
    reschedule(booked.session_id, replace(invited, invited=frozenset({draft.host_school_id})), NOW, 1)
    assert [school.school_id for school in row.invited] == [draft.host_school_id]


def test_cancelling_frees_the_time_once(draft, coordinator):
    """A cancelled session holds no bucket, its sequence rises, and it cannot be cancelled again."""
    booked = book(draft, coordinator.id, NOW, 1)
    assert cancel(booked.session_id, NOW).sequence == 1
    assert bucket_rows() == 0
    with pytest.raises(IllegalTransition):
        cancel(booked.session_id, NOW)


def race(app, drafts: list[Draft], actor_id: str, channels: int, now: datetime = NOW) -> list:
    """Book every draft at the same moment, each in a thread of its own; returns results and exceptions."""
    results: list = []
    start = threading.Barrier(len(drafts))

    def run(draft: Draft) -> None:
        with app.app_context():
            start.wait()
            try:
                results.append(book(draft, actor_id, now, channels))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
                results.append(error)

    threads = [threading.Thread(target=run, args=(draft,)) for draft in drafts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()  # the test's own view is from before the race
    return results


@pytest.mark.parametrize("locked", [True, False])
def test_of_fifty_at_once_exactly_one_wins(app, draft, coordinator, monkeypatch, locked):
    """Fifty bookings of one host and slot: one wins, the others get free times; also by the primary key alone."""
    if not locked:
        monkeypatch.setattr(booking, "LOCK_BOOKING", None)
    results = race(app, [replace(draft, title=f"Урок {n}") for n in range(RIVALS)], coordinator.id, channels=3)
    assert sum(isinstance(result, Booked) for result in results) == 1, results
    refused = [result for result in results if not isinstance(result, Booked)]
    assert all(isinstance(result, Clash) and result.suggestions for result in refused), refused
    assert db.session.scalar(select(func.count()).select_from(Session)) == 1
    assert bucket_rows() == 3 * 9


@pytest.mark.parametrize("locked", [True, False])
def test_every_channel_is_used_and_none_twice(app, draft, coordinator, monkeypatch, locked):
    """Of many schools that want one time, as many win as there are channels, each on its own."""
    if not locked:
        monkeypatch.setattr(booking, "LOCK_BOOKING", None)
    drafts = []
    for n in range(20):
        school = people.create_school(f"Школа {n}", "Europe/Moscow", NOW)
        host = people.create_person(f"host{n}@example.org", "Ведущий", "a long password", [], NOW)
        drafts.append(replace(draft, host_school_id=school.id, host_person_id=host.id))
    results = race(app, drafts, coordinator.id, channels=5)
    won = [result for result in results if isinstance(result, Booked)]
    assert sorted(result.channel for result in won) == [1, 2, 3, 4, 5], results
    assert all(isinstance(result, Clash) for result in results if result not in won), results


def test_two_who_swap_times_do_not_deadlock(app, draft, other, coordinator):
    """Sessions moved onto each other's time at the same moment both get an answer; no time is ever held twice."""
    one = book(draft, coordinator.id, NOW, 1)
    two = book(replace(elsewhere(draft, other), starts_at=TEN + timedelta(hours=2)), coordinator.id, NOW, 1)
    start = threading.Barrier(2)
    results: list = []

    def move(session_id: str, wanted: Draft) -> None:
        with app.app_context():
            start.wait()
            try:
                results.append(reschedule(session_id, wanted, NOW, 1))
            except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
                results.append(error)

    wishes = [
        (one.session_id, replace(draft, starts_at=TEN + timedelta(hours=2))),
        (two.session_id, elsewhere(draft, other)),
    ]
    threads = [threading.Thread(target=move, args=wish) for wish in wishes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert all(isinstance(result, Clash) for result in results), results
    assert bucket_rows() == 2 * 3 * 9


def test_an_early_end_gives_the_rest_of_the_time_back(draft, coordinator):
    """A lesson that ends after 20 of 45 minutes leaves its channel, host and link free from then on."""
    first = book(draft, coordinator.id, NOW, 1)
    next_one = replace(draft, starts_at=TEN + timedelta(minutes=25), minutes=20)
    assert isinstance(book(next_one, coordinator.id, NOW, 1), Clash)
    mark_live(first.session_id, TEN)
    assert mark_ended(first.session_id, TEN + timedelta(minutes=20, seconds=1))
    assert bucket_rows() == 3 * 5
    assert booking.taken_times(TEN, TEN + timedelta(hours=1)) == [(TEN, TEN + timedelta(minutes=25))]
    assert isinstance(book(next_one, coordinator.id, TEN + timedelta(minutes=21), 1), Booked)


def test_a_host_who_comes_back_takes_what_is_still_free(draft, coordinator):
    """Ended by mistake and live again: the time is taken as before, but for what others have booked meanwhile."""
    first = book(draft, coordinator.id, NOW, 1)
    mark_live(first.session_id, TEN)
    mark_ended(first.session_id, TEN + timedelta(minutes=10))
    assert mark_live(first.session_id, TEN + timedelta(minutes=12))
    assert bucket_rows() == 3 * 9
    mark_ended(first.session_id, TEN + timedelta(minutes=15))
    late = replace(draft, starts_at=TEN + timedelta(minutes=30), minutes=15)
    second = book(late, coordinator.id, TEN + timedelta(minutes=16), 1)
    assert isinstance(second, Booked)
    assert mark_live(first.session_id, TEN + timedelta(minutes=17))
    held = select(func.count()).where(BookingBucket.session_id == first.session_id)
    assert (db.session.scalar(held), bucket_rows()) == (3 * 6, 3 * 9)
