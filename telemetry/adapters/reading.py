"""What an adapter hands to ingest: a relation to read a file through, and what it noticed about the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import pyarrow as pa

from telemetry.contract import Table


@dataclass(frozen=True)
class Reading:
    """A file opened for reading.

    Parameters
    ----------
    relation
        SQL of a relation with the columns as found, and besides ``line`` (1-based), ``raw`` (the row's text)
        and ``broken`` (why the row has no columns, else NULL).
    columns
        DuckDB type of each column as found.
    exact
        Whether ``line`` and ``raw`` are true. A quick reading that meets a bad row is read again with care.
    typed
        Whether the file itself is typed and cheap to read twice; text is parsed once into a temporary table.
    rows
        Rows in the file, where it says so itself.
    damage
        A sentence on where the file ends early, if it does.
    """

    relation: str
    columns: Mapping[str, str]
    exact: bool = True
    typed: bool = False
    rows: int | None = None
    damage: str | None = None


class Adapter(Protocol):
    """One file format, or one vendor's export.

    `quick` may raise `duckdb.Error` on anything odd. `careful` reads the same file again and gives every line
    its number and text; it raises `UnreadableFileError` if there is nothing to be had. `rows` names where the
    adapter may register what it has read.
    """

    @property
    def name(self) -> str:
        """Name in the registry and in reports."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Ends of file names it reads; none if it must be asked for by name."""

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Open the file the fast way."""

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Open the file the thorough way."""


BATCH_LINES = 50_000
"""Lines handed to DuckDB at a time: some 25 MB of text."""
CAREFUL_ROWS = "careful_rows"
"""The temporary table that text is carefully read into."""


def quoted(text: str) -> str:
    """Quote `text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def collect(connection: duckdb.DuckDBPyConnection, records: Iterator[Mapping[str, object]], schema: pa.Schema) -> None:
    """Write `records` to the temporary table of careful rows, a batch at a time."""
    empty = schema.empty_table()
    connection.register("arriving_rows", empty)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {CAREFUL_ROWS} AS FROM arriving_rows")
    for batch in _batches(records):
        connection.register("arriving_rows", pa.Table.from_pylist(batch, schema=schema))
        connection.execute(f"INSERT INTO {CAREFUL_ROWS} FROM arriving_rows")
    connection.unregister("arriving_rows")


def _batches(records: Iterator[Mapping[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    batch: list[Mapping[str, object]] = []
    for record in records:
        batch.append(record)
        if len(batch) == BATCH_LINES:
            yield batch
            batch = []
    if batch:
        yield batch
