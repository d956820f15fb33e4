"""Who stands behind the bearer text of the live routes, and may they: tickets of a session, or API tokens."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from flask_babel import gettext as _

from rules import rights, tickets
from rules.rights import NOBODY, Actor, SessionFacts
from rules.tickets import Action, Ticket, TicketError, TicketFault
from server import access
from server.problems import Problem
from store import logins, people, programme
from store.database import utc_now
from store.models import Session

# A lesson of eight hours, opened in the morning: whoever stays longer opens the page again.
TICKET_S = 12 * 3600
SESSION_ID = re.compile(r"[0-9A-Za-z_-]{1,16}")
REALM = 'Bearer realm="Tropa"'


@dataclass(frozen=True, slots=True)
class Bearer:
    """A known asker: the actor with today's rights, and the school that their attendance is counted for ("": none)."""

    actor: Actor
    school: str


def ticket_key() -> bytes:
    """Return the key that this installation's tickets are signed with."""
    return tickets.derive(current_app.config["TROPA"].secret_key, "tickets")


def issue(actor: Actor, session_id: str, action: Action, now: datetime) -> str:
    """Make a ticket for somebody whose right was checked; the right is checked again whenever it is shown."""
    expires_s = int(now.timestamp()) + TICKET_S
    return tickets.make(Ticket(action, session_id, actor.key, actor.name, school_of(actor), expires_s), ticket_key())


def school_of(actor: Actor) -> str:
    """Return the school that an actor comes from, "" if none."""
    if actor.is_guest:
        return actor.guest_school_id or ""
    return min(actor.schools, default="")


def identify(text: str | None, session_id: str, actions: Collection[Action]) -> Bearer:
    """Find who shows this bearer text. Raises Problem 401, or 403 for a ticket of another session or purpose.

    A ticket names its bearer only; disabled persons and revoked guests are nobody, whatever they hold.
    """
    if not text:
        raise _unknown(_("This address needs a ticket or an API token."))
    now = utc_now()
    if not text.startswith(f"{tickets.VERSION}."):
        token = logins.find_api_token(text, now)
        if token is None:
            raise _unknown(_("This token is unknown, expired or revoked."))
        actor = people.actor_of(token.person)
        return Bearer(actor, school_of(actor))
    try:
        ticket = tickets.check(text, ticket_key(), now.timestamp(), actions=actions, session_id=session_id)
    except TicketError as error:
        raise _refused_ticket(error.fault) from None
    actor = actor_of_key(ticket.bearer, now)
    if actor == NOBODY:
        raise _unknown(_("This ticket was withdrawn."))
    return Bearer(actor, ticket.school)


def actor_of_key(key: str, now: datetime) -> Actor:
    """Load the actor that "person:<id>" or "guest:<id>" names; NOBODY where there is none any more."""
    kind, _sep, id = key.partition(":")
    if kind == "person":
        return people.actor_of_person(id)
    return people.actor_of_guest(id, now) if kind == "guest" else NOBODY


def session_for(session_id: str, actor: Actor) -> tuple[Session, SessionFacts]:
    """Load a session that the actor may know of; 404 otherwise, as if there were none."""
    session = programme.get_session(session_id) if SESSION_ID.fullmatch(session_id) else None
    facts = programme.session_facts(session) if session is not None else None
    if facts is None or not (rights.may_see_session(actor, facts) or rights.may_host(actor, facts)):
        raise Problem(404, _("There is no such lesson."))
    return session, facts


def follow(session_id: str) -> bool:
    """Check who wants to follow a session's events, by bearer or login; say whether as a host. Raises Problem."""
    text = access.bearer()
    if text is not None:
        actor = identify(text, session_id, {Action.WATCH, Action.HOST}).actor
    else:
        actor = access.current_actor()
        if actor == NOBODY:
            raise _unknown(_("This is only for people who have logged in."))
    _session, facts = session_for(session_id, actor)
    return rights.may_host(actor, facts)


def _refused_ticket(fault: TicketFault) -> Problem:
    if fault is TicketFault.EXPIRED:
        return _unknown(_("This ticket has expired. Open the lesson's page again."), "ticket-expired")
    if fault is TicketFault.WRONG_SESSION:
        return Problem(403, _("This ticket is for another lesson."), slug="ticket-foreign")
    if fault is TicketFault.WRONG_ACTION:
        return Problem(403, _("This ticket does not allow that."), slug="ticket-purpose")
    return _unknown(_("This ticket is not genuine."))


def _unknown(detail: str, slug: str = "") -> Problem:
    return Problem(401, detail, slug=slug, headers={"WWW-Authenticate": REALM})
