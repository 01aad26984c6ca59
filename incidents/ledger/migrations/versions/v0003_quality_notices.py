"""Notices of missing telemetry and missing viewers, for ops."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of quality notices."""
    op.create_table(
        "quality_notices",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("cohort", sa.JSON(), nullable=False),
        sa.Column("measure", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("detected_time", sa.DateTime(), nullable=False),
        sa.Column("until", sa.DateTime(), nullable=True),
        sa.Column("expected", sa.Float(), nullable=False),
        sa.Column("observed", sa.Float(), nullable=False),
        sa.Column("late", sa.Float(), nullable=False),
        sa.Column("surprise", sa.Float(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.Column("updated_time", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_quality_notices")),
    )
    op.create_index(op.f("ix_quality_notices_detected_time"), "quality_notices", ["detected_time"], unique=False)
    op.create_index(op.f("ix_quality_notices_until"), "quality_notices", ["until"], unique=False)


def downgrade() -> None:
    """Forget the quality notices."""
    op.drop_index(op.f("ix_quality_notices_until"), table_name="quality_notices")
    op.drop_index(op.f("ix_quality_notices_detected_time"), table_name="quality_notices")
    op.drop_table("quality_notices")
