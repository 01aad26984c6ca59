"""The condition that a column holds one of many values, in a statement that reads the same however many there are.

A list of bound values has to be written into each statement anew, and databases limit how long it may be. So the values
go as one: a JSON array for SQLite, an array for PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Self

import orjson
from sqlalchemy import ARRAY, BigInteger, Boolean, ColumnElement, Dialect, Integer, Text, bindparam, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeDecorator, TypeEngine


class _Texts(TypeDecorator[Collection[Any]]):
    impl = Text
    cache_ok = True
    of: type[str | int] = str

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        each = BigInteger() if self.of is int else Text()
        return dialect.type_descriptor(ARRAY(each) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Collection[Any] | None, dialect: Dialect) -> Any:  # noqa: ANN401
        values = value or ()
        return list(map(self.of, values)) if dialect.name == "postgresql" else orjson.dumps(list(values)).decode()


class _Numbers(_Texts):
    cache_ok = True
    of = int


class among(FunctionElement[bool]):  # noqa: N801 - reads as a function
    """Whether a column is among some values.

    Parameters
    ----------
    column
        Of texts, or of whole numbers.
    values
        Which; or the name under which they are given when the statement is executed.
    """

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], values: Collection[str] | Collection[int] | str) -> None:
        kind = _Numbers() if isinstance(column.type, Integer) else _Texts()
        given = bindparam(values, type_=kind) if isinstance(values, str) else literal(values, kind)
        super().__init__(column, given)

    def self_group(self, against: OperatorType | None = None) -> Self:  # noqa: ARG002
        """Stand as it is: to ask of the answer whether it is true would keep an index from being used."""
        return self


@compiles(among, "sqlite")
def _in_json(element: among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"


@compiles(among, "postgresql")
def _in_array(element: among, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, values = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY({values})"


class unindexed(FunctionElement[Any]):  # noqa: N801 - reads as a function
    """A column of whose index SQLite makes no use, where another finds the rows sooner: it keeps no statistics.

    Parameters
    ----------
    column
        Any.
    """

    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)
        self.type = column.type


@compiles(unindexed)
def _itself(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return str(compiler.process(element.clauses, **options))


@compiles(unindexed, "sqlite")
def _plus(element: unindexed, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"+{compiler.process(element.clauses, **options)}"


class lowered(FunctionElement[str]):  # noqa: N801 - reads as a function
    """A text in small letters as far as it is ASCII, wherever the database stands: in Turkish, I is not i.

    Parameters
    ----------
    column
        Of text.
    """

    type = Text()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any]) -> None:
        super().__init__(column)


@compiles(lowered, "sqlite")
def _lower(element: lowered, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(lowered, "postgresql")
def _lower_in_c(element: lowered, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    return f'lower({compiler.process(element.clauses, **options)} COLLATE "C")'
