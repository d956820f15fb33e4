"""A media process's control port in memory, as docs/architecture.md describes it, for fast tests."""

from __future__ import annotations

import json
import re

import httpx

from config import Settings
from server.liveplane import CONTROL_HEADER, LivePlane, control_secret

ROOM = re.compile(r"/rooms/([^/]+)(/host|/viewers|/end|/resources/([^/]+))?")
OFFER = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CONTROL = "http://127.0.0.1:9"


class FakeMedia:
    """Rooms with hosts and viewers but without media; `down` refuses connections, `places` bounds a room's viewers."""

    def __init__(self, settings: Settings) -> None:
        self.secret = control_secret(settings.secret_key)
        self.rooms: dict[str, dict] = {}
        self.resources: dict[str, tuple[str, str]] = {}
        self.calls: list[tuple[str, str, dict]] = []
        self.down = False
        self.places = 400
        self._made = 0
        path = settings.data / "run" / "media.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"control": CONTROL, "node": "n1", "pid": 1}))
        self.liveplane = LivePlane(settings, httpx.MockTransport(self.answer))

    def go_live(self, session: str) -> None:
        """Let media arrive in a room."""
        self.rooms.setdefault(
            session, {"session": session, "viewers": 0, "since": 1e12, "recording": None, "host": None}
        )
        self.rooms[session]["state"] = "live"

    def answer(self, request: httpx.Request) -> httpx.Response:
        """Answer one request of the client."""
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if request.headers.get(CONTROL_HEADER) != self.secret:
            return httpx.Response(403)
        body = json.loads(request.content) if request.content else {}
        self.calls.append((request.method, request.url.path, body))
        if request.url.path == "/rooms":
            return httpx.Response(200, json={"rooms": list(self.rooms.values())})
        match = ROOM.fullmatch(request.url.path)
        assert match is not None, request.url.path
        return self._in_room(request.method, match[1], match[2] or "", match[3], body)

    def _in_room(self, method: str, session: str, what: str, resource: str | None, body: dict) -> httpx.Response:
        room = self.rooms.get(session)
        if what in ("/host", "/viewers"):
            return self._offered(session, room, what, body)
        if room is None or (resource is not None and self.resources.get(resource, ("", ""))[0] != session):
            return httpx.Response(404, json={"reason": "not_found"})
        if what == "/end":
            del self.rooms[session]
            return httpx.Response(200, json={})
        if method == "PATCH" and "mode" in body:
            return httpx.Response(200, json={"rung": "low", "why": "link", "kbps": 64, "mode": body["mode"] or "auto"})
        if method == "PATCH":
            return _patched(body["fragment"], body["if_match"])
        if method == "DELETE":
            was = self._left(session, resource)
            return httpx.Response(200, json={"was": was})
        return httpx.Response(200, json=room)

    def _left(self, session: str, resource: str) -> str:
        """Take a resource away; the host who came last is the room's, any other is spare."""
        _session, was = self.resources.pop(resource)
        if was == "host" and self.rooms[session]["host_resource"] != resource:
            return "spare"
        if was == "host":
            del self.rooms[session]
        return was

    def _offered(self, session: str, room: dict | None, what: str, body: dict) -> httpx.Response:
        if not body["offer"].startswith("v=0"):
            return httpx.Response(422, json={"reason": "bad_sdp", "detail": "no v= line"})
        if "only-g711" in body["offer"]:
            return httpx.Response(422, json={"reason": "no_common_codec", "detail": ""})
        if what == "/viewers":
            if room is None or room["state"] != "live":
                return httpx.Response(409, json={"reason": "not_live", "retry_after_s": 3})
            if room["viewers"] >= self.places:
                return httpx.Response(503, json={"reason": "full", "retry_after_s": 30})
            room["viewers"] += 1
        elif room is None:
            self.rooms[session] = {"session": session, "state": "waiting", "viewers": 0, "since": 1.0}
        self._made += 1
        resource = f"r{self._made}"
        if what == "/host":
            self.rooms[session]["host_resource"] = resource
        self.resources[resource] = (session, what.removeprefix("/").removesuffix("s"))
        return httpx.Response(201, json={"resource": resource, "answer": "v=0\r\nanswer\r\n", "etag": f"e{self._made}"})


def _patched(fragment: str, if_match: str | None) -> httpx.Response:
    """Answer a PATCH as the live plane does; every session's tag is "e1"."""
    if "ice-pwd" in fragment and "ice-ufrag" not in fragment:
        return httpx.Response(400, json={"reason": "bad_fragment", "detail": "half a pair"})
    if "ice-ufrag" not in fragment or if_match == '"e1"':
        return httpx.Response(204)
    if if_match is None:
        return httpx.Response(428, json={"reason": "etag"})
    if if_match != '"*"':
        return httpx.Response(412, json={"reason": "etag"})
    return httpx.Response(200, json={"fragment": "a=ice-lite\r\na=ice-ufrag:new\r\n", "etag": "e2"})
