"""Client of the media processes' control port (docs/architecture.md); finds the node that a room lives on."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import redis
import structlog

from config import Settings
from rules import tickets

CONNECT_S = 0.5
ANSWER_S = 6.0  # an answer to an offer is made by Python under load; everything else is faster
REDIS_S = 0.3
REDIS_REST_S = 2.0  # after a failure, so that a hanging Redis costs one request its patience and not each
AWAY_RETRY_S = 1  # whoever was thrown out by a restart must be back within ten seconds
CONTROL_HEADER = "X-Tropa-Control"

log = structlog.get_logger("server.liveplane")


class MediaAway(Exception):
    """No media process answers; the asker should try again in AWAY_RETRY_S."""


class Refused(Exception):
    """The media process said no: HTTP status, reason for programs, detail for people, seconds until another try."""

    def __init__(self, status: int, reason: str, detail: str = "", retry_after_s: int | None = None) -> None:
        super().__init__(f"{status} {reason} {detail}".strip())
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True)
class Answer:
    """What an offer was answered with: the resource's id, the SDP answer, its entity tag (without quotes)."""

    resource: str
    sdp: str
    etag: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """The answer to an ICE restart: our fragment with the new names, the new entity tag (without quotes)."""

    fragment: str
    etag: str


def control_secret(secret_key: str) -> str:
    """Return what every request to a control port carries, in hex."""
    return tickets.derive(secret_key, "control").hex()


