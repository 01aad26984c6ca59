"""A file on its way in: its rows under the contract's names and types, each with what is wrong with it.

The relation ``incoming`` has ``line``, ``raw``, the table's columns, ``problem`` (NULL, or ``reason|detail``)
and ``good`` (whether there is none). A typed file is a view, read where it lies; text is parsed once into a
temporary table.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb

from telemetry.adapters.reading import CAREFUL_ROWS, Reading, identifier
from telemetry.contract import Column, Table
from telemetry.quarantine import MAX_RAW_LENGTH, goodness, judgement
from telemetry.sources import Source
from telemetry.time import Window, naive_utc

NATURAL = {
    "VARCHAR": ("VARCHAR", "UUID", "ENUM", "JSON"),
    "INTEGER": (
        "INTEGER",
        "SMALLINT",
        "TINYINT",
        "USMALLINT",
        "UTINYINT",
        "BIGINT",
        "UINTEGER",
        "UBIGINT",
        "HUGEINT",
    ),
    "TIMESTAMP": (
        "TIMESTAMP",
        "TIMESTAMP_S",
        "TIMESTAMP_MS",
        "TIMESTAMP_NS",
        "TIMESTAMP WITH TIME ZONE",
        "DATE",
    ),
    "BOOLEAN": ("BOOLEAN",),
}
"""Types as found that are cast as they are to a contract type; any other is read as text first."""


def open_incoming(
    connection: duckdb.DuckDBPyConnection, source: Source, now: datetime, window: Window | None
) -> Reading:
    """Make the relation ``incoming`` of `source` as of `now`, restricted to `window`, and say what was read.

    Rows that have no readable `received_time` belong to every window.

    Raises
    ------
    UnreadableFileError
        If nothing of the file can be read.
    """
    try:
        reading = source.adapter.quick(connection, source.path, source.table)
        _make_incoming(connection, reading, source.table, now, window)
        if reading.exact or not _has_problems(connection):
            return reading
    except (duckdb.Error, UnicodeDecodeError):
        pass
    return _open_carefully(connection, source, now, window)


def _open_carefully(
    connection: duckdb.DuckDBPyConnection, source: Source, now: datetime, window: Window | None
) -> Reading:
    reading = source.adapter.careful(connection, source.path, source.table)
    _make_incoming(connection, reading, source.table, now, window)
    return reading


def _has_problems(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT line FROM incoming WHERE NOT good LIMIT 1").fetchall())


def _make_incoming(
    connection: duckdb.DuckDBPyConnection,
    reading: Reading,
    table: Table,
    now: datetime,
    window: Window | None,
) -> None:
    _make_found(connection, reading, table)
    names = ", ".join(table.names)
    good = f"broken IS NULL AND {goodness(table, now)}"
    problem = f"CASE WHEN broken IS NOT NULL THEN 'broken_line|' || broken ELSE {judgement(table, now)} END"
    within = f"FROM found WHERE {_within(table, window)}"
    rows = f"SELECT line, left(raw, {MAX_RAW_LENGTH}) AS raw, {names}, {problem} AS problem"
    if reading.typed:
        judged = f"{rows}, {good} AS good {within}"
    elif reading.exact:
        _parse(connection, f"{rows} {within}")
        judged = "SELECT *, problem IS NULL AS good FROM incoming_rows"
    else:  # good, or read again: what is wrong with a row, and where it is, nobody will ask
        _parse(connection, f"SELECT {names}, {good} AS good {within}")
        judged = "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS raw, NULL::VARCHAR AS problem, * FROM incoming_rows"
    connection.execute(f"CREATE OR REPLACE TEMP VIEW incoming AS {judged}")


def _parse(connection: duckdb.DuckDBPyConnection, rows: str) -> None:
    connection.execute(f"CREATE OR REPLACE TEMP TABLE incoming_rows AS {rows}")


def _make_found(connection: duckdb.DuckDBPyConnection, reading: Reading, table: Table) -> None:
    """Make ``found``: the rows as read, under the contract's names and types, not judged yet."""
    typed = ",\n".join(_typed(column, reading.columns.get(column.name)) for column in table.columns)
    connection.execute(
        f"CREATE OR REPLACE TEMP VIEW found AS SELECT line, raw, broken, {typed} FROM ({reading.relation})"
    )


