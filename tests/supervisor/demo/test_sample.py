"""The sample district in the database, and what is told of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from config import Settings
from rules import rights, tickets
from rules.rights import Role
from rules.tickets import Action
from store import database, logins, people, programme
from store.models import Session, db
from supervisor.demo import announce, district, sample

NOW = datetime(2026, 3, 4, 9, 17, 30, tzinfo=UTC)  # a Wednesday
SECRET = "s" * 64


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo's folder after its first start; the database stays open."""
    data = tmp_path_factory.mktemp("demo")
    app = database.bare_app(Settings.from_env({"TROPA_DATA": str(data), "SECRET_KEY": SECRET}))
    database.upgrade(app)
    with app.app_context():
        sample.fill(data / "demo", NOW)
        sample.on_air(SECRET, 4, NOW)
        yield data / "demo"


def test_second_start_changes_nothing(filled: Path) -> None:
    """Asked again, the demo finds the same people with the same passwords and tokens, and the same sessions."""
    kept = (filled / sample.ACCOUNTS_FILE).read_text()
    sessions = db.session.scalar(select(func.count(Session.id)))
    first = sample.on_air(SECRET, 4, NOW + timedelta(minutes=1))
    accounts = sample.fill(filled, NOW + timedelta(minutes=1))
    again = sample.on_air(SECRET, 4, NOW + timedelta(minutes=2))
    assert (first.live_id, first.idle_id) == (again.live_id, again.idle_id)
    assert (filled / sample.ACCOUNTS_FILE).read_text() == kept
    assert db.session.scalar(select(func.count(Session.id))) == sessions
    assert set(accounts) == {"coordinator", "host", "teacher", "school"}


def test_accounts_work_and_are_private(filled: Path) -> None:
    """Every password and token lets its person in, with the role it is listed under."""
    assert (filled / sample.ACCOUNTS_FILE).stat().st_mode & 0o777 == 0o600
    roles = {"coordinator": Role.COORDINATOR, "host": Role.HOST, "teacher": Role.TEACHER, "school": Role.LIBRARIAN}
    for name, account in sample.fill(filled, NOW).items():
        row = people.authenticate(account.login, account.password)
        assert row is not None
        assert logins.find_api_token(account.token, NOW).person_id == row.id
        assert roles[name] in {role for role, _school in people.actor_of(row).memberships}


def test_district_has_what_a_newcomer_looks_for(filled: Path) -> None:
    """Six schools or more with places, zones and measured links; past, present and coming sessions this week."""
    schools = people.schools()
    assert len(schools) >= 6
    assert len({school.timezone for school in schools}) >= 3
    assert all(school.place and school.link_down_kbps and school.link_up_kbps for school in schools)
    starts = [row.starts_at for row in db.session.scalars(select(Session).where(Session.seminar_id.is_not(None)))]
    assert any(start < NOW - timedelta(hours=12) for start in starts)
    assert any(start > NOW + timedelta(hours=12) for start in starts)
    grades = set(db.session.scalars(select(Session.grades)))
    assert {"5+6", "1-4"} <= grades


def test_tickets_open_what_they_say(filled: Path) -> None:
    """Each ticket is for its session and purpose, its bearer may do it, and it lasts for a day."""
    demo = sample.on_air(SECRET, 4, NOW)
    key, tomorrow_s = tickets.derive(SECRET, "tickets"), (NOW + timedelta(days=1)).timestamp()
    for text, action, session_id in (
        (demo.live_join, Action.JOIN, demo.live_id),
        (demo.live_host, Action.HOST, demo.live_id),
        (demo.live_watch, Action.WATCH, demo.live_id),
        (demo.idle_host, Action.HOST, demo.idle_id),
        (demo.idle_watch, Action.WATCH, demo.idle_id),
    ):
        ticket = tickets.check(text, key, tomorrow_s, actions={action}, session_id=session_id)
        kind, _, id = ticket.bearer.partition(":")
        moment = NOW + timedelta(hours=12)
        actor = people.actor_of_person(id) if kind == "person" else people.actor_of_guest(id, moment)
        facts = programme.session_facts(programme.get_session(session_id))
        assert rights.may_host(actor, facts) if action is Action.HOST else rights.may_watch(actor, facts)


def test_next_day_has_a_lesson_of_its_own(filled: Path) -> None:
    """When yesterday's lesson and room are over, new ones are booked for today."""
    before = sample.on_air(SECRET, 4, NOW)
    after = sample.on_air(SECRET, 4, NOW + timedelta(days=1))
    assert before.live_id != after.live_id
    assert before.idle_id != after.idle_id
    row = programme.get_session(after.live_id)
    assert row.starts_at <= NOW + timedelta(days=1) < row.starts_at + timedelta(minutes=row.minutes)


def test_a_real_district_is_left_alone(tmp_path: Path) -> None:
    """A folder whose people are not the demo's is refused with what to do instead."""
    app = database.bare_app(Settings.from_env({"TROPA_DATA": str(tmp_path), "SECRET_KEY": SECRET}))
    database.upgrade(app)
    with app.app_context():
        people.create_person("a@school.example", "Анна", "пароль для проверки", [(Role.TEACHER, None)], NOW)
        with pytest.raises(sample.NotADemo, match="TROPA_DATA=var-demo"):
            sample.fill(tmp_path / "demo", NOW)


def test_demo_json_is_complete_and_whole(filled: Path, tmp_path: Path) -> None:
    """demo.json holds what the contract names, is readable by its owner alone and never half written."""
    accounts = sample.fill(filled, NOW)
    facts = announce.facts("http://127.0.0.1:8080", accounts, sample.on_air(SECRET, 4, NOW))
    sample.write_private(tmp_path / "demo.json", facts)
    read = json.loads((tmp_path / "demo.json").read_text("utf-8"))
    assert set(read) == {"base_url", "coordinator", "host", "teacher", "school", "live", "idle"}
    assert all(set(read[name]) == {"login", "password", "token"} for name in accounts)
    assert set(read["live"]) == {"id", "watch_url", "whep_url", "whep_token"}
    assert set(read["idle"]) == {"id", "whip_url", "whip_token", "whep_url", "whep_token"}
    assert read["live"]["watch_url"].startswith("http://127.0.0.1:8080/join/t1.")
    assert (tmp_path / "demo.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["demo.json"]


@pytest.mark.parametrize("minute", [0, 4, 5, 59])
def test_what_is_on_now_has_begun(minute: int) -> None:
    """A session for right now starts on a full five minutes, less than five minutes ago."""
    now = NOW.replace(minute=minute, second=59, microsecond=5)
    start = district.open_since(now)
    assert timedelta(0) <= now - start < timedelta(minutes=5)
    assert (start.minute % 5, start.second, start.microsecond) == (0, 0, 0)
