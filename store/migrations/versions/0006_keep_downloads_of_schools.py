"""Keep what schools download by: their terms, the PCs that fetch by themselves, receipts, and podcast addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _of_school(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_school_id_school")
    return sa.ForeignKeyConstraint(["school_id"], ["school.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "school_downloads",
        sa.Column("school_id", sa.String(length=16), nullable=False),
        sa.Column("from_minute", sa.Integer(), nullable=True),
        sa.Column("to_minute", sa.Integer(), nullable=True),
        sa.Column("rate_kbps", sa.Integer(), nullable=True),
        sa.Column("monthly_mb", sa.Integer(), nullable=True),
        sa.Column("kinds", sa.JSON(), nullable=False),
        sa.Column("subjects", sa.JSON(), nullable=False),
        sa.Column("grades", sa.String(length=40), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        _of_school("school_downloads"),
        sa.PrimaryKeyConstraint("school_id", name=op.f("pk_school_downloads")),
    )
    op.create_table(
        "school_mirror",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("school_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=16), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("month_bytes", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.String(length=300), nullable=False),
        _of_school("school_mirror"),
        sa.ForeignKeyConstraint(
            ["created_by"], ["person.id"], name=op.f("fk_school_mirror_created_by_person"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_school_mirror")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_school_mirror_token_sha256")),
    )
    op.create_table(
        "receipt",
        sa.Column("school_id", sa.String(length=16), nullable=False),
        sa.Column("rendition_id", sa.String(length=16), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("way", sa.String(length=4), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        _of_school("receipt"),
        sa.ForeignKeyConstraint(
            ["rendition_id"], ["rendition.id"], name=op.f("fk_receipt_rendition_id_rendition"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("school_id", "rendition_id", name=op.f("pk_receipt")),
    )
    op.create_table(
        "feed",
        sa.Column("person_id", sa.String(length=16), nullable=False),
        sa.Column("secret", sa.String(length=43), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_feed_person_id_person"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_feed")),
        sa.UniqueConstraint("secret", name=op.f("uq_feed_secret")),
    )
    for table, column in (("school_mirror", "school_id"), ("receipt", "rendition_id")):
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.create_index(batch_op.f(f"ix_{table}_{column}"), [column], unique=False)


def downgrade() -> None:
    for table in ("feed", "receipt", "school_mirror", "school_downloads"):
        op.drop_table(table)
