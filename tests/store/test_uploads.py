"""Rows of uploads: announced once, led to their end, listed for those who may manage them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rules.lifecycle import UploadState
from rules.rights import Actor, Role, UploadFacts, may_manage_upload
from store import people, uploads
from store.uploads import Announced, TooMany
from tests.store.conftest import NOW

WEEK = timedelta(days=7)


@pytest.fixture
def file(school, host) -> Announced:
    """A file of the host's for no lesson in particular."""
    return Announced(host.id, school.id, None, "урок.mp4", 1000, "Урок", fingerprint="1000-1-a")


def test_an_unfinished_file_is_found_again_by_its_own_person_alone(file, coordinator):
    """By fingerprint, length and lesson; one without a fingerprint never."""
    row = uploads.announce(file, NOW, WEEK, 5)
    assert uploads.waiting_for(file.person_id, "1000-1-a", 1000, None).id == row.id
    assert uploads.waiting_for(coordinator.id, "1000-1-a", 1000, None) is None
    assert uploads.waiting_for(file.person_id, "1000-1-a", 999, None) is None
    assert uploads.waiting_for(file.person_id, "1000-1-a", 1000, "another") is None
    uploads.announce(replace(file, fingerprint=""), NOW, WEEK, 5)
    assert uploads.waiting_for(file.person_id, "", 1000, None) is None


def test_unfinished_files_have_a_limit_and_finished_ones_do_not_count(file):
    """What is complete makes room for the next."""
    first = uploads.announce(file, NOW, WEEK, 1)
    with pytest.raises(TooMany):
        uploads.announce(file, NOW, WEEK, 1)
    assert uploads.mark_received(first.id, "a" * 64, NOW)
    assert uploads.announce(file, NOW, WEEK, 1).state == UploadState.RECEIVING


def test_every_piece_prolongs_the_time_that_a_file_is_kept(file):
    """A file that grows does not expire; one that nobody goes on with does, and its words stay for a while."""
    row = uploads.announce(file, NOW, WEEK, 5)
    uploads.progress(row.id, 400, NOW + timedelta(days=6), WEEK)
    assert uploads.promised_bytes() == 600
    assert uploads.expire(NOW + timedelta(days=8)) == []
    assert uploads.expire(NOW + timedelta(days=14)) == [row.id]
    assert (uploads.find(row.id).state, uploads.find(row.id).title) == (UploadState.EXPIRED, "Урок")
    assert uploads.clean(NOW + timedelta(days=12)) == 0
    assert uploads.clean(NOW + timedelta(days=14)) == 1


def test_a_received_file_is_taken_once(file, school):
    """Neither a second recording nor a removal after it; no word of it changes any more."""
    row = uploads.announce(file, NOW, WEEK, 5)
    assert not uploads.mark_refused(row.id, "damaged", NOW, WEEK)
    assert uploads.mark_received(row.id, "a" * 64, NOW)
    assert not uploads.mark_received(row.id, "b" * 64, NOW)
    assert uploads.received() == [row.id]
    assert not uploads.remove(row.id)
    assert uploads.mark_refused(row.id, "damaged", NOW, WEEK)
    assert uploads.try_again(row.id, NOW)
    assert not uploads.try_again(row.id, NOW)
    assert uploads.received() == [row.id]


def test_words_may_be_changed_until_a_recording_was_made(file):
    """Only what people write; the file's own facts stay."""
    row = uploads.announce(file, NOW, WEEK, 5)
    uploads.describe(row.id, NOW, {"title": "Другое", "length": 5, "state": "taken"})
    again = uploads.find(row.id)
    assert (again.title, again.length, again.state) == ("Другое", 1000, UploadState.RECEIVING)
    assert uploads.describe("nosuch", NOW, {"title": "x"}) is None


@pytest.mark.parametrize(
    ("role", "own_school", "sees"),
    [
        (Role.COORDINATOR, True, True),
        (Role.COORDINATOR, False, False),
        (Role.HOST, True, False),
        (Role.ADMINISTRATOR, None, True),
        (Role.COORDINATOR, None, True),
    ],
)
def test_the_list_is_what_the_rule_says(file, school, role, own_school, sees):
    """The query that cuts the list and rules.rights agree, for the sender and for everybody else."""
    row = uploads.announce(file, NOW, WEEK, 5)
    other = people.create_school("Школа № 2", "Europe/Moscow", NOW)
    at = None if own_school is None else (school.id if own_school else other.id)
    asker = Actor(person_id="somebody", memberships=frozenset({(role, at)}))
    facts = UploadFacts(row.id, row.person_id, row.school_id)
    assert may_manage_upload(asker, facts) is sees
    assert [found.id for found in uploads.listed(asker)] == ([row.id] if sees else [])
    assert [found.id for found in uploads.listed(Actor(person_id=file.person_id))] == [row.id]
