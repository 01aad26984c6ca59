"""A causal detector of odd points in many plain series at once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from detectors.kpi.level import medians_before, middle_of_four
from detectors.kpi.season import DAY_S, Days, at_times
from detectors.kpi.tail import Tails

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

SHORT, MIDDLE, LONG = 15, 31, 61
"""Points whose medians say where a series stands: a quarter, half and a whole hour of minutes."""
LONGEST_S = 2 * 3_600
"""No median reaches back further, so that coarse series are not judged by levels long past."""
FEWEST_POINTS = 5
"""Fewer points before it, and a point is not judged."""
MOST_DEVIATION = 1_000.0
ROUNDING = 1e-9
"""A stray of no more than this share of what was expected is none."""
SLOW_HALF_LIFE = 5
"""Points in which the slow deviation forgets half."""
SLOW_CAP = 12.0
"""One point adds no more than this to the slow deviation, so that it speaks of many points, not of one."""


@dataclass(frozen=True)
class Judged:
    """What a block of points came to; every array has shape (series, points).

    Parameters
    ----------
    surprise
        ``-log`` of how often the series strays as far by itself, in nats; 0 where a point is missing or cannot be
        judged yet. Higher is worse, whichever the direction.
    expected
        What was due, in the unit of the series; NaN where nothing is known.
    """

    surprise: Array
    expected: Array


class KpiDetector:
    """Judge each point of many series by the points before it, and learn from it.

    A point's deviation is ``(value - expected) / spread``. *Expected* is the median of four: the medians of the last
    15 and 31 points, and of the last 31 and 61 points after the season was taken out and put back. *Spread* is the
    usual absolute error at this time of day over the last week, or yesterday's if larger. A second, slow deviation is
    the exponentially weighted mean of the first one's size. Each goes through the tail of its own series (see
    `detectors.kpi.tail`), and the larger surprise counts.

    Season, spread and tails are learnt when a day (UTC) is over and hold for the next. Medians carry the level, and
    medians over days the season, so a fault shorter than seven points moves no baseline and one of a day no season.
    Which season a series has, none, daily or weekly, is found from how well it foretold the past days.

    What cannot be judged scores 0: missing points (NaN or infinite), the first day, and the first five points of a
    series. A constant series scores 0 until it moves, which then is as surprising as anything can be. Memory for each
    series is constant, about 50 KB.

    Parameters
    ----------
    series
        How many series.
    step_s
        Seconds from point to point, as a rule; points may be missing or lie off the grid.
    """

    def __init__(self, series: int, step_s: float = 60.0) -> None:
        self.series = series
        self.step_s = step_s
        most = max(FEWEST_POINTS, int(LONGEST_S / step_s) // 2 * 2 - 1)
        self._widths = [min(width, most) for width in (SHORT, MIDDLE, LONG)]
        self._days = Days(series, step_s)
        self._fast, self._slow = Tails(series), Tails(series)
        self._last_values = np.full((series, self._widths[-1]), np.nan)
        self._last_times = np.zeros((series, self._widths[-1]))
        self._last_season = np.zeros((series, self._widths[-1]))
        self._seen = np.zeros(series, dtype=np.int64)
        self._slow_now = np.zeros((series, 1))
        self._day: int | None = None
        self._time_s = -np.inf

    @property
    def season(self) -> NDArray[np.int64]:
        """Which season each series has now: 0 none, 1 daily, 2 weekly; shape (series,)."""
        return self._days.season.copy()

    def update(self, times_s: Array, values: Array) -> Judged:
        """Judge a block of points and learn from it; blocks of any length give the same answers as one.

        Parameters
        ----------
        times_s
            Seconds since the epoch, UTC, rising, later than any before; shape (points,).
        values
            Shape (series, points); NaN or infinity where there is no point.

        Raises
        ------
        ValueError
            If shapes do not fit or times do not rise.
        """
        times_s, values = np.asarray(times_s, dtype=float), np.asarray(values, dtype=float)
        if values.shape != (self.series, len(times_s)):
            raise ValueError(f"Values must have shape {(self.series, len(times_s))}, not {values.shape}.")
        if np.any(np.diff(times_s, prepend=self._time_s) <= 0):
            raise ValueError("Times must rise, also from block to block.")
        values = np.where(np.isfinite(values), values, np.nan)
        surprise, expected = np.zeros(values.shape), np.full(values.shape, np.nan)
        days = (times_s // DAY_S).astype(np.int64)
        cuts = [*np.flatnonzero(np.diff(days, prepend=days[:1] - 1)).tolist(), len(days)]
        for start, end in pairwise(cuts):
            self._begin(int(days[start]))
            part = slice(start, end)
            surprise[:, part], expected[:, part] = self._update_within_day(times_s[part], values[:, part])
        if len(times_s):
            self._time_s = float(times_s[-1])
        return Judged(surprise, expected)

    def _begin(self, day: int) -> None:
        if self._day is not None and day != self._day:
            self._days.close(self._day, day)
            for tails in (self._fast, self._slow):
                tails.fit()
                tails.fade()
        if day != self._day:
            self._last_season = self._season_before(day)
        self._day = day

    def _update_within_day(self, times_s: Array, values: Array) -> tuple[Array, Array]:
        seen = ~np.isnan(values)
        rank = np.cumsum(seen, axis=1)
        expected = self._expect(times_s, values, seen, rank)
        ready = seen & (rank + self._seen[:, None] > FEWEST_POINTS)
        strays = np.where(ready, np.abs(values - expected), 0.0)
        strays[strays <= ROUNDING * np.abs(expected, where=ready, out=np.zeros(values.shape))] = 0.0
        spread = at_times(self._days.spread, times_s)
        judged = ready & ~np.isnan(spread)
        deviation = self._deviation(strays, spread, judged)
        slow = self._slow_deviation(deviation, seen, rank)
        surprise = np.where(judged, np.maximum(self._fast.surprise(deviation), self._slow.surprise(slow)), 0.0)
        self._fast.add(deviation, judged)
        self._slow.add(slow, judged)
        self._days.add(times_s, values, strays, ready)
        self._seen += rank[:, -1]
        return surprise, expected

    @staticmethod
    def _deviation(strays: Array, spread: Array, judged: Flags) -> Array:
        """Return how many spreads each point strays, at most 1,000; of no spread, any stray is the most."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = strays / spread
        return np.minimum(np.where(judged & (strays > 0), ratio, 0.0), MOST_DEVIATION)

    def _slow_deviation(self, deviation: Array, seen: Flags, rank: NDArray[np.int64]) -> Array:
        """Return the exponentially weighted mean of deviations, which missing points leave as it is."""
        keep = 0.5 ** (1 / SLOW_HALF_LIFE)
        packed = np.zeros((self.series, deviation.shape[1] + 1))
        row, place = np.nonzero(seen)[0], rank[seen]
        packed[row, place] = np.minimum(deviation[seen], SLOW_CAP)
        packed[:, 1:], _ = lfilter([1 - keep], [1.0, -keep], packed[:, 1:], axis=1, zi=keep * self._slow_now)
        packed[:, :1] = self._slow_now
        self._slow_now = np.take_along_axis(packed, rank[:, -1:], axis=1)
        slow = np.zeros(deviation.shape)
        slow[seen] = packed[row, place]
        return slow

    def _expect(self, times_s: Array, values: Array, seen: Flags, rank: NDArray[np.int64]) -> Array:
        """Return what is expected at each point, NaN where it is missing or the first; move the last points on."""
        short, middle, long = self._widths
        count = rank[:, -1]
        starts = np.concatenate([[0], np.cumsum(long + count)])[:-1]
        places = (starts[:, None] + long - 1 + rank)[seen]
        before = starts[:, None] + np.arange(long)
        line, clock = np.empty(int(count.sum()) + self.series * long), np.empty(int(count.sum()) + self.series * long)
        first = np.take_along_axis(values, np.argmax(seen, axis=1)[:, None], axis=1)
        line[before] = np.nan_to_num(np.where(self._seen[:, None] > 0, self._last_values, first))
        line[places] = values[seen]
        clock[before] = self._last_times
        clock[places] = np.broadcast_to(times_s, values.shape)[seen]
        season = np.empty_like(line)
        season[before] = self._last_season
        season[places] = at_times(self._days.profile, times_s)[seen]
        rest = line - season
        plain = [medians_before(line, places, width) for width in (short, middle)]
        seasonal = [medians_before(rest, places, width) + season[places] for width in (middle, long)]
        expected = np.full(values.shape, np.nan)
        expected[seen] = middle_of_four(plain[0], plain[1], seasonal[0], seasonal[1])
        kept = starts[:, None] + count[:, None] + np.arange(long)
        self._last_values, self._last_times, self._last_season = line[kept], clock[kept], season[kept]
        return expected

    def _season_before(self, day: int) -> Array:
        """Return the season at the last points as now known; those of an earlier day have yesterday's."""
        midnight = float(DAY_S * day)
        today = at_times(self._days.profile, self._last_times)
        yesterday = at_times(self._days.profile_before, self._last_times)
        return np.where(self._last_times < midnight, yesterday, today)