class LivePlane:
    """The control ports of all nodes, used from any thread."""

    def __init__(self, settings: Settings, transport: httpx.BaseTransport | None = None) -> None:
        """Open no connection yet. The registry is Redis where it is set, and a file; `transport` is for tests."""
        self._file = settings.data / "run" / "media.json"
        timeout = httpx.Timeout(ANSWER_S, connect=CONNECT_S)
        # Environment proxies are for the world outside; the control port is on this machine or in this house.
        self._http = httpx.Client(
            timeout=timeout,
            trust_env=False,
            transport=transport,
            headers={CONTROL_HEADER: control_secret(settings.secret_key)},
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=32),
        )
        self._redis: redis.Redis | None = None
        if settings.redis_url:
            self._redis = redis.Redis.from_url(
                settings.redis_url, socket_connect_timeout=REDIS_S, socket_timeout=REDIS_S, decode_responses=True
            )
        self._lock = threading.Lock()
        self._redis_rests_until = 0.0

    def close(self) -> None:
        """Give up every connection."""
        self._http.close()
        if self._redis is not None:
            self._redis.close()

    def publish(self, session: str, offer: str, title: str) -> Answer:
        """Hand a host's offer to the session's room. Raises MediaAway, Refused (422)."""
        return _answer(self._ask("POST", session, "/host", {"offer": offer, "title": title}))

    def watch(self, session: str, offer: str, viewer: dict[str, str]) -> Answer:
        """Hand a viewer's offer to the room. `viewer`: key, name, school. Raises MediaAway, Refused (409, 422, 503)."""
        return _answer(self._ask("POST", session, "/viewers", {"offer": offer, "viewer": viewer}))

    def patch(self, session: str, resource: str, fragment: str, if_match: str | None) -> Restarted | None:
        """Pass on a fragment; an ICE restart has an answer, trickled candidates have none.

        `if_match` is the header as it came. Raises MediaAway, Refused (400, 404, 412, 428).
        """
        body = {"fragment": fragment, "if_match": if_match}
        content = self._ask("PATCH", session, f"/resources/{quote(resource, safe='')}", body)
        return Restarted(content["fragment"], content["etag"]) if content else None

    def standing(self, session: str, resource: str, mode: str | None) -> dict[str, Any]:
        """Return what a viewer gets and why, after taking its choice. Raises MediaAway, Refused (404)."""
        return self._ask("PATCH", session, f"/resources/{quote(resource, safe='')}", {"mode": mode})

    def leave(self, session: str, resource: str) -> str:
        """Remove a resource; returns "host", "spare" (one of several) or "viewer". Raises MediaAway, Refused (404)."""
        return str(self._ask("DELETE", session, f"/resources/{quote(resource, safe='')}").get("was", "viewer"))

    def end(self, session: str) -> bool:
        """End a lesson: dismiss viewers, seal the recording. False when there was no room. Raises MediaAway."""
        try:
            self._ask("POST", session, "/end", {})
        except Refused as refusal:
            if refusal.status == 404:
                return False
            raise
        return True

    def room(self, session: str) -> dict[str, Any] | None:
        """Return a room's state, None where there is no room. Raises MediaAway, Refused."""
        try:
            return self._ask("GET", session, "")
        except Refused as refusal:
            if refusal.status == 404:
                return None
            raise

    def rooms(self) -> dict[str, dict[str, Any]]:
        """Return the state of every room on every node that answers, by session. Raises MediaAway when none answers."""
        found: dict[str, dict[str, Any]] = {}
        answered = False
        for control in self._all_nodes():
            try:
                body = self._call("GET", f"{control}/rooms", None)
            except httpx.TransportError:
                continue
            answered = True
            for room in body.get("rooms", []):
                found[room["session"]] = room
        if not answered:
            raise MediaAway
        return found

    def begin_link_test(self, offer: str) -> Answer:
        """Hand the offer of a measurement to the least distant node. Raises MediaAway, Refused (422, 503)."""
        for control in self._nodes_for(""):
            try:
                return _answer(self._call("POST", f"{control}/linktests", {"offer": offer}))
            except httpx.TransportError:
                continue
        raise MediaAway

    def link_test(self, resource: str) -> dict[str, Any] | None:
        """Return a measurement's report, None where no node knows it (any more)."""
        return self._ask_all("GET", f"/linktests/{quote(resource, safe='')}")

    def stop_link_test(self, resource: str) -> None:
        """End a measurement wherever it runs; one that is over already stays so."""
        self._ask_all("DELETE", f"/linktests/{quote(resource, safe='')}")

    def _ask_all(self, method: str, path: str) -> dict[str, Any] | None:
        for control in self._all_nodes():
            try:
                return self._call(method, control + path, None)
            except (httpx.TransportError, Refused):
                continue
        return None

    def _ask(self, method: str, session: str, path: str, body: dict | None = None) -> dict[str, Any]:
        """Call the room's node; a node that cannot be reached is passed over for the next that may have it."""
        for control in self._nodes_for(session):
            try:
                return self._call(method, f"{control}/rooms/{quote(session, safe='')}{path}", body)
            except httpx.ConnectError:
                continue
            except httpx.TransportError as error:
                log.warning("control_port_failed", control=control, method=method, error=type(error).__name__)
                continue
        raise MediaAway

    def _call(self, method: str, url: str, body: dict | None) -> dict[str, Any]:
        try:
            response = self._http.request(method, url, json=body)
        except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
            # A kept-alive connection to a process that was restarted meanwhile: once more on a new one.
            response = self._http.request(method, url, json=body)
        content = _json(response)
        if response.is_success:
            return content
        raise Refused(
            response.status_code,
            str(content.get("reason", "")),
            str(content.get("detail", "")),
            content.get("retry_after_s"),
        )

    def _nodes_for(self, session: str) -> list[str]:
        """List control addresses to try for a room: the one that has it, this machine's, then the least busy."""
        nodes = self._registered()
        local = _read(self._file)
        room = self._redis_get(f"tropa:room:{session}")
        order = [nodes[room]["control"]] if room in nodes else []
        order += [local["control"]] if local else []
        order += [node["control"] for node in sorted(nodes.values(), key=_load)]
        return list(dict.fromkeys(order))

    def _all_nodes(self) -> list[str]:
        local = _read(self._file)
        controls = [node["control"] for node in self._registered().values()] + ([local["control"]] if local else [])
        return list(dict.fromkeys(controls))

    def _registered(self) -> dict[str, dict[str, Any]]:
        """Read the living nodes of the registry by id; empty while Redis is away."""
        if not self._redis_may_be_asked():
            return {}
        try:
            keys = list(self._redis.scan_iter("tropa:node:*", count=100))
            texts = self._redis.mget(keys) if keys else []
        except redis.RedisError as error:
            self._let_redis_rest(error)
            return {}
        nodes = (_node(text) for text in texts if text)
        return {node["node"]: node for node in nodes if node}

    def _redis_get(self, key: str) -> str | None:
        if not self._redis_may_be_asked():
            return None
        try:
            return self._redis.get(key)
        except redis.RedisError as error:
            self._let_redis_rest(error)
            return None

    def _redis_may_be_asked(self) -> bool:
        with self._lock:
            return self._redis is not None and time.monotonic() >= self._redis_rests_until

    def _let_redis_rest(self, error: Exception) -> None:
        with self._lock:
            self._redis_rests_until = time.monotonic() + REDIS_REST_S
        log.warning("registry_away", error=type(error).__name__)


def _load(node: dict[str, Any]) -> float:
    load = node.get("load")
    return float(load) if isinstance(load, (int, float)) else 0.0


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(body["resource"], body["answer"], body["etag"])


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json() if response.content else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {"rooms": body}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        return _node(path.read_text("utf-8"))
    except OSError:
        return None


def _node(text: str) -> dict[str, Any] | None:
    try:
        node = json.loads(text)
    except ValueError:
        return None
    return node if isinstance(node, dict) and isinstance(node.get("control"), str) and "node" in node else None
