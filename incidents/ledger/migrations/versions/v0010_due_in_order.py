"""Due messages in the order in which they are leased: a claim reads as many as it takes, however many are due."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put the body into the index that claims read."""
    op.create_index("ix_outbox_state_next_attempt_time_body_key", "outbox", ["state", "next_attempt_time", "body_key"])
    op.drop_index("ix_outbox_state_next_attempt_time", table_name="outbox")


def downgrade() -> None:
    """Take it out again."""
    op.create_index("ix_outbox_state_next_attempt_time", "outbox", ["state", "next_attempt_time"])
    op.drop_index("ix_outbox_state_next_attempt_time_body_key", table_name="outbox")
