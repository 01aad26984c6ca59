"""How alarms on labelled series are counted, and how thresholds are chosen; see `benchmarks.kpis` for the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.kpi_series import Array, Flags, Series

MERGED_POINTS = 5
"""Alarms at most so many points apart are one run: nobody is called twice in five minutes."""
RUN_POINTS = 60
"""A run that lasts counts again every so many points, or an alarm that never ends would be one false alarm."""
GRID = 150
LEAST_SHARE, MOST_SHARE = 3e-6, 0.05
"""Thresholds are tried that between these shares of a series' own points exceed."""
BORROWED = 0.2
"""What an event or false alarm of another series weighs when a series' own threshold is chosen."""
SMOOTHED = 2
"""F1 is averaged over so many thresholds on either side before the best is taken."""
MOST_FALSE_A_DAY = 0.1


@dataclass(frozen=True)
class Part:
    """The scores and labels of a stretch of one series, and its length in days."""

    scores: Array
    labels: Flags
    days: float


def halves(series: Sequence[Series], scores: Sequence[Array]) -> tuple[list[Part], list[Part]]:
    """Cut every series in two; the first half is for choosing, the second for telling."""
    first = [Part(z[: s.half], s.labels[: s.half], s.days(0, s.half)) for s, z in zip(series, scores, strict=True)]
    second = [
        Part(z[s.half :], s.labels[s.half :], s.days(s.half, len(z))) for s, z in zip(series, scores, strict=True)
    ]
    return first, second


def runs(flags: Flags) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the one-past-last place of every run of True."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def count(part: Part, thresholds: Array) -> Array:
    """Return events found, false alarms and events missed at each threshold, shape (thresholds, 3).

    A point raises an alarm if its score is above the threshold.
    """
    starts, _ = runs(part.labels)
    found = np.zeros(len(thresholds))
    if len(starts):
        peaks = np.maximum.reduceat(np.where(part.labels, part.scores, -np.inf), starts)
        found = np.sum(peaks[:, None] > thresholds, axis=0).astype(float)
    outside = np.flatnonzero(~part.labels & (part.scores > thresholds.min(initial=np.inf)))
    false = [_false_alarms(outside[part.scores[outside] > threshold]) for threshold in thresholds]
    return np.stack([found, np.array(false, dtype=float), len(starts) - found], axis=1)


def _false_alarms(places: NDArray[np.int64]) -> int:
    if not len(places):
        return 0
    breaks = np.flatnonzero(np.diff(places) > MERGED_POINTS)
    first = places[np.concatenate([[0], breaks + 1])]
    last = places[np.concatenate([breaks, [len(places) - 1]])]
    return int(np.sum((last - first) // RUN_POINTS + 1))


def delays(part: Part, threshold: float) -> list[int]:
    """Return for every found event the points from its start to its first alarm."""
    alarms = part.scores > threshold
    return [int(np.argmax(alarms[a:b])) for a, b in zip(*runs(part.labels), strict=True) if alarms[a:b].any()]


def f1(counts: Array) -> Array:
    """Return 2 TP / (2 TP + FP + FN) of counts whose last axis is found, false, missed; 0 where all are 0."""
    found, false, missed = np.moveaxis(counts, -1, 0)
    return np.asarray(2 * found / np.maximum(2 * found + false + missed, 1e-9), dtype=float)


@dataclass(frozen=True)
class Choice:
    """Thresholds chosen: one for all, one for each series, and one for each by its own events alone."""

    one: float
    each: list[float]
    alone: list[float]


def choose(first: Sequence[Part]) -> Choice:
    """Choose thresholds on first halves."""
    grid = _grid(first)
    counts = np.stack([count(part, grid) for part in first])
    together = counts.sum(axis=0)
    if not together[:, 0].any():
        quiet = together[:, 1] <= MOST_FALSE_A_DAY * sum(part.days for part in first)
        one = float(grid[np.argmax(quiet)]) if quiet.any() else float(grid[-1])
        return Choice(one, [one] * len(first), [one] * len(first))
    one = _best(grid, together)
    each = [_best(grid, own + BORROWED * (together - own)) for own in counts]
    alone = [_best(grid, own) if own[:, 0].any() else one for own in counts]
    return Choice(one, each, alone)


def _grid(first: Sequence[Part]) -> Array:
    shares = 1 - np.geomspace(LEAST_SHARE, MOST_SHARE, GRID // 2)
    candidates = [np.quantile(part.scores, shares) for part in first if len(part.scores)]
    if not candidates:
        return np.zeros(1)
    return np.unique(np.quantile(np.concatenate(candidates), np.linspace(0.05, 1, GRID)))


def _best(grid: Array, counts: Array) -> float:
    padded = np.pad(f1(counts), SMOOTHED, mode="edge")
    smooth = np.convolve(padded, np.ones(2 * SMOOTHED + 1), mode="valid")
    return float(grid[np.argmax(smooth)])


@dataclass(frozen=True)
class Outcome:
    """What came out on second halves; `by_series` has shape (series, 3): found, false, missed."""

    by_series: Array
    delay_points: float
    false_a_day: float

    @property
    def counts(self) -> Array:
        """Found, false and missed over all series."""
        return np.asarray(self.by_series.sum(axis=0), dtype=float)

    @property
    def f1(self) -> float:
        """F1 over the events of all series together."""
        return float(f1(self.counts))

    @property
    def precision(self) -> float:
        """Events found of all alarms counted; 0 if there was none."""
        return float(self.counts[0] / max(self.counts[0] + self.counts[1], 1))

    @property
    def recall(self) -> float:
        """Events found of all events; 0 if there was none."""
        return float(self.counts[0] / max(self.counts[0] + self.counts[2], 1))


def tell(second: Sequence[Part], thresholds: Sequence[float]) -> Outcome:
    """Count on second halves at thresholds chosen before."""
    pairs = list(zip(second, thresholds, strict=True))
    by_series = np.stack([count(part, np.array([threshold]))[0] for part, threshold in pairs])
    waits = [wait for part, threshold in pairs for wait in delays(part, threshold)]
    days = sum(part.days for part in second)
    return Outcome(by_series, float(np.mean(waits)) if waits else 0.0, float(by_series[:, 1].sum()) / max(days, 1e-9))
