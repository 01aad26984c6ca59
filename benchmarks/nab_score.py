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


def raw_scores(scores: Array, labels: Flags, thresholds: Array) -> Array:
    """Return the sum of gains and costs of one file at each threshold, shape (thresholds,)."""
    probation = min(int(PROBATION * len(labels)), MOST_PROBATION_ROWS)
    scores = scores.copy()
    scores[:probation] = -np.inf
    order = np.argsort(scores)
    sums = np.concatenate([np.cumsum(alarm_costs(labels)[order][::-1])[::-1], [0.0]])
    total = sums[np.searchsorted(scores[order], thresholds, side="right")]
    for start, end in zip(*runs(labels), strict=True):
        alarms = scores[start:end] > thresholds[:, None]
        position = -(end - start - np.argmax(alarms, axis=1)) / (end - start)
        gain = sigmoid(position) / sigmoid(np.array([-1.0]))
        total = total + np.where(alarms.any(axis=1), gain, -1.0)
    return np.asarray(total, dtype=float)


def nab_scores(scores: Sequence[Array], labels: Sequence[Flags], thresholds: Array) -> Array:
    """Return the normalised score over files at each threshold; 0 if there is no window at all."""
    windows = sum(len(runs(flags)[0]) for flags in labels)
    if not windows:
        return np.zeros(len(thresholds))
    raw = sum(raw_scores(z, flags, thresholds) for z, flags in zip(scores, labels, strict=True))
    return np.asarray(100 * (raw + windows) / (2 * windows), dtype=float)


def best_threshold(scores: Sequence[Array], labels: Sequence[Flags]) -> float:
    """Return the one threshold of a few hundred with the best score, as the benchmark's own optimiser looks for it."""
    shares = np.concatenate([1 - np.geomspace(1e-5, 0.5, 300), [1.0]])
    tried = np.unique(np.quantile(np.concatenate(scores), shares))
    return float(tried[np.argmax(nab_scores(scores, labels, tried))])
