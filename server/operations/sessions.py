"""Book, change and cancel sessions, and say which ones somebody may see."""

from __future__ import annotations

import hashlib
from datetime import datetime

from flask import current_app
from flask_babel import gettext as _

from rules import grades, rights
from rules.lifecycle import IllegalTransition, SessionKind
from rules.rights import Actor, Audience, SessionFacts
from server import access, slotwords
from server.operations.outcome import Trouble, wrong
from server.problems import Problem
from store import booking, people, programme, seminars
from store.models import Session


def seen(session_id: str, actor: Actor) -> tuple[Session, SessionFacts]:
    """Load a session that the actor may know of; 404 (nobody: the login) otherwise, as if there were none."""
    session = programme.get_session(session_id)
    facts = programme.session_facts(session) if session is not None else None
    access.require_known(facts is not None and rights.may_see_session(actor, facts))
    return session, facts


def editable(session_id: str, actor: Actor) -> tuple[Session, SessionFacts]:
    """Load a session that the actor may change, else refuse."""
    session, facts = seen(session_id, actor)
    access.require(rights.may_edit_session(actor, facts), _("Only its host and coordinators may change this lesson."))
    return session, facts


def revision(session: Session) -> str:
    """Return a short text that changes with every change of a session: its ETag, and what a form was made from."""
    seed = f"{session.id} {session.sequence} {session.updated_at.timestamp()} {session.state}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


def channels() -> int:
    """Return how many lessons may be live at once."""
    return current_app.config["TROPA"].channels


def book(data: dict, actor: Actor, now: datetime, key: str | None) -> booking.Booked | Trouble:
    """Book a session from checked fields; the same request under the same key books once."""
    draft = _draft(data)
    refused = _refusal(draft, actor)
    if refused is not None:
        return refused
    try:
        result = booking.book(draft, actor.person_id, now, channels(), key or None)
    except booking.KeyReused:
        message = _("This form was already used for another booking. Open a new one. Nothing was booked now.")
        return Trouble(422, errors={"": [message]}, message=message, slug="key-reused")
    except booking.NoSuch as error:
        return wrong(error.field, _("This is no longer there; choose again."))
    return _judged(result, draft, actor)


def change(session: Session, data: dict, actor: Actor, now: datetime) -> booking.Booked | Trouble:
    """Change a session; the right to change it as it stands was asked before."""
    draft = _draft(data)
    refused = _refusal(draft, actor, session.seminar_id)
    if refused is not None:
        return refused
    try:
        result = booking.reschedule(session.id, draft, now, channels())
    except booking.NoSuch as error:
        return wrong(error.field, _("This is no longer there; choose again."))
    except booking.NotMovable:
        return wrong("", _("This lesson has begun, ended or was cancelled, so its time and host stay as they are."))
    return _judged(result, draft, actor)


def cancel(session: Session, now: datetime) -> Session:
    """Cancel a booked session; 409 where it is live, past or cancelled already."""
    try:
        return booking.cancel(session.id, now)
    except IllegalTransition:
        raise Problem(
            409,
            _("This lesson is live, over or cancelled already. Nothing was changed."),
            title=_("It cannot be cancelled"),
            todo=_("Its page shows how it stands."),
            slug="not-cancellable",
        ) from None


def require_unchanged(session: Session, version: str) -> None:
    """Stop where somebody else changed the session after the form was opened."""
    if version != revision(session):
        raise Problem(
            412,
            _("Somebody else changed this lesson in the meantime. Your changes were not saved."),
            title=_("The lesson has changed"),
            todo=_("Open its page again to see what is new."),
            slug="changed-meanwhile",
        )


def _draft(data: dict) -> booking.Draft:
    return booking.Draft(
        kind=SessionKind(data["kind"]),
        title=data["title"],
        subject=data["subject"],
        description=data["description"],
        grades=grades.parse(data["grades"]),
        host_school_id=data["host_school_id"],
        host_person_id=data["host_person_id"],
        starts_at=data["starts_at"],
        minutes=data["minutes"],
        audience=Audience(data["audience"]),
        invited=frozenset(data["invited"]),
        seminar_id=data["seminar_id"],
    )


def _refusal(draft: booking.Draft, actor: Actor, kept_seminar_id: str | None = None) -> Trouble | None:
    """Ask the rights; then whether the host belongs to the school, which coordinators may get wrong too."""
    if not rights.may_book(actor, draft.host_school_id, draft.host_person_id):
        text = _("You may book lessons that your own school hosts with yourself as host; coordinators book for others.")
        return Trouble(403, errors={"host_school_id": [text]}, message=text, slug="not-yours")
    if draft.host_person_id not in {person.id for person in people.possible_hosts(draft.host_school_id)}:
        return wrong("host_person_id", _("This person does not lead lessons at that school. Choose another."))
    if draft.audience is Audience.INVITED and not draft.invited:
        return wrong("invited", _("Choose at least one school, or open the lesson to the district."))
    if draft.seminar_id is not None and draft.seminar_id != kept_seminar_id:
        seminar = seminars.get_seminar(draft.seminar_id)
        if seminar is None or not rights.may_edit_seminar(actor, seminar.organiser_school_id):
            return wrong("seminar_id", _("The programme of this seminar is made by its organisers. Choose another."))
    return None


def _judged(
    result: booking.Booked | booking.Clash | booking.Invalid, draft: booking.Draft, actor: Actor
) -> booking.Booked | Trouble:
    if isinstance(result, booking.Booked):
        return result
    if isinstance(result, booking.Invalid):
        errors: dict[str, list[str]] = {}
        for fault in result.faults:
            errors.setdefault(slotwords.FIELD_OF[fault], []).append(slotwords.fault_text(fault))
        return Trouble(422, errors=errors)
    known = programme.sessions_by_id({conflict.session_id for conflict in result.conflicts})
    visible = {id for id, row in known.items() if rights.may_see_session(actor, programme.session_facts(row))}
    reasons = slotwords.conflict_texts(result.conflicts, known, visible, channels())
    text = slotwords.ClashText(reasons, slotwords.choices(result.suggestions, draft.minutes))
    return Trouble(409, clash=text, conflicts=result.conflicts, suggestions=result.suggestions)
