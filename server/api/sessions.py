"""Sessions over the API: the week, booking, changing, cancelling, tickets, attendance."""

from __future__ import annotations

from datetime import timedelta

from flask import request
from flask_babel import gettext as _
from flask_smorest import Blueprint
from marshmallow import fields

from rules import rights
from rules.tickets import Action
from server import access, bearers, i18n, schemas, timetable, week
from server.api.keys import KEY_HEADER, idempotency_key
from server.api.shapes import AttendanceShape, SessionShape, SessionsShape, TicketShape
from server.lessonschemas import LessonBody, TicketBody
from server.links import public_link
from server.operations import ending
from server.operations import sessions as operations
from server.operations.outcome import Trouble
from server.problems import Problem
from store import database, programme
from store.models import Attendance, Session

blueprint = Blueprint("api-sessions", __name__, description="Programme items: book, change, cancel, join")

MATCH_HEADER = {"in": "header", "name": "If-Match", "required": True, "schema": {"type": "string"}}


class WeekQuery(schemas.Body):
    """Any day of the wanted week; today by default."""

    date = fields.String(load_default="", metadata={"format": "date"})


@blueprint.get("/sessions")
@access.signed_in
@blueprint.arguments(WeekQuery, location="query")
@blueprint.response(200, SessionsShape)
def sessions_of_week(query: dict) -> dict:
    """List what the asker may see of a week, Monday to Sunday in the asker's zone."""
    zone = i18n.viewer_zone()
    monday = timetable.monday_of(week.asked_day(query["date"], database.utc_now()))
    first = timetable.day_bounds(monday, zone)[0]
    end = timetable.day_bounds(monday + timedelta(days=6), zone)[1]
    found = programme.sessions_between(access.current_actor(), first, end, cancelled=True)
    return {"monday": monday, "timezone": zone.key, "channels": operations.channels(), "sessions": found}


@blueprint.post("/sessions")
@access.may(rights.may_book_something)
@blueprint.arguments(LessonBody)
@blueprint.response(201, SessionShape)
@blueprint.doc(parameters=[KEY_HEADER])
def book(data: dict):
    """Book a session; 409 names what clashes and the nearest free times."""
    result = operations.book(data, access.current_actor(), database.utc_now(), idempotency_key())
    if isinstance(result, Trouble):
        raise result.problem()
    session = programme.get_session(result.session_id)
    return session, _headers(session) | {"Location": f"/api/v1/sessions/{session.id}"}


@blueprint.get("/sessions/<session_id>")
@access.signed_in
@blueprint.response(200, SessionShape)
def session(session_id: str):
    """Return one session; its ETag is what a change asks for as If-Match."""
    row, _facts = operations.seen(session_id, access.current_actor())
    return row, _headers(row)


@blueprint.patch("/sessions/<session_id>")
@access.may(rights.may_book_something)
@blueprint.arguments(LessonBody(partial=True))
@blueprint.response(200, SessionShape)
@blueprint.doc(parameters=[MATCH_HEADER])
def change(data: dict, session_id: str):
    """Change some fields of a session."""
    actor = access.current_actor()
    row, _facts = operations.editable(session_id, actor)
    _require_match(row)
    result = operations.change(row, _fields(row) | data, actor, database.utc_now())
    if isinstance(result, Trouble):
        raise result.problem()
    row = programme.get_session(session_id)
    return row, _headers(row)


@blueprint.post("/sessions/<session_id>/cancel")
@access.may(rights.may_book_something)
@blueprint.response(200, SessionShape)
def cancel(session_id: str) -> Session:
    """Cancel a booked session."""
    row, _facts = operations.editable(session_id, access.current_actor())
    operations.cancel(row, database.utc_now())
    return programme.get_session(session_id)


@blueprint.post("/sessions/<session_id>/end")
@access.signed_in
@blueprint.response(200, SessionShape)
def end(session_id: str) -> Session:
    """End a lesson that is live: viewers are dismissed and the recording is sealed before the answer goes out."""
    ending.end(session_id, access.current_actor())
    return programme.get_session(session_id)


@blueprint.post("/sessions/<session_id>/tickets")
@access.signed_in
@blueprint.arguments(TicketBody)
@blueprint.response(201, TicketShape)
def ticket(data: dict, session_id: str) -> dict:
    """Make a ticket with which a WHIP or WHEP client may host or watch this session."""
    actor, now = access.current_actor(), database.utc_now()
    _row, facts = operations.seen(session_id, actor)
    action = Action(data["action"])
    access.require((rights.may_host if action is Action.HOST else rights.may_watch)(actor, facts))
    return {
        "action": action.value,
        "token": bearers.issue(actor, session_id, action, now),
        "expires_at": now + timedelta(seconds=bearers.TICKET_S),
        "whip_url": public_link(f"/whip/{session_id}") if action is Action.HOST else None,
        "whep_url": public_link(f"/whep/{session_id}") if action is Action.WATCH else None,
    }


@blueprint.get("/sessions/<session_id>/attendance")
@access.signed_in
@blueprint.response(200, AttendanceShape(many=True))
def attendance(session_id: str) -> list[Attendance]:
    """List who came and for how long."""
    _row, facts = operations.seen(session_id, access.current_actor())
    access.require(rights.may_see_attendance(access.current_actor(), facts))
    return programme.attendance(session_id)


def _headers(row: Session) -> dict[str, str]:
    return {"ETag": f'"{operations.revision(row)}"'}


def _require_match(row: Session) -> None:
    """Insist on If-Match (RFC 6585 3). A weak tag will do: compression makes our tags weak, and they count changes."""
    if not request.if_match:
        raise Problem(428, _("Send the session's ETag as If-Match."), slug="if-match-missing")
    if not request.if_match.contains_weak(operations.revision(row)):
        operations.require_unchanged(row, "")


def _fields(row: Session) -> dict:
    names = tuple(LessonBody().fields)
    invited: list[str] = [link.school_id for link in row.invited]
    kept: dict[str, object] = {name: getattr(row, name) for name in names if name != "invited"}
    return kept | {"invited": invited}
