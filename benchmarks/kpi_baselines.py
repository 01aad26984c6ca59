"""What the detector of plain series is held against; each scores causally, and higher is worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from benchmarks.kpi_series import Array, Series, SideBySide, by_series

Scorer = Callable[[Sequence[Series], Sequence[SideBySide]], list[Array]]
"""Scores of each series, from the series, and from the same series side by side; either may be used."""

DAY_S = 86_400
MOVING_POINTS = 60
SEASON_DAYS = 14
SLOTS = 288
"""A day in five minutes, for the seasonal baselines."""
LEVEL_GAIN, TREND_GAIN, SEASON_GAIN, ERROR_GAIN = 0.1, 0.0001, 0.1, 0.01
WINDOW, COMPONENTS, NEIGHBOURS = 5, 3, 5
"""The best on the first half of the real KPIs, of windows of 5 to 30 points and 3 or 5 components."""
KNN_DAYS, KNN_WINDOWS = 7, 2_000
TINY = 1e-9


def random_scores(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Guess: uniform on [0, 1), the same every time."""
    return [np.random.default_rng((0, number)).random(len(s.values)) for number, s in enumerate(series)]


def constant_scores(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Say the same of every point."""
    return [np.zeros(len(s.values)) for s in series]


def moving_z(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Distance from the mean of the 60 points before, in their standard deviations."""
    return [_moving_z(s.values) for s in series]


def _moving_z(values: Array) -> Array:
    before = pd.Series(values).rolling(MOVING_POINTS, min_periods=10)
    mean, deviation = before.mean().shift(1).to_numpy(), before.std().shift(1).to_numpy()
    return _known(np.abs(values - mean) / (deviation + TINY))


def _known(scores: Array) -> Array:
    return np.nan_to_num(scores, nan=0.0, posinf=1e12, neginf=0.0)


def moving_median(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Distance from the median of the 60 points before, in the median of such distances over a day."""
    return [_moving_median(s) for s in series]


def _moving_median(series: Series) -> Array:
    middle = pd.Series(series.values).rolling(MOVING_POINTS, min_periods=10).median().shift(1).to_numpy()
    distance = pd.Series(np.abs(series.values - middle))
    day = max(MOVING_POINTS, int(DAY_S / series.step_s))
    spread = distance.rolling(day, min_periods=30).median().shift(1).to_numpy()
    return _known(distance.to_numpy() / (1.4826 * spread + TINY))


def seasonal_mad(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Distance from the median of the same five minutes of the last 14 days, in median absolute deviations."""
    return [_seasonal_mad(s) for s in series]


def _seasonal_mad(series: Series) -> Array:
    days = (series.times_s // DAY_S).astype(np.int64)
    slots = (series.times_s % DAY_S // (DAY_S / SLOTS)).astype(np.int64)
    scores = np.zeros(len(days))
    for day in np.unique(days)[1:]:
        start, end = np.searchsorted(days, day), np.searchsorted(days, day + 1)
        past = slice(int(np.searchsorted(days, day - SEASON_DAYS)), int(start))
        history = pd.DataFrame({"slot": slots[past], "value": series.values[past]})
        medians = history.groupby("slot")["value"].median()
        history["distance"] = (history["value"] - history["slot"].map(medians)).abs()
        spreads = history.groupby("slot")["distance"].median()
        floor = 0.1 * float(history["distance"].mean())
        today = slots[start:end]
        middle = medians.reindex(today).to_numpy(dtype=float)
        spread = np.maximum(spreads.reindex(today).to_numpy(dtype=float), floor)
        scores[start:end] = np.abs(series.values[start:end] - middle) / (1.4826 * spread + TINY)
    return _known(scores)


def holt_winters(series: Sequence[Series], blocks: Sequence[SideBySide]) -> list[Array]:
    """Error of the additive Holt-Winters forecast with a daily season, in its own running mean absolute error."""
    return by_series(series, [(block, _holt_winters(block)) for block in blocks])


def _holt_winters(block: SideBySide) -> Array:
    rows, points = block.values.shape
    slots_a_day = max(1, math.ceil(DAY_S / block.step_s))
    slots = (block.times_s % DAY_S * (slots_a_day / DAY_S)).astype(np.int64)
    level, trend, error = np.full(rows, np.nan), np.zeros(rows), np.full(rows, np.nan)
    season = np.zeros((slots_a_day, rows))
    scores = np.zeros((points, rows))
    values = np.ascontiguousarray(block.values.T)
    for point in range(points):
        value, slot = values[point], slots[point]
        seen = value == value  # noqa: PLR0124 - False where NaN, and quicker than asking
        level = np.where(np.isnan(level) & seen, value, level)
        miss = np.where(seen, value - (level + trend + season[slot]), 0.0)
        size = np.abs(miss)
        scores[point] = size / (error + TINY)
        error = np.where(np.isnan(error), np.where(size > 0, size, np.nan), error + ERROR_GAIN * (size - error) * seen)
        level = level + trend + LEVEL_GAIN * miss
        trend = trend + TREND_GAIN * miss
        season[slot] += SEASON_GAIN * (1 - LEVEL_GAIN) * miss
    return _known(scores.T)


def pca_knn(series: Sequence[Series], _: Sequence[SideBySide]) -> list[Array]:
    """Distance of the last five points, as three principal components, to their five nearest kin of the last week.

    Each window is taken less its mean. Refitted every day on at most 2,000 windows of the seven days before; distances
    are then told in units of the tail of those windows' own, which beats the plain ones on first halves.
    """
    return [_pca_knn(s) for s in series]


def _pca_knn(series: Series) -> Array:
    scores = np.zeros(len(series.values))
    seen = np.flatnonzero(~np.isnan(series.values))
    if len(seen) <= WINDOW:
        return scores
    windows = np.lib.stride_tricks.sliding_window_view(series.values[seen], WINDOW)
    windows = windows - windows.mean(axis=1, keepdims=True)
    rows = seen[WINDOW - 1 :]
    days = (series.times_s[rows] // DAY_S).astype(np.int64)
    for day in np.unique(days)[1:]:
        start, end = (int(place) for place in np.searchsorted(days, [day, day + 1]))
        past = np.arange(int(np.searchsorted(days, day - KNN_DAYS)), start)
        past = past[:: max(1, math.ceil(len(past) / KNN_WINDOWS))]
        if len(past) > WINDOW and np.ptp(windows[past]) > 0:
            scores[rows[start:end]] = _distances(windows[past], windows[start:end])
    return scores


def _distances(past: Array, new: Array) -> Array:
    scale = float(np.mean(np.abs(past))) + TINY
    components = PCA(COMPONENTS, svd_solver="covariance_eigh").fit(past / scale)
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(components.transform(past / scale))
    own = near.kneighbors(n_neighbors=NEIGHBOURS)[0].mean(axis=1)
    low, high = np.quantile(own, [0.95, 0.975])
    distances = near.kneighbors(components.transform(new / scale))[0].mean(axis=1)
    return np.asarray(np.maximum(0.0, (distances - low) / (high - low + TINY) + 3), dtype=float)


BASELINES: Mapping[str, Scorer] = {
    "random": random_scores,
    "constant": constant_scores,
    "moving_z": moving_z,
    "moving_median": moving_median,
    "seasonal_mad": seasonal_mad,
    "holt_winters": holt_winters,
    "pca_knn": pca_knn,
}
