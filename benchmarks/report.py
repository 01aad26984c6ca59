"""What a benchmark says: a table for people, then one line of JSON, the last of the output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

MIN_WIDTH = 100
"""Columns of text that a table may use at least, wherever it is printed."""


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people; the first column is words, the others are right-aligned."""
    shown = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        shown.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        shown.add_row(*row)
    console = Console()
    console.width = max(console.width, MIN_WIDTH)
    console.print(shown)


def report(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], facts: Mapping[str, float]) -> None:
    """Print a benchmark's results.

    Parameters
    ----------
    title, columns, rows
        The table for people.
    facts
        Every number by name, unit in the name, rounded to four digits.
    """
    table(title, columns, rows)
    print(json.dumps({name: float(f"{value:.4g}") for name, value in facts.items()}))
