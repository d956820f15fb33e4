"""A district with its lessons, asked as every role and put back to how it was after every test."""

from __future__ import annotations

import base64
import shutil
import sqlite3
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from rules.captions import Cue
from server.app import create_app
from server.operations.sessions import revision
from store import captions, database, logins, programme
from store.models import Membership, db
from tests.server.askers import PEOPLE, Row
from tests.server.conftest import hash_quickly, make_district
from tests.server.lessons import Lessons, close, make_lessons
from tests.server.routes import bodies


class Town:
    """The district with its lessons, put back to how it was before every request."""

    def __init__(self, app: Flask, district) -> None:
        self.app, self.district = app, district
        self.lessons = make_lessons(app, district)
        with app.app_context():
            cue = Cue(1000, 3500, "Сложим дроби")
            captions.save(self.lessons.recording, "ru", [cue], 0, district.people["host"], database.utc_now())
        self.logins = {}
        with app.app_context():
            for who in PEOPLE:
                self.logins[who] = logins.start_login(district.people[who], "tests", database.utc_now(), 1)[1]
            membership = db.session.query(Membership).filter_by(person_id=district.people["teacher"]).one().id
        names = {name: getattr(self.lessons, name) for name in Lessons.__slots__}
        self.names = names | {
            "school": district.schools["sosnovka"],
            "teacher": district.people["teacher"],
            "membership": membership,
            "session_base64": base64.b64encode(self.lessons.session.encode()).decode(),
        }
        self.bodies = bodies(self.lessons, district)
        with app.app_context():
            version = revision(programme.get_session(self.lessons.session))
        self.bodies["edit_form"] = {**self.bodies["lesson_form"], "version": version}
        self.file = Path(app.config["TROPA"].data, "tropa.db")
        close(app)
        with sqlite3.connect(self.file) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        self.kept = self.file.with_suffix(".kept")
        shutil.copy(self.file, self.kept)

    def restore(self) -> None:
        """Put the database back to how it was."""
        close(self.app)
        for suffix in ("-wal", "-shm"):
            self.file.with_name(self.file.name + suffix).unlink(missing_ok=True)
        shutil.copy(self.kept, self.file)

    def client(self, who: str) -> FlaskClient:
        """Return a browser of somebody."""
        client = self.app.test_client()
        if who == "guest":
            client.set_cookie("tropa_guest", self.lessons.guest_ticket)
        elif who != "nobody":
            client.set_cookie("tropa_login", self.logins[who])
        return client

    def ask(self, row: Row, who: str):
        """Send a row's request as somebody: forms to pages, JSON with a bearer token to the API."""
        path = (row.path or row.rule).format(**self.names)
        body = self.bodies[row.body]
        if not row.rule.startswith("/api/v1"):
            data = body if row.method != "GET" and not row.headers else None
            headers = {name: value.format(**self.names) for name, value in row.headers.items()}
            return self.client(who).open(path, method=row.method, data=data, headers=headers)
        headers = {"Authorization": f"Bearer {self.district.tokens[who]}"} if who in PEOPLE else {}
        client = self.client(who) if who == "guest" else self.app.test_client()
        if isinstance(body, str):
            return client.open(path, method=row.method, data=body.encode(), content_type="text/vtt", headers=headers)
        return client.open(path, method=row.method, json=body if row.body else None, headers=headers)


def make_town(folder: Path) -> Town:
    """Make the district with its lessons; without CSRF checks, which tests/server/test_access.py makes."""
    settings = Settings.from_env({"TROPA_DATA": str(folder), "SECRET_KEY": "s" * 64, "TROPA_LOG_LEVEL": "CRITICAL"})
    app = create_app(
        settings, TESTING=True, RATELIMIT_ENABLED=False, PROPAGATE_EXCEPTIONS=False, WTF_CSRF_METHODS=set()
    )
    with app.app_context():
        db.create_all()
    with pytest.MonkeyPatch.context() as patch:
        hash_quickly(patch)
        return Town(app, make_district(app))
