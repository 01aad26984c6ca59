"""What was learned of incidents, and which leads have had which week's digest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of lessons and of digests."""
    op.create_table(
        "digests",
        sa.Column("digest_id", sa.String(length=32), nullable=False),
        sa.Column("week", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("began_time", sa.DateTime(), nullable=False),
        sa.Column("settled_time", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("digest_id", name=op.f("pk_digests")),
    )
    op.create_index(op.f("ix_digests_week"), "digests", ["week"], unique=False)
    op.create_table(
        "lessons",
        sa.Column("lesson_id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("written_time", sa.DateTime(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("done_time", sa.DateTime(), nullable=True),
        sa.Column("done_by", sa.String(length=128), nullable=True),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("fk_lessons_incident_id_incidents")
        ),
        sa.PrimaryKeyConstraint("lesson_id", name=op.f("pk_lessons")),
    )
    op.create_index(
        op.f("ix_lessons_incident_id_written_time"), "lessons", ["incident_id", "written_time"], unique=False
    )
    op.create_index(op.f("ix_lessons_written_time"), "lessons", ["written_time"], unique=False)


def downgrade() -> None:
    """Forget both."""
    op.drop_table("lessons")
    op.drop_table("digests")
