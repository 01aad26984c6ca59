"""The shape of a series' day, learnt from past days, and how far it strays at each time of day."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAY_S = 86_400
MOST_BINS = 144
"""A day in steps of ten minutes: finer ones cost memory, and shapes are smooth."""
DAYS = 21
"""Days kept: three of each weekday."""
RECENT_DAYS = 7
WEEKLY_DAYS = 3
LAG_S = 2_700
"""A season is judged by how well it foretells changes over 45 minutes: the level itself is followed closely anyway."""
GAIN = 0.9
"""A season must cut the error of none by a tenth; the weekly one that of the daily by a tenth."""
ERROR_MEMORY = 0.8
SMOOTHED_S = 3_600
"""The spread is averaged over an hour around each time of day."""
FLOOR_SHARE = 0.1
"""The least spread, as a share of the mean deviation of the days kept."""

NONE, DAILY, WEEKLY = 0, 1, 2
"""Kinds of season."""


def median_of_days(days: Array) -> Array:
    """Return the median over axis 1, NaN left out, NaN where there is nothing; shape (series, days, bins)."""
    missing = np.isnan(days)
    if not missing.any():
        return np.asarray(np.median(days, axis=1), dtype=float)
    ordered = np.sort(days, axis=1)
    count = np.sum(~missing, axis=1)[:, None, :]
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=1)
    high = np.take_along_axis(ordered, np.minimum(count // 2, days.shape[1] - 1), axis=1)
    return np.asarray(np.where(count % 2 == 1, low, (low + high) / 2)[:, 0, :], dtype=float)


def fill_round(profile: Array, otherwise: Array) -> Array:
    """Fill NaN with the bin before it, round the clock; rows without any with `otherwise`, shape (series,)."""
    missing = np.isnan(profile)
    if not missing.any():
        return profile
    bins = profile.shape[1]
    twice = np.concatenate([profile, profile], axis=1)
    known = np.where(np.tile(missing, 2), -1, np.arange(2 * bins))
    last = np.maximum.accumulate(known, axis=1)[:, bins:]
    filled = np.take_along_axis(twice, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, filled, otherwise[:, None])


def smooth_round(profile: Array, width: int) -> Array:
    """Return the centred moving mean of an odd `width`, round the clock."""
    half = min(width // 2, (profile.shape[1] - 1) // 2)
    if half == 0:
        return profile
    wide = np.concatenate([profile[:, -half:], profile, profile[:, :half]], axis=1)
    sums = np.cumsum(np.pad(wide, ((0, 0), (1, 0))), axis=1)
    return np.asarray((sums[:, 2 * half + 1 :] - sums[:, : -2 * half - 1]) / (2 * half + 1), dtype=float)


def at_times(profile: Array, times_s: Array) -> Array:
    """Interpolate daily profiles, shape (series, bins), at times; shape (points,) for all or (series, points)."""
    bins = profile.shape[1]
    place = (times_s % DAY_S) * (bins / DAY_S) - 0.5
    left = np.floor(place)
    share = place - left
    first = left.astype(np.int64) % bins
    second = (first + 1) % bins
    if times_s.ndim == 1:
        return np.asarray(profile[:, first] * (1 - share) + profile[:, second] * share, dtype=float)
    low, high = np.take_along_axis(profile, first, axis=1), np.take_along_axis(profile, second, axis=1)
    return np.asarray(low * (1 - share) + high * share, dtype=float)


class Days:
    """The last 21 days of bin means of each series, and what they teach.

    Parameters
    ----------
    series
        How many series.
    step_s
        Seconds from point to point, which bounds how fine a day is cut.
    """

    def __init__(self, series: int, step_s: float) -> None:
        self.bins = int(np.clip(DAY_S / step_s, 1, MOST_BINS))
        self.values = np.full((series, DAYS, self.bins), np.nan)
        self.strays = np.full((series, RECENT_DAYS, self.bins), np.nan)
        self.sums, self.counts = np.zeros((series, self.bins)), np.zeros((series, self.bins))
        self.stray_sums, self.stray_counts = np.zeros((series, self.bins)), np.zeros((series, self.bins))
        self.candidates = np.zeros((series, 3, self.bins))
        self.errors = np.full((series, 3), np.nan)
        self.season = np.full(series, NONE)
        self.spread = np.full((series, self.bins), np.nan)
        self.profile, self.profile_before = np.zeros((series, self.bins)), np.zeros((series, self.bins))

    def add(self, times_s: Array, values: Array, strays: Array, strayed: Flags) -> None:
        """Add points of one day: values, NaN where missing, and how far they strayed where `strayed`."""
        bins = ((times_s % DAY_S) * (self.bins / DAY_S)).astype(np.int64)
        starts = np.flatnonzero(np.diff(bins, prepend=-1))
        cells = bins[starts]
        seen = ~np.isnan(values)
        self.sums[:, cells] += np.add.reduceat(np.where(seen, values, 0.0), starts, axis=1)
        self.counts[:, cells] += np.add.reduceat(seen, starts, axis=1, dtype=float)
        self.stray_sums[:, cells] += np.add.reduceat(np.where(strayed, strays, 0.0), starts, axis=1)
        self.stray_counts[:, cells] += np.add.reduceat(strayed, starts, axis=1, dtype=float)

    def close(self, day: int, next_day: int) -> None:
        """End a day: judge the seasons by it, keep it, forget the oldest, and learn what is due on `next_day`."""
        with np.errstate(invalid="ignore"):
            means, strays = self.sums / self.counts, self.stray_sums / self.stray_counts
        self._judge(means)
        self.values[:, day % DAYS] = means
        self.strays[:, day % RECENT_DAYS] = strays
        self._learn_spread(strays)
        for skipped in range(day + 1, min(next_day, day + DAYS + 1)):
            self.values[:, skipped % DAYS] = np.nan
            self.strays[:, skipped % RECENT_DAYS] = np.nan
        for total in (self.sums, self.counts, self.stray_sums, self.stray_counts):
            total[:] = 0.0
        self._learn_season(next_day)

    def _judge(self, means: Array) -> None:
        lag = max(1, round(LAG_S * self.bins / DAY_S))
        if lag >= self.bins:
            return
        misses = means[:, None, :] - self.candidates
        changes = np.abs(misses[:, :, lag:] - misses[:, :, :-lag])
        known = np.isfinite(changes)
        count = known.sum(axis=2)
        error = np.where(known, changes, 0.0).sum(axis=2) / np.maximum(count, 1)
        error = np.where(count > self.bins // 8, error, self.errors)
        kept = np.where(np.isnan(self.errors), error, ERROR_MEMORY * self.errors + (1 - ERROR_MEMORY) * error)
        self.errors = kept
        none, daily, weekly = kept.T
        self.season = np.where(daily < GAIN * none, DAILY, NONE)
        best = np.where(self.season == DAILY, daily, none)
        self.season = np.where(weekly < GAIN * best, WEEKLY, self.season)

    def _learn_season(self, next_day: int) -> None:
        nothing = np.zeros(len(self.values))
        recent = [(next_day - back) % DAYS for back in range(1, RECENT_DAYS + 1)]
        daily = fill_round(median_of_days(self.values[:, recent]), nothing)
        same_weekday = [(next_day - 7 * back) % DAYS for back in range(1, WEEKLY_DAYS + 1)]
        weekly = median_of_days(self.values[:, same_weekday])
        unknown = np.isnan(weekly).mean(axis=1) > 0.5
        weekly = np.where(unknown[:, None], daily, fill_round(weekly, nothing))
        weekly_before = self.candidates[:, WEEKLY]
        self.candidates[:, DAILY], self.candidates[:, WEEKLY] = daily, weekly
        row = np.arange(len(self.values))
        profile = self.candidates[row, self.season]
        self.profile_before = np.where((self.season == WEEKLY)[:, None], weekly_before, profile).copy()
        self.profile = profile

    def _learn_spread(self, strays: Array) -> None:
        """Spread = the larger of the usual in the hour around this time of day and of yesterday's, if there was one."""
        known = ~np.isnan(self.strays)
        some = known.sum(axis=(1, 2))
        floor = FLOOR_SHARE * np.where(known, self.strays, 0.0).sum(axis=(1, 2)) / np.maximum(some, 1)
        yesterday = median_of_days(strays[:, :, None])[:, 0]
        by_time = fill_round(median_of_days(self.strays), floor)
        width = round(SMOOTHED_S * self.bins / DAY_S) // 2 * 2 + 1
        spread = np.fmax(smooth_round(by_time, width), np.fmax(yesterday, floor)[:, None])
        active = np.any(~np.isnan(strays), axis=1, keepdims=True)
        self.spread = np.where(active, spread, self.spread)
