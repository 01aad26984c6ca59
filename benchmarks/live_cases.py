"""Labelled cases of stalled viewers, minute by minute, read from a folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.tables import read_table
from detectors.leaf_cohorts import Codes, Cohort, LeafCohorts, holds_any
from detectors.observations import MISSING

Array = NDArray[np.float64]
Named = frozenset[frozenset[tuple[str, str]]]
"""A cause in words: a set of cohorts, each a set of attribute and value."""

NOT_ATTRIBUTES = ("case_id", "minute", "stalled_viewers", "viewers")
LONGEST_MINUTES = 20_000


@dataclass(frozen=True)
class Case:
    """One case: counts of each leaf in each minute, and, where an operator left it, the mark and the true cause.

    `struck` and `seen` have the shape (minutes, leaves); `mark` is a minute's number.
    """

    name: str
    channel: str
    attributes: tuple[str, ...]
    values: tuple[tuple[str, ...], ...]
    leaves: Codes
    struck: Array
    seen: Array
    mark: int | None
    truth: Named | None

    @cached_property
    def cohorts(self) -> LeafCohorts:
        """The cohorts of the case's leaves."""
        return LeafCohorts(self.leaves)

    def named(self, cohorts: tuple[Cohort, ...]) -> Named:
        """Put a cause into words."""
        return frozenset(frozenset((self.attributes[a], self.values[a][code]) for a, code in c) for c in cohorts)

    def coded(self, named: Named) -> tuple[Cohort, ...]:
        """Turn words back into codes; a cohort that the case does not have is left out."""
        found = []
        for cohort in named:
            if all(a in self.attributes and v in self.values[self.attributes.index(a)] for a, v in cohort):
                places = [(self.attributes.index(a), v) for a, v in sorted(cohort)]
                found.append(tuple((place, self.values[place].index(v)) for place, v in sorted(places)))
        return tuple(found)

    def jaccard(self, one: Named, other: Named) -> float:
        """Return the overlap of two causes in the marked minute, weighted by viewers."""
        a, b = (holds_any(self.leaves, self.coded(named)) for named in (one, other))
        viewers = self.seen[self.mark or 0]
        either = float(viewers[a | b].sum())
        return float(viewers[a & b].sum()) / either if either else 0.0

    def risen(self) -> NDArray[np.bool_]:
        """Return in which minutes the true cohort's stalls had risen, shape (minutes,).

        That is twice what is usual and three standard errors more. Usual is the true cohort's lower quartile before
        the mark, or, where it was struck all along, what is usual of the others.
        """
        inside = holds_any(self.leaves, self.coded(self.truth or frozenset()))
        before = slice(0, max(1, self.mark or 0))
        rates = [_rate(self.struck[:, part], self.seen[:, part]) for part in (inside, ~inside)]
        usual = min(float(np.quantile(rates[0][before], 0.25)), float(np.median(rates[1][before])))
        due, had = self.seen[:, inside].sum(axis=1) * usual, self.struck[:, inside].sum(axis=1)
        return np.asarray((had >= 2 * due) & (had - due >= 3 * np.sqrt(due + 1)))


def read_cases(folder: Path) -> list[Case]:
    """Read `viewers.parquet` and, if there is one, `labels.csv` of a folder; cases without a label have no truth."""
    rows = read_table(folder / "viewers.parquet", NOT_ATTRIBUTES)
    labels = _labels(folder / "labels.csv")
    return [_case(str(name), group, labels.get(str(name), {})) for name, group in rows.groupby("case_id", sort=True)]


def _labels(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    table = read_table(path, ("case_id",), words=True)
    return {str(row["case_id"]): {str(k): v for k, v in row.items()} for row in table.to_dict("records")}


def _case(name: str, rows: pd.DataFrame, label: dict[str, Any]) -> Case:
    attributes = tuple(c for c in rows.columns if c not in NOT_ATTRIBUTES and rows[c].notna().any())
    minutes = pd.to_datetime(rows["minute"], utc=True).dt.floor("min").dt.tz_convert(None).to_numpy("datetime64[m]")
    kept = ~np.isnat(minutes)
    rows, minutes = rows[kept], minutes[kept]
    first = minutes.min() if len(minutes) else np.datetime64("1970-01-01", "m")
    places = np.minimum((minutes - first).astype(np.int64), LONGEST_MINUTES)
    columns, values = [np.zeros((len(rows), 0), np.int32)], []
    for attribute in attributes:
        words = rows[attribute].map(_word, na_action="ignore")
        codes, known = pd.factorize(words, sort=True)
        columns.append(np.where(codes < 0, MISSING, codes).astype(np.int32)[:, None])
        values.append(tuple(str(word) for word in known))
    leaves, leaf = np.unique(np.hstack(columns), axis=0, return_inverse=True)
    shape = (int(places.max()) + 1 if len(places) else 0, len(leaves))
    struck, seen = np.zeros(shape), np.zeros(shape)
    np.add.at(seen, (places, leaf.ravel()), _counts(rows["viewers"]))
    np.add.at(struck, (places, leaf.ravel()), _counts(rows["stalled_viewers"]))
    mark, truth = _mark(label, first, shape[0]), _truth(label)
    channel = str(label.get("source_name", name)).rsplit("_", 1)[-1]
    return Case(name, channel, attributes, tuple(values), leaves, np.minimum(struck, seen), seen, mark, truth)


def _counts(column: pd.Series[Any]) -> Array:
    return np.asarray(np.maximum(np.nan_to_num(column.to_numpy(float, na_value=np.nan)), 0), dtype=float)


def _mark(label: dict[str, Any], first: np.datetime64, minutes: int) -> int | None:
    marked = pd.to_datetime(str(label.get("time")), utc=True, errors="coerce")
    if pd.isna(marked) or not minutes:
        return None
    place = int((marked.tz_convert(None).to_datetime64().astype("datetime64[m]") - first).astype(np.int64))
    return place if 0 <= place < minutes else None


def _truth(label: dict[str, Any]) -> Named | None:
    try:
        cohorts = json.loads(label["causes"])
        return frozenset(frozenset((str(k), _word(v)) for k, v in cohort.items()) for cohort in cohorts) or None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _word(value: Any) -> str:
    """Write a value as a word; a whole number is the same with and without a point."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _rate(struck: Array, seen: Array) -> Array:
    return np.asarray(struck.sum(axis=1) / np.maximum(seen.sum(axis=1), 1), dtype=float)
