"""Pages of a long list by key, not by number: the ten-thousandth page costs what the first does."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, literal, tuple_

from console.web.errors import WrongInputError

T = TypeVar("T")
PAGE_ROWS = 50


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some rows of a list, and where the next ones begin.

    Parameters
    ----------
    rows
        At most `PAGE_ROWS`, or as many as were asked for.
    after
        The key of the last row, for the address of the next page; None at the end.
    """

    rows: Sequence[T]
    after: str | None = None


def page_of(rows: Sequence[T], limit: int, *key: str) -> Page[T]:
    """Return the first `limit` of rows, of which one more was read to see whether there are more."""
    if len(rows) <= limit:
        return Page(rows)
    last = rows[limit - 1]
    return Page(rows[:limit], packed(*(getattr(last, name) for name in key)))


def packed(*values: object) -> str:
    """Return a row's key as text for an address."""
    plain = [[value.isoformat()] if isinstance(value, datetime) else value for value in values]
    return urlsafe_b64encode(json.dumps(plain).encode()).decode().rstrip("=")


def unpacked(text: str, count: int) -> list[Any]:
    """Return the key that `packed` made, or refuse the text."""
    try:
        values = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        plain = [datetime.fromisoformat(it[0]).astimezone(UTC) if isinstance(it, list) else it for it in values]
    except (ValueError, TypeError, IndexError, AttributeError):
        plain = []
    if len(plain) != count:
        raise WrongInputError("This page's address is broken: begin at the list's first page.")
    return plain


def beyond(text: str | None, columns: Sequence[ColumnElement[Any]], *, falling: bool = False) -> ColumnElement[bool]:
    """Return the condition that a row comes after a key in the order of `columns`, or that there is no key."""
    if not text:
        return literal(True)
    key = unpacked(text, len(columns))
    values = tuple_(*(literal(value, column.type) for value, column in zip(key, columns, strict=True)))
    return tuple_(*columns) < values if falling else tuple_(*columns) > values
