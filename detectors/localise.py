"""Name the smallest set of cohorts that explains an excess.

One fault lights up hundreds of overlapping cohorts. The model: inside the guilty cohort the rate is q times the
expected one, outside it is as expected. Its log likelihood gain over "all as expected" is the expectation-based scan
statistic, largest for the cohort that holds all of the excess and nothing else: a part of it loses excess, a superset
dilutes it. Each dimension named costs a price, as in the Bayesian information criterion, so of two cohorts that explain
the same the one with fewer dimensions wins. What a named cohort explains is taken out, and the search goes on: that is
the caller's loop, since an incident takes out more than the rows in which it was found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import ALL_SUBSETS, TITLE, Subset, distinct_rows, member
from detectors.observations import MISSING, Codes, any_signal
from detectors.poisson import excess_llr

Array = NDArray[np.float64]

PRICE_PER_DIMENSION = 1.5
"""Nats a dimension must earn. Half a log of the effective number of people, some 20: the BIC's price of one more."""
MOST_VALUES = 128
"""Values of a dimension that may compete, the most struck ones: it bounds a sum over three dimensions."""
KEPT_PER_SUBSET = 3
"""Cohorts of one subset that may compete; the next ones are shadows of the first."""


@dataclass(frozen=True)
class Suspect:
    """A cohort as a subset of dimensions with codes, what was seen and due in it by signal, and its gain in nats."""

    subset: Subset
    values: tuple[int, ...]
    observed: tuple[float, ...]
    expected: tuple[float, ...]
    gain: float

    @property
    def excess(self) -> float:
        """Impairments above what was due, over all signals."""
        return sum(self.observed) - sum(self.expected)

    def holds(self, codes: Codes) -> NDArray[np.bool_]:
        """Return which rows belong to it."""
        return member(codes, self.subset, self.values)


def suspects(
    codes: Codes,
    observed: Array,
    expected: Array,
    *,
    dispersion: Array | float = 1.0,
    floor: float = 0.15,
    price: float = PRICE_PER_DIMENSION,
    chosen: Sequence[Subset] = ALL_SUBSETS,
    most: int = 10,
) -> list[Suspect]:
    """Rank the cohorts that could carry an excess, best first.

    Parameters
    ----------
    codes
        Dimension codes, one row a slice or a finest cohort, shape (n, 9).
    observed, expected
        Impairments seen and due in each row, shape (n,), or (n, k) for k signals of one fault, whose gains add up.
    dispersion
        Variance over mean of normal counts, of each signal.
    floor
        See `detectors.cohort_scan.CohortScan`.
    price
        Nats charged per dimension named.
    chosen
        Subsets of dimensions to try.
    most
        How many to return.
    """
    codes, seen_by_leaf, due_by_leaf = _merged(codes, _columns(observed), _columns(expected))
    small = _Relabelled.of(codes, seen_by_leaf.sum(axis=1))
    best: list[Suspect] = []
    for subset in chosen:
        seen_by_cohort = small.sums(subset, seen_by_leaf)
        struck = np.flatnonzero(any_signal(seen_by_cohort != 0))
        seen, due = seen_by_cohort[struck], small.sums(subset, due_by_leaf)[struck]
        gain = excess_llr(seen, due + floor, dispersion).sum(axis=1) - price * len(subset)
        for place in np.argsort(-gain, kind="stable")[:KEPT_PER_SUBSET]:
            values = small.values(subset, int(struck[place]))
            excess = tuple(map(float, seen[place])), tuple(map(float, due[place]))
            best.append(Suspect(subset, values, *excess, float(gain[place])))
    return sorted(best, key=lambda s: (-s.gain, len(s.subset), s.subset, s.values))[:most]


def _columns(values: Array) -> Array:
    """Return the values as columns, one signal a column."""
    return np.asarray(values if values.ndim == 2 else values[:, None], dtype=float)


def _sums(group: NDArray[np.int64], weights: Array, count: int) -> Array:
    """Sum each column of weights by group, shape (count, columns)."""
    sums = np.empty((count, weights.shape[1]), order="F")
    for number, column in enumerate(weights.T):
        sums[:, number] = np.bincount(group, column, count)
    return sums


def _merged(codes: Codes, observed: Array, expected: Array) -> tuple[Codes, Array, Array]:
    """Add up the rows of each finest cohort, titles that nobody struck has in common taken as one."""
    named = np.unique(codes[any_signal(observed != 0), TITLE])
    slim = codes.copy()
    slim[~np.isin(slim[:, TITLE], named), TITLE] = MISSING
    leaves, place = distinct_rows(slim)
    return leaves, _sums(place, observed, len(leaves)), _sums(place, expected, len(leaves))


def _most_struck(column: NDArray[np.int32], struck: Array) -> NDArray[np.int32]:
    """Return the values that were struck, in order; of very many only those that were struck most."""
    chosen = (struck > 0) & (column != MISSING)
    values, place = np.unique(column[chosen], return_inverse=True)
    count = np.bincount(place.ravel(), struck[chosen], len(values))
    return np.sort(values[np.argsort(-count, kind="stable")[:MOST_VALUES]])


@dataclass(frozen=True)
class _Relabelled:
    """Dimension codes renumbered so that sums over any subset of dimensions are one `bincount`.

    Only values that some impaired row has get a number of their own: a cohort without any cannot be guilty. All others,
    and missing ones, share the last number, whose cohorts are never named.
    """

    places: NDArray[np.int64]
    names: tuple[NDArray[np.int32], ...]
    keyed: dict[Subset, tuple[NDArray[np.int64], NDArray[np.int64]]] = field(default_factory=dict)
    """The rows that have all values of a subset named, and their cohorts: those of more dimensions begin from there."""

    @classmethod
    def of(cls, codes: Codes, struck: Array) -> _Relabelled:
        places, names = np.empty(codes.shape, np.int64, order="F"), []
        for dimension in range(codes.shape[1]):
            column = codes[:, dimension]
            named = _most_struck(column, struck)
            found = np.searchsorted(named, column)
            known = (found < len(named)) & (named[np.minimum(found, len(named) - 1)] == column if len(named) else False)
            places[:, dimension] = np.where(known, found, len(named))
            names.append(named)
        return cls(places, tuple(names))

    def sums(self, subset: Subset, weights: Array) -> Array:
        """Sum the columns of weights by cohort of one subset; cohorts with a nameless value come out empty."""
        rows, key = self._keyed(subset)
        return _sums(key, np.take(weights, rows, axis=0), int(np.prod([len(self.names[d]) for d in subset])))

    def _keyed(self, subset: Subset) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        if not subset:
            return np.arange(len(self.places)), np.zeros(len(self.places), np.int64)
        if subset not in self.keyed:
            rows, key = self._keyed(subset[:-1])
            place, size = self.places[rows, subset[-1]], len(self.names[subset[-1]])
            inside = np.flatnonzero(place < size)
            self.keyed[subset] = rows[inside], key[inside] * size + place[inside]
        return self.keyed[subset]

    def values(self, subset: Subset, place: int) -> tuple[int, ...]:
        """Turn a place in the sums back into dimension codes."""
        codes = []
        for dimension in reversed(subset):
            place, digit = divmod(place, len(self.names[dimension]))
            codes.append(int(self.names[dimension][digit]))
        return tuple(reversed(codes))
