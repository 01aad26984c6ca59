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
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from detectors.leaf_cohorts import Cohort, LeafCohorts, distinct
from detectors.leaf_rates import MOST_RATE, PastCounts, UsualRates, log_beta_binomial, log_struck
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
ALWAYS_LEAD = 2
"""Causes that are compared with the same leaves merged, however far the second is behind."""
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
    margins
        How far behind the best score a cause may be and still lead, averaged over, see `rank_causes`.
    """

    per_bit: float = 0.01
    per_cohort: float = 0.2
    powers: tuple[float, ...] = (0.3, 0.5, 0.7)
    chances: tuple[float, ...] = (1e-12, 1e-20, 1e-30)
    in_full: float = 1.0
    least_excess: float = 0.1
    least_rate: float = 0.25
    least_gain: float = 0.05
    margins: tuple[float, ...] = (0.1, 0.2, 0.3)


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
    """A minute's stalled and all viewers of leaves, shape (leaves,), the minutes before, and what is explained.

    A leaf that another cause explains cannot speak for a cause, only against it. With None no leaf is explained.
    """

    struck: Array
    seen: Array
    past: PastCounts
    explained: Mask | None = None

    @cached_property
    def usual(self) -> UsualRates:
        """What is due of each leaf."""
        return self.past.usual(self.struck, self.seen)

    def merged(self, place: NDArray[np.int64]) -> MinuteCounts:
        """Return the counts as if leaves with the same `place`, shape (leaves,), had not been told apart.

        Where such leaves disagree, they say less together. Their counts are divided by the dispersion, Pearson's
        chi-square of the parts over its degrees of freedom, shrunk to one as by one degree more, and never below
        (quasi-likelihood, McCullagh and Nelder 1989). So a few small leaves that are struck by themselves do not
        speak for all they are merged with.
        """
        struck, seen = np.bincount(place, self.struck), np.bincount(place, self.seen)
        rate = ((struck + 0.5) / (seen + 1))[place]
        squares = (self.struck - self.seen * rate) ** 2 / np.maximum(self.seen * rate * (1 - rate), _TIE)
        parts = np.maximum(np.bincount(place, self.seen > 0), 1)
        dispersion = np.maximum((1 + np.bincount(place, squares)) / parts, 1)
        explained = None if self.explained is None else np.bincount(place, self.explained) > 0
        return MinuteCounts(struck / dispersion, seen / dispersion, self.past.merged(place), explained)


def rank_causes(
    cohorts: LeafCohorts, minutes: Sequence[MinuteCounts], prices: CausePrices = PRICES, most: int = 10
) -> list[Cause]:
    """Rank what could be the cause of one or more minutes, best first.

    A single cohort's score is the best over effects of its leaves' summed gains, as a share of what all leaves would
    gain with an effect each, averaged over views and minutes, less prices; each minute may have its own effect. A
    cause of several cohorts is grown from each of the best: cohorts of the same attributes, which cannot overlap, join
    while each pays its price. That a cause's cohorts have the same attributes is the usual assumption in root cause
    localisation (Li et al. 2019, Squeeze).

    Then they are ranked anew, with leaves merged that differ only in attributes that no leading cause names: splitting
    a leaf by what does not matter would count it more than once. Which causes lead is not known sharply, so shares are
    averaged over some margins behind the best. What needs other attributes keeps its share.

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
    cost = prices.per_bit * naming_bits(cohorts, np.mean([minute.seen for minute in minutes], axis=0))
    field = _Field(cohorts, excess, viewers, cost + prices.per_cohort, prices)
    found = field.best(share, most)
    merged = {named: _merged_share(cohorts, minutes, prices, named, share) for named in set(field.leading(found))}
    if merged:
        found = field.best(np.mean([merged[named] for named in field.leading(found)], axis=0), most)
    return [_cause(cohorts, numbers, score, float(excess[list(numbers)].sum())) for numbers, score in found]


def _minute_parts(cohorts: LeafCohorts, minute: MinuteCounts, prices: CausePrices) -> Array:
    """Return the share of the evidence, the excess and the viewers of each cohort in a minute, shape (3, cohorts)."""
    left = np.ones(len(minute.seen)) if minute.explained is None else ~minute.explained
    excess = cohorts.sums((minute.struck - minute.seen * minute.usual.rate) * left)
    leaf = np.arange(len(minute.seen))
    return np.array([_share(cohorts, minute, prices, leaf), excess, cohorts.sums(minute.seen * left)])


