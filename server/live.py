"""The live pages: watch, host, the personal link of a teacher without an account, and the end of a lesson."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import structlog
from flask import Blueprint, flash, g, jsonify, make_response, redirect, render_template
from flask_babel import gettext as _
from flask_wtf.csrf import generate_csrf
from werkzeug.wrappers import Response as AnyResponse

from rules import rights, tickets
from rules.airtime import AirFault, airtime
from rules.lifecycle import SessionKind, SessionState
from rules.rights import NOBODY, Actor
from rules.tickets import Action, TicketError, TicketFault
from server import access, bearers, words
from server.i18n import when
from server.liveplane import MediaAway, Refused
from server.livewords import host_words, watch_words
from server.operations import ending
from server.problems import Problem, wants_json
from server.roomview import room_state
from server.whip import liveplane
from store import people
from store.database import utc_now
from store.models import Session

blueprint = Blueprint("live", __name__)
log = structlog.get_logger("server.live")


@blueprint.get("/sessions/<session_id>/live")
@access.signed_in_or_guest
def watch_page(session_id: str) -> str:
    """Show the lesson to whoever may watch it."""
    actor = access.current_actor()
    session, facts = bearers.session_for(session_id, actor)
    access.require(rights.may_watch(actor, facts))
    return _watch(session, actor)


@blueprint.get("/join/<ticket>")
@access.public
def join(ticket: str) -> AnyResponse:
    """Let a teacher in by the personal link: nothing is asked, the lesson is on the page that opens."""
    now = utc_now()
    try:
        shown = tickets.check(ticket, bearers.ticket_key(), now.timestamp(), actions={Action.JOIN})
    except TicketError as error:
        raise _bad_link(error.fault) from None
    actor = bearers.actor_of_key(shown.bearer, now)
    if actor == NOBODY:
        raise _bad_link(TicketFault.EXPIRED)
    session, _facts = bearers.session_for(shown.session_id, actor)
    response = make_response(_watch(session, actor, _("Hello, %(name)s!", name=actor.name)))
    # So that a reload, or the link to the live page, opens it too.
    access.set_cookie(response, access.GUEST_COOKIE, ticket, max(0, shown.expires_s - int(now.timestamp())))
    return response


@blueprint.get("/sessions/<session_id>/host")
@access.signed_in
def host_page(session_id: str) -> str:
    """Show the host's desk. Devices can be tried at any time; going live has its hours."""
    actor = access.current_actor()
    session, facts = bearers.session_for(session_id, actor)
    access.require(rights.may_host(actor, facts), _("Only the lesson's host and coordinators may go live here."))
    lesson = _lesson(session, actor, Action.HOST)
    lesson |= {
        "whip_url": f"/whip/{session.id}",
        "end_url": f"/sessions/{session.id}/end",
        "csrf_token": generate_csrf(),
    }
    closed = _closed(session)
    return render_template(
        "live/host.html", session=session, about=_about(session), strings=host_words(), lesson=lesson, closed=closed
    )


@blueprint.post("/sessions/<session_id>/end")
@access.signed_in
def end(session_id: str) -> AnyResponse:
    """End the lesson: viewers are dismissed and the recording is sealed before the answer goes out."""
    ending.end(session_id, access.current_actor())
    if wants_json():
        return jsonify(state="ended")
    flash(_("The lesson has ended. The recording is kept; small files are being made of it."))
    return redirect(f"/sessions/{session_id}", 303)


def _watch(session: Session, actor: Actor, greeting: str = "") -> str:
    if actor.is_guest:
        # Times in the guest's own zone: that of the school they were invited from, else of the host's.
        school = people.school(actor.guest_school_id) if actor.guest_school_id else None
        g.zone = ZoneInfo((school or session.host_school).timezone)
    lesson = _lesson(session, actor, Action.WATCH) | {"whep_url": f"/whep/{session.id}"}
    return render_template(
        "live/watch.html",
        session=session,
        about=_about(session),
        strings=watch_words(),
        lesson=lesson,
        greeting=greeting,
        guest=actor.is_guest,
    )


def _lesson(session: Session, actor: Actor, action: Action) -> dict[str, str]:
    """Return what the page's script starts from: state as of now, a ticket, where to ask."""
    room, away = None, False
    try:
        room = liveplane().room(session.id)
    except (MediaAway, Refused):
        away = True
    return {
        "state": room_state(room, SessionState(session.state), away),
        "token": bearers.issue(actor, session.id, action, utc_now()),
        "events_url": f"/events/{session.id}",
    }


def _about(session: Session) -> list[str]:
    """List what one line on the lesson says: kind, subject, grades, host, school, start."""
    parts = [words.KINDS[SessionKind(session.kind)], session.subject, words.grades(session.grades)]
    parts += [session.host_person.name, session.host_school.name, when(session.starts_at)]
    return [part for part in parts if part]


def _closed(session: Session) -> str:
    """Say why the lesson cannot go live now, "" where it can."""
    air = airtime(SessionState(session.state), session.starts_at, session.minutes, utc_now())
    if air.fault is AirFault.CANCELLED:
        return _("This lesson was cancelled.")
    if air.fault is AirFault.TOO_LATE:
        return _("The booked time of this lesson is over. Book a new time, then go live there.")
    if air.fault is AirFault.TOO_EARLY:
        minutes = int((air.opens_at - utc_now()).total_seconds() // 60) + 1
        return _(
            "This lesson can go live in %(time)s. Camera and microphone can be tried now.", time=words.minutes(minutes)
        )
    return ""


def _bad_link(fault: TicketFault) -> Problem:
    todo = _("Ask whoever invited you for a new link.")
    if fault is TicketFault.EXPIRED:
        return Problem(410, _("This personal link has expired or was withdrawn."), todo=todo, slug="ticket-expired")
    detail = _("This personal link is damaged: perhaps a part of it was lost when it was copied.")
    return Problem(404, detail, title=_("The link does not work"), todo=todo, slug="ticket-bad")
