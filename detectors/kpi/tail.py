"""How surprising a deviation is for its own series: an exponential tail for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 128
LOWEST, HIGHEST = 1e-3, 1e3
"""The sketch keeps counts of deviations between these, in bins of equal ratio (11 %)."""
TAIL_SHARE = 0.05
"""The tail is the largest twentieth of a series' deviations."""
PRIOR_POINTS = 100.0
"""An exponential law of mean 1 counts like so many points, until a series has its own."""
LEAST_SCALE = 0.3
"""In usual deviations: a series that is nearly always exactly as expected is not alarmed by a little."""
DAILY_MEMORY = 0.98
"""What a count is still worth a day later: half of it after 34 days."""

_WIDTH = np.log(HIGHEST / LOWEST) / BINS
_EDGES = LOWEST * np.exp(_WIDTH * np.arange(1, BINS + 1))


def _prior() -> Array:
    below = 1 - np.exp(-_EDGES)
    below[-1] = 1.0
    return np.asarray(PRIOR_POINTS * np.diff(below, prepend=0.0), dtype=float)


class Tails:
    """A sketch of each series' deviations, and the exponential tail fitted to it.

    Above u, the 95 % quantile, ``P(deviation > x) = 0.05 * exp(-(x - u) / scale)``: the generalised Pareto law of
    shape 0 (Pickands 1975; Siffer et al. 2017 for its use on streams). The scale is the median excess over log 2, not
    the mean excess, so that a few faults in the history do not widen the tail.

    Parameters
    ----------
    series
        How many series.
    """

    def __init__(self, series: int) -> None:
        self.counts = np.tile(_prior(), (series, 1))
        self.threshold = np.empty(series)
        self.scale = np.empty(series)
        self.active = np.zeros(series, dtype=np.bool_)
        self.fit()

    def add(self, deviations: Array, seen: NDArray[np.bool_]) -> None:
        """Count deviations, shape (series, points), where `seen`."""
        series = len(self.counts)
        bins = np.log(np.maximum(deviations, LOWEST) / LOWEST) / _WIDTH
        cells = np.minimum(bins.astype(np.int64), BINS - 1) + BINS * np.arange(series)[:, None]
        self.active |= seen.any(axis=1)
        self.counts += np.bincount(cells[seen], minlength=series * BINS).reshape(series, BINS)

    def fit(self) -> None:
        """Fit every tail anew to what was counted."""
        cumulated = np.cumsum(self.counts, axis=1)
        self.threshold = self._quantile(cumulated, 1 - TAIL_SHARE)
        excess = self._quantile(cumulated, 1 - TAIL_SHARE / 2) - self.threshold
        self.scale = np.maximum(excess / np.log(2), LEAST_SCALE)

    def fade(self) -> None:
        """Let what was counted weigh less, as done once a day, for series that had any point since."""
        self.counts[self.active] *= DAILY_MEMORY
        self.active[:] = False

    def surprise(self, deviations: Array) -> Array:
        """Return ``-log P`` of deviations, shape (series, points), in nats; below the tail in proportion to 3 nats."""
        threshold, scale = self.threshold[:, None], self.scale[:, None]
        at_threshold = -np.log(TAIL_SHARE)
        beyond = (deviations - threshold) / scale
        below = at_threshold * (deviations / threshold)
        return np.asarray(np.where(beyond > 0, at_threshold + beyond, below), dtype=float)

    def _quantile(self, cumulated: Array, share: float) -> Array:
        target = share * cumulated[:, -1]
        cell = np.minimum((cumulated < target[:, None]).sum(axis=1), BINS - 1)
        row = np.arange(len(cell))
        inside = self.counts[row, cell]
        part = (target - (cumulated[row, cell] - inside)) / np.maximum(inside, 1e-300)
        return np.asarray(LOWEST * np.exp(_WIDTH * (cell + np.clip(part, 0, 1))), dtype=float)
