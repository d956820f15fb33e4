"""Fifty people book the same time at once, over HTTP, against a real server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pgserver
import pytest

from config import Settings
from rules.rights import Role
from store import database, logins, people
from tests.slow.stack import ROOT, SECRET, free_port, wait_until

pytestmark = pytest.mark.slow
RIVALS = 50


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request, tmp_path: Path) -> Iterator[Settings]:
    """Settings of a fresh installation with one channel, on each database."""
    own = {
        "TROPA_HOST": "127.0.0.1",
        "TROPA_PORT": str(free_port()),
        "TROPA_DATA": str(tmp_path / "data"),
        "TROPA_CHANNELS": "1",
        "TROPA_LOG_LEVEL": "WARNING",
        "SECRET_KEY": SECRET,
    }
    if request.param == "sqlite":
        yield Settings.from_env(own)
        return
    server = pgserver.get_server(tmp_path / "pg")
    try:
        yield Settings.from_env({**own, "DATABASE_URL": server.get_uri()})
    finally:
        server.cleanup()


@pytest.fixture
def rivals(settings: Settings) -> list[tuple[str, dict]]:
    """API tokens and bookings of fifty hosts of fifty schools who want the same time; only the channel is shared."""
    app = database.bare_app(settings)
    database.upgrade(app)
    now = datetime.now(UTC)
    starts_at = (now + timedelta(days=3)).replace(hour=5, minute=0, second=0, microsecond=0)
    found = []
    with app.app_context():
        for n in range(RIVALS):
            school = people.create_school(f"Школа {n}", "Asia/Krasnoyarsk", now)
            person = _host(f"host{n}@school.example", school.id, now)
            _row, token = logins.create_api_token(person.id, "race", now)
            body = {
                "kind": "open_lesson",
                "title": f"Дроби, вариант {n}",
                "subject": "Математика",
                "host_school_id": school.id,
                "host_person_id": person.id,
                "starts_at": starts_at.isoformat(),
                "minutes": 45,
                "audience": "district",
            }
            found.append((token, body))
    return found


def _host(email: str, school_id: str, now: datetime):
    # No password is needed here, and fifty argon2 hashes are.
    with database.write():
        return people.add_person(email, "Ведущий", "!", [(Role.HOST, school_id)], now)


@pytest.fixture
def base_url(settings: Settings, rivals) -> Iterator[str]:
    """A web process as in operation: uvicorn, the ASGI shell and Flask's threads."""
    url = f"http://127.0.0.1:{settings.port}"
    environment = {
        **os.environ,
        "TROPA_DATA": str(settings.data),
        "TROPA_HOST": settings.host,
        "TROPA_PORT": str(settings.port),
        "DATABASE_URL": settings.database_url,
        "TROPA_CHANNELS": str(settings.channels),
        "TROPA_LOG_LEVEL": "WARNING",
        "SECRET_KEY": SECRET,
    }
    process = subprocess.Popen([sys.executable, "-m", "server"], cwd=ROOT, env=environment)
    try:
        wait_until(lambda: process.poll() is not None or _answers(url), 40, "the web process answers")
        yield url
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/openapi.json", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


async def test_one_of_fifty_simultaneous_bookings_wins(base_url, rivals):
    """Exactly one 201; the other 49 are told 409 with what clashes and the nearest free times."""
    async with httpx.AsyncClient(base_url=base_url, timeout=60, limits=httpx.Limits(max_connections=RIVALS)) as client:
        answers = await asyncio.gather(*(_book(client, token, body, str(n)) for n, (token, body) in enumerate(rivals)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(201) == 1, statuses
    assert statuses.count(409) == RIVALS - 1, statuses
    wanted = datetime.fromisoformat(rivals[0][1]["starts_at"])
    for answer in answers:
        if answer.status_code == 409:
            problem = answer.json()
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert problem["clashes"] and problem["suggestions"]
            assert all(
                abs(datetime.fromisoformat(time) - wanted) >= timedelta(minutes=45) for time in problem["suggestions"]
            )


async def test_a_repeated_click_books_once(base_url, rivals):
    """Ten requests at once with one Idempotency-Key make one session, and each answer names it."""
    token, body = rivals[0]
    async with httpx.AsyncClient(base_url=base_url, timeout=60) as client:
        answers = await asyncio.gather(*(_book(client, token, body, "same-key") for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.headers["Location"] for answer in answers}) == 1


async def _book(client: httpx.AsyncClient, token: str, body: dict, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": key}
    return await client.post("/api/v1/sessions", json=body, headers=headers)
