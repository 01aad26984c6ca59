"""Name the cause of minutes: one or more cohorts of leaves that a common effect explains, best first.

Each leaf says how much better "struck like its cohort" explains its counts than "as usual", in nats. Big leaves are
not taken at their word, in either of two ways. *Tempered*: viewers of one leaf share more than a model knows, so
evidence counts in full while it is small, and as a power of itself from there on. *Bounded*: rates wander, a leaf of a
guilty cohort may not respond, and anything may happen to a leaf by itself, each with its chance. So no leaf outvotes
the others, however many viewers it has. Which power and which chance are right is not known, so scores are averaged
over some.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from detectors.leaf_cohorts import Cohort, LeafCohorts
from detectors.leaf_rates import MOST_RATE, UsualRates, log_beta_binomial, log_struck
from detectors.observations import MISSING

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EFFECTS = np.geomspace(0.01, 0.9, 18)
"""Shares of those who are fine as a rule that a fault strikes, tried in turn: from one in a hundred to nearly all."""
LEAST_USUAL = 1e-4
RESPONDING = 0.95
"""Share of a struck cohort's leaves that respond."""
STEADY = 300.0
"""How alike struck leaves are, as a Beta's sum of parameters, and the least that usual ones are thought to be: where a
short past holds the fault itself, a leaf looks as if it might do anything."""
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
    per_bit
        Price of each bit that it takes to name a cohort, see `naming_bits`.
    per_cohort
        Price of each cohort of a cause.
    powers
        Exponents of a leaf's evidence, averaged over: 1 believes that viewers are independent, 0 that leaves are all
        alike.
    chances
        Chances that anything happens to a leaf by itself, averaged over: they bound what one leaf can say at 28 to 69
        nats.
    in_full
        Nats up to which a leaf's evidence counts nearly in full.
    least_excess, least_rate, least_gain
        Shares of the first cohort's excess, of its excess per viewer and of its gain that a further one must have.
    """

    per_bit: float = 0.01
    per_cohort: float = 0.15
    powers: tuple[float, ...] = (0.3, 0.5, 0.7)
    chances: tuple[float, ...] = (1e-12, 1e-20, 1e-30)
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
    """Return how much better each effect explains each leaf than nothing does, shape (views, leaves, effects).

    With usual rate m and effect e a leaf's rate is ``q = m + (1 - m) e``. There is a view for each power, then one for
    each chance; see `_tempered` and `_bounded`.
    """
    rate = np.clip(usual.rate, LEAST_USUAL, MOST_RATE)[:, None]
    q = rate + (1 - rate) * EFFECTS
    k, n = struck[:, None], seen[:, None]
    return np.concatenate(
        [_tempered(k, n, rate, q, prices), _bounded(k, n, rate, q, usual.strength[:, None], prices.chances)]
    )


def _tempered(k: Array, n: Array, rate: Array, q: Array, prices: CausePrices) -> Array:
    """The binomial log likelihood ratio L of q against m as ``L * (1 + abs(L) / in_full) ** (power - 1)``."""
    nats = xlogy(k, q / rate) + xlogy(n - k, (1 - q) / (1 - rate))
    size = np.log1p(np.abs(nats) / prices.in_full)
    return np.array([nats * np.exp((power - 1) * size) for power in prices.powers]).reshape(-1, *nats.shape)


def _bounded(k: Array, n: Array, rate: Array, q: Array, strength: Array, chances: Sequence[float]) -> Array:
    """The log of ``(RESPONDING * B(q) + (1 - RESPONDING) * N) / N`` with ``N = (1 - chance) * B(m) + chance * any``.

    B is the beta-binomial likelihood; `any` that of a rate which may be anything.
    """
    normal = log_beta_binomial(k, n, rate, np.maximum(strength, STEADY))
    hit, anything = log_beta_binomial(k, n, q, STEADY), log_struck(k, n)
    views = []
    for chance in chances:
        usual = np.logaddexp(np.log1p(-chance) + normal, np.log(chance) + anything)
        views.append(np.logaddexp(np.log(RESPONDING) + hit - usual, np.log1p(-RESPONDING)))
    return np.where(n > 0, np.array(views).reshape(-1, *q.shape), 0.0)


def naming_bits(cohorts: LeafCohorts, seen: Array) -> Array:
    """Return what it takes to name each cohort, shape (cohorts,): the entropies of its attributes, added up.

    An attribute's entropy is ``-sum p log2 p`` over its values' shares p of the viewers: one that splits them in two
    takes a bit, one with many values takes more (Rissanen 1978, minimum description length).
    """
    bits = np.zeros(cohorts.leaves.shape[1])
    for attribute in cohorts.attributes:
        codes = cohorts.leaves[:, attribute]
        known = codes != MISSING
        shares = np.bincount(codes[known], seen[known]) / max(float(seen[known].sum()), 1.0)
        bits[attribute] = -xlogy(shares, shares).sum() / np.log(2)
    return np.array([bits[list(subset)].sum() for subset in cohorts.subsets])[cohorts.subset_of]


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
    gain with an effect each, averaged over views and minutes, less prices; each minute may have its own effect. A
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
    viewed = np.mean([minute.seen for minute in minutes], axis=0)
    score = share - prices.per_bit * naming_bits(cohorts, viewed) - prices.per_cohort
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
