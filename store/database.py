"""Open the database: SQLite in WAL mode or PostgreSQL, transactions that may decide, ids, and upgrades.

Every write goes through `write()`. On SQLite it begins with BEGIN IMMEDIATE: a transaction that first reads and then
writes would otherwise be refused the moment somebody else has written in between.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import sqlite3
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import flask_migrate
from flask import Flask, current_app
from sqlalchemy import Connection, Engine, event, make_url, text
from sqlalchemy.orm import Session as OrmSession

from config import Settings
from store import deliverymodels, lessontables, piecemodels  # noqa: F401 - tables that foreign keys and migrations must know of
from store.models import db

MIGRATIONS = Path(__file__).with_name("migrations")
BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 20
# Base32 without letters that are read for one another over the telephone: no i, l, o, u (Crockford).
ID_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
ID_CHARS = 12  # 60 bits

_WRITE = "tropa_write"
_DEPTH = "tropa_write_depth"
# Keys of PostgreSQL's advisory locks; SQLite has one writer at a time anyway.
LOCK_UPGRADE = 7_106_001
LOCK_BOOKING = 7_106_002
LOCK_PEOPLE = 7_106_003
LOCK_UPLOADS = 7_106_004


def new_id() -> str:
    """Make a random id of 12 characters that may stand in a URL."""
    return "".join(secrets.choice(ID_ALPHABET) for _ in range(ID_CHARS))


def new_token() -> str:
    """Make a secret of 256 bits (43 characters) that may stand in a URL or a cookie."""
    return secrets.token_urlsafe(32)


def token_digest(token: str) -> str:
    """Hash such a secret for keeping. Plain SHA-256 will do: unlike a password it cannot be guessed."""
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def utc_now() -> datetime:
    """Read the clock: aware, UTC, whole microseconds. Shells call it once and hand the value on."""
    return datetime.now(UTC)


def engine_url(url: str) -> str:
    """Name the driver in a database URL: postgres:// and postgresql:// mean psycopg 3."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url.removeprefix(prefix)
    return url


def init_app(app: Flask, settings: Settings) -> None:
    """Attach the database to a Flask application; makes the folder of an SQLite file, but no tables."""
    url = make_url(engine_url(settings.database_url))
    options: dict = {"pool_size": POOL_SIZE, "pool_pre_ping": True}
    if url.get_backend_name() == "sqlite":
        if not url.database or url.database == ":memory:":
            raise ValueError("DATABASE_URL: SQLite needs a file, as several processes share it")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        # Threads beyond the pool wait their turn for the one writer's lock anyway.
        options["connect_args"] = {"timeout": BUSY_TIMEOUT_MS / 1000, "isolation_level": None}
    app.config["SQLALCHEMY_DATABASE_URI"] = url.render_as_string(hide_password=False)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = options
    db.init_app(app)
    flask_migrate.Migrate(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    with app.app_context():
        engine = db.engine
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    _forget_in_children(engine)


def bare_app(settings: Settings) -> Flask:
    """Make a Flask application that has the database and nothing else, for workers and command lines."""
    app = Flask("store")
    init_app(app, settings)
    return app


def _prepare_sqlite(connection, _record) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # The driver's own BEGIN is switched off (isolation_level None): it would come too late and without IMMEDIATE.
    immediate = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


def _forget_in_children(engine: Engine) -> None:
    """Let a forked child open connections of its own instead of sharing its parent's sockets."""
    ref = weakref.ref(engine)

    def forget() -> None:
        alive = ref()
        if alive is not None:
            alive.dispose(close=False)

    os.register_at_fork(after_in_child=forget)


@contextlib.contextmanager
def write(lock: int | None = None) -> Iterator[OrmSession]:
    """Run one transaction that may read, decide and write; commit at its end, roll back on any exception.

    Inside another `write()` it joins that one, so that callers can bind several steps together. `lock` is one of the
    LOCK_ keys: on PostgreSQL holders of the same key take turns until they commit. Rows read before are read again.
    """
    session = db.session()
    outermost = not session.info.get(_DEPTH, 0)
    if outermost:
        session.commit()  # ends a read transaction, and with it the view of rows that may be stale
        session.connection(execution_options={_WRITE: True})
    session.info[_DEPTH] = session.info.get(_DEPTH, 0) + 1
    try:
        if lock is not None and session.get_bind().dialect.name == "postgresql":
            session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
        yield session
        if outermost:
            session.commit()
    except BaseException:
        if outermost:
            session.rollback()
        raise
    finally:
        session.info[_DEPTH] -= 1


@event.listens_for(OrmSession, "before_flush")
def _only_in_write(session: OrmSession, _context, _instances) -> None:
    if not session.info.get(_DEPTH, 0):
        raise RuntimeError("rows are changed inside `with store.database.write():` only")


def upgrade(app: Flask) -> None:
    """Bring the database to the newest migration. Of processes that do so at once one works and the others wait."""
    with app.app_context(), _upgrade_lock(db.engine):
        flask_migrate.upgrade(directory=str(MIGRATIONS))


def fold(settings: Settings) -> bool:
    """Write SQLite's journal into its file once nobody uses the database, so that a copy of the file alone is whole.

    Returns whether it could be done; False on another database, without a file, and where somebody still writes.
    """
    url = make_url(engine_url(settings.database_url))
    if url.get_backend_name() != "sqlite" or not Path(url.database or "").is_file():
        return False
    try:
        with contextlib.closing(sqlite3.connect(url.database, timeout=BUSY_TIMEOUT_MS / 1000)) as connection:
            busy, _pages, _moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        return False
    return not busy


@contextlib.contextmanager
def _upgrade_lock(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "sqlite":
        with open(f"{engine.url.database}.upgrade-lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # freed by the system when the file closes, also after kill -9
            yield
        return
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_UPGRADE})
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_UPGRADE})


def ping() -> None:
    """Ask the database for one row; raises sqlalchemy.exc.OperationalError when it is away. For health checks."""
    with current_app.app_context(), db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))
