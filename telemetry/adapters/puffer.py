"""Puffer, a live-television study that publishes what its players did, chunk by chunk (Yan et al., NSDI 2020)."""

from __future__ import annotations

from pathlib import Path

import duckdb

from telemetry.adapters.reading import Reading, quoted
from telemetry.contract import Table
from telemetry.errors import UnreadableFileError
from telemetry.warehouse import sql


class Puffer:
    """Reads a Parquet file of chunks (dataset, session, start_time, end_time, size), asked for by name.

    A stream becomes a session, its buffer is replayed to find the stalls, and the stream's name stands in for the
    subscriber, whom the data does not name. Received is when it happened. The dimensions stay NULL.
    """

    name = "puffer"
    suffixes = ()

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Derive playback events from the chunks."""
        relation = sql("puffer").replace("$source", quoted(str(path)))
        connection.execute(f"DESCRIBE {relation}")
        return Reading(relation, {column.name: column.type for column in table.columns})

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Refuse: what the quick way cannot read, no way can."""
        raise UnreadableFileError("It is not a Parquet file of Puffer's chunks.")
