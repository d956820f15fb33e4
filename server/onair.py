"""Keep the sessions' state in the database in step with the rooms, and let watchers into the events: the live feed's
way to Flask and the database. Everything here blocks and runs in threads.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import structlog
from flask import Flask
from sqlalchemy import or_, select
from werkzeug.exceptions import HTTPException
from werkzeug.test import EnvironBuilder

from config import Settings
from rules.airtime import SessionOnFile, reconcile
from rules.lifecycle import IllegalTransition, SessionState
from server import bearers, problems
from server.events import Denied, Events, Grant, Headers
from server.livefeed import LiveFeed
from store import programme
from store.database import utc_now
from store.models import Session, db

log = structlog.get_logger("server.onair")

# A room that is only being handed over shows up again within seconds; its host has the grace besides.
GRACE_MARGIN_S = 30.0


class OnAir:
    """Reads and writes session states for the live feed."""

    def __init__(self, app: Flask, grace_s: float) -> None:
        """Take the application for its database, and how long a host may be away."""
        self._app = app
        self._grace_s = grace_s + GRACE_MARGIN_S
        self._absent_since_s: dict[str, float] = {}

    def session_state(self, session_id: str) -> SessionState | None:
        """Read a session's state; None where there is no such session."""
        with self._app.app_context():
            state = db.session.scalar(select(Session.state).where(Session.id == session_id))
        return None if state is None else SessionState(state)

    def take_rooms(self, rooms: Mapping[str, dict[str, Any]], complete: bool) -> None:
        """Write down what rooms say; `complete` means that a session that is not among them has no room."""
        now_s = time.time()
        on_air = {id: float(room.get("since") or now_s) for id, room in rooms.items() if room.get("state") == "live"}
        with self._app.app_context():
            known = self._on_file(on_air)
            if complete:
                live = {id for id, session in known.items() if session.state is SessionState.LIVE}
                self._absent_since_s = {id: self._absent_since_s.get(id, now_s) for id in live - set(rooms)}
            changes = reconcile(known, on_air, self._absent_since_s, now_s, self._grace_s)
            for session_id in changes.live:
                self._mark(programme.mark_live, session_id)
            for session_id in changes.ended:
                self._mark(programme.mark_ended, session_id)

    def take_end(self, session_id: str) -> None:
        """Write down that the live plane has ended a lesson."""
        with self._app.app_context():
            known = self._on_file([session_id]).get(session_id)
            if known is not None and known.state is SessionState.LIVE:
                self._mark(programme.mark_ended, session_id)

    def authorize(self, session_id: str, headers: Headers) -> Grant | Denied:
        """Decide who may follow a session's events, as Flask would: by bearer or login."""
        kept = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        wanted = [pair for pair in kept if pair[0] in ("authorization", "cookie", "accept-language", "host")]
        environ = EnvironBuilder(path=f"/events/{session_id}", headers=wanted).get_environ()
        with self._app.request_context(environ):
            try:
                return Grant(host=bearers.follow(session_id))
            except HTTPException as error:
                response = problems.answer(error)
                pairs = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
                return Denied(response.status_code, pairs, response.get_data())

    def _on_file(self, ids: Any) -> dict[str, SessionOnFile]:
        columns = select(Session.id, Session.state, Session.ended_at)
        rows = db.session.execute(columns.where(or_(Session.state == SessionState.LIVE, Session.id.in_(list(ids)))))
        return {
            id: SessionOnFile(id, SessionState(state), ended_at.timestamp() if ended_at else None)
            for id, state, ended_at in rows
        }

    def _mark(self, write: Any, session_id: str) -> None:
        try:
            write(session_id, utc_now())
        except IllegalTransition as error:
            # Somebody else decided otherwise between reading and writing: theirs stands.
            log.info("state_kept", session=session_id, reason=str(error))


def build(app: Flask, settings: Settings) -> tuple[Events, LiveFeed]:
    """Make the events' ASGI application and the feed behind it, which is started with the event loop."""
    on_air = OnAir(app, settings.host_grace_s)
    liveplane = app.extensions["tropa_liveplane"]
    feed = LiveFeed(liveplane, settings.redis_url, on_air.session_state, on_air.take_rooms, on_air.take_end)
    return Events(feed, on_air.authorize), feed
