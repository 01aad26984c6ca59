"""Statements that databases spell differently: insert and leave alone what is there, or bring it up to date."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table
from sqlalchemy.dialects import postgresql, sqlite

Row = Mapping[str, Any]


def insert_new(connection: Connection, table: Table, rows: Sequence[Row]) -> int:
    """Insert the rows whose unique columns are not there yet; return how many were inserted."""
    if not rows:
        return 0
    statement = _insert(connection, table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
    return connection.execute(statement, list(rows)).rowcount


def copy_new(connection: Connection, table: Table, query: Select[Any], values: Row) -> None:
    """Insert what a query finds, whose columns are named as the table's, but for the rows that are there already."""
    statement = _insert(connection, table).from_select([column.name for column in query.selected_columns], query)
    connection.execute(statement.on_conflict_do_nothing(), dict(values))


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Row],
    only_if: Callable[[Any], ColumnElement[bool]] | None = None,
) -> int:
    """Insert rows, or give those that are there the new values; return how many were written.

    Parameters
    ----------
    connection
        In a transaction that may write.
    table
        Where to.
    rows
        All with the same columns, at most one of each primary key.
    only_if
        Gets the new row's columns and returns the condition on the old row under which it gives way.
    """
    if not rows:
        return 0
    statement = _insert(connection, table)
    key = [column.name for column in table.primary_key]
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    where = None if only_if is None else only_if(statement.excluded)
    statement = statement.on_conflict_do_update(index_elements=key, set_=changed, where=where)
    return connection.execute(statement.execution_options(preserve_rowcount=True), list(rows)).rowcount


def _insert(connection: Connection, table: Table) -> Any:  # noqa: ANN401 - either database's own class
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return insert(table)
