"""Learning from finished days: everybody's own normal, and the hourly counts that the rate model is fitted on."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import duckdb

from detectors.observations import ImpairmentRule, Vocabularies, observations_sql, read_sql
from detectors.rates import HourlyCounts
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


def learn(connection: duckdb.DuckDBPyConnection, through: date, days: int, rule: ImpairmentRule) -> int:
    """Learn every day up to and including `through` that has slices and is not learnt yet.

    Each day is one transaction, so learning that is cut off goes on where it stopped and a day learnt twice changes
    nothing.

    Parameters
    ----------
    connection
        The warehouse's connection.
    through
        The last day to learn; it should be over.
    days
        How many days the normals look back.
    rule
        What counts as impaired.

    Returns
    -------
    int
        How many days were new.
    """
    prepare(connection)
    new = connection.execute(read_sql("unlearnt_days"), {"through": through, "days": days}).fetchall()
    for (day,) in new:
        connection.begin()
        try:
            _learn_day(connection, day, days, rule)
        except BaseException:
            connection.rollback()
            raise
        connection.commit()
    return len(new)


def _learn_day(connection: duckdb.DuckDBPyConnection, day: date, days: int, rule: ImpairmentRule) -> None:
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - DuckDB's TIMESTAMP is naive UTC
    since = {"from": day - timedelta(days=days - 1)}
    connection.execute(read_sql("learn_devices"), {"day": day})
    connection.execute(read_sql("device_normals"), since)
    connection.execute(read_sql("learn_subscribers"), {**rule.session_parameters, "day": day, "clip": CLIP_RATIO})
    priors = {"prior_ms": PRIOR_MS, "prior_starts": PRIOR_STARTS, "prior_stalling": PRIOR_STALLING}
    connection.execute(read_sql("subscriber_normals"), {**since, **priors})
    judged = {**rule.parameters, "from": start, "to": start + timedelta(days=1)}
    connection.execute("CREATE OR REPLACE TEMP TABLE observations AS " + observations_sql("wanted_all"), judged)
    connection.execute(read_sql("learn_cohorts"), {"day": day})
    connection.execute("DROP TABLE observations")
    connection.execute("INSERT INTO learnt_days VALUES ($day)", {"day": day})


def hourly_counts(
    connection: duckdb.DuckDBPyConnection, vocabularies: Vocabularies, start: datetime, end: datetime
) -> HourlyCounts:
    """Read the hourly counts of ``[start, end)``."""
    table = connection.sql(
        read_sql("hourly_counts"), params={"from": naive_utc(start), "to": naive_utc(end)}
    ).to_arrow_table()
    return HourlyCounts.from_arrow(table, vocabularies)
