"""The cohort detector: a scan statistic over every cohort and every recent stretch of time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.evidence import Array, Evidence
from detectors.poisson import excess_llr

SLOTS_PER_BUCKET = 3
"""Five-minute slots are kept in buckets of a quarter of an hour."""
HORIZONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)
"""Trailing stretches tried, in buckets: from 15 minutes, for a short sharp fault, to a day, for a slow burn."""
_EDGES = np.array((0, *HORIZONS[:-1]))
"""Where each horizon goes on beyond the one before."""
_GROWTH = 2


class CohortScan:
    """Score each cohort by its most surprising recent stretch of time.

    For a cohort c and each trailing horizon h, with O impairments observed and E expected,

        score_c = max_h  LLR(O_ch, E_ch * (1 + slack) + floor)

    where LLR is the expectation-based Poisson scan statistic (Neill 2009, "Expectation-based scan statistics for
    monitoring spatial time series data"), over the dispersion estimated from history. The maximum over horizons
    accumulates evidence over windows as a GLR chart does, so that both a short sharp fault and a slow burn stand out.

    Parameters
    ----------
    dispersion
        Variance over mean of normal counts, at least 1.
    slack
        Excess that is never surprising, as a share: the expectation itself is uncertain.
    floor
        Added to every expectation: no cohort is so small that a single impairment is a wonder.
    least
        Impairments below which nothing is said. They count people, not sessions.
    """

    def __init__(self, dispersion: float = 1.0, slack: float = 0.15, floor: float = 0.15, least: int = 4) -> None:
        self.dispersion = dispersion
        self.slack = slack
        self.floor = floor
        self.least = least
        self._observed: NDArray[np.float32] = np.zeros((0, max(HORIZONS)), np.float32)
        self._expected: NDArray[np.float32] = np.zeros((0, max(HORIZONS)), np.float32)
        self._newest = -1
        self._stale: NDArray[np.bool_] = np.zeros(0, bool)
        self._totals: Array = np.zeros((0, 2))
        self._judged: NDArray[np.bool_] = np.zeros(0, bool)
        self._surprise: Array = np.zeros((0, len(HORIZONS)))

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Add the evidence to the ring of recent buckets."""
        self._make_room(units)
        self._advance(slot // SLOTS_PER_BUCKET)
        self._add(self._observed, self._expected, evidence.clean())

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:
        """Return the most surprising trailing stretch of each unit, in nats."""
        trial = CohortScan(self.dispersion, self.slack, self.floor, self.least)
        trial._observed, trial._expected = self._observed.copy(), self._expected.copy()
        trial._newest = self._newest
        trial._stale, trial._totals = self._stale.copy(), self._totals.copy()
        trial._judged, trial._surprise = np.zeros_like(self._judged), np.zeros_like(self._surprise)
        trial.learn(evidence, units, slot)
        return trial.current(units)

    def current(self, units: int) -> Array:
        """Return the scores of what has been learnt, without new evidence; cheaper than `score`."""
        scores = np.zeros(units)
        rows = np.flatnonzero(self.struck(units) >= self.least)
        if len(rows):
            scores[rows] = self._work_out(rows, self.least).max(axis=1)
        return scores

    def struck(self, units: int) -> Array:
        """Return the impairments of each unit over the longest horizon."""
        self._make_room(units)
        return self._summed()[:units, 0]

    def surprise(self, rows: NDArray[np.int64]) -> Array:
        """Return how surprising some units are over each trailing horizon, in nats, shape (rows, horizons).

        What has not changed since it was last asked for is not worked out again.
        """
        changed = rows[~self._judged[rows]]
        self._surprise[changed] = self._work_out(changed, 1)
        self._judged[changed] = True
        return np.take(self._surprise, rows, axis=0)

    def _work_out(self, rows: NDArray[np.int64], least: int) -> Array:
        observed, expected = self._trailing(self._observed, rows), self._trailing(self._expected, rows)
        surprise = excess_llr(observed, expected * (1 + self.slack) + self.floor, self.dispersion)
        return np.where(observed >= least, surprise, 0)

    def suspicion(self, units: NDArray[np.int64], buckets: int = 8) -> float:
        """Return how surprising the worst of some cohorts is of late, one person's part left out, in nats.

        It asks whether somebody's trouble may be part of a fault that is not yet sure enough to be named.
        """
        rows = units[units >= 0]
        if not len(rows):
            return 0.0
        near = [i for i, horizon in enumerate(HORIZONS) if horizon <= buckets]
        observed = self._trailing(self._observed, rows)[:, near] - 1
        expected = self._trailing(self._expected, rows)[:, near]
        surprise = excess_llr(observed, expected * (1 + self.slack) + self.floor, self.dispersion)
        return float(surprise.max())

    def expected_total(self, units: int) -> Array:
        """Return what was due of each unit over the longest horizon."""
        return self._summed()[:units, 1]

    @property
    def oldest_slot(self) -> int:
        """The first slot that the longest horizon reaches."""
        return (self._newest - max(HORIZONS) + 1) * SLOTS_PER_BUCKET

    def _summed(self) -> Array:
        """Impairments seen and due of each unit over the longest horizon; only what has changed is added up again."""
        rows = np.flatnonzero(self._stale)
        for column, ring in enumerate((self._observed, self._expected)):
            self._totals[rows, column] = np.take(ring, rows, axis=0).sum(axis=1)
        self._stale[rows] = False
        return self._totals

    def _trailing(self, ring: NDArray[np.float32], rows: NDArray[np.int64]) -> Array:
        """Sums over the trailing horizons, shape (rows, horizons)."""
        place, mine = self._newest % ring.shape[1], ring[rows]
        newest_first = np.concatenate([mine[:, place::-1], mine[:, :place:-1]], axis=1)
        between = np.add.reduceat(newest_first, _EDGES, axis=1, dtype=float)
        return np.asarray(np.cumsum(between, axis=1))

    def _make_room(self, units: int) -> None:
        if units > len(self._observed):
            extra = max(units, _GROWTH * len(self._observed)) - len(self._observed)
            room = np.zeros((extra, self._observed.shape[1]), np.float32)
            self._observed = np.vstack([self._observed, room])
            self._expected = np.vstack([self._expected, room])
            self._stale = np.append(self._stale, np.zeros(extra, bool))
            self._totals = np.vstack([self._totals, np.zeros((extra, 2))])
            self._judged = np.append(self._judged, np.zeros(extra, bool))
            self._surprise = np.vstack([self._surprise, np.zeros((extra, len(HORIZONS)))])

    def _advance(self, newest: int) -> None:
        """Clear the buckets that come into use; the ring never turns back."""
        if self._newest < 0:
            self._newest = newest
        width = self._observed.shape[1]
        for bucket in range(max(self._newest + 1, newest - width + 1), newest + 1):
            for ring in (self._observed, self._expected):
                self._stale |= ring[:, bucket % width] != 0
                ring[:, bucket % width] = 0
        self._judged &= newest <= self._newest
        self._newest = max(self._newest, newest)

    def _add(self, observed: NDArray[np.float32], expected: NDArray[np.float32], new: Evidence) -> None:
        width = observed.shape[1]
        bucket = new.slot // SLOTS_PER_BUCKET
        recent = np.flatnonzero((bucket > self._newest - width) & (bucket <= self._newest))
        unit = new.unit[recent]
        self._stale[unit], self._judged[unit] = True, False
        place = unit * width + bucket[recent] % width
        for ring, values in ((observed, new.observed), (expected, new.expected)):
            np.add.at(ring.reshape(-1), place, values[recent].astype(np.float32))
