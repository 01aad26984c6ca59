"""Lists, searches and counts of the console by indexes alone, whatever the length of a row."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from detectors.finding import Cohort
from incidents.ledger.rows import words_of

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LISTED = [
    *("detected_time", "incident_id", "signal", "severity", "cause", "resolved_time", "merged_into"),
    *("affected_subscribers", "words"),
]
OF_INCIDENT = ["incident_id", "kind", "withheld_reason", "channel", "decided_time", "subscriber_id"]
BY_DAY = ["decided_time", "kind", "withheld_reason"]
A_TIME = 1_000


def upgrade() -> None:
    """Write down what a search looks at, and widen the indexes."""
    op.add_column("incidents", sa.Column("words", sa.Text(), nullable=False, server_default=sa.text("''")))
    _fill()
    op.create_index("ix_incidents_listed", "incidents", LISTED, unique=False)
    op.drop_index(op.f("ix_incidents_detected_time"), table_name="incidents")
    op.drop_index(op.f("ix_incidents_affected_subscribers"), table_name="incidents")
    op.drop_index("ix_notices_of_incident", table_name="notices")
    op.create_index("ix_notices_of_incident", "notices", [*OF_INCIDENT, "notice_id"], unique=False)
    op.create_index(op.f("ix_notices_decided_time_kind_withheld_reason"), "notices", BY_DAY, unique=False)
    op.drop_index(op.f("ix_notices_decided_time"), table_name="notices")


def downgrade() -> None:
    """Search in the group itself, and look up what the indexes do not have."""
    op.create_index(op.f("ix_notices_decided_time"), "notices", ["decided_time"], unique=False)
    op.drop_index(op.f("ix_notices_decided_time_kind_withheld_reason"), table_name="notices")
    op.drop_index("ix_notices_of_incident", table_name="notices")
    op.create_index("ix_notices_of_incident", "notices", OF_INCIDENT, unique=False)
    op.create_index(op.f("ix_incidents_affected_subscribers"), "incidents", ["affected_subscribers"], unique=False)
    op.create_index(op.f("ix_incidents_detected_time"), "incidents", ["detected_time"], unique=False)
    op.drop_index("ix_incidents_listed", table_name="incidents")
    op.drop_column("incidents", "words")


def _fill() -> None:
    table = sa.table("incidents", sa.column("incident_id"), sa.column("cohort", sa.JSON), sa.column("words"))
    of = sa.update(table).where(table.c.incident_id == sa.bindparam("of")).values(words=sa.bindparam("put"))
    connection = op.get_bind()
    rows = connection.execute(sa.select(table.c.incident_id, table.c.cohort)).all()
    for start in range(0, len(rows), A_TIME):
        some = rows[start : start + A_TIME]
        connection.execute(of, [{"of": key, "put": words_of(Cohort.of(cohort))} for key, cohort in some])
