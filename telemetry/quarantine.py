"""What breaks the contract, and how a row is judged: one SQL expression per table, built from the contract.

The expression yields NULL for a good row, else ``reason|detail`` of the first check that fails. Checks go
from what makes a row unreadable to what merely makes it implausible, so the reason named is the most telling
one. An empty text is an absent one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from telemetry.contract import APPLIES_TO, CLASSES_OF, PLAYBACK, Column, Table
from telemetry.time import naive_utc

MAX_RAW_LENGTH = 16_384
"""Characters of raw text kept per quarantined row: enough for any honest row, a lid on a hostile one."""
OLDEST_RECEIVED = datetime(2000, 1, 1)  # noqa: DTZ001 - naive UTC, as DuckDB compares it
"""No collector of streaming telemetry is older."""
MAX_CLOCK_LEAD = timedelta(days=1)
"""How far a collector's clock may be ahead of ours."""
MAX_CLOCK_ERROR = timedelta(days=30)
"""A few players are wrong by days; one that is wrong by more than a month tells nothing about time."""


class QuarantineReason(StrEnum):
    """Why a row, or a whole file, is not in the tables."""

    BROKEN_LINE = "broken_line"
    """The line is not JSON, or not a CSV record with the header's number of fields."""
    WRONG_TYPE = "wrong_type"
    """A value cannot be read as its column's type."""
    MISSING_VALUE = "missing_value"
    """A required value is NULL or empty."""
    TOO_LONG = "too_long"
    """A text is longer than its column allows."""
    UNKNOWN_EVENT = "unknown_event"
    """The event is not in the contract's list."""
    UNKNOWN_VALUE = "unknown_value"
    """A value is not in its column's closed list, or not in the part of it that belongs to this event."""
    MALFORMED_VALUE = "malformed_value"
    """A text does not have its column's form, e.g. a region that is not ISO 3166-2."""
    RECEIVED_TIME_OUT_OF_RANGE = "received_time_out_of_range"
    """Received before 2000, or more than a day after now."""
    EVENT_TIME_OUT_OF_RANGE = "event_time_out_of_range"
    """More than 30 days from received_time."""
    NEGATIVE_DURATION = "negative_duration"
    """A duration below zero."""
    ABSURD_DURATION = "absurd_duration"
    """A duration longer than its column allows."""
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    """A count, rate or score outside its column's limits."""
    MISPLACED_VALUE = "misplaced_value"
    """A value in a column that does not apply to this event."""
    UNKNOWN_COLUMN = "unknown_column"
    """Once a file: it has a column that the contract does not know; its rows are read without it."""
    MISSING_COLUMN = "missing_column"
    """Once a file: a column is absent. Its rows are read with NULL there; if it is required, none is read."""
    EMPTY_FILE = "empty_file"
    """Once a file: it holds no rows."""
    TRUNCATED_FILE = "truncated_file"
    """Once a file: it ends early or cannot be read; rows before the damage are kept where the format
    allows."""


def goodness(table: Table, now: datetime) -> str:
    """Build the SQL expression that is true of the rows of `table` that pass every check at `now`.

    It asks what `judgement` asks, without saying what is wrong: as a filter it costs half as much.
    """
    suspect = " OR ".join(f"({condition})" for condition, _, _ in _checks(table, now))
    return f"CASE WHEN {suspect} THEN false ELSE true END"


def judgement(table: Table, now: datetime) -> str:
    """Build the SQL expression that says what is wrong with a row of `table` at `now`.

    It reads each column under its own name, already of its type, and the value as found under
    ``found_<name>``.
    """
    branches = "\n".join(
        f"WHEN {condition} THEN '{reason}|{detail}'" for condition, reason, detail in _checks(table, now)
    )
    return f"CASE {branches} END"


_Check = tuple[str, QuarantineReason, str]