@contextmanager
def narrowed(connection: duckdb.DuckDBPyConnection, reading: Reading, table: Table) -> Iterator[None]:
    """Let ``incoming`` be only the rows whose key is in ``contested_ids``: a typed file is not judged twice
    for a few."""
    if not reading.typed:
        yield
        return
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE narrowed AS"
        f" SELECT * REPLACE (NULL::VARCHAR AS raw) FROM found SEMI JOIN contested_ids ON hash({table.key}) = event_key"
    )
    connection.execute("CREATE OR REPLACE TEMP VIEW found AS FROM narrowed")
    try:
        yield
    finally:
        _make_found(connection, reading, table)


def drop_incoming(connection: duckdb.DuckDBPyConnection) -> None:
    """Forget the relation ``incoming``."""
    connection.execute("DROP VIEW IF EXISTS incoming")
    connection.execute("DROP VIEW IF EXISTS found")
    for name in ("incoming_rows", "narrowed", CAREFUL_ROWS):
        connection.execute(f"DROP TABLE IF EXISTS {name}")


def _within(table: Table, window: Window | None) -> str:
    if window is None or "received_time" not in table.by_name:
        return "true"
    start, end = naive_utc(window.start), naive_utc(window.end)
    within = f"received_time >= TIMESTAMP '{start}' AND received_time < TIMESTAMP '{end}'"
    return f"received_time IS NULL OR ({within})"


def _typed(column: Column, found: str | None) -> str:
    """Build the column under its own name, and as it was found; the two differ where the type is wrong."""
    name = identifier(column.name)
    if found is None:
        return f"NULL::{column.type} AS {name}, NULL AS found_{column.name}"
    if found == column.type != "VARCHAR":
        return f"{name}, NULL AS found_{column.name}"
    if column.type == "VARCHAR":
        return _text(column, found)
    natural = found.split("(")[0] in NATURAL[column.type]
    value = name if natural else f"nullif({name}::VARCHAR, '')"
    return f"{_cast(column, value, natural)} AS {name}, {value} AS found_{column.name}"


def _text(column: Column, found: str) -> str:
    name = identifier(column.name)
    if found == "VARCHAR":
        return f"{name}, NULL AS found_{column.name}"
    plain = found.split("(", maxsplit=1)[0] in (*NATURAL["VARCHAR"], *NATURAL["INTEGER"])
    value = f"{name}::VARCHAR" if plain else "NULL::VARCHAR"
    return f"{value} AS {name}, {name} AS found_{column.name}"


def _cast(column: Column, value: str, natural: bool) -> str:
    if natural:
        return f"TRY_CAST({value} AS {column.type})"
    if column.type == "TIMESTAMP":  # by way of the zoned type, which minds an offset; the session's zone is UTC
        return f"TRY_CAST(TRY_CAST({value} AS TIMESTAMPTZ) AS TIMESTAMP)"
    if column.type == "INTEGER":  # a cast of text would round
        whole = f"TRY_CAST({value} AS DOUBLE) = TRY_CAST({value} AS INTEGER)"
        return f"CASE WHEN {whole} THEN TRY_CAST({value} AS INTEGER) END"
    return f"TRY_CAST({value} AS {column.type})"


def missing_columns(reading: Reading, table: Table) -> list[Column]:
    """List the contract's columns that the file lacks."""
    return [column for column in table.columns if column.name not in reading.columns]


def unknown_columns(reading: Reading, table: Table) -> list[str]:
    """List the file's columns that the contract lacks."""
    return [name for name in reading.columns if name not in table.by_name]


def is_readable(connection: duckdb.DuckDBPyConnection) -> bool:
    """Say whether every value of ``incoming`` can be read."""
    try:
        connection.execute("SELECT bit_xor(hash(incoming)) FROM incoming").fetchall()
    except duckdb.Error:
        return False
    return True
