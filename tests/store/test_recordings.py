"""Recordings: taken over once, every file published once, found by those who may see them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event

from rules.leases import LEASE_S, MAX_ATTEMPTS, MAX_DEATHS, Verdict
from rules.lifecycle import RecordingState, RenditionState, SessionKind, SessionState
from rules.renditions import Kind
from rules.rights import NOBODY, Actor, Audience, Role, may_see_recording
from store import guests, library, people, pieces, plans, programme, recordings
from store.booking import Draft, book
from store.database import write
from store.library import Filter
from store.models import Session, db
from store.recordings import PublishedFile
from store.takeover import NoSuchSession, Sealed, Stay, create_recording
from tests.store.conftest import NOW

STARTS = NOW + timedelta(days=1)
ENDS = STARTS + timedelta(minutes=40)
FILE = PublishedFile("recordings/r1/voice_opus-00.opus", "audio/ogg; codecs=opus", 4_000_000, "0" * 64, 2400.0)
SEGMENT = {"key": "recordings/r1/source/segment-0001.mp4", "bytes": 10, "sha256": "1" * 64, "duration_s": 2400.0}


@pytest.fixture
def lesson(school, host) -> str:
    """The id of a booked session."""
    draft = Draft(SessionKind.OPEN_LESSON, "Дроби и ёлки", "Математика", school.id, host.id, STARTS, 45)
    return book(replace(draft, grades=frozenset({5, 6})), host.id, NOW, 1).session_id


@pytest.fixture
def sealed(lesson, school, host) -> Sealed:
    """What a manifest said of that session."""
    stays = (
        Stay(f"person:{host.id}", "Ведущая", "", STARTS, ENDS),
        Stay("guest:unknown", "Гость", school.name, STARTS, ENDS),
        Stay("guest:unknown", "Гость", school.name, STARTS, ENDS),
    )
    return Sealed("r1", lesson, STARTS, ENDS, True, [SEGMENT], attendance=stays)


@pytest.fixture
def recording(sealed):
    """The recording, taken over."""
    assert create_recording(sealed, ENDS)
    return library.recording("r1")


PLAN = {
    "lesson": {},
    "line": {},
    "length_s": 2400.0,
    "bounds_s": [60.0, 90.0],
    "pictures": {kind: {"width": 640, "height": 360, "fps": 10.0} for kind in (Kind.VIDEO_SMALL, Kind.VIDEO_COMPAT)},
}


def planned() -> None:
    """Have the lesson's plan made, and with it the pieces of its pictures."""
    assert plans.lay_out(ENDS) == 1
    [piece] = pieces.next_pieces(ENDS, 10)
    assert pieces.take(piece, "w", ENDS) is Verdict.TAKE
    assert plans.keep(piece, "w", ENDS, **PLAN)


def cut() -> None:
    """Have every piece of a recording's pictures made."""
    planned()
    for piece in pieces.next_pieces(ENDS, 10):
        assert pieces.take(piece, "w", ENDS) is Verdict.TAKE
        assert pieces.done(piece, "w", ENDS, f"recordings/r1/pieces/{piece}.mp4", 10, "3" * 64)


def make(rendition_id: str, owner: str = "w1") -> None:
    assert recordings.take(rendition_id, owner, ENDS) is Verdict.TAKE
    state = RenditionState.VERIFYING
    assert recordings.progress(rendition_id, owner, ENDS, state=state, stage="verify", percent=99)
    assert recordings.publish(rendition_id, owner, ENDS, FILE)


def test_a_manifest_becomes_a_recording_with_planned_files(recording, lesson, school):
    """The session ends, files are planned smallest first, and who came is known with their schools."""
    assert [row.kind for row in recording.renditions] == [
        Kind.VOICE_OPUS,
        Kind.VOICE_AAC,
        Kind.PACK,
        Kind.VIDEO_SMALL,
        Kind.VIDEO_COMPAT,
    ]
    assert recording.state == RecordingState.WAITING
    row = db.session.get(Session, lesson)
    assert (row.state, row.first_live_at, row.ended_at) == (SessionState.ENDED, STARTS, ENDS)
    came = programme.attendance(lesson)
    assert [(stay.name, stay.school_id) for stay in came] == [("Ведущая", school.id), ("Гость", school.id)]


def test_a_manifest_is_taken_over_once(recording, sealed):
    """The same manifest again changes nothing."""
    assert not create_recording(sealed, ENDS)
    assert len(library.recording("r1").renditions) == 5


def test_a_manifest_of_an_unknown_session_is_refused(sealed):
    """A recording never stands without its session."""
    with pytest.raises(NoSuchSession):
        create_recording(replace(sealed, session_id="nothing"), ENDS)
    assert library.recording("r1") is None


def test_voice_alone_has_no_pictures(sealed):
    """A recording without a picture gets voice files and a pack only."""
    create_recording(replace(sealed, has_video=False), ENDS)
    assert [row.kind for row in library.recording("r1").renditions] == [Kind.VOICE_OPUS, Kind.VOICE_AAC, Kind.PACK]


