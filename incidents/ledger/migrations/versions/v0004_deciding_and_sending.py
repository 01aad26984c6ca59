"""What deciding and sending need."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _remake_messages(make: Callable[[], None], messages: str, attempts: str) -> None:
    """Make the outbox and its deliveries anew in another form, and keep what is in them."""
    for name in ("outbox", "deliveries"):
        op.execute(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
    op.drop_table("deliveries")
    op.drop_table("outbox")
    make()
    op.execute(messages)
    op.execute(attempts)
    for name in ("outbox", "deliveries"):
        op.drop_table(f"kept_{name}")


_SAME = """channel, address, subject, html, text, card, state, attempts, queued_time, next_attempt_time, expires_time,
    lease_owner, lease_until, settled_time"""
_MESSAGES_UP = f"""
INSERT INTO outbox (message_id, notice_id, stage, {_SAME})
SELECT notice_id, notice_id, 'first', {_SAME} FROM kept_outbox
"""
_ATTEMPTS_UP = """
INSERT INTO deliveries (message_id, attempt, attempted_time, outcome, provider_message_id, detail)
SELECT notice_id, attempt, attempted_time, outcome, provider_message_id, detail FROM kept_deliveries
"""
_MESSAGES_DOWN = f"""
INSERT INTO outbox (notice_id, {_SAME}) SELECT notice_id, {_SAME} FROM kept_outbox WHERE stage = 'first'
"""
_ATTEMPTS_DOWN = """
INSERT INTO deliveries (notice_id, attempt, attempted_time, outcome, provider_message_id, detail)
SELECT message_id, attempt, attempted_time, outcome, provider_message_id, detail FROM kept_deliveries
WHERE message_id IN (SELECT notice_id FROM kept_outbox)
"""


def _body_columns() -> list[sa.Column[Any]]:
    return [
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
    ]


def _attempt_columns() -> list[sa.Column[Any]]:
    return [
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempted_time", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("provider_message_id", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
    ]


def _new_messages() -> None:
    op.create_table(
        "outbox",
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        *_body_columns(),
        sa.Column("body_key", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_outbox_notice_id")),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("notice_id", "stage", name=op.f("uq_outbox_notice_id_stage")),
    )
    op.create_index(op.f("ix_outbox_state_next_attempt_time"), "outbox", ["state", "next_attempt_time"], unique=False)
    op.create_index(op.f("ix_outbox_state_body_key"), "outbox", ["state", "body_key"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("message_id", sa.String(length=80), nullable=False),
        *_attempt_columns(),
        sa.ForeignKeyConstraint(["message_id"], ["outbox.message_id"], name=op.f("fk_deliveries_message_id")),
        sa.PrimaryKeyConstraint("message_id", "attempt", name=op.f("pk_deliveries")),
    )
    op.create_index(op.f("ix_deliveries_provider_message_id"), "deliveries", ["provider_message_id"], unique=False)


def _old_messages() -> None:
    op.create_table(
        "outbox",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        *_body_columns(),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_outbox_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_state_next_attempt_time"), "outbox", ["state", "next_attempt_time"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        *_attempt_columns(),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_deliveries_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", "attempt", name=op.f("pk_deliveries")),
    )


def upgrade() -> None:
    """Make the tables of deciding and sending; a message gets a key of its own."""
    op.create_table(
        "audit",
        sa.Column("audit_id", sa.String(length=32), nullable=False),
        sa.Column("time", sa.DateTime(), nullable=False),
        sa.Column("actor", sa.String(length=128), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=160), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("audit_id", name=op.f("pk_audit")),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_audit_subject"), ["subject"], unique=False)
        batch_op.create_index(batch_op.f("ix_audit_time"), ["time"], unique=False)

    op.create_table(
        "contacts",
        sa.Column("contact_id", sa.String(length=128), nullable=False),
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("contacted_time", sa.DateTime(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=True),
        sa.Column("reason", sa.String(length=32), nullable=True),
        sa.Column("handle_seconds", sa.Integer(), nullable=True),
        sa.Column("resolved_first_contact", sa.Boolean(), nullable=True),
        sa.Column("csat", sa.Integer(), nullable=True),
        sa.Column("nps", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("contact_id", name=op.f("pk_contacts")),
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_contacts_contacted_time"), ["contacted_time"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_contacts_subscriber_id_contacted_time"), ["subscriber_id", "contacted_time"], unique=False
        )

    op.create_table(
        "inbox_heads",
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", name=op.f("pk_inbox_heads")),
    )
    op.create_table(
        "preferences",
        sa.Column("subscriber_id", sa.String(length=128), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("changed_time", sa.DateTime(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", "category", "channel", name=op.f("pk_preferences")),
    )
    op.create_table(
        "provider_events",
        sa.Column("event_id", sa.String(length=128), nullable=False),
        sa.Column("message_id", sa.String(length=80), nullable=True),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("occurred_time", sa.DateTime(), nullable=False),
        sa.Column("received_time", sa.DateTime(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", name=op.f("pk_provider_events")),
    )
    with op.batch_alter_table("provider_events", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_provider_events_message_id"), ["message_id"], unique=False)

    op.create_table(
        "provider_limits",
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("remaining", sa.Integer(), nullable=True),
        sa.Column("reset_time", sa.DateTime(), nullable=True),
        sa.Column("updated_time", sa.DateTime(), nullable=False),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_provider_limits")),
    )
    op.create_table(
        "rollouts",
        sa.Column("episode", sa.String(length=128), nullable=False),
        sa.Column("audience", sa.Integer(), nullable=False),
        sa.Column("allowed_share", sa.Float(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("asked_time", sa.DateTime(), nullable=False),
        sa.Column("decided_time", sa.DateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=128), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("episode", name=op.f("pk_rollouts")),
    )
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_rollouts_state"), ["state"], unique=False)

    op.create_table(
        "sending_stops",
        sa.Column("stop_id", sa.String(length=32), nullable=False),
        sa.Column("scope", sa.String(length=96), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("started_time", sa.DateTime(), nullable=False),
        sa.Column("started_by", sa.String(length=128), nullable=False),
        sa.Column("until_time", sa.DateTime(), nullable=True),
        sa.Column("ended_time", sa.DateTime(), nullable=True),
        sa.Column("ended_by", sa.String(length=128), nullable=True),
        sa.PrimaryKeyConstraint("stop_id", name=op.f("pk_sending_stops")),
    )
    with op.batch_alter_table("sending_stops", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sending_stops_ended_time"), ["ended_time"], unique=False)

    op.create_table(
        "feedback",
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("question", sa.String(length=16), nullable=False),
        sa.Column("answer", sa.Integer(), nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("given_time", sa.DateTime(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_feedback_notice_id")),
        sa.PrimaryKeyConstraint("notice_id", "question", name=op.f("pk_feedback")),
    )
    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_feedback_given_time"), ["given_time"], unique=False)

    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("change", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("updated_time", sa.DateTime(), nullable=True))
        batch_op.create_index(batch_op.f("ix_inbox_subscriber_id_change"), ["subscriber_id", "change"], unique=False)

    _remake_messages(_new_messages, _MESSAGES_UP, _ATTEMPTS_UP)

    with op.batch_alter_table("suppressions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=16), server_default="webhook", nullable=False))


def downgrade() -> None:
    """Forget them; a message is keyed by its notice again."""
    with op.batch_alter_table("suppressions", schema=None) as batch_op:
        batch_op.drop_column("source")

    with op.batch_alter_table("inbox", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbox_subscriber_id_change"))
        batch_op.drop_column("updated_time")
        batch_op.drop_column("change")
        batch_op.drop_column("version")

    _remake_messages(_old_messages, _MESSAGES_DOWN, _ATTEMPTS_DOWN)

    with op.batch_alter_table("feedback", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_feedback_given_time"))

    op.drop_table("feedback")
    with op.batch_alter_table("sending_stops", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sending_stops_ended_time"))

    op.drop_table("sending_stops")
    with op.batch_alter_table("rollouts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_rollouts_state"))

    op.drop_table("rollouts")
    op.drop_table("provider_limits")
    with op.batch_alter_table("provider_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_provider_events_message_id"))

    op.drop_table("provider_events")
    op.drop_table("preferences")
    op.drop_table("inbox_heads")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contacts_subscriber_id_contacted_time"))
        batch_op.drop_index(batch_op.f("ix_contacts_contacted_time"))

    op.drop_table("contacts")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_audit_time"))
        batch_op.drop_index(batch_op.f("ix_audit_subject"))

    op.drop_table("audit")
