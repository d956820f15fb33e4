"""What state the parts are in: /healthz for people and load balancers, /metrics for Prometheus."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from functools import cache

import redis
import structlog
from flask import Blueprint, Flask, Response, current_app, g, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

import rules.space
from config import Settings
from rules.space import Level, Work
from server import access
from server.liveplane import LivePlane, MediaAway
from store import database, space

blueprint = Blueprint("health", __name__)
log = structlog.get_logger("server.health")

LATENCY_BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def init_app(app: Flask) -> None:
    """Count every request by view and status."""
    registry = CollectorRegistry()
    requests = Counter("tropa_http_requests", "Requests by view and status", ["view", "status"], registry=registry)
    seconds = Histogram("tropa_http_seconds", "Time in Flask", ["view"], registry=registry, buckets=LATENCY_BUCKETS_S)
    registry.register(_DiskCollector(app.config["TROPA"]))
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
    """Tell how full the disks are; `refused` are the sorts of work that wait for room (rules.space)."""
    try:
        found, kept = space.disks(settings), space.reserve(settings)
    except OSError:
        return {"state": "away"}
    tightest = min(found, key=lambda disk: disk.free_bytes - kept.of(disk))
    level = rules.space.level(tightest, kept)
    return {
        "state": "ok" if level in (Level.OK, Level.TIGHT) else level.value,
        "free_mb": tightest.free_bytes // 1_000_000,
        "reserve_mb": kept.of(tightest) // 1_000_000,
        "refused": [work.value for work in rules.space.refused(tightest, kept)],
    }


class _DiskCollector(Collector):
    """The disks as Prometheus asks for them: measured at that moment."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give free, total and reserved bytes of every disk, and which work is refused (1) or not (0)."""
        free = GaugeMetricFamily("tropa_disk_free_bytes", "Bytes free for Tropa", labels=["disk"])
        total = GaugeMetricFamily("tropa_disk_total_bytes", "Size of the disk", labels=["disk"])
        kept = GaugeMetricFamily("tropa_disk_reserve_bytes", "Bytes that stay free", labels=["disk"])
        refused = GaugeMetricFamily("tropa_disk_refused", "1: this work waits for room", labels=["disk", "work"])
        try:
            disks, reserve = space.disks(self._settings), space.reserve(self._settings)
        except OSError:
            return
        for disk in disks:
            free.add_metric([disk.name], disk.free_bytes)
            total.add_metric([disk.name], disk.total_bytes)
            kept.add_metric([disk.name], reserve.of(disk))
            stopped = rules.space.refused(disk, reserve)
            for work in Work:
                refused.add_metric([disk.name, work.value], int(work in stopped))
        yield from (free, total, kept, refused)
