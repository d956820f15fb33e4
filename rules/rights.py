"""Decide who may do what, from facts about the asker and the thing asked for.

Roles are held at a school, or for the district (school None). The administrator of the district may do everything and
alone sees technical pages. A coordinator books, edits and invites: of the district everywhere, of a school within
that school. A host books what their own school hosts with themselves as host, and goes live there. Members of an
invited school, and every member where the audience is the district, watch and download. A guest has one session's
watch page. Who is disabled has nothing: the store hands out NOBODY for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What somebody is at a school, or in the district."""

    ADMINISTRATOR = "administrator"
    COORDINATOR = "coordinator"
    HOST = "host"
    TEACHER = "teacher"
    LIBRARIAN = "librarian"


class Audience(StrEnum):
    """Whom a session is for: every school of the district, or the invited ones."""

    DISTRICT = "district"
    INVITED = "invited"


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever asks: a person with memberships, a guest of one session, or nobody.

    `memberships` holds (role, school id), with None as school for the whole district.
    """

    person_id: str | None = None
    guest_id: str | None = None
    guest_session_id: str | None = None
    guest_school_id: str | None = None
    name: str = ""
    memberships: frozenset[tuple[Role, str | None]] = frozenset()

    @property
    def is_member(self) -> bool:
        """Tell whether this is a signed-in person with at least one role."""
        return self.person_id is not None and bool(self.memberships)

    @property
    def is_guest(self) -> bool:
        return self.guest_id is not None

    @property
    def key(self) -> str:
        """Name the actor as tickets and attendance do: "person:<id>", "guest:<id>", or "" for nobody."""
        if self.person_id is not None:
            return f"person:{self.person_id}"
        return f"guest:{self.guest_id}" if self.guest_id is not None else ""

    @property
    def schools(self) -> frozenset[str]:
        """List the schools that this person belongs to in any role."""
        return frozenset(school for _, school in self.memberships if school is not None)

    def has(self, role: Role, school_id: str | None) -> bool:
        """Tell whether the role is held at the school or for the district; school None asks for the district alone."""
        if self.person_id is None:
            return False
        return (role, None) in self.memberships or (school_id is not None and (role, school_id) in self.memberships)


NOBODY = Actor()


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What rights depend on in a session; `state` is a rules.lifecycle.SessionState value, `invited` school ids."""

    id: str
    host_school_id: str
    host_person_id: str
    audience: str
    invited: frozenset[str]
    state: str


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """What rights depend on in a recording: those of its session; `state` is a rules.lifecycle.RecordingState value."""

    id: str
    session: SessionFacts
    state: str


@dataclass(frozen=True, slots=True)
class UploadFacts:
    """What rights depend on in an upload: whose it is, and for which school."""

    id: str
    person_id: str
    school_id: str


def may_administer(actor: Actor) -> bool:
    """Technical pages: processes, queues, failed jobs, settings as they are in force."""
    return actor.has(Role.ADMINISTRATOR, None)


def coordinates(actor: Actor, school_id: str | None) -> bool:
    """Tell whether the actor coordinates this school (None: the district), as its coordinator or from above."""
    return may_administer(actor) or actor.has(Role.COORDINATOR, school_id)


def coordinates_anything(actor: Actor) -> bool:
    """Tell whether the pages for coordinators concern this actor at all."""
    return may_administer(actor) or any(role is Role.COORDINATOR for role, _ in actor.memberships)


def may_book(actor: Actor, host_school_id: str, host_person_id: str) -> bool:
    """Book a session that this school hosts with this person as its host."""
    if coordinates(actor, host_school_id):
        return True
    return actor.person_id is not None and actor.person_id == host_person_id and actor.has(Role.HOST, host_school_id)


def may_book_something(actor: Actor) -> bool:
    """Tell whether there is any session that the actor may book: whether to offer the form."""
    return coordinates_anything(actor) or any(role is Role.HOST for role, _ in actor.memberships)


def may_edit_session(actor: Actor, session: SessionFacts) -> bool:
    """Change, move or cancel: whoever might have booked it as it stands. Its state is not asked here."""
    return may_book(actor, session.host_school_id, session.host_person_id)


def may_host(actor: Actor, session: SessionFacts) -> bool:
    """Go live: the session's host, or a coordinator who may edit it and steps in."""
    return (actor.is_member and actor.person_id == session.host_person_id) or may_edit_session(actor, session)


def may_see_session(actor: Actor, session: SessionFacts) -> bool:
    """See that a session exists, its title, time and kind."""
    if actor.is_guest:
        return actor.guest_session_id == session.id
    if not actor.is_member:
        return False
    if session.audience == Audience.DISTRICT or actor.person_id == session.host_person_id:
        return True
    return coordinates(actor, None) or bool(actor.schools & (session.invited | {session.host_school_id}))


def may_watch(actor: Actor, session: SessionFacts) -> bool:
    """Open the watch page and receive the live lesson."""
    return may_see_session(actor, session)