def test_a_session_that_is_live_again_is_not_ended_by_an_old_manifest(sealed, lesson):
    """A manifest that arrives late does not end the lesson that its host has taken up again."""
    programme.mark_live(lesson, STARTS)
    programme.mark_ended(lesson, ENDS)
    programme.mark_live(lesson, ENDS + timedelta(minutes=1))
    create_recording(sealed, ENDS + timedelta(minutes=2))
    assert db.session.get(Session, lesson).state == SessionState.LIVE


def test_a_recording_is_published_file_by_file(recording):
    """Each file is there as soon as it is published; the recording is working until the last one."""
    first, *others = (row.id for row in recording.renditions)
    make(first)
    recording = library.recording("r1")
    assert (recording.state, recording.published_at) == (RecordingState.WORKING, ENDS)
    assert recording.renditions[0].sha256 == FILE.sha256
    cut()
    for rendition_id in others:
        make(rendition_id)
    assert library.recording("r1").state == RecordingState.PUBLISHED
    assert recordings.next_renditions(ENDS) == []


def test_a_lost_lease_publishes_nothing(recording):
    """After its lease ran out and another worker took over, a worker changes nothing any more."""
    rendition_id = recording.renditions[0].id
    assert recordings.take(rendition_id, "w1", ENDS) is Verdict.TAKE
    assert recordings.take(rendition_id, "w2", ENDS) is Verdict.LATER
    late = ENDS + timedelta(seconds=LEASE_S)
    assert rendition_id in recordings.next_renditions(late)
    assert recordings.take(rendition_id, "w2", late) is Verdict.TAKE
    encoding = {"state": RenditionState.ENCODING, "stage": "encode", "percent": 1.0}
    assert not recordings.progress(rendition_id, "w1", late, **encoding)
    assert not recordings.publish(rendition_id, "w1", late, FILE)
    assert recordings.fail(rendition_id, "w1", late, "trouble") is None
    assert recordings.publish(rendition_id, "w2", late, FILE)
    assert not recordings.publish(rendition_id, "w2", late, replace(FILE, sha256="2" * 64))
    assert library.rendition(rendition_id).sha256 == FILE.sha256


def test_progress_renews_the_lease(recording):
    """A worker that reports keeps its file for another lease."""
    rendition_id = recording.renditions[0].id
    recordings.take(rendition_id, "w1", ENDS)
    soon = ENDS + timedelta(seconds=LEASE_S - 1)
    assert recordings.progress(rendition_id, "w1", soon, state=RenditionState.ENCODING, stage="encode", percent=50)
    assert recordings.take(rendition_id, "w2", ENDS + timedelta(seconds=LEASE_S + 1)) is Verdict.LATER


