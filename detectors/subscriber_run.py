"""The subscriber detector: the probability that somebody's own fault has begun, session by session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detectors.evidence import Array, Evidence


class SubscriberRun:
    """Score each subscriber by the posterior log odds that a fault of their own is going on.

    Shiryaev's recursion (1963) for a change of unknown time. Before each exposure a fault begins with probability
    rho; then the exposure's likelihood ratio counts:

        odds = (odds + rho) / (1 - rho) * LR
        LR   = p1 / p0  for an impaired exposure,   (1 - p1) / (1 - p0)  for a good one

    with p0 what is due of this exposure, and p1 how often a fault impairs one. The odds are calibrated if p0, p1 and
    rho are, and they never turn below the chance that a fault has just begun, so a long good past does not hide a bad
    evening.

    Parameters
    ----------
    hazard
        rho: how likely a fault begins before any one exposure. Some 1.5 in 1,000 sessions begin one.
    impaired_share
        p1: household faults impair some seven sessions in ten, and so do account faults.
    most_odds
        Log odds are held at this height, so that an end can be seen too.
    """

    def __init__(self, hazard: float = 0.0015, impaired_share: float = 0.7, most_odds: float = 12.0) -> None:
        self.hazard = hazard
        self.impaired_share = impaired_share
        self.most_odds = most_odds
        self._log_odds: Array = np.zeros(0)
        self._since: NDArray[np.int64] = np.zeros(0, np.int64)

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Take new exposures in, each unit's in the order of their slots."""
        self._make_room(units)
        rows = evidence.clean()
        order = np.lexsort((rows.slot, rows.unit))
        rows = rows.take(order)
        for step in _ranks(rows.unit):
            self._take(rows.take(step))

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:
        """Return every unit's log odds with the new evidence; `log(hazard)` is shown as 0, the usual level."""
        trial = SubscriberRun(self.hazard, self.impaired_share, self.most_odds)
        trial._log_odds, trial._since = self._log_odds.copy(), self._since.copy()
        trial.learn(evidence, units, slot)
        return trial.current(units)

    def current(self, units: int) -> Array:
        """Return the log odds of what has been learnt, over those of a fault that has just begun."""
        self._make_room(units)
        return self._log_odds[:units] - self._rest

    def probability(self, units: int) -> Array:
        """Return each unit's posterior probability of a fault of its own."""
        self._make_room(units)
        return np.asarray(1 / (1 + np.exp(-self._log_odds[:units])))

    def since(self, units: int) -> NDArray[np.int64]:
        """Return the slot of the first impaired exposure of each unit's present run, or -1."""
        self._make_room(units)
        return self._since[:units]

    @property
    def _rest(self) -> float:
        return float(np.log(self.hazard / (1 - self.hazard)))

    def _take(self, rows: Evidence) -> None:
        """One exposure of each of several units."""
        p0 = np.clip(rows.expected, 1e-6, self.impaired_share * 0.9)
        impaired = rows.observed > 0
        ratio = np.where(impaired, self.impaired_share / p0, (1 - self.impaired_share) / (1 - p0))
        before = self._log_odds[rows.unit]
        started = before > self._rest + 1
        odds = (np.exp(before) + self.hazard) / (1 - self.hazard) * ratio
        self._log_odds[rows.unit] = np.minimum(np.log(odds), self.most_odds)
        since = np.where(started, self._since[rows.unit], np.where(impaired, rows.slot, -1))
        self._since[rows.unit] = np.where(started & (since < 0) & impaired, rows.slot, since)

    def _make_room(self, units: int) -> None:
        extra = units - len(self._log_odds)
        if extra > 0:
            self._log_odds = np.concatenate([self._log_odds, np.full(extra, self._rest)])
            self._since = np.concatenate([self._since, np.full(extra, -1, np.int64)])


def _ranks(unit: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split sorted unit numbers into rounds in which each unit comes at most once, in order."""
    if not len(unit):
        return []
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    rank = np.arange(len(unit)) - np.repeat(starts, np.diff(np.r_[starts, len(unit)]))
    order = np.argsort(rank, kind="stable")
    return np.split(order, np.cumsum(np.bincount(rank))[:-1])
