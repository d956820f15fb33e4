"""The front door of the live plane: WHIP (RFC 9725) for hosts, WHEP (draft-ietf-wish-whep) for viewers."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, current_app, jsonify, request
from flask_babel import gettext as _
from flask_limiter.util import get_remote_address
from werkzeug.exceptions import HTTPException

from rules import rights
from rules.airtime import AirFault, airtime
from rules.lifecycle import SessionState
from rules.rights import SessionFacts
from rules.rungs import Mode
from rules.tickets import Action
from server import access, bearers
from server.bearers import Bearer
from server.i18n import local
from server.liveplane import AWAY_RETRY_S, Answer, LivePlane, MediaAway, Refused
from server.problems import Problem
from server.security import limiter
from store import programme
from store.database import utc_now
from store.models import Session

blueprint = Blueprint("whip", __name__)

MAX_SDP_BYTES = 64 * 1024
MAX_IF_MATCH = 200
SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"
MODES = tuple(Mode)
METHODS = "POST, PATCH, DELETE, OPTIONS"
# A page that comes back after an outage asks each second; the count is per bearer, because a school is one address.
PER_BEARER = "180 per minute"
# Wrong bearers are counted by address: thirty teachers with stale pages stay under it, a guesser does not.
WRONG_PER_ADDRESS = "600 per minute"


def _bearer_key() -> str:
    return hashlib.sha256((access.bearer() or get_remote_address()).encode()).hexdigest()[:32]


def _limited(view):
    view = limiter.limit(PER_BEARER, key_func=_bearer_key)(view)
    return limiter.limit(WRONG_PER_ADDRESS, deduct_when=lambda response: response.status_code == 401)(view)


def liveplane() -> LivePlane:
    """Return the application's client of the control ports."""
    return current_app.extensions["tropa_liveplane"]


@blueprint.record_once
def _open_liveplane(state) -> None:
    state.app.extensions.setdefault("tropa_liveplane", LivePlane(state.app.config["TROPA"]))


@blueprint.after_request
def _allow_origins(response: Response) -> Response:
    """Let players on any site use these routes (DESIGN 6); bearers are explicit, so no cookie is at stake."""
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Access-Control-Expose-Headers"] = (
        "Location, ETag, Link, Accept-Patch, Retry-After, WWW-Authenticate"
    )
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@blueprint.route("/<any(whip, whep):door>/<session_id>", methods=["OPTIONS"], provide_automatic_options=False)
@blueprint.route(
    "/<any(whip, whep):door>/<session_id>/<resource>", methods=["OPTIONS"], provide_automatic_options=False
)
@access.by_bearer
def preflight(door: str, session_id: str, resource: str = "") -> Response:
    """Answer a browser's CORS question and say what is accepted (RFC 9725 4.2)."""
    response = Response(status=204)
    response.headers["Access-Control-Allow-Methods"] = METHODS
    response.headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, If-Match"
    response.headers["Access-Control-Max-Age"] = "86400"
    response.headers["Accept-Post"] = SDP
    if resource:
        response.headers["Accept-Patch"] = FRAGMENT
    return response


@blueprint.post("/whip/<session_id>", provide_automatic_options=False)
@access.by_bearer
@_limited
def publish(session_id: str) -> Response:
    """Take a host's offer."""
    bearer = bearers.identify(access.bearer(), session_id, {Action.HOST})
    session, facts = bearers.session_for(session_id, bearer.actor)
    _require_host(bearer, session, facts)
    offer = _sdp()
    answer = _through(lambda plane: plane.publish(session_id, offer, session.title))
    return _created("whip", session_id, answer)


@blueprint.post("/whep/<session_id>", provide_automatic_options=False)
@access.by_bearer
@_limited
def watch(session_id: str) -> Response:
    """Take a viewer's offer; 409 with Retry-After while nobody is live."""
    bearer = bearers.identify(access.bearer(), session_id, {Action.WATCH})
    session, facts = bearers.session_for(session_id, bearer.actor)
    if not rights.may_watch(bearer.actor, facts):
        raise Problem(403, _("This lesson is not open to you."))
    if session.state == SessionState.CANCELLED:
        raise Problem(410, _("This lesson was cancelled."), slug="cancelled")
    offer = _sdp()
    viewer = {"key": bearer.actor.key, "name": bearer.actor.name, "school": bearer.school}
    answer = _through(lambda plane: plane.watch(session_id, offer, viewer))
    return _created("whep", session_id, answer)


