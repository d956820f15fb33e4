"""Keep files by policy, and what uploads were made of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


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
    with op.batch_alter_table("recording", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin", sa.String(length=8), nullable=False, server_default="live"))
        batch_op.add_column(sa.Column("notes", sa.JSON(), nullable=False, server_default="[]"))
        batch_op.add_column(sa.Column("kept_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("kept_by", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("source_removed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("source_removed_why", sa.String(length=20), nullable=False, server_default=""))
        batch_op.create_foreign_key(
            batch_op.f("fk_recording_kept_by_person"), "person", ["kept_by"], ["id"], ondelete="SET NULL"
        )
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.add_column(sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("removed_why", sa.String(length=20), nullable=False, server_default=""))


def downgrade() -> None:
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.drop_column("removed_why")
        batch_op.drop_column("removed_at")
    with op.batch_alter_table("recording", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_recording_kept_by_person"), type_="foreignkey")
        for name in ("source_removed_why", "source_removed_at", "kept_by", "kept_at", "notes", "origin"):
            batch_op.drop_column(name)
    op.drop_table("retention")