def test_of_many_workers_one_takes_a_file(app, recording):
    """Eight workers that take one file at the same moment: one gets it."""
    rendition_id = recording.renditions[0].id
    verdicts: list = []
    start = threading.Barrier(8)

    def run(owner: str) -> None:
        with app.app_context():
            start.wait()
            verdicts.append(recordings.take(rendition_id, owner, ENDS))

    threads = [threading.Thread(target=run, args=(f"w{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(verdicts) == [Verdict.LATER] * 7 + [Verdict.TAKE]


def test_workers_that_finish_at_once_leave_the_right_state(app, recording):
    """Four files published at the same moment make the recording published, whoever commits last."""
    ids = [row.id for row in recording.renditions]
    cut()
    for rendition_id in ids:
        recordings.take(rendition_id, rendition_id, ENDS)
    start = threading.Barrier(len(ids))
    published: list = []

    def run(rendition_id: str) -> None:
        with app.app_context():
            start.wait()
            published.append(recordings.publish(rendition_id, rendition_id, ENDS, FILE))

    threads = [threading.Thread(target=run, args=(rendition_id,)) for rendition_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert published == [True] * len(ids)
    assert library.recording("r1").state == RecordingState.PUBLISHED


def test_trouble_is_retried_later_and_given_up_in_the_end(recording):
    """A failed file waits before it is tried again; after too many tries it has failed, and somebody can ask anew."""
    rendition_id, moment = recording.renditions[0].id, ENDS
    for attempt in range(MAX_ATTEMPTS):
        assert recordings.take(rendition_id, "w1", moment) is Verdict.TAKE
        delay_s = recordings.fail(rendition_id, "w1", moment, "no room on the disk")
        assert (delay_s is None) == (attempt == MAX_ATTEMPTS - 1)
        if delay_s is not None:
            assert recordings.take(rendition_id, "w1", moment) is Verdict.LATER
            assert rendition_id not in recordings.next_renditions(moment)
            moment += timedelta(seconds=delay_s)
    assert recordings.take(rendition_id, "w1", moment) is Verdict.OVER
    assert library.rendition(rendition_id).error == "no room on the disk"
    assert recordings.retry("r1") == [rendition_id]
    assert recordings.take(rendition_id, "w1", moment) is Verdict.TAKE


def test_a_file_that_kills_its_workers_is_given_up(recording):
    """Workers that vanish one after another are forgiven for long, and not for ever."""
    rendition_id, moment = recording.renditions[0].id, ENDS
    for _ in range(MAX_DEATHS):
        assert recordings.take(rendition_id, "w", moment) is Verdict.TAKE
        moment += timedelta(seconds=LEASE_S)
    assert recordings.take(rendition_id, "w", moment) is Verdict.GIVE_UP
    row = library.rendition(rendition_id)
    assert (row.state, row.error) == (RenditionState.FAILED, "workers_died")


def test_a_recording_of_which_nothing_can_be_made_has_failed(recording):
    """When every file has failed for good, so has the recording, and it says why."""
    cut()
    for row in recording.renditions:
        assert recordings.take(row.id, "w1", ENDS) is Verdict.TAKE
        assert recordings.fail(row.id, "w1", ENDS, "this is no video", permanent=True) is None
    recording = library.recording("r1")
    assert (recording.state, recording.failure) == (RecordingState.FAILED, "this is no video")


def test_a_worker_told_to_stop_puts_its_file_back(recording):
    """A released file can be taken at once and the attempt does not count."""
    rendition_id = recording.renditions[0].id
    recordings.take(rendition_id, "w1", ENDS)
    assert recordings.release(rendition_id, "w1")
    assert recordings.take(rendition_id, "w2", ENDS) is Verdict.TAKE
    assert library.rendition(rendition_id).attempts == 1


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Filter(), True),
        (Filter(text="ДРОБИ елки"), True),
        (Filter(text="дроби океан"), False),
        (Filter(text="100%"), False),
        (Filter(text="_"), False),
        (Filter(subject="Математика", grade=6), True),
        (Filter(grade=7), False),
        (Filter(subject="Физика"), False),
        (Filter(school_id="nothing"), False),
        (Filter(since=STARTS, before=ENDS), True),
        (Filter(since=ENDS), False),
    ],
)
def test_the_library_is_searched(recording, host, wanted, found):
    """Published recordings are found by words in any case, subject, grade, school and date."""
    make(recording.renditions[0].id)
    page = library.search(people.actor_of(host), wanted)
    assert [row.id for row in page.items] == (["r1"] if found else [])
    assert (page.total, page.pages) == (int(found), 1)


def test_the_library_shows_what_is_published_to_members_only(recording, host):
    """A recording without a file is not listed yet; nobody and guests find nothing."""
    actor = people.actor_of(host)
    assert library.search(actor, Filter()).total == 0
    make(recording.renditions[0].id)
    assert library.subjects(actor) == ["Математика"]
    guest = Actor(guest_id="g", guest_session_id=recording.session_id)
    for stranger in (NOBODY, guest):
        assert library.search(stranger, Filter()).total == 0
        assert library.subjects(stranger) == []
        assert not may_see_recording(stranger, library.recording_facts(recording))


def test_a_page_of_the_library_takes_the_same_queries_for_one_and_for_twelve(app, sealed, host, school):
    """Lists load what they show at once: the number of queries does not grow with the rows; pages hold the rest."""
    actor = people.actor_of(host)
    seen: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda _c, _cur, statement, *_: seen.append(statement))

    def queries() -> int:
        db.session.rollback()
        db.session.expunge_all()
        seen.clear()
        for row in library.search(actor, Filter(), per_page=12).items:
            _ = (row.session.host_school.name, row.session.host_person.name, [r.state for r in row.renditions])
            _ = [invited.school.name for invited in row.session.invited]
        return len(seen)

    counts = []
    for n in range(13):
        create_recording(replace(sealed, id=f"r{n}", attendance=()), ENDS)
        make(library.recording(f"r{n}").renditions[0].id)
        counts.append(queries())
    assert counts[0] == counts[11]
    second = library.search(actor, Filter(), page=99, per_page=12)
    assert (len(second.items), second.total, second.page, second.pages) == (1, 13, 2, 2)


def test_guests_of_a_session_come_in_until_revoked_or_over(lesson, school, host):
    """A guest is an actor of one session until the link is revoked or its time is over."""
    row = guests.add_guest(lesson, school.id, " Гость ", host.id, NOW, ENDS)
    actor = people.actor_of_guest(row.id, NOW)
    assert (actor.guest_session_id, actor.name, actor.guest_school_id) == (lesson, "Гость", school.id)
    assert [guest.school.name for guest in guests.guests(lesson)] == [school.name]
    assert people.actor_of_guest(row.id, ENDS) == NOBODY
    assert guests.revoke_guest(row.id, NOW)
    assert people.actor_of_guest(row.id, NOW) == NOBODY
    assert guests.guests(lesson) == []


def test_an_invited_schools_recordings_are_hidden_from_others(recording, lesson, school):
    """A recording of a session for invited schools is found by the host school, not by another one."""
    make(recording.renditions[0].id)
    with write():
        db.session.get(Session, lesson).audience = Audience.INVITED.value
    other = people.create_school("Школа № 2", "UTC", NOW)
    insider = Actor(person_id="p", memberships=frozenset({(Role.LIBRARIAN, school.id)}))
    stranger = Actor(person_id="p", memberships=frozenset({(Role.LIBRARIAN, other.id)}))
    assert library.search(insider, Filter()).total == 1
    assert library.search(stranger, Filter()).total == 0
