"""Keep lesson plans and pieces of work."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

INDEXED = ("recording_id", "rendition_id", "state")


def upgrade() -> None:
    op.create_table(
        "piece",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("recording_id", sa.String(length=16), nullable=False),
        sa.Column("rendition_id", sa.String(length=16), nullable=False),
        sa.Column("sort", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("first_frame", sa.Integer(), nullable=False),
        sa.Column("frames", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("percent", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deaths", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.String(length=80), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=False),
        *(
            sa.ForeignKeyConstraint(
                [f"{table}_id"], [f"{table}.id"], name=op.f(f"fk_piece_{table}_id_{table}"), ondelete="CASCADE"
            )
            for table in ("recording", "rendition")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_piece")),
    )
    with op.batch_alter_table("piece", schema=None) as batch_op:
        for name in INDEXED:
            batch_op.create_index(batch_op.f(f"ix_piece_{name}"), [name], unique=False)
    with op.batch_alter_table("recording", schema=None) as batch_op:
        batch_op.add_column(sa.Column("plan", sa.JSON(), nullable=True))
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.add_column(sa.Column("deaths", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("began_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.alter_column("deaths", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.drop_column("began_at")
        batch_op.drop_column("deaths")
    with op.batch_alter_table("recording", schema=None) as batch_op:
        batch_op.drop_column("plan")
    with op.batch_alter_table("piece", schema=None) as batch_op:
        for name in INDEXED:
            batch_op.drop_index(batch_op.f(f"ix_piece_{name}"))
    op.drop_table("piece")
