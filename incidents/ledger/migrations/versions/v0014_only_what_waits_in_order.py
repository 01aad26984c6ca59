"""Due messages by an index of those alone that wait: one that is on its way is not in it any more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

WAITING = sa.text("state = 'queued'")


def upgrade() -> None:
    """Keep what waits in order, and everything by its state and when it was settled."""
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["state", "next_attempt_time", "body_key"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index("ix_outbox_state_settled_time", "outbox", ["state", "settled_time"])
    op.drop_index("ix_outbox_state_next_attempt_time_body_key", table_name="outbox")
    op.drop_index("ix_outbox_state_body_key", table_name="outbox")


def downgrade() -> None:
    """Keep everything in the order of what waits."""
    op.create_index("ix_outbox_state_body_key", "outbox", ["state", "body_key"])
    op.create_index("ix_outbox_state_next_attempt_time_body_key", "outbox", ["state", "next_attempt_time", "body_key"])
    op.drop_index("ix_outbox_state_settled_time", table_name="outbox")
    op.drop_index("ix_outbox_due", table_name="outbox")
