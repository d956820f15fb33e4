"""The state of the parts, for people and machines."""

from __future__ import annotations

from sqlalchemy.exc import OperationalError

from rules.space import Reserve
from server.liveplane import LivePlane, MediaAway


def test_parts_are_named(client, monkeypatch) -> None:
    """Without media and Redis pages are served all the same, and the state says what is missing."""

    def away(_self: LivePlane) -> None:
        raise MediaAway

    monkeypatch.setattr(LivePlane, "rooms", away)
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.json["state"] == "degraded"
    assert answer.json["parts"]["database"] == {"state": "ok"}
    assert answer.json["parts"]["media"] == {"state": "away"}
    assert set(answer.json["parts"]) == {"database", "redis", "media", "workers", "disk"}


def test_rooms_are_counted(client, monkeypatch) -> None:
    """Live lessons and their viewers are counted over all rooms."""
    rooms = {"a": {"state": "live", "viewers": 3}, "b": {"state": "waiting", "viewers": 1}}
    monkeypatch.setattr(LivePlane, "rooms", lambda _self: rooms)
    assert client.get("/healthz").json["parts"]["media"] == {"state": "ok", "live": 1, "viewers": 4}


def test_without_a_database_nothing_is_served(client, monkeypatch) -> None:
    """A load balancer sends nobody here while the database is away."""

    def away() -> None:
        raise OperationalError("SELECT 1", {}, Exception())

    monkeypatch.setattr("server.health.database.ping", away)
    monkeypatch.setattr(LivePlane, "rooms", lambda _self: {})
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json["state"] == "down"


def test_full_disk_is_reported(client, monkeypatch) -> None:
    """Too little space for recordings is said before lessons are lost."""
    monkeypatch.setattr("store.space.reserve", lambda _settings: Reserve(1 << 60, 0))
    monkeypatch.setattr(LivePlane, "rooms", lambda _self: {})
    disk = client.get("/healthz").json["parts"]["disk"]
    assert disk["state"] == "full"
    assert disk["refused"] == ["upload", "encode", "recording", "recorded"]
    assert 'tropa_disk_refused{disk="data",work="upload"} 1.0' in client.get("/metrics").get_data(as_text=True)


def test_metrics_count_requests(client) -> None:
    """Requests are counted by view and status."""
    client.get("/login")
    client.get("/nothing")
    text = client.get("/metrics").get_data(as_text=True)
    assert 'tropa_http_requests_total{status="200",view="auth.login_page"} 1.0' in text
    assert 'tropa_http_requests_total{status="404",view="none"} 1.0' in text
