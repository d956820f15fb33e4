"""Keep files by policy, and what uploads were made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

COLUMNS = (
    ("recording", sa.Column("origin", sa.String(length=8), nullable=False, server_default="live")),
    ("recording", sa.Column("notes", sa.JSON(), nullable=False, server_default="[]")),
    ("recording", sa.Column("kept_at", sa.DateTime(timezone=True), nullable=True)),
    ("recording", sa.Column("kept_by", sa.String(length=16), nullable=True)),
    ("recording", sa.Column("source_removed_at", sa.DateTime(timezone=True), nullable=True)),
    ("recording", sa.Column("source_removed_why", sa.String(length=20), nullable=False, server_default="")),
    ("rendition", sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True)),
    ("rendition", sa.Column("removed_why", sa.String(length=20), nullable=False, server_default="")),
)


def upgrade() -> None:
    op.create_table(
        "retention",
        sa.Column("sort", sa.String(length=20), nullable=False),
        sa.Column("days", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(length=16), nullable=True),
        sa.ForeignKeyConstraint(
            ["changed_by"], ["person.id"], name=op.f("fk_retention_changed_by_person"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("sort", name=op.f("pk_retention")),
    )
    # No batch: on SQLite that makes a table anew, and dropping the old one would delete the rows that refer to it.
    for table, column in COLUMNS:
        op.add_column(table, column)


def downgrade() -> None:
    for table, column in COLUMNS:
        op.drop_column(table, column.name)
    op.drop_table("retention")
