"""Reading a benchmark's tables: whatever is wrong with one is a sentence."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa


def read_table(path: Path, needed: Iterable[str] = (), *, words: bool = False) -> pd.DataFrame:
    """Read a Parquet or CSV file; with `words`, what a CSV file holds stays text.

    Raises
    ------
    SystemExit
        If it cannot be read, or lacks a column that is needed.
    """
    try:
        table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str if words else None)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise SystemExit(f"{path} cannot be read as a table: {error}") from None
    missing = [name for name in needed if name not in table]
    if missing:
        raise SystemExit(f"{path} has no column {', '.join(missing)}.")
    return table
