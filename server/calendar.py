"""Calendar files of a session and a seminar, and each person's subscription."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Response, abort
from flask_babel import force_locale
from flask_babel import gettext as _

from rules.lifecycle import SessionKind, SessionState
from server import access, words
from server.icsfile import Entry, calendar_bytes
from server.links import public_link
from server.operations import seminars as seminar_operations
from server.operations import sessions as operations
from server.ranges import disposition
from store import database, people, programme
from store.models import Session

blueprint = Blueprint("calendar", __name__)

# What lies further back only makes a subscription heavier at every refresh.
KEPT = timedelta(days=60)
MAX_NAME_CHARS = 80


@blueprint.get("/sessions/<session_id>.ics")
@access.signed_in_or_guest
def session_file(session_id: str) -> Response:
    """Give one lesson as a calendar file."""
    session, _facts = operations.seen(session_id, access.current_actor())
    return _file([session], f"session-{session.id}", session.title)


@blueprint.get("/seminars/<seminar_id>.ics")
@access.signed_in
def seminar_file(seminar_id: str) -> Response:
    """Give a seminar's programme as a calendar file."""
    seminar, sessions = seminar_operations.seen(seminar_id, access.current_actor())
    return _file(sessions, f"seminar-{seminar.id}", seminar.title)


@blueprint.get("/calendar/<secret>.ics")
@access.public
def subscription(secret: str) -> Response:
    """Give everything that a person may see to a calendar program that knows the person's secret address."""
    person = people.person_by_calendar_secret(secret)
    if person is None:
        abort(404)
    sessions = programme.calendar_sessions(people.actor_of(person), database.utc_now() - KEPT)
    with force_locale(person.locale):  # a calendar program brings no login and no cookie
        body = calendar_bytes([_entry(session) for session in sessions], f"person-{person.id}@tropa", _("Tropa"))
    return Response(body, content_type="text/calendar; charset=utf-8")


def _file(sessions: list[Session], uid: str, title: str) -> Response:
    body = calendar_bytes([_entry(session) for session in sessions], f"{uid}@tropa", title)
    response = Response(body, content_type="text/calendar; charset=utf-8; method=PUBLISH")
    name = " ".join("".join(c if c not in '<>:"/\\|?*%' and c.isprintable() else " " for c in title).split())
    response.headers["Content-Disposition"] = disposition("attachment", f"{name[:MAX_NAME_CHARS] or 'lesson'}.ics")
    return response


def _entry(session: Session) -> Entry:
    kind = str(words.KINDS[SessionKind(session.kind)])
    facts = (kind, session.subject, words.grades(session.grades), _("Host: %(name)s", name=session.host_person.name))
    description = "\n".join(part for part in (*facts, session.description) if part)
    school = session.host_school
    return Entry(
        session_id=session.id,
        revision=session.sequence,
        title=session.title,
        description=description,
        place=", ".join(part for part in (school.name, school.place) if part),
        url=public_link(f"/sessions/{session.id}"),
        category=kind,
        starts_at=session.starts_at,
        minutes=session.minutes,
        cancelled=session.state == SessionState.CANCELLED,
        created_at=session.created_at,
        updated_at=session.updated_at,
    )
