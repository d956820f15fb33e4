"""End a lesson that is live, for its host and coordinators."""

from __future__ import annotations

from flask_babel import gettext as _

from rules import rights
from rules.lifecycle import SessionState
from rules.rights import Actor
from server import access, bearers
from server.liveplane import AWAY_RETRY_S, MediaAway, Refused
from server.problems import Problem
from server.whip import liveplane
from store import programme
from store.database import utc_now


def end(session_id: str, actor: Actor) -> None:
    """Dismiss the viewers and seal the recording; Problem 409 where nothing is live, 503 to try again."""
    session, facts = bearers.session_for(session_id, actor)
    access.require(rights.may_host(actor, facts), _("Only the lesson's host and coordinators may end it."))
    try:
        was_there = liveplane().end(session_id)
    except (MediaAway, Refused):
        raise Problem(
            503,
            _("The live part is being restarted, so the lesson has not been ended; what was recorded is kept."),
            todo=_("Press the button again in a few seconds."),
            headers={"Retry-After": str(AWAY_RETRY_S)},
        ) from None
    if not was_there and session.state != SessionState.LIVE:
        raise Problem(409, _("This lesson is not live."), slug="not-live")
    programme.mark_ended(session_id, utc_now())
