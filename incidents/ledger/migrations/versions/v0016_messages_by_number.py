"""Messages and attempts by a number instead of a text: what thousands of them are found and marked by."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WAITING = sa.text("state = 'queued'")
_MESSAGE = """message_id, notice_id, stage, channel, address, subject, html, text, card, body_key, personal, state,
    attempts, queued_time, next_attempt_time, expires_time, lease_owner, lease_until, settled_time"""
_ATTEMPT = "attempt, attempted_time, outcome, provider_message_id, detail"


def upgrade() -> None:
    """Make both tables anew, each message with a number, and keep what is in them."""
    _keep()
    _make_messages(
        sa.Column("message_number", NUMBER, nullable=False),
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("message_number", name=op.f("pk_outbox")),
        sa.UniqueConstraint("message_id", name=op.f("uq_outbox_message_id")),
    )
    op.create_table(
        "deliveries",
        sa.Column("message_number", NUMBER, nullable=False, autoincrement=False),
        *_attempt(),
        sa.ForeignKeyConstraint(["message_number"], ["outbox.message_number"], name="fk_deliveries_message_number"),
        sa.PrimaryKeyConstraint("message_number", "attempt", name=op.f("pk_deliveries")),
        sqlite_with_rowid=False,
    )
    _bring_back("message_number")


def downgrade() -> None:
    """Make both tables anew, by the message's own id."""
    op.execute(
        f"CREATE TABLE kept_deliveries AS SELECT message_id, {_columns('d', _ATTEMPT)} FROM deliveries d"
        " JOIN outbox ON outbox.message_number = d.message_number"
    )
    op.drop_table("deliveries")
    op.execute(f"CREATE TABLE kept_outbox AS SELECT {_MESSAGE} FROM outbox ORDER BY message_number")
    op.drop_table("outbox")
    _make_messages(
        sa.Column("message_id", sa.String(length=80), nullable=False),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_outbox")),
    )
    op.create_table(
        "deliveries",
        sa.Column("message_id", sa.String(length=80), nullable=False),
        *_attempt(),
        sa.ForeignKeyConstraint(["message_id"], ["outbox.message_id"], name=op.f("fk_deliveries_message_id")),
        sa.PrimaryKeyConstraint("message_id", "attempt", name=op.f("pk_deliveries")),
    )
    _bring_back("message_id")


def _keep() -> None:
    for name in ("deliveries", "outbox"):
        op.execute(f"CREATE TABLE kept_{name} AS SELECT * FROM {name}")
        op.drop_table(name)


def _bring_back(key: str) -> None:
    """Fill the new tables, and build their indexes after."""
    op.execute(f"INSERT INTO outbox ({_MESSAGE}) SELECT {_MESSAGE} FROM kept_outbox")
    op.execute(
        f"INSERT INTO deliveries ({key}, {_ATTEMPT}) SELECT outbox.{key}, {_columns('d', _ATTEMPT)}"
        f" FROM kept_deliveries d JOIN outbox ON outbox.message_id = d.message_id ORDER BY outbox.{key}, d.attempt"
    )
    for name in ("deliveries", "outbox"):
        op.drop_table(f"kept_{name}")
    op.create_index(
        "ix_outbox_due",
        "outbox",
        ["state", "next_attempt_time", "body_key"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index(op.f("ix_outbox_state_settled_time"), "outbox", ["state", "settled_time"])
    op.create_index(op.f("ix_deliveries_provider_message_id"), "deliveries", ["provider_message_id"])


def _columns(table: str, names: str) -> str:
    return ", ".join(f"{table}.{name.strip()}" for name in names.split(","))


def _make_messages(*keys: sa.schema.SchemaItem) -> None:
    op.create_table(
        "outbox",
        *keys,
        sa.Column("notice_id", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("address", sa.String(length=320), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("html", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("body_key", sa.String(length=64), nullable=True),
        sa.Column("personal", sa.JSON(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("queued_time", sa.DateTime(), nullable=False),
        sa.Column("next_attempt_time", sa.DateTime(), nullable=False),
        sa.Column("expires_time", sa.DateTime(), nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", sa.DateTime(), nullable=True),
        sa.Column("settled_time", sa.DateTime(), nullable=True),
        sa.ForeignKeyConstraint(["notice_id"], ["notices.notice_id"], name=op.f("fk_outbox_notice_id")),
        sa.UniqueConstraint("notice_id", "stage", name=op.f("uq_outbox_notice_id_stage")),
    )


def _attempt() -> list[sa.Column[Any]]:
    return [
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("attempted_time", sa.DateTime(), nullable=False),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("provider_message_id", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
    ]
