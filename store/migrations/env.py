"""Run migrations on the application's own engine, so that its pragmas and transactions hold here too."""

from __future__ import annotations

from alembic import context
from flask import current_app

from store.models import UtcDateTime, db


def render(kind: str, item: object, _context) -> str | bool:
    """Spell our column type as the database's own, so that old migrations don't depend on today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, UtcDateTime) else False


def run() -> None:
    """Migrate in one transaction. Batch mode rebuilds tables where SQLite cannot alter them."""
    arguments = current_app.extensions["migrate"].configure_args
    with db.engine.connect() as connection:
        context.configure(connection=connection, target_metadata=db.metadata, render_item=render, **arguments)
        with context.begin_transaction():
            context.run_migrations()


run()
