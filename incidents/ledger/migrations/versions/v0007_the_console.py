"""Who is signed in to the console, and the indexes by which its pages are quick."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OF_INCIDENT = ["incident_id", "kind", "withheld_reason", "channel", "decided_time", "subscriber_id"]


def upgrade() -> None:
    """Make the table of sessions; count and list an incident's notices by an index alone."""
    op.create_table(
        "console_sessions",
        sa.Column("session_key", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("began_time", sa.DateTime(), nullable=False),
        sa.Column("seen_time", sa.DateTime(), nullable=False),
        sa.Column("until_time", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("session_key", name=op.f("pk_console_sessions")),
    )
    op.create_index(op.f("ix_console_sessions_name"), "console_sessions", ["name"], unique=False)
    op.create_index(op.f("ix_console_sessions_until_time"), "console_sessions", ["until_time"], unique=False)
    op.create_index("ix_notices_of_incident", "notices", OF_INCIDENT, unique=False)
    op.drop_index(op.f("ix_notices_incident_id"), table_name="notices")
    op.create_index(op.f("ix_incidents_affected_subscribers"), "incidents", ["affected_subscribers"], unique=False)
    op.create_index(op.f("ix_incidents_merged_into"), "incidents", ["merged_into"], unique=False)


def downgrade() -> None:
    """Sign everybody out, and look things up as before."""
    op.drop_index(op.f("ix_incidents_merged_into"), table_name="incidents")
    op.drop_index(op.f("ix_incidents_affected_subscribers"), table_name="incidents")
    op.create_index(op.f("ix_notices_incident_id"), "notices", ["incident_id"], unique=False)
    op.drop_index("ix_notices_of_incident", table_name="notices")
    op.drop_table("console_sessions")
