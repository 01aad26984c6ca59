"""NDJSON: one JSON object a line.

DuckDB reads a clean file fastest, yet says neither which line is broken nor what it said, and with
``ignore_errors`` it leaves an all-NULL row for each. So a file in which anything is odd is read again line by
line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from telemetry.adapters.lines import LineReader
from telemetry.adapters.reading import CAREFUL_ROWS, Reading, collect, identifier, quoted
from telemetry.contract import Table

SAMPLED_LINES = 20_480
"""Lines in which unknown keys are looked for; listing the keys of every line would cost more than reading
it."""


class NdJson:
    """Reads ``*.ndjson`` and ``*.ndjson.gz``. A key that is absent is NULL; so is a column."""

    name = "ndjson"
    suffixes = (".ndjson", ".ndjson.gz")

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Read every value as text with DuckDB's own reader."""
        source, options = quoted(str(path)), "format = 'newline_delimited'"
        # where no line is an object, DuckDB names the lines themselves "json"
        sample = f"read_json({source}, {options}, sample_size = {SAMPLED_LINES}, maximum_depth = 1)"
        found = [
            name
            for name, kind, *_ in connection.execute(f"DESCRIBE FROM {sample}").fetchall()
            if kind != "JSON" or name != "json"
        ]
        wanted = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in table.names)
        relation = (
            "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS raw, NULL::VARCHAR AS broken, *"
            f" FROM read_json({source}, {options}, columns = {{{wanted}}})"
        )
        return Reading(relation, _columns(table, found), exact=False)

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:
        """Read lines as text; those that are JSON objects get columns."""
        lines = LineReader(path)
        collect(connection, _records(lines), pa.schema([("line", pa.int64()), ("raw", pa.string())]))
        keys = connection.execute(
            f"SELECT DISTINCT unnest(json_keys(raw)) FROM (FROM {CAREFUL_ROWS} LIMIT {SAMPLED_LINES})"
            " WHERE json_valid(raw) AND json_type(raw) = 'OBJECT'"
        ).fetchall()
        return Reading(_objects(table), _columns(table, [key for (key,) in keys]), damage=lines.damage)


def _records(lines: LineReader) -> Iterator[dict[str, object]]:
    for number, text in lines:
        raw = text.strip().replace("\x00", "\ufffd")
        if raw:
            yield {"line": number, "raw": raw}


def _objects(table: Table) -> str:
    shape = quoted(json.dumps(dict.fromkeys(table.names, "VARCHAR")))
    values = ", ".join(f"object.{identifier(name)} AS {identifier(name)}" for name in table.names)
    return f"""
        SELECT line, raw, CASE WHEN text IS NULL THEN 'the line is not a JSON object' END AS broken, {values}
        FROM (
            SELECT *, from_json(text, {shape}) AS object
            FROM (
                SELECT *, CASE WHEN json_valid(raw) AND raw LIKE '{{%' THEN raw END AS text FROM {CAREFUL_ROWS}
            )
        )"""


def _columns(table: Table, found: list[str]) -> dict[str, str]:
    return dict.fromkeys((*table.names, *(name for name in found if name not in table.by_name)), "VARCHAR")
