"""Name the cause of minutes: one or more cohorts of leaves that a common effect explains, best first.

Each leaf says how much better "struck like its cohort" explains its counts than "as usual", in nats. Big leaves are
not taken at their word: viewers of one leaf share more than a model knows, so evidence counts in full while it is
small, and as a power of itself from there on. The power is what lets a leaf of a guilty cohort not respond, or one
outside be struck by chance: neither outvotes the others, however many viewers it has. Which power is right is not
known, so scores are averaged over some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from detectors.leaf_cohorts import Cohort, LeafCohorts
from detectors.leaf_rates import MOST_RATE, UsualRates

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EFFECTS = np.geomspace(0.01, 0.9, 18)
"""Shares of those who are fine as a rule that a fault strikes, tried in turn: from one in a hundred to nearly all."""
LEAST_USUAL = 1e-4
STARTS = 6
"""Cohorts from which sets of cohorts are grown."""
MOST_TOGETHER = 4
"""Cohorts that a cause may have."""
_TIE = 1e-9


@dataclass(frozen=True)
class CausePrices:
    """What it costs to name a cause, and how evidence is weighed.

    The prices are shares of the evidence that would be explained if each leaf had an effect of its own.

    Attributes
    ----------
    per_attribute
        Price of each attribute that a cohort names.
    per_cohort
        Price of each cohort of a cause.
    powers
        Exponents of a leaf's evidence, averaged over: 1 believes that viewers are independent, 0 that leaves are all
        alike.
    in_full
        Nats up to which a leaf's evidence counts nearly in full.
    least_excess, least_rate, least_gain
        Shares of the first cohort's excess, of its excess per viewer and of its gain that a further one must have.
    """

    per_attribute: float = 0.025
    per_cohort: float = 0.15
    powers: tuple[float, ...] = (0.3, 0.5, 0.7)
    in_full: float = 1.0
    least_excess: float = 0.1
    least_rate: float = 0.3
    least_gain: float = 0.05


PRICES = CausePrices()


@dataclass(frozen=True)
class Cause:
    """Cohorts that together explain a minute, the share of its evidence that they explain after prices, and how much.

    `excess` is stalled viewers above what was due, in a minute on average.
    """

    cohorts: tuple[Cohort, ...]
    score: float
    excess: float


def leaf_gains(struck: Array, seen: Array, usual: UsualRates, prices: CausePrices) -> Array:
    """Return how much better each effect explains each leaf than nothing does, shape (powers, leaves, effects).

    With usual rate m and effect e a leaf's rate is ``q = m + (1 - m) e``. The binomial log likelihood ratio L of q
    against m becomes ``L * (1 + abs(L) / in_full) ** (power - 1)``, for each power.
    """
    rate = np.clip(usual.rate, LEAST_USUAL, MOST_RATE)[:, None]
    q = rate + (1 - rate) * EFFECTS
    nats = xlogy(struck[:, None], q / rate) + xlogy((seen - struck)[:, None], (1 - q) / (1 - rate))
    size = np.log1p(np.abs(nats) / prices.in_full)
    return np.array([nats * np.exp((power - 1) * size) for power in prices.powers], dtype=float)


@dataclass(frozen=True)
class MinuteCounts:
    """A minute's stalled and all viewers of each leaf, shape (leaves,), what is due, and which leaves are explained.

    A leaf that another cause explains cannot speak for a cause, only against it. With None no leaf is explained.
    """

    struck: Array
    seen: Array
    usual: UsualRates
    explained: Mask | None = None


def rank_causes(
    cohorts: LeafCohorts, minutes: Sequence[MinuteCounts], prices: CausePrices = PRICES, most: int = 10
) -> list[Cause]:
    """Rank what could be the cause of one or more minutes, best first.

    A single cohort's score is the best over effects of its leaves' summed gains, as a share of what all leaves would
    gain with an effect each, averaged over powers and minutes, less prices; each minute may have its own effect. A
    cause of several cohorts is grown from each of the best: cohorts of the same attributes, which cannot overlap, join
    while each pays its price. That a cause's cohorts have the same attributes is the usual assumption in root cause
    localisation (Li et al. 2019, Squeeze).

    Parameters
    ----------
    cohorts
        The cohorts of the leaves.
    minutes
        The minutes to explain, in all of which the cause is the same.
    prices
        See `CausePrices`.
    most
        How many to return.
    """
    if not len(cohorts) or not any(minute.seen.any() for minute in minutes):
        return []
    share, excess, viewers = np.mean([_minute_parts(cohorts, minute, prices) for minute in minutes], axis=0)
    score = share - prices.per_attribute * cohorts.sizes - prices.per_cohort
    score = np.where(excess > 0, np.round(score / _TIE) * _TIE, -np.inf)
    order = np.lexsort((-viewers, cohorts.sizes, -score))
    order = order[np.isfinite(score[order])]
    found: dict[tuple[int, ...], float] = {(n,): float(score[n]) for n in map(int, order[:most])}
    field = _Field(cohorts, score, excess, excess / np.maximum(viewers, 1), order)
    for start in map(int, order[:STARTS]):
        found |= field.grown(start, prices)
    best = sorted(found.items(), key=lambda item: (-item[1], len(item[0])))[:most]
    return [_cause(cohorts, numbers, score, float(excess[list(numbers)].sum())) for numbers, score in best]


def _minute_parts(cohorts: LeafCohorts, minute: MinuteCounts, prices: CausePrices) -> Array:
    """Return the share of the evidence, the excess and the viewers of each cohort in a minute, shape (3, cohorts)."""
    gains = leaf_gains(minute.struck, minute.seen, minute.usual, prices)
    left = np.ones(len(minute.seen), bool)
    if minute.explained is not None:
        left = ~minute.explained
        gains = np.where(left[:, None], gains, np.minimum(gains, 0))
    totals = np.maximum(gains.max(axis=2), 0).sum(axis=1)
    shares = [cohorts.sums(gain).max(axis=1) / max(total, _TIE) for gain, total in zip(gains, totals, strict=True)]
    excess = cohorts.sums((minute.struck - minute.seen * minute.usual.rate) * left)
    return np.array([np.mean(shares, axis=0), excess, cohorts.sums(minute.seen * left)])


@dataclass(frozen=True)
class _Field:
    """Every cohort's score, excess and excess per viewer, and the order of scores."""

    cohorts: LeafCohorts
    score: Array
    excess: Array
    rate: Array
    order: NDArray[np.int64]

    def grown(self, start: int, prices: CausePrices) -> dict[tuple[int, ...], float]:
        """Return the causes that grow from one cohort, with their scores."""
        together: tuple[int, ...] = (start,)
        total, found = float(self.score[start]), {}
        for number in map(int, self._joinable(start, prices)):
            together, total = (*together, number), total + float(self.score[number])
            found[tuple(sorted(together))] = total
        return found

    def _joinable(self, start: int, prices: CausePrices) -> NDArray[np.int64]:
        alike = self.order[self.cohorts.subset_of[self.order] == self.cohorts.subset_of[start]]
        alike = alike[alike != start]
        pays = self.score[alike] > prices.least_gain * self.score[start] - prices.per_cohort
        matters = self.excess[alike] >= prices.least_excess * self.excess[start]
        matters &= self.rate[alike] >= prices.least_rate * self.rate[start]
        return np.asarray(alike[pays & matters][: MOST_TOGETHER - 1])


def _cause(cohorts: LeafCohorts, numbers: tuple[int, ...], score: float, excess: float) -> Cause:
    return Cause(tuple(cohorts.cohort(number) for number in numbers), score, excess)
