"""What leads do: reviews, silences, publications, drills, reports, and what it came to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SUMS = (
    "people",
    "reached",
    "contacting",
    "soon",
    "before",
    "contacts",
    *(f"{what}_{part}" for what in ("handle", "resolved", "csat", "nps", "lead") for part in ("n", "sum", "squares")),
)
TABLES = (
    "publication_updates",
    "publications",
    "expected_incidents",
    "silences",
    "cases",
    "corrections",
    "report_files",
    "reviews",
    "notice_traits",
    "service_days",
    "rolled_days",
    "drills",
)
"""In the order in which they can be dropped."""


def upgrade() -> None:
    """Make the tables of what leads do."""
    op.create_table(
        "drills",
        sa.Column("drill_id", sa.String(length=32), nullable=False),
        sa.Column("scenario", sa.String(length=32), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("started_time", sa.DateTime(), nullable=False),
        sa.Column("started_by", sa.String(length=128), nullable=False),
        sa.Column("ended_time", sa.DateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.Column("score", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("drill_id", name=op.f("pk_drills")),
    )
    op.create_index(op.f("ix_drills_started_time"), "drills", ["started_time"], unique=False)

    op.create_table(
        "rolled_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("rolled_time", sa.DateTime(), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("notices", sa.Integer(), nullable=False),
        sa.Column("incidents", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_rolled_days")),
    )
    op.create_table(
        "service_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("trait", sa.String(length=16), nullable=False),
        sa.Column("value", sa.String(length=64), nullable=False),
        sa.Column("arm", sa.String(length=16), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in SUMS),
        sa.PrimaryKeyConstraint("day", "trait", "value", "arm", "bucket", name=op.f("pk_service_days")),
    )
    op.create_table(
        "silences",
        sa.Column("silence_id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cohort", sa.JSON(), nullable=False),
        sa.Column("signals", sa.JSON(), nullable=False),
        sa.Column("from_time", sa.DateTime(), nullable=False),
        sa.Column("until_time", sa.DateTime(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("created_time", sa.DateTime(), nullable=False),
        sa.Column("ended_time", sa.DateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("silence_id", name=op.f("pk_silences")),
    )
    op.create_index(op.f("ix_silences_until_time"), "silences", ["until_time"], unique=False)

    op.create_table(
        "cases",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=128), nullable=True),
        sa.Column("verdict", sa.String(length=16), nullable=True),
        sa.Column("cause", sa.String(length=16), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=True),
        sa.Column("merged_into", sa.String(length=64), nullable=True),
        sa.Column("closed_time", sa.DateTime(), nullable=True),
        sa.Column("changed_time", sa.DateTime(), nullable=False),
        sa.Column("changed_by", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_cases_incident_id")),
        sa.ForeignKeyConstraint(["merged_into"], ["incidents.incident_id"], name=op.f("fk_cases_merged_into")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_cases")),
    )
    op.create_index(op.f("ix_cases_owner"), "cases", ["owner"], unique=False)
    op.create_index(op.f("ix_cases_verdict"), "cases", ["verdict"], unique=False)

    op.create_table(
        "corrections",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("wrong_cause", sa.String(length=16), nullable=False),
        sa.Column("right_cause", sa.String(length=16), nullable=True),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("proposed_by", sa.String(length=128), nullable=False),
        sa.Column("proposed_time", sa.DateTime(), nullable=False),
        sa.Column("sent_time", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_corrections_incident_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_corrections")),
    )
    op.create_index(op.f("ix_corrections_sent_time"), "corrections", ["sent_time"], unique=False)

    op.create_table(
        "expected_incidents",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("silence_id", sa.String(length=32), nullable=False),
        sa.Column("marked_time", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incidents.incident_id"], name=op.f("fk_expected_incidents_incident_id")
        ),
        sa.ForeignKeyConstraint(["silence_id"], ["silences.silence_id"], name=op.f("fk_expected_incidents_silence_id")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_expected_incidents")),
    )
    op.create_index(op.f("ix_expected_incidents_silence_id"), "expected_incidents", ["silence_id"], unique=False)

    op.create_table(
        "publications",
        sa.Column("publication_id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("began_time", sa.DateTime(), nullable=False),
        sa.Column("published_time", sa.DateTime(), nullable=False),
        sa.Column("resolved_time", sa.DateTime(), nullable=True),
        sa.Column("withdrawn_time", sa.DateTime(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_publications_incident_id")),
        sa.PrimaryKeyConstraint("publication_id", name=op.f("pk_publications")),
        sa.UniqueConstraint("incident_id", name=op.f("uq_publications_incident_id")),
    )
    op.create_index(op.f("ix_publications_published_time"), "publications", ["published_time"], unique=False)

    op.create_table(
        "report_files",
        sa.Column("report_id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("format", sa.String(length=16), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("made_time", sa.DateTime(), nullable=False),
        sa.Column("made_by", sa.String(length=128), nullable=False),
        sa.Column("settings_hash", sa.String(length=64), nullable=False),
        sa.Column("code_version", sa.String(length=64), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_report_files_incident_id")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_report_files")),
    )
    op.create_index(
        op.f("ix_report_files_incident_id_made_time"), "report_files", ["incident_id", "made_time"], unique=False
    )

    op.create_table(
        "reviews",
        sa.Column("review_id", sa.String(length=32), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("verdict", sa.String(length=16), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("reviewed_time", sa.DateTime(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_reviews_incident_id")),
        sa.PrimaryKeyConstraint("review_id", name=op.f("pk_reviews")),
    )
    op.create_index(
        op.f("ix_reviews_incident_id_reviewed_time"), "reviews", ["incident_id", "reviewed_time"], unique=False
    )
    op.create_index(op.f("ix_reviews_reviewed_time"), "reviews", ["reviewed_time"], unique=False)

    op.create_table(
        "notice_traits",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("region", sa.String(length=64), nullable=True),
        sa.Column("language", sa.String(length=16), nullable=True),
        sa.Column("device_type", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_notice_traits_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notice_traits")),
    )
    op.create_table(
        "publication_updates",
        sa.Column("publication_id", sa.String(length=32), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("author", sa.String(length=128), nullable=False),
        sa.Column("posted_time", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["publication_id"], ["publications.publication_id"], name=op.f("fk_publication_updates_publication_id")
        ),
        sa.PrimaryKeyConstraint("publication_id", "number", name=op.f("pk_publication_updates")),
    )
    op.create_index(op.f("ix_notices_decided_time"), "notices", ["decided_time"], unique=False)


def downgrade() -> None:
    """Forget what leads did."""
    op.drop_index(op.f("ix_notices_decided_time"), table_name="notices")
    for name in TABLES:
        op.drop_table(name)
