"""A small district on a fresh SQLite file, and browsers logged in as its people."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from rules.rights import Role
from server.app import create_app
from store import database, logins, people
from store.models import db

PASSWORD = "три коротких слова"
CSRF = re.compile(r'name="csrf_token" value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class District:
    """Ids of the sample district: schools by short name, persons and API tokens by role.

    Persons: administrator and coordinator (district); school_coordinator, host, teacher and librarian (Sosnovka);
    other_host and other_teacher (Berezovka); nobody_yet (an account without a role).
    """

    schools: dict[str, str] = field(default_factory=dict)
    people: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)

    def email(self, who: str) -> str:
        """Return the e-mail with which somebody logs in."""
        return f"{who}@tropa.example"


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let argon2 take the least that it can, as these tests hash by the dozen."""
    hash_quickly(monkeypatch)


def hash_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give argon2 its lowest costs."""
    monkeypatch.setattr(people, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a fresh installation in a temporary folder."""
    return settings_in(tmp_path)


def settings_in(folder: Path) -> Settings:
    """Make the settings of a fresh installation in a folder."""
    return Settings.from_env({"TROPA_DATA": str(folder), "SECRET_KEY": "s" * 64, "TROPA_LOG_LEVEL": "CRITICAL"})


@pytest.fixture(scope="session")
def empty_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with every table and no row, made once and copied by every test."""
    folder = tmp_path_factory.mktemp("tables")
    made = database.bare_app(settings_in(folder))
    with made.app_context():
        db.create_all()
        db.engine.dispose()
    assert database.fold(settings_in(folder))
    return folder / "tropa.db"


@pytest.fixture
def app(settings: Settings, empty_tables: Path) -> Iterator[Flask]:
    """The application with empty tables."""
    shutil.copy(empty_tables, settings.data / "tropa.db")
    made = create_app(settings, TESTING=True, LOGIN_LIMIT="9999 per minute", PROPAGATE_EXCEPTIONS=False)
    yield made
    with made.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def district(app: Flask) -> District:
    """Fill the tables with two schools and a person of every role."""
    return make_district(app)


def make_district(app: Flask) -> District:
    """Fill the tables of an application with two schools and a person of every role."""
    found = District()
    now = database.utc_now()
    with app.app_context():
        for short, name, zone in (
            ("sosnovka", "Сосновская школа", "Asia/Krasnoyarsk"),
            ("berezovka", "Берёзовская школа", "Asia/Irkutsk"),
        ):
            found.schools[short] = people.create_school(name, zone, now, link_down_kbps=256, link_up_kbps=128).id
        one, two = found.schools["sosnovka"], found.schools["berezovka"]
        roles = {
            "administrator": [(Role.ADMINISTRATOR, None)],
            "coordinator": [(Role.COORDINATOR, None)],
            "school_coordinator": [(Role.COORDINATOR, one)],
            "host": [(Role.HOST, one), (Role.TEACHER, one)],
            "teacher": [(Role.TEACHER, one)],
            "librarian": [(Role.LIBRARIAN, one)],
            "other_host": [(Role.HOST, two)],
            "other_teacher": [(Role.TEACHER, two)],
            "nobody_yet": [],
        }
        for who, held in roles.items():
            row = people.create_person(found.email(who), f"Имя {who}", PASSWORD, held, now, locale="en")
            found.people[who] = row.id
            found.tokens[who] = logins.create_api_token(row.id, "tests", now)[1]
    return found


class Browser:
    """A test client that behaves like a browser: it keeps cookies and sends forms with their hidden fields."""

    def __init__(self, client: FlaskClient) -> None:
        client.set_cookie("tropa_language", "en")  # the tests' own language; Russian has tests of its own
        self.client = client
        self.get = client.get

    def csrf(self, page: str = "/") -> str:
        """Fetch a page and return the CSRF token of its forms."""
        found = CSRF.search(self.client.get(page, follow_redirects=True).get_data(as_text=True))
        assert found, f"no form on {page}"
        return found.group(1)

    def post(self, url: str, data: dict | None = None, *, page: str = "/", **options):
        """Send a form with the CSRF token of a page."""
        return self.client.post(url, data={"csrf_token": self.csrf(page), **(data or {})}, **options)

    def log_in(self, email: str, password: str = PASSWORD):
        """Log in by the form."""
        return self.post("/login", {"email": email, "password": password}, page="/login")


@pytest.fixture
def browser(app: Flask) -> Browser:
    """A browser of nobody."""
    return Browser(app.test_client())


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A bare test client of nobody."""
    return app.test_client()


@pytest.fixture
def as_role(app: Flask, district: District) -> Callable[[str], Browser]:
    """Return a function that gives a browser logged in as one of the district's people."""

    def log_in(who: str) -> Browser:
        browser = Browser(app.test_client())
        with app.app_context():
            _row, token = logins.start_login(district.people[who], "tests", database.utc_now(), 1)
        browser.client.set_cookie("tropa_login", token)
        return browser

    return log_in


@pytest.fixture
def as_api(app: Flask, district: District) -> Callable[[str], dict[str, str]]:
    """Return a function that gives the headers of a request by one of the district's people's API token."""
    return lambda who: {"Authorization": f"Bearer {district.tokens[who]}"}


@pytest.fixture(scope="module")
def shared_town(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """The district with its lessons, made once for a module."""
    from tests.server import town  # which makes its district with what stands above

    made = town.make_town(tmp_path_factory.mktemp("town"))
    yield made
    town.close(made.app)


@pytest.fixture
def town(shared_town) -> Iterator:
    """The same, left as it was found."""
    yield shared_town
    shared_town.restore()
