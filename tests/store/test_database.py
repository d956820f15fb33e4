"""Transactions, upgrades and how rows are kept."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import threading
import warnings
from datetime import timedelta, timezone

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError, StatementError

from store import people
from store.database import ID_ALPHABET, bare_app, engine_url, fold, new_id, upgrade, write
from store.models import Membership, School, db
from tests.store.conftest import NOW, settings_for


def test_ids_are_long_and_unambiguous():
    """An id has at least 10 characters, none of which is read for another one, and does not repeat."""
    made = {new_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(len(text) >= 10 and set(text) <= set(ID_ALPHABET) for text in made)
    assert not set("ilou") & set(ID_ALPHABET)


@pytest.mark.parametrize("given", ["postgres://u@h/d", "postgresql://u@h/d"])
def test_postgresql_urls_name_the_driver(given):
    """Both spellings of a PostgreSQL URL use psycopg 3."""
    assert engine_url(given) == "postgresql+psycopg://u@h/d"


def test_sqlite_in_memory_is_refused(tmp_path):
    """A database that only one process sees is refused with a reason."""
    with pytest.raises(ValueError, match="needs a file"):
        bare_app(settings_for(tmp_path, "sqlite:///:memory:"))


def test_migrations_make_exactly_the_models(app):
    """After an upgrade of an empty database nothing is left to be generated."""
    with warnings.catch_warnings(), db.engine.connect() as connection:
        # SQLite cannot reflect the index with coalesce(); the next test sees that it works.
        warnings.filterwarnings("ignore", message="autogenerate skipping metadata-specified expression-based index")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, db.metadata) == []


def test_a_role_is_held_once_in_the_district_too(coordinator):
    """The same role of the district cannot be given twice although its school is NULL."""
    twice = Membership(person_id=coordinator.id, role="coordinator", school_id=None)
    with pytest.raises(IntegrityError), write() as session:
        session.add(twice)


def test_upgrading_at_once_and_again_is_safe(empty_settings):
    """Three processes' worth of upgrades at once all succeed, and so does another one."""
    failures = []

    def run() -> None:
        try:
            upgrade(bare_app(empty_settings))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    upgrade(bare_app(empty_settings))
    with bare_app(empty_settings).app_context():
        assert "booking_bucket" in inspect(db.engine).get_table_names()
        db.engine.dispose()


def test_a_write_is_whole_or_not_at_all(app):
    """An exception in `write()` leaves nothing, also of an inner `write()` that had ended well."""
    with pytest.raises(RuntimeError, match="trouble"), write():
        people.create_school("Школа", "UTC", NOW)
        raise RuntimeError("trouble")
    assert people.schools() == []


def test_rows_are_changed_in_a_write_only(app):
    """A change outside of `write()` is refused, as it might be lost to a busy database."""
    db.session.add(School(id=new_id(), name="x", timezone="UTC", created_at=NOW))
    with pytest.raises(RuntimeError, match="write"):
        db.session.flush()


def test_a_write_sees_what_others_wrote_since(app, school):
    """Rows loaded before a `write()` are read afresh inside it."""
    assert school.name == "Школа № 1"
    with db.engine.begin() as other:
        other.execute(text("UPDATE school SET name = 'Школа № 2'"))
    with write():
        assert school.name == "Школа № 2"


def test_foreign_keys_hold(app):
    """A role of a person who does not exist is refused, on SQLite too."""
    with pytest.raises(IntegrityError), write() as session:
        session.add(Membership(person_id="nobody", role="host"))


def test_times_come_back_in_utc(app):
    """A time given in another zone is the same moment, and is read back aware and in UTC."""
    given = NOW.astimezone(timezone(timedelta(hours=7)))
    school_id = people.create_school("Школа", "Asia/Novosibirsk", given).id
    db.session.expire_all()
    kept = db.session.get(School, school_id).created_at
    assert kept == NOW
    assert kept.utcoffset() == timedelta(0)


def test_naive_times_are_refused(app):
    """A time without a zone never reaches the database."""
    with pytest.raises(StatementError, match="naive"):
        people.create_school("Школа", "UTC", NOW.replace(tzinfo=None))


def test_after_a_stop_the_file_alone_is_whole(tmp_path):
    """What a killed process left in the journal is in the file after folding; somebody who still writes is let be."""
    settings = settings_for(tmp_path)
    file = tmp_path / "tropa.db"
    assert not fold(settings), "no file yet"
    left = sqlite3.connect(file, isolation_level=None)
    left.execute("PRAGMA journal_mode=WAL")
    left.execute("CREATE TABLE sample (n)")
    left.execute("INSERT INTO sample VALUES (42)")
    copied = tmp_path / "copy.db"
    shutil.copy(file, copied)
    with contextlib.closing(sqlite3.connect(copied)) as connection, pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT n FROM sample")
    assert fold(settings)
    shutil.copy(file, copied)
    with contextlib.closing(sqlite3.connect(copied)) as connection:
        assert connection.execute("SELECT n FROM sample").fetchone() == (42,)
    left.close()