def _share(cohorts: LeafCohorts, minute: MinuteCounts, prices: CausePrices, place: NDArray[np.int64]) -> Array:
    """Return the share of a minute's evidence that each cohort explains; `place` is the number of each leaf's count."""
    gains = leaf_gains(minute.struck, minute.seen, minute.usual, prices)
    if minute.explained is not None:
        gains = np.where(minute.explained[:, None], np.minimum(gains, 0), gains)
    totals = np.maximum(gains.max(axis=2), 0).sum(axis=1)
    parts = (gains / np.bincount(place)[:, None])[:, place]
    shares = [cohorts.sums(part).max(axis=1) / max(total, _TIE) for part, total in zip(parts, totals, strict=True)]
    return np.asarray(np.mean(shares, axis=0))


def _merged_share(
    cohorts: LeafCohorts, minutes: Sequence[MinuteCounts], prices: CausePrices, named: tuple[int, ...], share: Array
) -> Array:
    """Return the shares with leaves told apart by some attributes only, and `share` where a cohort has others."""
    if len(named) == len(cohorts.attributes):
        return share
    shares = []
    for minute in minutes:
        explained = np.zeros(len(minute.seen), bool) if minute.explained is None else minute.explained
        place = distinct(np.column_stack([cohorts.leaves[:, named], explained]))[1]
        shares.append(_share(cohorts, minute.merged(place), prices, place))
    within = np.array([set(subset) <= set(named) for subset in cohorts.subsets])[cohorts.subset_of]
    return np.where(within, np.mean(shares, axis=0), share)


@dataclass(frozen=True)
class _Field:
    """Every cohort's excess, viewers and price, by which causes are put together."""

    cohorts: LeafCohorts
    excess: Array
    viewers: Array
    price: Array
    prices: CausePrices

    def best(self, share: Array, most: int) -> list[tuple[tuple[int, ...], float]]:
        """Return the best causes by the cohorts' shares of the evidence, each as its cohorts' numbers, and scores."""
        score = np.where(self.excess > 0, np.round((share - self.price) / _TIE) * _TIE, -np.inf)
        order = np.lexsort((-self.viewers, self.cohorts.sizes, -score))
        order = order[np.isfinite(score[order])]
        found: dict[tuple[int, ...], float] = {(n,): float(score[n]) for n in map(int, order[:most])}
        for start in map(int, order[:STARTS]):
            found |= self._grown(start, score, order)
        return sorted(found.items(), key=lambda item: (-item[1], len(item[0])))[:most]

    def leading(self, found: Sequence[tuple[tuple[int, ...], float]]) -> list[tuple[int, ...]]:
        """Return for each margin the attributes that causes name which lead: the best two, and those within it."""
        subsets = [self.cohorts.subsets[self.cohorts.subset_of[numbers[0]]] for numbers, _ in found]
        behind = [found[0][1] - score if place >= ALWAYS_LEAD else 0.0 for place, (_, score) in enumerate(found)]
        return [
            tuple(sorted({a for subset, gap in zip(subsets, behind, strict=True) if gap <= margin for a in subset}))
            for margin in (self.prices.margins if found else ())
        ]

    def _grown(self, start: int, score: Array, order: NDArray[np.int64]) -> dict[tuple[int, ...], float]:
        """Return the causes that grow from one cohort, with their scores."""
        together: tuple[int, ...] = (start,)
        total, found = float(score[start]), {}
        for number in map(int, self._joinable(start, score, order)):
            together, total = (*together, number), total + float(score[number])
            found[tuple(sorted(together))] = total
        return found

    def _joinable(self, start: int, score: Array, order: NDArray[np.int64]) -> NDArray[np.int64]:
        alike = order[self.cohorts.subset_of[order] == self.cohorts.subset_of[start]]
        alike = alike[alike != start]
        pays = score[alike] > self.prices.least_gain * score[start] - self.prices.per_cohort
        matters = self.excess[alike] >= self.prices.least_excess * self.excess[start]
        rate = self.excess / np.maximum(self.viewers, 1)
        matters &= rate[alike] >= self.prices.least_rate * rate[start]
        return np.asarray(alike[pays & matters][: MOST_TOGETHER - 1])


def _cause(cohorts: LeafCohorts, numbers: tuple[int, ...], score: float, excess: float) -> Cause:
    return Cause(tuple(cohorts.cohort(number) for number in numbers), score, excess)