def _checks(table: Table, now: datetime) -> Iterator[_Check]:
    for rule in (_wrong_type, _missing, _too_long, _unknown, _malformed):
        for column in table.columns:
            yield from rule(column)
    if table is PLAYBACK:
        yield from _times(now)
    for column in table.columns:
        yield from _limits(column)
    if table is PLAYBACK:
        yield from _belonging()


def _wrong_type(column: Column) -> Iterator[_Check]:
    condition = f"{column.name} IS NULL AND found_{column.name} IS NOT NULL"
    yield condition, QuarantineReason.WRONG_TYPE, f"{column.name} is not {column.type}"


def _missing(column: Column) -> Iterator[_Check]:
    if column.required:
        empty = f" OR {column.name} = ''" if column.type == "VARCHAR" else ""
        yield f"{column.name} IS NULL{empty}", QuarantineReason.MISSING_VALUE, f"{column.name} is missing"


def _too_long(column: Column) -> Iterator[_Check]:
    if column.max_length:
        detail = f"{column.name} is longer than {column.max_length} characters"
        yield f"length({column.name}) > {column.max_length}", QuarantineReason.TOO_LONG, detail


def _unknown(column: Column) -> Iterator[_Check]:
    if column.values:
        is_event = column.name == "event"
        reason = QuarantineReason.UNKNOWN_EVENT if is_event else QuarantineReason.UNKNOWN_VALUE
        condition = f"{column.name} NOT IN ({_quoted(column.values)}, '')"
        yield condition, reason, f"{column.name} is not one that the contract lists"


def _malformed(column: Column) -> Iterator[_Check]:
    if column.forms:
        condition = " AND ".join(f"{column.name} NOT GLOB '{form}'" for form in (*column.forms, ""))
        yield (
            condition,
            QuarantineReason.MALFORMED_VALUE,
            f"{column.name} does not have the form of its standard",
        )


def _times(now: datetime) -> Iterator[_Check]:
    latest, earliest = naive_utc(now) + MAX_CLOCK_LEAD, OLDEST_RECEIVED
    yield (
        f"received_time NOT BETWEEN TIMESTAMP '{earliest}' AND TIMESTAMP '{latest}'",
        QuarantineReason.RECEIVED_TIME_OUT_OF_RANGE,
        "received_time is before 2000 or more than a day ahead",
    )
    error_ms = "abs(epoch_ms(event_time) - epoch_ms(received_time))"  # NULL where event_time is infinite
    yield (
        f"coalesce({error_ms} > {MAX_CLOCK_ERROR // timedelta(milliseconds=1)}, true)",
        QuarantineReason.EVENT_TIME_OUT_OF_RANGE,
        f"event_time is more than {MAX_CLOCK_ERROR.days} days from received_time",
    )


def _limits(column: Column) -> Iterator[_Check]:
    duration = column.name.endswith(("_ms", "_seconds"))
    below = QuarantineReason.NEGATIVE_DURATION if duration else QuarantineReason.NUMBER_OUT_OF_RANGE
    above = QuarantineReason.ABSURD_DURATION if duration else QuarantineReason.NUMBER_OUT_OF_RANGE
    if column.minimum is not None:
        yield f"{column.name} < {column.minimum}", below, f"{column.name} is below {column.minimum}"
    if column.maximum is not None:
        yield f"{column.name} > {column.maximum}", above, f"{column.name} is above {column.maximum}"


def _belonging() -> Iterator[_Check]:
    for event, classes in CLASSES_OF.items():
        condition = f"error_class IS NOT NULL AND event = '{event}' AND error_class NOT IN ({_quoted(classes)}, '')"
        yield condition, QuarantineReason.UNKNOWN_VALUE, f"error_class is not one of {event}"
    for names, events in APPLIES_TO.items():
        some = " OR ".join(f"{name} <> ''" if name == "error_class" else f"{name} IS NOT NULL" for name in names)
        condition = f"({some}) AND event NOT IN ({_quoted(events)})"
        detail = f"{', '.join(names)}: a value on an event without one"
        yield condition, QuarantineReason.MISPLACED_VALUE, detail


def _quoted(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)
