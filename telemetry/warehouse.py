"""The warehouse: one DuckDB file with the events, sessions and slices, and the SQL that works on it.

DuckDB lets one process write at a time, and none other read meanwhile: open it, work, close it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb

from telemetry.contract import PLAYBACK
from telemetry.errors import WarehouseBusyError

ENUMS = {"event_name": "event", "error_class": "error_class"}
"""DuckDB types made from the contract's closed lists, and the column whose list it is: a byte instead of a
text."""


class Warehouse:
    """A DuckDB database with the tables of ``telemetry/sql/schema.sql``.

    Parameters
    ----------
    path
        The database file, made if absent; None for one in memory.
    threads
        DuckDB worker threads; None for one a core.

    Raises
    ------
    WarehouseBusyError
        If another process has it open.
    """

    def __init__(self, path: Path | str | None = None, *, threads: int | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.connection = _connect(self.path, threads)
        self._statements: dict[str, list[duckdb.Statement]] = {}
        self._prepare()

    def _prepare(self) -> None:
        self.connection.execute("SET TimeZone = 'UTC'")
        self.connection.execute("SET enable_progress_bar = false")  # what a program prints is its own affair
        known = {row[0] for row in self.connection.execute("SELECT type_name FROM duckdb_types()").fetchall()}
        for name, column in ENUMS.items():
            if name not in known:
                values = PLAYBACK.by_name[column].values
                self.connection.execute(f"CREATE TYPE {name} AS ENUM {values}")
        self.run("schema")
        self.run("people")

    def run(self, name: str, **parameters: object) -> list[tuple[Any, ...]]:
        """Run ``telemetry/sql/<name>.sql`` and return the rows of its last statement.

        Parameters
        ----------
        name
            The file's name without its suffix.
        parameters
            A value for each ``$name`` in it.
        """
        rows: list[tuple[Any, ...]] = []
        if name not in self._statements:
            self._statements[name] = self.connection.extract_statements(sql(name))
        for statement in self._statements[name]:
            values = {key: parameters[key] for key in statement.named_parameters}
            rows = self.connection.execute(statement, values).fetchall()
        return rows

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Do all of the block or, if it raises, none of it."""
        self.connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file, so that others may open it."""
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@cache
def sql(name: str) -> str:
    """Return the text of ``telemetry/sql/<name>.sql``."""
    return (files("telemetry") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def _connect(path: Path | None, threads: int | None) -> duckdb.DuckDBPyConnection:
    settings: dict[str, str | bool | int | float | list[str]] = {} if threads is None else {"threads": threads}
    try:
        return duckdb.connect(":memory:" if path is None else str(path), config=settings)
    except duckdb.IOException as error:
        if "lock" not in str(error).lower():
            raise
        raise WarehouseBusyError(
            f"Another process has the warehouse {path} open; try again when it is done."
        ) from error
