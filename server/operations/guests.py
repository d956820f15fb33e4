"""Let teachers without an account into one session by personal links, and take the links back."""

from __future__ import annotations

from datetime import datetime, timedelta

from flask import current_app
from flask_babel import gettext as _

from rules import rights, tickets
from rules.lifecycle import SessionState
from rules.rights import Actor, SessionFacts
from rules.tickets import Action, Ticket
from server import access
from server.links import public_link
from server.operations import sessions
from server.operations.outcome import Trouble, wrong
from server.problems import Problem
from store import database, guests, people, repeats
from store.models import Guest, Session

# The link opens the watch page days before, and still the day after, when a lesson was put off or ran over.
LASTS_AFTER_END = timedelta(days=1)
MOST = 300


def seen(session_id: str, actor: Actor) -> tuple[Session, SessionFacts, list[Guest]]:
    """Load a session with those of its guests whom the actor may invite, else refuse."""
    session, facts = sessions.seen(session_id, actor)
    access.require(rights.may_see_guests(actor, facts), _("Only its host and coordinators may invite to this lesson."))
    found = [row for row in guests.guests(session.id) if rights.may_invite_guest(actor, facts, row.school_id)]
    return session, facts, found


def why_closed(state: str) -> str:
    """Say why no personal link can be made any more; "" while one can."""
    if state == SessionState.CANCELLED:
        return _("This lesson was cancelled, so a link would open nothing.")
    return _("This lesson is over, so a link would open nothing.") if state == SessionState.ENDED else ""


def invite(session: Session, facts: SessionFacts, data: dict, actor: Actor, now: datetime, key: str) -> Guest | Trouble:
    """Make a personal link from checked fields; the same request under the same key makes one."""
    school_id = data["school_id"]
    if school_id is not None and people.school(school_id) is None:
        return wrong("school_id", _("There is no such school."))
    if not rights.may_invite_guest(actor, facts, school_id):
        text = _("You may invite teachers of your own school only.")
        return Trouble(403, errors={"school_id": [text]}, message=text, slug="not-yours")
    reason = why_closed(session.state)
    if reason:
        return Trouble(409, errors={"": [reason]}, message=reason, slug="over")
    if len(guests.guests(session.id)) >= MOST:
        return wrong("", _("This lesson has %(most)s links already; revoke some first.", most=MOST))
    expires_at = session.starts_at + timedelta(minutes=session.minutes) + LASTS_AFTER_END
    if expires_at <= now:
        return wrong("", _("This lesson is over, so a link would open nothing."))
    asked = {**data, "session": session.id}
    with database.write(database.LOCK_PEOPLE):
        before = repeats.made_before(actor.person_id, key, asked)
        made = guests.guest(before) if before is not None else None
        if made is None:
            made = guests.add_guest(session.id, school_id, data["name"], actor.person_id, now, expires_at)
            repeats.remember(actor.person_id, key, asked, made.id, now)
    return made


def revoke(session_id: str, guest_id: str, actor: Actor, now: datetime) -> None:
    """Take a link back; 404 where there is none that the actor may revoke."""
    _session, _facts, found = seen(session_id, actor)
    if guest_id not in {row.id for row in found} or not guests.revoke_guest(guest_id, now):
        raise Problem(404, _("There is no such link, or it was revoked already."))


def link(row: Guest, now: datetime) -> str | None:
    """Return a guest's personal address, the same each time; None once it no longer works."""
    if row.revoked_at is not None or row.expires_at <= now:
        return None
    ticket = Ticket(
        Action.JOIN, row.session_id, f"guest:{row.id}", row.name, row.school_id or "", int(row.expires_at.timestamp())
    )
    key = tickets.derive(current_app.config["TROPA"].secret_key, "tickets")
    return public_link(f"/join/{tickets.make(ticket, key)}")
