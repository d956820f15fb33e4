"""The private control port: HTTP between the front door and the rooms (docs/architecture.md)."""

from __future__ import annotations

import hmac
import json
import logging
import re
from collections.abc import Callable

from aiohttp import web

from media.answer import NoCommonCodec
from media.linktest import Busy
from media.patching import MAX_FRAGMENT_BYTES, BadFragment
from media.sdp import MAX_SDP_BYTES, SdpError
from media.service import Created, Full, NotLive, Precondition, Service, UnknownResource
from media.viewer import Who
from rules.rungs import Mode

logger = logging.getLogger(__name__)

SECRET_HEADER = "X-Tropa-Control"
MAX_BODY_BYTES = 4 * MAX_SDP_BYTES
"""JSON may escape every character of an SDP."""
NOT_LIVE_RETRY_S = 3
FULL_RETRY_S = 30
MAX_NAME = 200
SESSION = re.compile(r"[0-9A-Za-z_-]{1,64}\Z")


class BadRequest(Exception):
    """A body that is not what the call takes; the text says what is missing."""


def make_app(service: Service, secret: str, metrics: Callable[[], str]) -> web.Application:
    """Build the application; every request needs `secret` in X-Tropa-Control."""
    control = Control(service, metrics)

    @web.middleware
    async def guard(request: web.Request, handler):
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode()):
            return _refusal(403, "secret")
        try:
            return await handler(request)
        except NoCommonCodec as error:
            return _refusal(422, "no_common_codec", detail=str(error))
        except SdpError as error:
            return _refusal(422, "bad_sdp", detail=str(error))
        except NotLive:
            return _refusal(409, "not_live", retry_after_s=NOT_LIVE_RETRY_S)
        except (Full, Busy):
            return _refusal(503, "full", retry_after_s=FULL_RETRY_S)
        except UnknownResource:
            return _refusal(404, "unknown")
        except Precondition as error:
            return _refusal(error.status, "etag")
        except BadFragment as error:
            return _refusal(400, "bad_fragment", detail=str(error))
        except BadRequest as error:
            return _refusal(400, "bad_request", detail=str(error))

    app = web.Application(middlewares=[guard], client_max_size=MAX_BODY_BYTES)
    app.add_routes(
        [
            web.post("/rooms/{session}/host", control.host),
            web.post("/rooms/{session}/viewers", control.viewer),
            web.patch("/rooms/{session}/resources/{resource}", control.patch),
            web.delete("/rooms/{session}/resources/{resource}", control.leave),
            web.post("/rooms/{session}/end", control.end),
            web.get("/rooms", control.rooms),
            web.get("/rooms/{session}", control.room),
            web.post("/linktests", control.begin_link_test),
            web.get("/linktests/{resource}", control.link_test),
            web.delete("/linktests/{resource}", control.stop_link_test),
            web.get("/healthz", control.healthz),
            web.get("/metrics", control.metrics),
        ]
    )
    return app


class Control:
    """The handlers."""

    def __init__(self, service: Service, metrics: Callable[[], str]) -> None:
        self._service = service
        self._metrics = metrics

    async def host(self, request: web.Request) -> web.Response:
        """Take a host's offer."""
        body = await _body(request)
        return _created(self._service.host(_session(request), _text(body, "offer", MAX_SDP_BYTES)))

    async def viewer(self, request: web.Request) -> web.Response:
        """Take a viewer's offer."""
        body = await _body(request)
        viewer = body.get("viewer")
        if not isinstance(viewer, dict):
            raise BadRequest("viewer is missing")
        who = Who(*(_text(viewer, name, MAX_NAME) for name in ("key", "name", "school")))
        return _created(self._service.viewer(_session(request), _text(body, "offer", MAX_SDP_BYTES), who))

    async def patch(self, request: web.Request) -> web.Response:
        """Take a fragment: 200 with ours for an ICE restart, 204 for candidates, which a lite agent finds by itself.

        Without a fragment it takes a viewer's choice of quality, or none, and tells what the viewer gets.
        """
        body = await _body(request)
        if "fragment" not in body:
            return self._standing(request, body)
        if_match = body.get("if_match")
        if if_match is not None:
            if_match = _text(body, "if_match", MAX_NAME)
        restarted = self._service.patch(
            _session(request), request.match_info["resource"], _text(body, "fragment", MAX_FRAGMENT_BYTES), if_match
        )
        if restarted is None:
            return web.Response(status=204)
        return web.json_response({"fragment": restarted.fragment, "etag": restarted.etag})

    def _standing(self, request: web.Request, body: dict) -> web.Response:
        mode = body.get("mode")
        if mode is not None and mode not in list(Mode):
            raise BadRequest(f"mode is one of {', '.join(Mode)}")
        chosen = None if mode is None else Mode(mode)
        return web.json_response(self._service.standing(_session(request), request.match_info["resource"], chosen))

    async def leave(self, request: web.Request) -> web.Response:
        """Remove a session."""
        return web.json_response({"was": self._service.leave(_session(request), request.match_info["resource"])})

    async def end(self, request: web.Request) -> web.Response:
        """End a lesson."""
        self._service.end(_session(request))
        return web.json_response({})

    async def rooms(self, request: web.Request) -> web.Response:
        """List the rooms."""
        return web.json_response({"rooms": [room.summary() for room in self._service.rooms.values()]})

    async def room(self, request: web.Request) -> web.Response:
        """Show one room."""
        room = self._service.rooms.get(_session(request))
        if room is None:
            raise UnknownResource
        return web.json_response(room.summary())

    async def begin_link_test(self, request: web.Request) -> web.Response:
        """Take the offer of somebody who wants their link measured."""
        body = await _body(request)
        test = self._service.link_tests.begin(_text(body, "offer", MAX_SDP_BYTES))
        return _created(Created(test.resource, test.answer, test.peer.ufrag))

    async def link_test(self, request: web.Request) -> web.Response:
        """Tell how a measurement stands."""
        test = self._service.link_tests.find(request.match_info["resource"])
        if test is None:
            raise UnknownResource
        return web.json_response(test.report())

    async def stop_link_test(self, request: web.Request) -> web.Response:
        """End a measurement early."""
        if not self._service.link_tests.stop(request.match_info["resource"]):
            raise UnknownResource
        return web.json_response({})

    async def healthz(self, request: web.Request) -> web.Response:
        """Say that the process runs its loop."""
        return web.json_response({"state": "ok", "rooms": len(self._service.rooms), "viewers": self._service.viewers})

    async def metrics(self, request: web.Request) -> web.Response:
        """Give the counters to Prometheus."""
        return web.Response(text=self._metrics(), content_type="text/plain", charset="utf-8")


async def _body(request: web.Request) -> dict:
    try:
        body = json.loads(await request.read() or b"{}")
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    return body


def _session(request: web.Request) -> str:
    """Return the session's name; it becomes a folder's, so only harmless ones are taken."""
    session = request.match_info["session"]
    if not SESSION.match(session):
        raise UnknownResource
    return session


def _text(body: dict, name: str, longest: int) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise BadRequest(f"{name} is missing")
    if len(value) > longest:
        raise BadRequest(f"{name} is longer than {longest}") if name != "offer" else SdpError("the offer is too long")
    return value


def _created(created: Created) -> web.Response:
    body = {"resource": created.resource, "answer": created.answer, "etag": created.etag}
    return web.json_response(body, status=201)


def _refusal(status: int, reason: str, **more: object) -> web.Response:
    return web.json_response({"reason": reason, **more}, status=status)
