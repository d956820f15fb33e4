"""An upgraded database for every test: SQLite in fast tests, the same bodies on a real PostgreSQL in slow ones."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pgserver
import pytest
import sqlalchemy
from argon2 import PasswordHasher
from flask import Flask

from config import Settings
from rules.rights import Role
from store import people
from store.database import bare_app, engine_url, new_id, upgrade
from store.models import Person, School, db

NOW = datetime(2026, 9, 7, 3, 0, tzinfo=UTC)  # a Monday, 06:00 in Moscow


def settings_for(folder: Path, database_url: str = "") -> Settings:
    """Make settings on an own data folder."""
    return Settings.from_env({"TROPA_DATA": str(folder), "DATABASE_URL": database_url})


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upgrade one SQLite file, to be copied by every test."""
    folder = tmp_path_factory.mktemp("sqlite")
    app = bare_app(settings_for(folder))
    upgrade(app)
    with app.app_context():
        db.engine.dispose()
    return folder / "tropa.db"


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[Callable[[str], str]]:
    """Start a PostgreSQL with an upgraded template database; gives a function from a database's name to its URL."""
    # Not pytest's folder: the server runs as a user of its own who may not look in there.
    folder = tempfile.mkdtemp(prefix="tropa-pg-")
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        admin = sqlalchemy.create_engine(engine_url(server.get_uri()), isolation_level="AUTOCOMMIT")

        def make(name: str, template: str = "tropa_template") -> str:
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {template}")
            return server.get_uri(name)

        app = bare_app(settings_for(Path(folder, "data"), make("tropa_template", "template0")))
        upgrade(app)
        with app.app_context():
            db.engine.dispose()
        yield make
        admin.dispose()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings with an upgraded, empty database."""
    if request.param == "postgresql":
        return settings_for(tmp_path, request.getfixturevalue("postgres_url")(f"tropa_{new_id()}"))
    shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "tropa.db")
    return settings_for(tmp_path)


@pytest.fixture
def empty_settings(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """Settings with a database that has no tables yet."""
    if settings.database_url.startswith("sqlite"):
        return settings_for(tmp_path / "empty")
    url = request.getfixturevalue("postgres_url")(f"tropa_{new_id()}", "template0")
    return settings_for(tmp_path, url)


@pytest.fixture
def app(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An application with the database, its context pushed. Passwords are hashed cheaply."""
    monkeypatch.setattr(people, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    app = bare_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def school(app: Flask) -> School:
    """A school in Moscow's zone."""
    return people.create_school("Школа № 1", "Europe/Moscow", NOW)


@pytest.fixture
def host(school: School) -> Person:
    """A host of that school."""
    return people.create_person("host@example.org", "Ведущая", "a long password", [(Role.HOST, school.id)], NOW)


@pytest.fixture
def coordinator(app: Flask) -> Person:
    """A coordinator and administrator of the district."""
    roles = [(Role.COORDINATOR, None), (Role.ADMINISTRATOR, None)]
    return people.create_person("coordinator@example.org", "Координатор", "a long password", roles, NOW)
