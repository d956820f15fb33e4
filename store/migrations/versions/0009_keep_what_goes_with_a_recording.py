"""Keep what goes with a recording: decks, captions, chapters and slide times, slides found in the picture."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deck",
        sa.Column("session_id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("error", sa.String(length=40), nullable=False),
        sa.Column("pages", sa.JSON(), nullable=False),
        sa.Column("uploaded_by", sa.String(length=16), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["session_id"], ["session.id"], name=op.f("fk_deck_session_id_session"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["uploaded_by"], ["person.id"], name=op.f("fk_deck_uploaded_by_person"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("session_id", name=op.f("pk_deck")),
    )
    op.create_table(
        "caption_track",
        sa.Column("recording_id", sa.String(length=16), nullable=False),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("cues", sa.JSON(), nullable=False),
        sa.Column("search_text", sa.Text(), nullable=False),
        sa.Column("updated_by", sa.String(length=16), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        *_keys("caption_track"),
        sa.PrimaryKeyConstraint("recording_id", "language", name=op.f("pk_caption_track")),
    )
    op.create_table(
        "lesson_timeline",
        sa.Column("recording_id", sa.String(length=16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("chapters", sa.JSON(), nullable=False),
        sa.Column("pages", sa.JSON(), nullable=False),
        sa.Column("updated_by", sa.String(length=16), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        *_keys("lesson_timeline"),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_lesson_timeline")),
    )
    op.create_table(
        "found_slides",
        sa.Column("recording_id", sa.String(length=16), nullable=False),
        sa.Column("finder_version", sa.Integer(), nullable=False),
        sa.Column("slides", sa.JSON(), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        _keys("found_slides")[0],
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_found_slides")),
    )

    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.add_column(sa.Column("former_key", sa.String(length=200), nullable=False, server_default=""))


def _keys(table: str) -> tuple[sa.ForeignKeyConstraint, sa.ForeignKeyConstraint]:
    recording = op.f(f"fk_{table}_recording_id_recording")
    person = op.f(f"fk_{table}_updated_by_person")
    return (
        sa.ForeignKeyConstraint(["recording_id"], ["recording.id"], name=recording, ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["updated_by"], ["person.id"], name=person, ondelete="SET NULL"),
    )


def downgrade() -> None:
    with op.batch_alter_table("rendition", schema=None) as batch_op:
        batch_op.drop_column("former_key")
    for table in ("found_slides", "lesson_timeline", "caption_track", "deck"):
        op.drop_table(table)