@blueprint.patch("/whip/<session_id>/<resource>", provide_automatic_options=False)
@access.by_bearer
@_limited
def patch_host(session_id: str, resource: str) -> Response:
    """Take a host's candidates or its ICE restart. A 404 says whether another connection took over (member on_air)."""
    _known_host(session_id)
    return _patch(session_id, resource, host=True)


@blueprint.patch("/whep/<session_id>/<resource>", provide_automatic_options=False)
@access.by_bearer
@_limited
def patch_viewer(session_id: str, resource: str) -> Response:
    """Take a viewer's candidates or its ICE restart; in JSON its choice of quality, answered by what it gets."""
    bearers.identify(access.bearer(), session_id, {Action.WATCH})
    if request.mimetype == "application/json":
        return _standing(session_id, resource)
    return _patch(session_id, resource, host=False)


@blueprint.delete("/whip/<session_id>/<resource>", provide_automatic_options=False)
@access.by_bearer
@_limited
def unpublish(session_id: str, resource: str) -> Response:
    """End the lesson: its host says goodbye (RFC 9725 4.2). A host beside whom another is live ends only itself."""
    _known_host(session_id)
    was = _through(lambda plane: plane.leave(session_id, resource))
    if was == "host":
        programme.mark_ended(session_id, utc_now())
    return Response(status=200)


@blueprint.delete("/whep/<session_id>/<resource>", provide_automatic_options=False)
@access.by_bearer
@_limited
def leave(session_id: str, resource: str) -> Response:
    """Let a viewer go."""
    bearers.identify(access.bearer(), session_id, {Action.WATCH})
    _through(lambda plane: plane.leave(session_id, resource))
    return Response(status=200)


def _known_host(session_id: str) -> None:
    bearer = bearers.identify(access.bearer(), session_id, {Action.HOST})
    _session, facts = bearers.session_for(session_id, bearer.actor)
    if not rights.may_host(bearer.actor, facts):
        raise Problem(403, _("Only the lesson's host and coordinators may go live here."))


def _require_host(bearer: Bearer, session: Session, facts: SessionFacts) -> None:
    if not rights.may_host(bearer.actor, facts):
        raise Problem(403, _("Only the lesson's host and coordinators may go live here."))
    air = airtime(SessionState(session.state), session.starts_at, session.minutes, utc_now())
    if air.fault is AirFault.CANCELLED:
        raise Problem(403, _("This lesson was cancelled."), slug="cancelled")
    if air.fault is AirFault.TOO_EARLY:
        opens = local(air.opens_at, session.host_school.timezone).strftime("%d.%m.%Y %H:%M")
        raise Problem(
            403, _("It is too early: this lesson can go live from %(time)s on.", time=opens), slug="too-early"
        )
    if air.fault is AirFault.TOO_LATE:
        detail = _("The booked time of this lesson is over.")
        raise Problem(403, detail, todo=_("Book a new time, then go live there."), slug="too-late")


def _sdp() -> str:
    """Read the offer. Raises Problem 415, 413, 400."""
    if request.mimetype != SDP:
        raise Problem(415, _("Send the offer as %(type)s.", type=SDP), headers={"Accept-Post": SDP})
    return _text()


