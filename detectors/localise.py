"""Name the smallest set of cohorts that explains an excess.

One fault lights up hundreds of overlapping cohorts. The model: inside the guilty cohort the rate is q times the
expected one, outside it is as expected. Its log likelihood gain over "all as expected" is the expectation-based scan
statistic, largest for the cohort that holds all of the excess and nothing else: a part of it loses excess, a superset
dilutes it. Each dimension named costs a price, as in the Bayesian information criterion, so of two cohorts that explain
the same the one with fewer dimensions wins. What a named cohort explains is taken out, and the search goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import ALL_SUBSETS, TITLE, Subset, member
from detectors.observations import MISSING, Codes
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
    """A cohort as a subset of dimensions with codes, what was seen and due in it, and its gain in nats."""

    subset: Subset
    values: tuple[int, ...]
    observed: float
    expected: float
    gain: float

    def holds(self, codes: Codes) -> NDArray[np.bool_]:
        """Return which rows belong to it."""
        return member(codes, self.subset, self.values)


def suspects(
    codes: Codes,
    observed: Array,
    expected: Array,
    *,
    dispersion: float = 1.0,
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
        Impairments seen and due in each row, shape (n,).
    dispersion, floor
        See `detectors.cohort_scan.CohortScan`.
    price
        Nats charged per dimension named.
    chosen
        Subsets of dimensions to try.
    most
        How many to return.
    """
    codes, observed, expected = _merged(codes, observed, expected)
    small = _Relabelled.of(codes, observed > 0)
    best: list[Suspect] = []
    for subset in chosen:
        seen, due = small.sums(subset, observed), small.sums(subset, expected)
        gain = excess_llr(seen, due + floor, dispersion) - price * len(subset)
        gain = np.where(seen > 0, gain, -np.inf)
        for place in np.argsort(-gain, kind="stable")[:KEPT_PER_SUBSET]:
            if np.isfinite(gain[place]):
                values = small.values(subset, int(place))
                best.append(Suspect(subset, values, float(seen[place]), float(due[place]), float(gain[place])))
    return sorted(best, key=lambda s: (-s.gain, len(s.subset), s.subset, s.values))[:most]


def _merged(codes: Codes, observed: Array, expected: Array) -> tuple[Codes, Array, Array]:
    """Add up the rows of each finest cohort, titles that nobody struck has in common taken as one."""
    struck = observed > 0
    named = np.unique(codes[struck, TITLE])
    slim = codes.copy()
    slim[~np.isin(slim[:, TITLE], named), TITLE] = MISSING
    wide = np.ascontiguousarray(slim).view(np.dtype((np.void, slim.dtype.itemsize * slim.shape[1]))).ravel()
    _, first, inverse = np.unique(wide, return_index=True, return_inverse=True)
    count = len(first)
    seen, due = np.bincount(inverse, observed, count), np.bincount(inverse, expected, count)
    return slim[first], seen.astype(float), due.astype(float)


def _most_struck(column: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the values that occur, in order; of very many only those that occur most."""
    values, count = np.unique(column, return_counts=True)
    return np.sort(values[np.argsort(-count, kind="stable")[:MOST_VALUES]])


@dataclass(frozen=True)
class _Relabelled:
    """Dimension codes renumbered so that sums over any subset of dimensions are one `bincount`.

    Only values that some impaired row has get a number of their own: a cohort without any cannot be guilty. All others,
    and missing ones, share the last number, whose cohorts are never named.
    """

    places: NDArray[np.int64]
    names: tuple[NDArray[np.int32], ...]

    @classmethod
    def of(cls, codes: Codes, struck: NDArray[np.bool_]) -> _Relabelled:
        places, names = np.empty(codes.shape, np.int64), []
        for dimension in range(codes.shape[1]):
            column = codes[:, dimension]
            named = _most_struck(column[struck & (column != MISSING)])
            found = np.searchsorted(named, column)
            known = (found < len(named)) & (named[np.minimum(found, len(named) - 1)] == column if len(named) else False)
            places[:, dimension] = np.where(known, found, len(named))
            names.append(named)
        return cls(places, tuple(names))

    def sums(self, subset: Subset, weights: Array) -> Array:
        """Sum the weights by cohort of one subset; cohorts with a nameless value come out empty."""
        sizes = [len(self.names[d]) for d in subset]
        key = np.zeros(len(self.places), np.int64)
        inside = np.ones(len(self.places), bool)
        for dimension, size in zip(subset, sizes, strict=True):
            place = self.places[:, dimension]
            inside &= place < size
            key = key * size + np.minimum(place, size - 1)
        return np.asarray(np.bincount(key[inside], weights[inside], int(np.prod(sizes))), dtype=float)

    def values(self, subset: Subset, place: int) -> tuple[int, ...]:
        """Turn a place in the sums back into dimension codes."""
        codes = []
        for dimension in reversed(subset):
            place, digit = divmod(place, len(self.names[dimension]))
            codes.append(int(self.names[dimension][digit]))
        return tuple(reversed(codes))


def localise(
    codes: Codes,
    observed: Array,
    expected: Array,
    *,
    least_gain: float,
    most: int = 3,
    dispersion: float = 1.0,
    floor: float = 0.15,
    price: float = PRICE_PER_DIMENSION,
) -> list[list[Suspect]]:
    """Name cohorts one after another until what is left is no longer surprising.

    Returns
    -------
    list of list of Suspect
        For each fault named, the suspects considered, the guilty one first.
    """
    left = np.ones(len(codes), bool)
    faults: list[list[Suspect]] = []
    while len(faults) < most and left.any():
        ranked = suspects(
            codes[left], observed[left], expected[left], dispersion=dispersion, floor=floor, price=price
        )
        if not ranked or ranked[0].gain < least_gain:
            break
        faults.append(ranked)
        left &= ~ranked[0].holds(codes)
    return faults
