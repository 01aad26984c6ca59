"""Learning from finished days: everybody's own normal, and the hourly counts that the rate model is fitted on."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import duckdb
import pyarrow as pa

from detectors.observations import (
    SIGNALS,
    SLOT_US,
    ImpairmentRule,
    Observations,
    Vocabularies,
    load_observations,
    read_sql,
    slot_of,
)
from detectors.rates import MODEL_DIMENSIONS, HourlyCounts
from telemetry.time import naive_utc

CLIP_RATIO = 0.1
"""A slice teaches at most this rebuffering ratio: above it is a fault, not a habit."""
PRIOR_MS = 3_600_000
"""An hour of playing: below it a person's usual ratio is mostly everyone's."""
PRIOR_STARTS = 5
PRIOR_STALLING = 0.5
"""Badly stalling sessions: a person of whom as many are expected counts half by their own record."""


def prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the tables that learning fills, where they are missing."""
    connection.execute(read_sql("schema"))


def unlearnt_days(connection: duckdb.DuckDBPyConnection, through: date, days: int) -> list[date]:
    """Return the days with slices, of the `days` up to `through`, that have not been learnt, in order."""
    rows = connection.execute(read_sql("unlearnt_days"), {"through": through, "days": days}).fetchall()
    return [day for (day,) in rows]


def midnight(day: date) -> datetime:
    """Return when a day begins, UTC."""
    return datetime.combine(day, time(), tzinfo=UTC)


def learn_day(connection: duckdb.DuckDBPyConnection, day: date, days: int, rule: ImpairmentRule) -> None:
    """Learn one finished day and bring the normals up to date; the caller's transaction makes it happen once.

    Parameters
    ----------
    connection
        The warehouse's connection.
    day
        A UTC day that is over.
    days
        How many days the normals look back.
    rule
        What counts as impaired.
    """
    first = _is_first(connection)
    if not first:  # judged as it was live, by the normals of the days before it
        _learn_cohorts(connection, day, rule)
    _learn_normals(connection, day, days, rule)
    if first:  # which has none but its own
        _learn_cohorts(connection, day, rule)
    connection.execute("INSERT INTO learnt_days VALUES ($day)", {"day": day})


def _is_first(connection: duckdb.DuckDBPyConnection) -> bool:
    return not connection.execute("SELECT EXISTS (FROM learnt_days)").fetchall()[0][0]


def _learn_normals(connection: duckdb.DuckDBPyConnection, day: date, days: int, rule: ImpairmentRule) -> None:
    since = {"from": day - timedelta(days=days - 1)}
    connection.execute(read_sql("learn_devices"), {"day": day})
    connection.execute(read_sql("device_normals"), since)
    connection.execute(read_sql("learn_subscribers"), {**rule.session_parameters, "day": day, "clip": CLIP_RATIO})
    priors = {"prior_ms": PRIOR_MS, "prior_starts": PRIOR_STARTS, "prior_stalling": PRIOR_STALLING}
    connection.execute(read_sql("subscriber_normals"), {**since, **priors})


def _learn_cohorts(connection: duckdb.DuckDBPyConnection, day: date, rule: ImpairmentRule) -> None:
    words, start = Vocabularies(), midnight(day)
    rows = load_observations(
        connection, words, rule, start - timedelta(hours=rule.memory_hours), start + timedelta(days=1)
    ).with_fresh(rule.memory_slots)
    observations = _as_arrow(rows.take(rows.slot >= slot_of(start)), words)
    connection.register("observations", observations)
    connection.execute(read_sql("learn_cohorts"), {"day": day})
    connection.unregister("observations")


def _as_arrow(rows: Observations, words: Vocabularies) -> pa.Table:
    """Return what ``learn_cohorts.sql`` adds up."""
    columns = {"slot": pa.array((rows.slot * SLOT_US).astype("datetime64[us]"))}
    for number, name in enumerate(MODEL_DIMENSIONS):
        columns[name] = words.dimensions[number].decode(rows.codes[:, number])
    for number, signal in enumerate(SIGNALS):
        columns[f"exposed_{signal}"] = pa.array(rows.exposed[:, number])
        columns[f"at_risk_{signal}"] = pa.array(rows.at_risk[:, number])
        columns[f"fresh_{signal}"] = pa.array(rows.fresh[:, number])
        columns[f"all_{signal}"] = pa.array(rows.bad[:, number])
    return pa.table(columns)


def hourly_counts(
    connection: duckdb.DuckDBPyConnection, vocabularies: Vocabularies, start: datetime, end: datetime
) -> HourlyCounts:
    """Read the hourly counts of ``[start, end)``."""
    table = connection.sql(
        read_sql("hourly_counts"), params={"from": naive_utc(start), "to": naive_utc(end)}
    ).to_arrow_table()
    return HourlyCounts.from_arrow(table, vocabularies)