def _text() -> str:
    if (request.content_length or 0) > MAX_SDP_BYTES:
        raise Problem(413, _("The description is longer than %(kb)s KB.", kb=MAX_SDP_BYTES // 1024))
    raw = request.get_data(cache=False)
    if len(raw) > MAX_SDP_BYTES:
        raise Problem(413, _("The description is longer than %(kb)s KB.", kb=MAX_SDP_BYTES // 1024))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Problem(400, _("The description is not text in UTF-8.")) from None


def _patch(session_id: str, resource: str, host: bool) -> Response:
    """Pass a fragment on: 204 for candidates, 200 with ours and a new ETag for an ICE restart (RFC 9725 4.3)."""
    if request.mimetype != FRAGMENT:
        raise Problem(415, _("Send the fragment as %(type)s.", type=FRAGMENT), headers={"Accept-Patch": FRAGMENT})
    fragment, if_match = _text(), request.headers.get("If-Match")
    if if_match is not None and len(if_match) > MAX_IF_MATCH:
        raise Problem(412, _("The If-Match header names another connection."), slug="etag")
    try:
        restarted = _through(lambda plane: plane.patch(session_id, resource, fragment, if_match))
    except Problem as problem:
        if problem.code == 404 and host:
            room = _through(lambda plane: plane.room(session_id))
            problem.extra = {"on_air": bool(room and room.get("state") in ("live", "waiting"))}
        raise
    if restarted is None:
        return Response(status=204)
    response = Response(restarted.fragment, 200, content_type=FRAGMENT)
    response.set_etag(restarted.etag)
    return response


def _standing(session_id: str, resource: str) -> Response:
    body = request.get_json(silent=True)
    mode = body.get("mode") if isinstance(body, dict) else body
    if not isinstance(body, dict) or (mode is not None and mode not in MODES):
        raise Problem(400, _("The quality is one of: %(modes)s.", modes=", ".join(MODES)))
    return jsonify(_through(lambda plane: plane.standing(session_id, resource, mode)))


def _created(door: str, session_id: str, answer: Answer) -> Response:
    response = Response(answer.sdp, 201, content_type=SDP)
    response.headers["Location"] = f"/{door}/{session_id}/{answer.resource}"
    response.autocorrect_location_header = False
    response.set_etag(answer.etag)
    response.headers["Accept-Patch"] = FRAGMENT
    return response


def _through(call):
    """Call the live plane and turn its refusals into problems in the asker's language."""
    try:
        return call(liveplane())
    except MediaAway:
        raise Problem(
            503,
            _("The live part is being restarted."),
            todo=_("The page tries again by itself."),
            slug="media-away",
            extra={"reason": "away"},
            headers={"Retry-After": str(AWAY_RETRY_S)},
        ) from None
    except Refused as refusal:
        raise _problem(refusal) from None


def _problem(refusal: Refused) -> HTTPException:
    headers = {} if refusal.retry_after_s is None else {"Retry-After": str(refusal.retry_after_s)}
    extra = {"reason": refusal.reason}
    if refusal.status == 404:
        return Problem(404, _("This connection is not known any more."), slug="gone", extra=extra)
    if refusal.status == 409:
        headers.setdefault("Retry-After", "3")
        return Problem(409, _("Nobody is live yet."), slug="not-live", extra=extra, headers=headers)
    if refusal.status == 412:
        return Problem(412, _("The If-Match header names another connection."), slug="etag", extra=extra)
    if refusal.status == 428:
        detail = _("New ICE names need the header %(header)s.", header='If-Match: "*"')
        return Problem(428, detail, slug="etag", extra=extra)
    if refusal.reason == "bad_fragment":
        return Problem(400, _("The fragment could not be understood: %(reason)s", reason=refusal.detail), extra=extra)
    if refusal.status == 503:
        headers.setdefault("Retry-After", "30")
        return Problem(503, _("All places are taken."), slug="full", extra=extra, headers=headers)
    if refusal.reason == "no_common_codec":
        detail = _("The offer has no codec that is forwarded here: Opus with AV1, VP9, H.264 or VP8.")
        return Problem(422, detail, slug="no-common-codec", extra=extra)
    if refusal.status in (400, 413, 422):
        detail = _("The offer could not be understood: %(reason)s", reason=refusal.detail or refusal.reason)
        return Problem(422, detail, slug="bad-sdp", extra=extra)
    current_app.logger.error("control port answered %s", refusal)
    return Problem(503, _("The live part has a fault."), extra=extra, headers={"Retry-After": "5"})
