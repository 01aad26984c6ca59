"""The score of the Numenta Anomaly Benchmark, standard profile, from its published definition.

Lavin and Ahmad 2015. Each window earns once, at its first alarm: ``sigmoid(y) / sigmoid(-1)`` with ``sigmoid(y) = 2 /
(1 + exp(5 y)) - 1`` and y from -1 at the window's start to 0 at its end. A window without alarm costs 1. Each alarm
outside a window costs 0.11 times ``-sigmoid(y)``, y being its distance past the last window in widths of it, and 0.11
before the first window. The first 15 % of a file, at most 750 rows, do not count. The score is 100 for a perfect
detector and 0 for one that never speaks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.kpi_judging import runs
from benchmarks.kpi_series import Array, Flags

FALSE_WEIGHT = 0.11
PROBATION, MOST_PROBATION_ROWS = 0.15, 750
FAR = 3.0
"""Beyond so many widths an alarm costs all of its weight."""


def sigmoid(position: Array) -> Array:
    """Return what an alarm at a position relative to a window is worth, from 1 to -1."""
    near = np.minimum(position, FAR)
    return np.where(position > FAR, -1.0, 2 / (1 + np.exp(5 * near)) - 1)


def alarm_costs(labels: Flags) -> Array:
    """Return the cost, as a value of at most 0, of an alarm at each row, and 0 inside windows."""
    starts, ends = runs(labels)
    rows = np.arange(len(labels))
    costs = np.full(len(labels), -1.0)
    if len(starts):
        last = np.searchsorted(ends, rows, side="right") - 1
        width = np.maximum(ends - starts - 1, 1)[np.maximum(last, 0)]
        past = (rows - (ends[np.maximum(last, 0)] - 1)) / width
        costs = np.where(last >= 0, sigmoid(past.astype(float)), -1.0)
    return np.asarray(np.where(labels, 0.0, FALSE_WEIGHT * costs), dtype=float)


def probation(rows: int) -> int:
    """Return how many rows at the start of a file do not count."""
    return min(int(PROBATION * rows), MOST_PROBATION_ROWS)


def raw_scores(scores: Array, labels: Flags, thresholds: Array, skipped: int) -> tuple[Array, int]:
    """Return the gains and costs of one file at each threshold, shape (thresholds,), and its windows that count.

    The first `skipped` rows raise no alarm, and windows that lie within them do not count.
    """
    silenced = scores.copy()
    silenced[:skipped] = -np.inf
    order = np.argsort(silenced)
    sums = np.concatenate([np.cumsum(alarm_costs(labels)[order][::-1])[::-1], [0.0]])
    total = sums[np.searchsorted(silenced[order], thresholds, side="right")]
    windows = [(start, end) for start, end in zip(*runs(labels), strict=True) if end > skipped]
    for start, end in windows:
        alarms = silenced[start:end] > thresholds[:, None]
        position = -(end - start - np.argmax(alarms, axis=1)) / (end - start)
        gain = sigmoid(position) / sigmoid(np.array([-1.0]))
        total = total + np.where(alarms.any(axis=1), gain, -1.0)
    return np.asarray(total, dtype=float), len(windows)


def nab_scores(
    scores: Sequence[Array], labels: Sequence[Flags], thresholds: Array, skipped: Sequence[int] | None = None
) -> Array:
    """Return the normalised score over files at each threshold; 0 if there is no window at all.

    Parameters
    ----------
    scores, labels
        Of each file's rows.
    thresholds
        A row raises an alarm if its score is above.
    skipped
        How many rows at the start of each file do not count; the probation if not given.
    """
    skipped = [probation(len(flags)) for flags in labels] if skipped is None else skipped
    parts = [raw_scores(z, flags, thresholds, s) for z, flags, s in zip(scores, labels, skipped, strict=True)]
    windows = sum(count for _, count in parts)
    if not windows:
        return np.zeros(len(thresholds))
    raw = np.sum([total for total, _ in parts], axis=0)
    return np.asarray(100 * (raw + windows) / (2 * windows), dtype=float)


def best_threshold(scores: Sequence[Array], labels: Sequence[Flags]) -> float:
    """Return the one threshold of a few hundred with the best score, as the benchmark's own optimiser looks for it."""
    shares = np.concatenate([1 - np.geomspace(1e-5, 0.5, 300), [1.0]])
    tried = np.unique(np.quantile(np.concatenate(scores), shares))
    return float(tried[np.argmax(nab_scores(scores, labels, tried))])
