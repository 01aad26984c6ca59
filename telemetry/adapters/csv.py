"""CSV: comma-separated, a header line, double quotes (RFC 4180).

Like NDJSON it is read the fast way first, and again record by record if anything in it is odd.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa

from telemetry.adapters.lines import LineReader
from telemetry.adapters.reading import CAREFUL_ROWS, Reading, collect, quoted
from telemetry.contract import Table
from telemetry.errors import UnreadableFileError

MAX_RECORD_LINES = 100
"""Lines one record may span; a quote left open must not swallow the file, only break its own line."""


class Csv:
    """Reads ``*.csv`` and ``*.csv.gz``. An empty field is NULL."""

    name = "csv"
    suffixes = (".csv", ".csv.gz")

    def quick(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Read every value as text with DuckDB's own reader, at its strictest."""
        header = _header(path)
        wanted = ", ".join(f"{quoted(name)}: 'VARCHAR'" for name in header)
        relation = (
            "SELECT NULL::BIGINT AS line, NULL::VARCHAR AS raw, NULL::VARCHAR AS broken, *"
            f" FROM read_csv({quoted(str(path))}, columns = {{{wanted}}}, header = true, auto_detect = false,"
            " delim = ',', quote = '\"', escape = '\"', strict_mode = true, null_padding = false)"
        )
        return Reading(relation, dict.fromkeys(header, "VARCHAR"), exact=False)

    def careful(self, connection: duckdb.DuckDBPyConnection, path: Path, table: Table) -> Reading:  # noqa: ARG002
        """Read record by record; a record with another number of fields than the header is broken."""
        header = _header(path)
        lines = LineReader(path)
        fields = [(name, pa.string()) for name in header]
        schema = pa.schema([("line", pa.int64()), ("raw", pa.string()), ("broken", pa.string()), *fields])
        collect(connection, _records(lines, header), schema)
        return Reading(f"FROM {CAREFUL_ROWS}", dict.fromkeys(header, "VARCHAR"), damage=lines.damage)


def _header(path: Path) -> list[str]:
    text = next((text for _, text in LineReader(path)), "")
    try:
        names = [name.strip() for name in next(csv.reader([text], strict=True))]
    except (csv.Error, StopIteration) as error:
        raise UnreadableFileError("Its first line is not a CSV header.") from error
    if len(set(names)) != len(names) or {"line", "raw", "broken", ""} & set(names):
        raise UnreadableFileError("Its header names a column twice, or not at all.")
    return names


def _records(lines: LineReader, header: list[str]) -> Iterator[dict[str, object]]:
    source = _Lookahead(iter(lines))
    for number, text in source:
        following = _continuation(text, source)
        fields = _fields(text + "".join(following))
        if following and (fields is None or len(fields) != len(header)):
            following, fields = (
                [],
                None,
            )  # a stray quote: only its own line is broken, the next ones are read alone
        source.skip(len(following))
        raw = (text + "".join(following)).rstrip("\r\n")
        if number > 1 and raw:
            yield {"line": number, "raw": raw} | _values(fields, header)


def _values(fields: list[str] | None, header: list[str]) -> dict[str, object]:
    if fields is None:
        return {"broken": "the line is not a CSV record"}
    if len(fields) != len(header):
        return {"broken": f"the line has {len(fields)} fields where the header has {len(header)}"}
    return dict(zip(header, fields, strict=True))


def _fields(text: str) -> list[str] | None:
    line = text.rstrip("\r\n")
    if '"' not in line:
        return line.split(",")
    try:
        return next(csv.reader(line.splitlines(keepends=True), strict=True))
    except csv.Error:
        return None


def _continuation(text: str, source: _Lookahead) -> list[str]:
    """Return the lines that follow `text` in its record: as long as a quote is open, it goes on."""
    following: list[str] = []
    quotes = text.count('"')
    while quotes % 2 and len(following) < MAX_RECORD_LINES:
        line = source.peek(len(following))
        if line is None:
            break
        following.append(line)
        quotes += line.count('"')
    return following if quotes % 2 == 0 else []


class _Lookahead:
    """Numbered lines, some of which may be looked at before they are taken."""

    def __init__(self, source: Iterator[tuple[int, str]]) -> None:
        self.source = source
        self.waiting: deque[tuple[int, str]] = deque()

    def __iter__(self) -> Iterator[tuple[int, str]]:
        while self.peek(0) is not None:
            yield self.waiting.popleft()

    def peek(self, offset: int) -> str | None:
        """Return the text of the line `offset` lines ahead, or None after the end."""
        while len(self.waiting) <= offset:
            line = next(self.source, None)
            if line is None:
                return None
            self.waiting.append(line)
        return self.waiting[offset][1]

    def skip(self, count: int) -> None:
        """Take `count` lines that were looked at."""
        for _ in range(count):
            self.waiting.popleft()
