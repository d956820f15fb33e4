"""What state the parts are in: /healthz for people and load balancers, /metrics for Prometheus."""

from __future__ import annotations

import json
import shutil
import time
from functools import cache

import redis
import structlog
from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from config import Settings
from server import access
from server.liveplane import LivePlane, MediaAway
from store import database

blueprint = Blueprint("health", __name__)
log = structlog.get_logger("server.health")

LOW_DISK_BYTES = 2 * 1024**3
LATENCY_BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def init_app(app: Flask) -> None:
    """Count every request by view and status."""
    registry = CollectorRegistry()
    requests = Counter("tropa_http_requests", "Requests by view and status", ["view", "status"], registry=registry)
    seconds = Histogram("tropa_http_seconds", "Time in Flask", ["view"], registry=registry, buckets=LATENCY_BUCKETS_S)
    app.extensions["tropa.metrics"] = registry

    @app.before_request
    def start() -> None:
        g.started_s = time.perf_counter()

    @app.after_request
    def count(response: Response) -> Response:
        view = request.endpoint or "none"
        requests.labels(view, response.status_code).inc()
        if "started_s" in g:
            seconds.labels(view).observe(time.perf_counter() - g.started_s)
        return response


@blueprint.get("/metrics")
@access.public
def metrics() -> Response:
    """Write the counters of this process in Prometheus' text format."""
    return Response(generate_latest(current_app.extensions["tropa.metrics"]), content_type=CONTENT_TYPE_LATEST)


@blueprint.get("/healthz")
@access.public
def healthz() -> tuple[Response, int]:
    """Say how each part is. 200 while pages can be served, 503 without a database."""
    settings = current_app.config["TROPA"]
    found = {
        "database": _database(),
        "redis": _redis(settings),
        "media": _media(settings),
        "workers": _workers(settings),
        "disk": _disk(settings),
    }
    serves = found["database"]["state"] == "ok"
    whole = "ok" if all(part["state"] == "ok" for part in found.values()) else "degraded"
    body = {"state": whole if serves else "down", "parts": found}
    return jsonify(body), 200 if serves else 503


def _database() -> dict:
    try:
        database.ping()
    except SQLAlchemyError as error:
        log.warning("database_away", error=type(error).__name__)
        return {"state": "away"}
    return {"state": "ok"}


@cache
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, socket_connect_timeout=0.5, socket_timeout=0.5, decode_responses=True)


def _redis(settings: Settings) -> dict:
    if not settings.redis_url:
        return {"state": "unset"}
    try:
        _client(settings.redis_url).ping()
    except redis.RedisError:
        return {"state": "away"}
    return {"state": "ok"}


def _media(settings: Settings) -> dict:
    # The front door's client where there is one: the same connections serve.
    if "tropa_liveplane" not in current_app.extensions:
        current_app.extensions["tropa_liveplane"] = LivePlane(settings)
    try:
        rooms = current_app.extensions["tropa_liveplane"].rooms()
    except MediaAway:
        return {"state": "away"}
    live = [room for room in rooms.values() if room.get("state") == "live"]
    return {"state": "ok", "live": len(live), "viewers": sum(room.get("viewers", 0) for room in rooms.values())}


def _workers(settings: Settings) -> dict:
    if not settings.redis_url:
        return {"state": "unset"}
    try:
        client = _client(settings.redis_url)
        keys = list(client.scan_iter("tropa:worker:*", count=100))
        beats = [json.loads(text)["at"] for text in client.mget(keys) if text] if keys else []
        planned = client.exists("tropa:beat")
    except (redis.RedisError, ValueError, KeyError, TypeError):
        return {"state": "away"}
    if not beats:
        return {"state": "away", "alive": 0}
    return {"state": "ok", "alive": len(beats), "schedule": "ok" if planned else "away"}


def _disk(settings: Settings) -> dict:
    try:
        free = shutil.disk_usage(settings.data).free
    except OSError:
        return {"state": "away"}
    return {"state": "ok" if free >= LOW_DISK_BYTES else "low", "free_mb": free // 1024**2}
