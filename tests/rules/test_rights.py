"""Who may do what: the policy, spelled out as a table of actors and deeds."""

from __future__ import annotations

import pytest

from rules import rights
from rules.rights import NOBODY, Actor, RecordingFacts, Role, SessionFacts

SESSION = SessionFacts("x", "s1", "h1", "invited", frozenset({"s2"}), "booked")
OPEN = SessionFacts("y", "s1", "h1", "district", frozenset(), "booked")
RECORDING = RecordingFacts("r", SESSION, "published")


def member(person_id: str, *memberships: tuple[Role, str | None]) -> Actor:
    return Actor(person_id=person_id, memberships=frozenset(memberships))


ACTORS = {
    "administrator": member("a", (Role.ADMINISTRATOR, None)),
    "coordinator": member("c", (Role.COORDINATOR, None)),
    "coordinator of s1": member("c1", (Role.COORDINATOR, "s1")),
    "coordinator of s2": member("c2", (Role.COORDINATOR, "s2")),
    "coordinator of s3": member("c3", (Role.COORDINATOR, "s3")),
    "its host": member("h1", (Role.HOST, "s1")),
    "another host of s1": member("h2", (Role.HOST, "s1")),
    "teacher of s1": member("t1", (Role.TEACHER, "s1")),
    "teacher of s2": member("t2", (Role.TEACHER, "s2")),
    "librarian of s2": member("l2", (Role.LIBRARIAN, "s2")),
    "teacher of s3": member("t3", (Role.TEACHER, "s3")),
    "teacher of the district": member("td", (Role.TEACHER, None)),
    "guest": Actor(guest_id="g", guest_session_id="x"),
    "guest of another": Actor(guest_id="g", guest_session_id="z"),
    "person without roles": member("p"),
    "nobody": NOBODY,
}
TOP = {"administrator", "coordinator"}
EDITORS = TOP | {"coordinator of s1", "its host"}
INVITED = {
    *EDITORS,
    "another host of s1",
    "teacher of s1",
    "coordinator of s2",
    "teacher of s2",
    "librarian of s2",
}
MEMBERS = set(ACTORS) - {"guest", "guest of another", "person without roles", "nobody"}

UPLOAD = rights.UploadFacts("u", "h1", "s1")

DEEDS = {
    "upload for s1": (lambda a: rights.may_upload(a, "s1"), EDITORS | {"another host of s1"}),
    "upload for it": (lambda a: rights.may_upload_to(a, SESSION), EDITORS),
    "manage h1's upload": (lambda a: rights.may_manage_upload(a, UPLOAD), EDITORS),
    "administer": (lambda a: rights.may_administer(a), {"administrator"}),
    "book for h1": (lambda a: rights.may_book(a, "s1", "h1"), EDITORS),
    "book for oneself at s1": (
        lambda a: rights.may_book(a, "s1", a.person_id or ""),
        EDITORS | {"another host of s1"},
    ),
    "edit": (lambda a: rights.may_edit_session(a, SESSION), EDITORS),
    "host": (lambda a: rights.may_host(a, SESSION), EDITORS),
    "see": (lambda a: rights.may_see_session(a, SESSION), INVITED | {"guest"}),
    "watch": (lambda a: rights.may_watch(a, SESSION), INVITED | {"guest"}),
    "see an open one": (lambda a: rights.may_see_session(a, OPEN), MEMBERS),
    "see the recording": (lambda a: rights.may_see_recording(a, RECORDING), INVITED),
    "fetch the source": (lambda a: rights.may_download_source(a, RECORDING), EDITORS),
    "retry the recording": (lambda a: rights.may_retry_recording(a, RECORDING), EDITORS),
    "set the slides": (lambda a: rights.may_set_slides(a, RECORDING), EDITORS),
    "see attendance": (lambda a: rights.may_see_attendance(a, SESSION), EDITORS),
    "invite a guest of s2": (lambda a: rights.may_invite_guest(a, SESSION, "s2"), EDITORS | {"coordinator of s2"}),
    "invite a guest of no school": (lambda a: rights.may_invite_guest(a, SESSION, None), EDITORS),
    "see guests": (lambda a: rights.may_see_guests(a, SESSION), EDITORS | {"coordinator of s2"}),
    "edit a seminar of s1": (lambda a: rights.may_edit_seminar(a, "s1"), TOP | {"coordinator of s1"}),
    "edit a seminar of the district": (lambda a: rights.may_edit_seminar(a, None), TOP),
    "invite a host to s1": (lambda a: rights.may_invite_person(a, Role.HOST, "s1"), TOP | {"coordinator of s1"}),
    "invite a coordinator": (lambda a: rights.may_invite_person(a, Role.COORDINATOR, None), TOP),
    "invite an administrator": (lambda a: rights.may_invite_person(a, Role.ADMINISTRATOR, None), {"administrator"}),
    "invite a school's administrator": (lambda a: rights.may_invite_person(a, Role.ADMINISTRATOR, "s1"), set()),
    "manage s1": (lambda a: rights.may_manage_school(a, "s1"), TOP | {"coordinator of s1"}),
    "add schools": (lambda a: rights.may_manage_school(a, None), TOP),
    "manage a teacher of s1": (
        lambda a: rights.may_manage_person(a, frozenset({(Role.TEACHER, "s1")})),
        TOP | {"coordinator of s1"},
    ),
    "manage somebody of two schools": (
        lambda a: rights.may_manage_person(a, frozenset({(Role.TEACHER, "s1"), (Role.TEACHER, "s2")})),
        TOP,
    ),
    "manage an administrator": (
        lambda a: rights.may_manage_person(a, frozenset({(Role.ADMINISTRATOR, None)})),
        {"administrator"},
    ),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_a_deed_is_for_exactly_these(deed):
    """Everybody named may do it, and nobody else."""
    may, allowed = DEEDS[deed]
    assert {name for name, actor in ACTORS.items() if may(actor)} == allowed


def test_who_is_shown_the_booking_form():
    """Coordinators and hosts may book something; teachers, librarians, guests and nobody may not."""
    may = {name for name, actor in ACTORS.items() if rights.may_book_something(actor)}
    assert may == TOP | {name for name in ACTORS if name.startswith("coordinator of") or "host" in name}


def test_a_host_who_lost_the_role_no_longer_edits_but_still_hosts():
    """Somebody put down as host goes live with any role, but edits only as host of that school."""
    former = member("h1", (Role.TEACHER, "s3"))
    assert rights.may_host(former, SESSION)
    assert not rights.may_edit_session(former, SESSION)
    assert not rights.may_host(member("h1"), SESSION)


def test_actors_are_named_as_in_tickets():
    """The key of an actor is that of tickets and attendance."""
    assert (ACTORS["its host"].key, ACTORS["guest"].key, NOBODY.key) == ("person:h1", "guest:g", "")
