"""Reading labelled series: a table of KPIs, or the files and windows of the Numenta Anomaly Benchmark."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.tables import read_table

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEEK_S = 604_800
WINDOWS = "combined_windows.json"
MOST_SIDE_BY_SIDE = 64
"""So many series are scored at once at most, to bound memory."""
MOST_TIMES = 4
"""Nor may their times together be more than so many times those of the longest."""


@dataclass(frozen=True)
class Series:
    """One labelled series, its rows in order of time.

    Parameters
    ----------
    name, group
        What it is called, and the folder or table that it is from.
    times_s
        Seconds since the epoch, rising; shape (points,).
    values
        NaN where missing.
    labels
        True at anomalous points.
    """

    name: str
    group: str
    times_s: Array
    values: Array
    labels: Flags

    @property
    def half(self) -> int:
        """The first row of the second half."""
        return len(self.values) // 2

    @property
    def step_s(self) -> float:
        """The usual seconds from row to row."""
        return max(1.0, float(np.median(np.diff(self.times_s)))) if len(self.times_s) > 1 else 60.0

    def days(self, start: int, end: int) -> float:
        """The length of some rows, each taken to last one step."""
        return (end - start) * self.step_s / 86_400


def read_folder(folder: Path) -> list[Series]:
    """Read every labelled series of a folder.

    A folder with `combined_windows.json` is read as Numenta's: `data/GROUP/NAME.csv` with `timestamp` and `value`, an
    event for each window. Any other: each Parquet or CSV file in it with `time` and `value`, and where there are such
    columns `kpi`, the name of the series, and `label`, 1 at anomalous points.

    Raises
    ------
    SystemExit
        If there is nothing to read.
    """
    if (folder / WINDOWS).is_file():
        series = _read_nab(folder)
    else:
        files = sorted([*folder.glob("*.parquet"), *folder.glob("*.csv")])
        series = [s for path in files for s in _read_table(path)]
    if not series:
        raise SystemExit(f"{folder} holds no series: neither {WINDOWS} nor a table with `time` and `value`.")
    return series


def _read_table(path: Path) -> list[Series]:
    table = read_table(path)
    if "time" not in table and "timestamp" in table:
        table = table.rename(columns={"timestamp": "time"})
    if not {"time", "value"} <= set(table.columns):
        return []
    if "label" not in table:
        table["label"] = 0
    names = table["kpi"].fillna("?").astype(str) if "kpi" in table else pd.Series(path.stem, index=table.index)
    parts = ((str(name), part) for name, part in table.groupby(names.to_numpy(), sort=True))
    found = [_series(name, path.stem, part["time"], part["value"], part["label"]) for name, part in parts]
    return [series for series in found if len(series.values)]


def _read_nab(folder: Path) -> list[Series]:
    windows = _windows(folder / WINDOWS)
    found = []
    for path in sorted((folder / "data").rglob("*.csv")):
        table = read_table(path)
        if not {"timestamp", "value"} <= set(table.columns):
            continue
        name = path.relative_to(folder / "data").as_posix()
        times = pd.to_datetime(table["timestamp"], errors="coerce")
        label = pd.Series(data=False, index=table.index)
        for start, end in windows.get(name, []):
            label |= (times >= start) & (times <= end)
        found.append(_series(name, name.split("/", maxsplit=1)[0], times, table["value"], label))
    return [series for series in found if len(series.values)]


def _windows(path: Path) -> dict[str, list[tuple[pd.Timestamp, pd.Timestamp]]]:
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return {name: [(pd.Timestamp(start), pd.Timestamp(end)) for start, end in them] for name, them in read.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise SystemExit(f"{path} does not hold windows by series: {error}") from None


def _series(name: str, group: str, times: pd.Series, values: pd.Series, labels: pd.Series) -> Series:
    """Put rows in order; those without a time are left out, of two at the same time the last counts."""
    if pd.api.types.is_numeric_dtype(times):
        seconds = times.astype(float)
    else:
        moments = pd.to_datetime(times, utc=True, errors="coerce")
        seconds = (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    rows = pd.DataFrame(
        {
            "time_s": seconds.to_numpy(dtype=float),
            "value": pd.to_numeric(values, errors="coerce").to_numpy(dtype=float, na_value=np.nan),
            "label": pd.to_numeric(labels, errors="coerce").fillna(0).to_numpy(dtype=float) > 0,
        }
    )
    rows = rows.dropna(subset=["time_s"]).drop_duplicates("time_s", keep="last").sort_values("time_s")
    return Series(
        name, group, rows["time_s"].to_numpy(), rows["value"].to_numpy(), rows["label"].to_numpy(dtype=np.bool_)
    )


@dataclass(frozen=True)
class SideBySide:
    """Series of one step on one clock, each moved by whole weeks so that they begin in the same week.

    Hours and weekdays stay what they were.

    Parameters
    ----------
    members
        Which of the series these are.
    times_s
        Every time at which any has a row, shape (points,).
    values
        Shape (members, points), NaN where a series has no row.
    places
        For each member, where its rows are.
    """

    members: list[int]
    step_s: float
    times_s: Array
    values: Array
    places: list[NDArray[np.int64]]


def side_by_side(series: list[Series]) -> list[SideBySide]:
    """Arrange series by step, at most 64 at once, none more than twice as long as another beside it."""
    blocks: list[list[int]] = []
    for number in sorted(range(len(series)), key=lambda n: (series[n].step_s, len(series[n].values))):
        first = series[blocks[-1][0]] if blocks else None
        one = series[number]
        alike = first and first.step_s == one.step_s and len(one.values) <= 2 * len(first.values)
        if alike and len(blocks[-1]) < MOST_SIDE_BY_SIDE:
            blocks[-1].append(number)
        else:
            blocks.append([number])
    return [part for block in blocks for part in _arranged(series, block)]


def _arranged(series: list[Series], members: list[int]) -> list[SideBySide]:
    """Arrange a block, or each of its series alone where their times have too little in common."""
    together = _arrange(series, series[members[0]].step_s, members)
    if len(together.times_s) <= MOST_TIMES * max(len(series[m].values) for m in members):
        return [together]
    return [_arrange(series, series[m].step_s, [m]) for m in members]


def _arrange(series: list[Series], step_s: float, members: list[int]) -> SideBySide:
    moved = [series[m].times_s - series[m].times_s[0] // WEEK_S * WEEK_S for m in members]
    times_s = np.unique(np.concatenate(moved))
    places = [np.searchsorted(times_s, times) for times in moved]
    values = np.full((len(members), len(times_s)), np.nan)
    for row, (member, place) in enumerate(zip(members, places, strict=True)):
        values[row, place] = series[member].values
    return SideBySide(members, step_s, times_s, values, places)


def by_series(series: Sequence[Series], scored: Sequence[tuple[SideBySide, Array]]) -> list[Array]:
    """Take the scores of blocks, shape (members, points), apart into those of each series' rows."""
    scores = [np.zeros(len(s.values)) for s in series]
    for block, found in scored:
        for row, (member, place) in enumerate(zip(block.members, block.places, strict=True)):
            scores[member] = found[row, place]
    return scores
