"""What a benchmark says: a table for people, then one line of JSON, the last of the output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def report(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], facts: Mapping[str, float]) -> None:
    """Print a benchmark's results.

    Parameters
    ----------
    title, columns, rows
        The table for people; the first column is words, the others are right-aligned.
    facts
        Every number by name, unit in the name, rounded to four digits.
    """
    report_table(title, columns, rows)
    print(json.dumps({name: float(f"{value:.4g}") for name, value in facts.items()}))


def report_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people; the first column is words, the others are right-aligned."""
    table = Table(title=title, title_justify="left")
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right")
    for row in rows:
        table.add_row(*row)
    Console().print(table)
