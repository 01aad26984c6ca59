"""What a benchmark says: a table for people, then one line of JSON, the last of the output."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

MIN_WIDTH = 100
"""Columns of text that a table may use at least, wherever it is printed."""
FRAME = 3
"""Columns of text around each figure."""


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for people; the first column is words, the others are right-aligned, and nothing is cut short."""
    shown = Table(title=title, title_justify="left")
    widths = [max(map(len, " ".join(texts).split()), default=0) for texts in zip(columns, *rows, strict=True)]
    for position, (column, width) in enumerate(zip(columns, widths, strict=True)):
        shown.add_column(column, justify="left" if position == 0 else "right", min_width=width)
    for row in rows:
        shown.add_row(*row)
    console = Console()
    console.width = max(console.width, MIN_WIDTH, sum(widths) + FRAME * len(widths) + 1)
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