def may_see_recording(actor: Actor, recording: RecordingFacts) -> bool:
    """Find a recording in the library and download its files. Guests have no library."""
    return not actor.is_guest and may_see_session(actor, recording.session)


def may_download_source(actor: Actor, recording: RecordingFacts) -> bool:
    """Fetch the recording as it came from the host, before anything was made of it."""
    return may_host(actor, recording.session)


def may_retry_recording(actor: Actor, recording: RecordingFacts) -> bool:
    """Have failed and stopped files of a recording made again."""
    return may_edit_session(actor, recording.session)


def may_cancel_recording(actor: Actor, recording: RecordingFacts) -> bool:
    """Stop the making of a recording's files: whoever may have it begun again."""
    return may_retry_recording(actor, recording)


def may_set_slides(actor: Actor, recording: RecordingFacts) -> bool:
    """Attach the slides of a recording's lesson, and set by hand its chapters and when which slide stands."""
    return may_edit_session(actor, recording.session)


def may_edit_captions(actor: Actor, recording: RecordingFacts) -> bool:
    """Send in, change and remove a recording's captions: its host, and who coordinates."""
    return may_host(actor, recording.session)


def may_upload(actor: Actor, school_id: str) -> bool:
    """Send in the recording of a lesson that was never booked: whoever might have booked it with themselves as host."""
    return actor.person_id is not None and may_book(actor, school_id, actor.person_id)


def may_upload_to(actor: Actor, session: SessionFacts) -> bool:
    """Send in a recording of this session: whoever might have held it. Its state is not asked here."""
    return may_host(actor, session)


def may_manage_upload(actor: Actor, upload: UploadFacts) -> bool:
    """See an upload, go on with it, change what is written about it, remove it: its sender, and who coordinates."""
    if actor.person_id is None:
        return False
    return actor.person_id == upload.person_id or coordinates(actor, upload.school_id)


def may_see_attendance(actor: Actor, session: SessionFacts) -> bool:
    """See who came and for how long."""
    return may_host(actor, session)


def may_invite_guest(actor: Actor, session: SessionFacts, school_id: str | None) -> bool:
    """Make a personal link for a teacher without an account, of this school.

    Whoever may edit or host the session; and a school's coordinator for teachers of that school, where it may come.
    """
    if may_host(actor, session):
        return True
    return school_id is not None and coordinates(actor, school_id) and may_see_session(actor, session)


def may_see_guests(actor: Actor, session: SessionFacts) -> bool:
    """Open the page of a session's guests; `may_invite_guest` for their school decides which are shown."""
    return may_host(actor, session) or (coordinates_anything(actor) and may_see_session(actor, session))


def may_edit_seminar(actor: Actor, organiser_school_id: str | None) -> bool:
    """Create or change a seminar organised by this school, or by the district where None."""
    return coordinates(actor, organiser_school_id)


def may_invite_person(actor: Actor, role: Role, school_id: str | None) -> bool:
    """Invite somebody into a role. Only an administrator makes administrators, and those only for the district."""
    if role is Role.ADMINISTRATOR:
        return may_administer(actor) and school_id is None
    return coordinates(actor, school_id)


def may_manage_school(actor: Actor, school_id: str | None) -> bool:
    """Change a school's facts and see its people; None asks whether schools may be added."""
    return coordinates(actor, school_id)


def may_set_downloads(actor: Actor, school_id: str) -> bool:
    """Say when, how fast and how much a school downloads, and let a PC there fetch: its people and coordinators."""
    return school_id in actor.schools or coordinates(actor, school_id)


def may_see_arrivals(actor: Actor, session: SessionFacts) -> bool:
    """See at which schools a lesson's files have arrived."""
    return may_host(actor, session)


def school_may_see(school_id: str, session: SessionFacts) -> bool:
    """Tell whether a lesson is for this school: what its own PC may fetch without a person."""
    return session.audience == Audience.DISTRICT or school_id in session.invited | {session.host_school_id}


def may_test_link(actor: Actor, school_id: str | None) -> bool:
    """Measure the link that the actor sits behind, and have it count for this school; None: for nobody but themselves.

    Whoever belongs to the school, a guest from there, and coordinators, who visit.
    """
    if school_id is None:
        return actor.person_id is not None or actor.is_guest
    return school_id in actor.schools or actor.guest_school_id == school_id or coordinates(actor, school_id)


def may_see_link_tests(actor: Actor, school_id: str) -> bool:
    """See what was measured at a school: coordinators everywhere, its own people."""
    return coordinates_anything(actor) or school_id in actor.schools


def may_manage_person(actor: Actor, memberships: frozenset[tuple[Role, str | None]]) -> bool:
    """Disable a person who holds these memberships, or change them; nobody manages above their own reach."""
    if may_administer(actor):
        return True
    if any(role is Role.ADMINISTRATOR for role, _ in memberships):
        return False
    if coordinates(actor, None):
        return True
    return bool(memberships) and all(school is not None and coordinates(actor, school) for _, school in memberships)
