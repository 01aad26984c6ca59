"""The ledger's tables, in SQLAlchemy's core language; Alembic migrations are made from them.

Times are stored as naive UTC and handed out as aware UTC by `UtcTime`. Documents (evidence, charts, cards)
are JSON.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    false,
    text,
)
from sqlalchemy.types import TypeDecorator

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

TIMES_KEPT = 4096
"""Times of rows that were written together are often the same."""

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A number that the database gives; only an `INTEGER` does SQLite give one."""

metadata = MetaData(naming_convention=NAMING)


class UtcTime(TypeDecorator[datetime]):
    """An aware UTC datetime, stored naive so that SQLite and PostgreSQL agree; a naive one is refused."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Turn an aware datetime into naive UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("The ledger takes aware datetimes only.")
        return (value if value.tzinfo is UTC else value.astimezone(UTC)).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        """Turn naive UTC into an aware datetime."""
        return None if value is None else value.replace(tzinfo=UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ANN401 - as SQLAlchemy has it
        """Read SQLite's text in one step: there are rows with five times in them."""
        return _from_text if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


@lru_cache(maxsize=TIMES_KEPT)
def _from_text(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


incidents = Table(
    "incidents",
    metadata,
    Column("incident_id", String(64), primary_key=True),
    Column("signal", String(16), nullable=False),
    Column("cohort", JSON, nullable=False),
    Column("onset_time", UtcTime, nullable=False),
    Column("detected_time", UtcTime, nullable=False),
    Column("resolved_time", UtcTime),
    Column("severity", String(16), nullable=False),
    Column("affected_subscribers", Integer, nullable=False),
    Column("cause", String(16), nullable=False),
    Column("cause_probability", Float, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("observed", Float, nullable=False),
    Column("expected", Float, nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("surprise", Float, nullable=False),
    Column("alternatives", JSON, nullable=False),
    Column("chart", JSON, nullable=False),
    Column("merged_into", String(64), ForeignKey("incidents.incident_id")),
    Column("updated_time", UtcTime, nullable=False),
    Column("settled", Boolean, nullable=False, server_default=false()),
    Column("words", Text, nullable=False, server_default=text("''")),
    Index(None, "resolved_time"),
    Index(
        "ix_incidents_listed",
        *("detected_time", "incident_id", "signal", "severity", "cause", "resolved_time", "merged_into"),
        *("affected_subscribers", "words"),
    ),
    Index(None, "merged_into"),
)
"""`words` is the group in small letters, as far as a search looks at it. A list is filtered by an index alone: a row
itself is long, for it has a chart."""

troubles = Table(
    "troubles",
    metadata,
    Column("subscriber_id", String(128), primary_key=True),
    Column("episode", String(128), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("found_time", UtcTime, nullable=False),
    Column("problem", String(16), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("cause_probability", Float, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id")),
    Column("severity", String(16), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("last_bad_time", UtcTime, nullable=False),
    Column("last_good_time", UtcTime),
    Column("impaired", Integer, nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("device_type", String(64)),
    Column("error_class", String(64)),
    Column("decided", Boolean, nullable=False, default=False),
    Index(None, "decided", "found_time"),
    Index(None, "incident_id", "found_time"),
)
"""What detection found about people, handed over to deciding: a row per person, episode and kind."""

notices = Table(
    "notices",
    metadata,
    Column("notice_id", String(64), primary_key=True),
    Column("subscriber_id", String(128), nullable=False),
    Column("episode", String(128), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("decided_time", UtcTime, nullable=False),
    Column("problem", String(16), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("incident_id", String(64), ForeignKey("incidents.incident_id")),
    Column("channel", String(16), nullable=False),
    Column("withheld_reason", String(32)),
    Column("release_time", UtcTime),
    Column("expires_time", UtcTime),
    Column("timezone", String(64)),
    UniqueConstraint("subscriber_id", "episode", "kind"),
    Index(
        "ix_notices_of_incident",
        *("incident_id", "kind", "withheld_reason", "channel", "decided_time", "subscriber_id", "notice_id"),
    ),
    Index(None, "subscriber_id", "decided_time"),
    Index(None, "decided_time", "kind", "withheld_reason"),
    Index(None, "withheld_reason", "release_time"),
)
"""Decisions to tell somebody something, withheld ones included: the row stays, its reason says why.

`release_time` is set while a reason only puts off. `timezone` is where the person lives, for quiet hours at sending.
"""

TROUBLE_OF_NOTICE = and_(*(troubles.c[name] == notices.c[name] for name in ("subscriber_id", "episode", "kind")))
"""The condition by which `troubles` is joined with `notices`: what a notice is about."""

WAITING = text("state = 'queued'")
"""The messages of the index of what is due. Only a statement that says so in the same words can use it."""

DUE = ("state", "next_attempt_time", "body_key")
"""With the state, or SQLite, which keeps no statistics, would rather find what waits by an index of all states."""

outbox = Table(
    "outbox",
    metadata,
    Column("message_number", NUMBER, primary_key=True),
    Column("message_id", String(80), nullable=False, unique=True),
    Column("notice_id", String(64), ForeignKey("notices.notice_id"), nullable=False),
    Column("stage", String(16), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", String(320)),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("card", JSON, nullable=False),
    Column("body_key", String(64)),
    Column("personal", JSON),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("queued_time", UtcTime, nullable=False),
    Column("next_attempt_time", UtcTime, nullable=False),
    Column("expires_time", UtcTime),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcTime),
    Column("settled_time", UtcTime),
    UniqueConstraint("notice_id", "stage"),
    Index("ix_outbox_due", *DUE, sqlite_where=WAITING, postgresql_where=WAITING),
    Index(None, "state", "settled_time"),
)
"""Rendered notices on their way: queued, sending, sent, failed, unknown or cancelled.

A notice has one message a stage: `first`, and `follow_up` where a card was not seen and a mail goes after it. The
message of the first stage has the notice's own id. Messages with the same `body_key` say the same but for what
`personal` puts in, so that one request may carry many: their words are in `bodies`, and empty here. Others know a
message by its `message_id`; what is done to thousands at once goes by its number, in the order in which they came.
"""

renewals = Table(
    "renewals",
    metadata,
    Column("incident_id", String(64), ForeignKey("incidents.incident_id"), primary_key=True),
    Column("cause", String(16), nullable=False),
    Column("looks", Integer, nullable=False),
)
"""Which cause the readers of an incident's notices are being told by now, and how often all of them were looked at."""

bodies = Table(
    "bodies",
    metadata,
    Column("body_key", String(64), primary_key=True),
    Column("subject", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("card", JSON, nullable=False),
)
"""What many messages say, once, with stand-ins where something of one person's own belongs. A row never changes."""

deliveries = Table(
    "deliveries",
    metadata,
    Column("message_number", NUMBER, ForeignKey("outbox.message_number"), primary_key=True, autoincrement=False),
    Column("attempt", Integer, primary_key=True),
    Column("attempted_time", UtcTime, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("provider_message_id", String(128)),
    Column("detail", Text),
    Index(None, "provider_message_id"),
    sqlite_with_rowid=False,
)
"""Attempts to send a message, and how each ended. On SQLite the key is the table, not an index beside it."""

inbox = Table(
    "inbox",
    metadata,
    Column("card_id", String(64), ForeignKey("notices.notice_id"), primary_key=True),
    Column("subscriber_id", String(128), nullable=False),
    Column("card", JSON, nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("change", Integer, nullable=False, server_default="1"),
    Column("created_time", UtcTime, nullable=False),
    Column("updated_time", UtcTime),
    Column("seen_time", UtcTime),
    Column("read_time", UtcTime),
    Column("archived_time", UtcTime),
    Index(None, "subscriber_id", "created_time"),
    Index(None, "subscriber_id", "change"),
)
"""Cards as they are now. `version` counts what the card has said, `change` the changes to this subscriber's cards."""

inbox_heads = Table(
    "inbox_heads",
    metadata,
    Column("subscriber_id", String(128), primary_key=True),
    Column("change", Integer, nullable=False),
)
"""The latest change to anybody's cards: raised in the transaction that makes the change, so a reader misses none."""

suppressions = Table(
    "suppressions",
    metadata,
    Column("address", String(320), primary_key=True),
    Column("reason", String(32), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("source", String(16), nullable=False, server_default="webhook"),
)

subscribers = Table(
    "subscribers",
    metadata,
    Column("subscriber_id", String(128), primary_key=True),
    Column("locale", String(35)),
    Column("country", String(2)),
    Column("timezone", String(64)),
    Column("no_phone", Boolean, nullable=False),
    Column("email_opt_in", Boolean, nullable=False),
    Column("in_app_opt_in", Boolean, nullable=False),
    Column("updated_time", UtcTime, nullable=False),
)
"""How to speak to people whom a decision was about, copied from the warehouse: no names and no addresses."""

preferences = Table(
    "preferences",
    metadata,
    Column("subscriber_id", String(128), primary_key=True),
    Column("category", String(16), primary_key=True),
    Column("channel", String(16), primary_key=True),
    Column("allowed", Boolean, nullable=False),
    Column("changed_time", UtcTime, nullable=False),
    Column("source", String(16), nullable=False),
)
"""What people chose, by category of notice and channel; without a row, the subscriber list's opt-in holds."""

contacts = Table(
    "contacts",
    metadata,
    Column("contact_id", String(128), primary_key=True),
    Column("subscriber_id", String(128), nullable=False),
    Column("contacted_time", UtcTime, nullable=False),
    Column("channel", String(16)),
    Column("reason", String(32)),
    Column("handle_seconds", Integer),
    Column("resolved_first_contact", Boolean),
    Column("csat", Integer),
    Column("nps", Integer),
    Index(None, "subscriber_id", "contacted_time"),
    Index(None, "contacted_time"),
)
"""Support contacts, copied from the warehouse, so that gates and people can look at them without it."""

sending_stops = Table(
    "sending_stops",
    metadata,
    Column("stop_id", String(32), primary_key=True),
    Column("scope", String(96), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("started_time", UtcTime, nullable=False),
    Column("started_by", String(128), nullable=False),
    Column("until_time", UtcTime),
    Column("ended_time", UtcTime),
    Column("ended_by", String(128)),
    Index(None, "ended_time"),
)
"""Why nothing goes out: `scope` is ``all``, ``channel:email``, ``channel:in_app`` or ``incident:ID``; `kind` is
``person``, ``flood``, ``refused`` or ``rate``. One is in force until it is ended or its `until_time` has come."""

rollouts = Table(
    "rollouts",
    metadata,
    Column("episode", String(128), primary_key=True),
    Column("audience", Integer, nullable=False),
    Column("allowed_share", Float, nullable=False),
    Column("state", String(16), nullable=False),
    Column("asked_time", UtcTime, nullable=False),
    Column("decided_time", UtcTime),
    Column("decided_by", String(128)),
    Column("note", Text),
    Index(None, "state"),
)
"""Large audiences: which share of them, by a stable hash, may be told by now, and who said so. `state` is ``going``,
``waiting`` for a person, ``approved`` or ``refused``."""

provider_limits = Table(
    "provider_limits",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("remaining", Integer),
    Column("reset_time", UtcTime),
    Column("updated_time", UtcTime, nullable=False),
)
"""What a provider's answers said of its limit, shared among all who send."""

provider_events = Table(
    "provider_events",
    metadata,
    Column("event_id", String(128), primary_key=True),
    Column("message_id", String(80)),
    Column("event", String(32), nullable=False),
    Column("occurred_time", UtcTime, nullable=False),
    Column("received_time", UtcTime, nullable=False),
    Column("detail", Text),
    Index(None, "message_id"),
)
"""What a provider reported afterwards, each event once."""

feedback = Table(
    "feedback",
    metadata,
    Column("notice_id", String(64), ForeignKey("notices.notice_id"), primary_key=True),
    Column("question", String(16), primary_key=True),
    Column("answer", Integer),
    Column("note", Text),
    Column("given_time", UtcTime, nullable=False),
    Index(None, "given_time"),
)
"""What a reader answered, the latest to each question: ``helped``, ``no_problem``, ``csat``, ``nps``, ``note``."""

audit = Table(
    "audit",
    metadata,
    Column("audit_id", String(32), primary_key=True),
    Column("time", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(160), nullable=False),
    Column("detail", JSON, nullable=False),
    Index(None, "time"),
    Index(None, "subject"),
)
"""Every change that a person made."""

windows = Table(
    "windows",
    metadata,
    Column("stage", String(16), primary_key=True),
    Column("window_start", UtcTime, primary_key=True),
    Column("window_end", UtcTime, primary_key=True),
    Column("lease_owner", String(64)),
    Column("lease_until", UtcTime),
    Column("finished_time", UtcTime),
    Column("counts", JSON),
    Index(None, "stage", "window_end"),
)
"""One row per stage and window: leased while it runs, finished once, never run twice to effect."""

quality_notices = Table(
    "quality_notices",
    metadata,
    Column("notice_id", String(64), primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("cohort", JSON, nullable=False),
    Column("measure", String(16), nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("detected_time", UtcTime, nullable=False),
    Column("until", UtcTime),
    Column("expected", Float, nullable=False),
    Column("observed", Float, nullable=False),
    Column("late", Float, nullable=False),
    Column("surprise", Float, nullable=False),
    Column("reasons", JSON, nullable=False),
    Column("updated_time", UtcTime, nullable=False),
    Index(None, "until"),
    Index(None, "detected_time"),
)
"""Missing telemetry and missing viewers, for ops alone: nothing of it goes to subscribers."""

staff_alerts = Table(
    "staff_alerts",
    metadata,
    Column("alert_key", String(200), primary_key=True),
    Column("place", String(16), primary_key=True),
    Column("raised_time", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_attempt_time", UtcTime, nullable=False),
    Column("told_time", UtcTime),
    Index(None, "place"),
)
"""What staff were told, each place each thing once; a place is known by a digest of its address."""
