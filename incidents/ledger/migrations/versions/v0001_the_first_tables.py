"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The first tables."""
    op.create_table(
        "incidents",
        sa.Column("incident_id", sa.String(length=64), nullable=False),
        sa.Column("signal", sa.String(length=16), nullable=False),
        sa.Column("cohort", sa.JSON(), nullable=False),
        sa.Column("onset_time", sa.DateTime(), nullable=False),
        sa.Column("detected_time", sa.DateTime(), nullable=False),
        sa.Column("resolved_time", sa.DateTime(), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("affected_subscribers", sa.Integer(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("cause_probability", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("observed", sa.Float(), nullable=False),
        sa.Column("expected", sa.Float(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("surprise", sa.Float(), nullable=False),
        sa.Column("alternatives", sa.JSON(), nullable=False),
        sa.Column("chart", sa.JSON(), nullable=False),
        sa.Column("merged_into", sa.String(length=64), nullable=True),
        sa.Column("updated_time", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["merged_into"], ["incidents.incident_id"], name=op.f("fk_incidents_merged_into")),
        sa.PrimaryKeyConstraint("incident_id", name=op.f("pk_incidents")),
    )
    op.create_index(op.f("ix_incidents_detected_time"), "incidents", ["detected_time"], unique=False)
    op.create_index(op.f("ix_incidents_resolved_time"), "incidents", ["resolved_time"], unique=False)
    op.create_table(
        "suppressions",
        sa.Column("address", sa.String(length=320), nullable=False),
        sa.Column("reason", sa.String(length=32), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_suppressions")),
    )
    op.create_table(
        "windows",
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("window_start", sa.DateTime(), nullable=False),
        sa.Column("window_end", sa.DateTime(), nullable=False),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("finished_time", sa.DateTime(), nullable=True),
        sa.Column("counts", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("stage", "window_start", "window_end", name=op.f("pk_windows")),
    )
    op.create_index(op.f("ix_windows_stage_window_end"), "windows", ["stage", "window_end"], unique=False)
    op.create_table(
        "notices",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("episode", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("decided_time", sa.DateTime(), nullable=False),
        sa.Column("problem", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("withheld_reason", sa.String(length=32), nullable=True),
        sa.Column("release_time", sa.DateTime(), nullable=True),
        sa.Column("expires_time", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_notices_incident_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_notices")),
        sa.UniqueConstraint("subscriber_id", "episode", "kind", name=op.f("uq_notices_subscriber_id_episode_kind")),
    )
    op.create_index(op.f("ix_notices_incident_id"), "notices", ["incident_id"], unique=False)
    op.create_index(
        op.f("ix_notices_subscriber_id_decided_time"),
        "notices",
        ["subscriber_id", "decided_time"],
        unique=False,
    )
    op.create_index(
        op.f("ix_notices_withheld_reason_release_time"),
        "notices",
        ["withheld_reason", "release_time"],
        unique=False,
    )
    op.create_table(
        "troubles",
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("episode", sa.String(length=128), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("found_time", sa.DateTime(), nullable=False),
        sa.Column("problem", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("cause_probability", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.Column("incident_id", sa.String(length=64), nullable=True),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("since", sa.DateTime(), nullable=False),
        sa.Column("last_bad_time", sa.DateTime(), nullable=False),
        sa.Column("last_good_time", sa.DateTime(), nullable=True),
        sa.Column("impaired", sa.Integer(), nullable=False),
        sa.Column("sessions", sa.Integer(), nullable=False),
        sa.Column("device_type", sa.String(length=64), nullable=True),
        sa.Column("error_class", sa.String(length=64), nullable=True),
        sa.Column("decided", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["incident_id"], ["incidents.incident_id"], name=op.f("fk_troubles_incident_id")),
        sa.PrimaryKeyConstraint("subscriber_id", "episode", "kind", name=op.f("pk_troubles")),
    )
    op.create_index(op.f("ix_troubles_decided_found_time"), "troubles", ["decided", "found_time"], unique=False)
    op.create_index(op.f("ix_troubles_incident_id_found_time"), "troubles", ["incident_id", "found_time"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempted_time", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("provider_message_id", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_deliveries_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", "attempt", name=op.f("pk_deliveries")),
    )
    op.create_table(
        "inbox",
        sa.Column("card_id", sa.String(length=64), nullable=False),
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("created_time", sa.DateTime(), nullable=False),
        sa.Column("seen_time", sa.DateTime(), nullable=True),
        sa.Column("read_time", sa.DateTime(), nullable=True),
        sa.Column("archived_time", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["card_id"], ["notices.notice_id"], name=op.f("fk_inbox_card_id")),
        sa.PrimaryKeyConstraint("card_id", name=op.f("pk_inbox")),
    )
    op.create_index(
        op.f("ix_inbox_subscriber_id_created_time"), "inbox", ["subscriber_id", "created_time"], unique=False
    )
    op.create_table(
        "outbox",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_time", sa.DateTime(), nullable=False),
        sa.Column("next_attempt_time", sa.DateTime(), nullable=False),
        sa.Column("expires_time", sa.DateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("settled_time", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_outbox_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_state_next_attempt_time"), "outbox", ["state", "next_attempt_time"], unique=False)


def downgrade() -> None:
    """Undo it."""
    op.drop_index(op.f("ix_outbox_state_next_attempt_time"), table_name="outbox")
    op.drop_table("outbox")
    op.drop_index(op.f("ix_inbox_subscriber_id_created_time"), table_name="inbox")
    op.drop_table("inbox")
    op.drop_table("deliveries")
    op.drop_index(op.f("ix_troubles_incident_id_found_time"), table_name="troubles")
    op.drop_index(op.f("ix_troubles_decided_found_time"), table_name="troubles")
    op.drop_table("troubles")
    op.drop_index(op.f("ix_notices_withheld_reason_release_time"), table_name="notices")
    op.drop_index(op.f("ix_notices_subscriber_id_decided_time"), table_name="notices")
    op.drop_index(op.f("ix_notices_incident_id"), table_name="notices")
    op.drop_table("notices")
    op.drop_index(op.f("ix_windows_stage_window_end"), table_name="windows")
    op.drop_table("windows")
    op.drop_table("suppressions")
    op.drop_index(op.f("ix_incidents_resolved_time"), table_name="incidents")
    op.drop_index(op.f("ix_incidents_detected_time"), table_name="incidents")
    op.drop_table("incidents")
