"""Parquet: typed, and cheap enough to read twice."""

from __future__ import annotations

from pathlib import Path

import duckdb

from telemetry.adapters.reading import Reading, identifier, quoted
from telemetry.contract import Table
from telemetry.errors import UnreadableFileError


class Parquet:
    """Reads ``*.parquet``. The line of a row is its position in the file; its raw text is the row as JSON."""

    name = "parquet"
    suffixes = (".parquet",)

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Open the file; its rows are read when they are needed."""
        scan = f"read_parquet({quoted(str(path))}, file_row_number = true)"
        found = connection.execute(f"DESCRIBE SELECT * EXCLUDE (file_row_number) FROM {scan}").fetchall()
        columns = {name: kind for name, kind, *_ in found}
        whole = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in columns)
        relation = (
            f"SELECT file_row_number + 1 AS line, to_json(struct_pack({whole}))::VARCHAR AS raw,"
            f" NULL::VARCHAR AS broken, * EXCLUDE (file_row_number) FROM {scan}"
        )
        (rows,) = connection.execute(f"SELECT num_rows FROM parquet_file_metadata({quoted(str(path))})").fetchall()[0]
        return Reading(relation, columns, typed=True, rows=int(rows))

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Refuse: what the quick way cannot read of a Parquet file, no way can."""
        raise UnreadableFileError("It is not a whole Parquet file.")
