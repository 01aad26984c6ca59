"""What staff were told: each place hears each alert once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "staff_alerts",
        sa.Column("alert_key", sa.String(length=200), nullable=False),
        sa.Column("place", sa.String(length=16), nullable=False),
        sa.Column("raised_time", sa.DateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_time", sa.DateTime(), nullable=False),
        sa.Column("told_time", sa.DateTime(), nullable=True),
        sa.PrimaryKeyConstraint("alert_key", "place", name=op.f("pk_staff_alerts")),
    )
    op.create_index(op.f("ix_staff_alerts_place"), "staff_alerts", ["place"])


def downgrade() -> None:
    """Drop it."""
    op.drop_table("staff_alerts")
