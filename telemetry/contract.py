"""The telemetry contract as code: tables, columns, types, vocabularies and limits.

Names follow CTA-2066 (streaming QoE events, properties and metrics) and CMCD (CTA-5004). Everything else that
needs to know a column, a signal or a dimension reads it from here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

DIMENSIONS = (
    "country",
    "region",
    "isp",
    "cdn",
    "device_type",
    "app_version",
    "connection_type",
    "content_type",
    "title_id",
)
"""The properties of a playback attempt by which a fault can be localised, in the order used everywhere."""

EVENTS = ("play_requested", "play_started", "heartbeat", "play_failed", "play_ended", "access_denied")
FAILURE_CLASSES = ("network", "cdn", "manifest", "decoder", "app")
DENIAL_CLASSES = ("auth", "entitlement", "drm", "geo", "device_limit", "payment")
DEVICE_TYPES = ("smart_tv", "streaming_stick", "console", "web", "ios", "android")
CONNECTION_TYPES = ("wifi", "ethernet", "cellular", "unknown")
CONTENT_TYPES = ("vod", "live")
CONTACT_CHANNELS = ("phone", "chat", "email", "social")
CONTACT_REASONS = ("buffering", "startup", "playback_failure", "access", "billing", "content", "other")


class Signal(StrEnum):
    """What can go wrong for a viewer."""

    BUFFERING = "buffering"
    STARTUP = "startup"
    FAILURE = "failure"
    ACCESS = "access"


@dataclass(frozen=True)
class Column:
    """One column of a contract table.

    Parameters
    ----------
    name
        Its name in files and in the warehouse.
    type
        Its DuckDB type.
    required
        Whether a row without it is quarantined.
    values
        The closed vocabulary, if it has one.
    minimum, maximum
        Limits of a number, in the column's own unit.
    max_length
        Longest text accepted, in characters.
    forms
        Patterns (shell style, as SQL's GLOB) one of which the whole text must match, if it has a form.
    """

    name: str
    type: str
    required: bool = False
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_length: int | None = None
    forms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """One table of the contract: its columns in order and the column that is its key."""

    name: str
    key: str
    columns: tuple[Column, ...]
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)


MAX_ID_LENGTH = 128
MAX_TEXT_LENGTH = 256
"""A network's or a title's name is never this long; longer text is an attack or a broken exporter."""
MAX_STARTUP_MS = 10 * 60 * 1000
"""Nobody waits ten minutes for a first frame; a longer start-up is a suspended tab or a broken timer."""
MAX_INTERVAL_MS = 24 * 60 * 60 * 1000
"""Play or stall time since the session's previous event: more than a day is a broken timer."""
MAX_CODE_LENGTH = 1_000
"""A player's own error code may be a whole message; a failure must not be lost for being wordy."""
COUNTRY_FORMS = ("[A-Z][A-Z]",)
"""ISO 3166-1 alpha-2."""
REGION_FORMS = tuple("[A-Z][A-Z]-" + "[A-Z0-9]" * length for length in (1, 2, 3))
"""ISO 3166-2."""
MAX_STALLS = 100_000
MAX_BITRATE_KBPS = 1_000_000


def _text(name: str, *, required: bool = False, length: int = MAX_TEXT_LENGTH) -> Column:
    return Column(name, "VARCHAR", required=required, max_length=length)


def _count(name: str, maximum: int) -> Column:
    return Column(name, "INTEGER", minimum=0, maximum=maximum)


PLAYBACK = Table(
    "playback",
    "event_id",
    (
        _text("event_id", required=True, length=MAX_ID_LENGTH),
        Column("event_time", "TIMESTAMP", required=True),
        Column("received_time", "TIMESTAMP", required=True),
        _text("session_id", required=True, length=MAX_ID_LENGTH),
        _text("subscriber_id", required=True, length=MAX_ID_LENGTH),
        Column("event", "VARCHAR", required=True, values=EVENTS),
        _count("startup_ms", MAX_STARTUP_MS),
        _count("playing_ms", MAX_INTERVAL_MS),
        _count("stalled_ms", MAX_INTERVAL_MS),
        _count("stall_count", MAX_STALLS),
        _count("bitrate_kbps", MAX_BITRATE_KBPS),
        Column("error_class", "VARCHAR", values=FAILURE_CLASSES + DENIAL_CLASSES),
        _text("error_code", length=MAX_CODE_LENGTH),
        Column("country", "VARCHAR", forms=COUNTRY_FORMS),
        Column("region", "VARCHAR", forms=REGION_FORMS),
        _text("isp"),
        _text("cdn"),
        Column("device_type", "VARCHAR", values=DEVICE_TYPES),
        _text("app_version"),
        Column("connection_type", "VARCHAR", values=CONNECTION_TYPES),
        Column("content_type", "VARCHAR", values=CONTENT_TYPES),
        _text("title_id"),
    ),
)

SUBSCRIBERS = Table(
    "subscribers",
    "subscriber_id",
    (
        _text("subscriber_id", required=True, length=MAX_ID_LENGTH),
        _text("email", length=320),
        _text("display_name", length=10_000),
        _text("locale", length=35),
        _text("timezone", length=64),
        _text("country"),
        _text("region"),
        Column("email_opt_in", "BOOLEAN"),
        Column("in_app_opt_in", "BOOLEAN"),
        Column("no_phone", "BOOLEAN"),
        Column("created_at", "TIMESTAMP"),
    ),
)

CONTACTS = Table(
    "contacts",
    "contact_id",
    (
        _text("contact_id", required=True, length=MAX_ID_LENGTH),
        _text("subscriber_id", required=True, length=MAX_ID_LENGTH),
        Column("contacted_at", "TIMESTAMP", required=True),
        Column("channel", "VARCHAR", values=CONTACT_CHANNELS),
        Column("reason", "VARCHAR", values=CONTACT_REASONS),
        Column("handle_seconds", "INTEGER", minimum=0, maximum=7 * 24 * 3600),
        Column("resolved_first_contact", "BOOLEAN"),
        Column("csat", "INTEGER", minimum=1, maximum=5),
        Column("nps", "INTEGER", minimum=0, maximum=10),
    ),
)

APPLIES_TO = {
    ("startup_ms",): ("play_started",),
    ("playing_ms", "stalled_ms", "stall_count", "bitrate_kbps"): ("heartbeat", "play_failed", "play_ended"),
    ("error_class",): ("play_failed", "access_denied"),
}
"""The events on which columns may have a value; on any other they are NULL."""

CLASSES_OF = {"play_failed": FAILURE_CLASSES, "access_denied": DENIAL_CLASSES}
"""The error classes that each event may name."""

TABLES = {table.name: table for table in (PLAYBACK, SUBSCRIBERS, CONTACTS)}
