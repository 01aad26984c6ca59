"""Every cohort that occurs among some leaves, and sums over all of them at once."""

from __future__ import annotations

from functools import cached_property
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from detectors.observations import MISSING

Array = NDArray[np.float64]
Codes = NDArray[np.int32]
Mask = NDArray[np.bool_]
Cohort = tuple[tuple[int, int], ...]
"""A combination of values: pairs of attribute and code, by attribute."""

MOST_SUBSETS = 150
"""Subsets of attributes that are tried; with very many attributes only small subsets are."""


class LeafCohorts:
    """The cohorts of leaves: each combination of values of one or more attributes that some leaf has.

    Other than `detectors.localise`, which bounds the values that compete, it holds every cohort, since the leaves are
    few and the same in every minute. Sums are one product with a sparse matrix.

    Parameters
    ----------
    leaves
        The code of each attribute, `MISSING` where it is not known, shape (leaves, attributes), no leaf twice. An
        attribute with one value for all is never named, and so is a missing value.
    """

    def __init__(self, leaves: Codes) -> None:
        self.leaves = leaves

    @property
    def attributes(self) -> list[int]:
        """The attributes that tell leaves apart."""
        return [a for a in range(self.leaves.shape[1]) if len(np.unique(self.leaves[:, a])) > 1]

    @cached_property
    def subsets(self) -> list[tuple[int, ...]]:
        """The subsets of attributes tried."""
        attributes, found = self.attributes, 0
        chosen: list[tuple[int, ...]] = []
        for size in range(1, len(attributes) + 1):
            found += comb(len(attributes), size)
            if found > MOST_SUBSETS and size > 1:
                break
            chosen.extend(combinations(attributes, size))
        return chosen

    @cached_property
    def _parts(self) -> tuple[csr_array, NDArray[np.int64], NDArray[np.int64]]:
        """The membership matrix (cohorts, leaves), and of each cohort the number of its subset and a leaf in it."""
        places, rows, subset_of, example, count = [], [], [], [], 0
        for number, subset in enumerate(self.subsets):
            columns = self.leaves[:, subset]
            known = np.flatnonzero((columns != MISSING).all(axis=1))
            if not len(known):
                continue
            first, inverse = distinct(columns[known])
            places.append(inverse + count)
            rows.append(known)
            subset_of.append(np.full(len(first), number))
            example.append(known[first])
            count += len(first)
        if not count:
            return csr_array((0, len(self.leaves))), np.zeros(0, np.int64), np.zeros(0, np.int64)
        place, row = np.concatenate(places), np.concatenate(rows)
        matrix = csr_array((np.ones(len(row)), (place, row)), shape=(count, len(self.leaves)))
        return matrix, np.concatenate(subset_of), np.concatenate(example)

    def __len__(self) -> int:
        return self._parts[0].shape[0]

    @property
    def subset_of(self) -> NDArray[np.int64]:
        """The number of each cohort's subset, shape (cohorts,): equal for cohorts that cannot overlap."""
        return self._parts[1]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """How many attributes each cohort names, shape (cohorts,)."""
        lengths = np.array([len(subset) for subset in self.subsets], np.int64)
        return lengths[self.subset_of] if len(lengths) else np.zeros(0, np.int64)

    def sums(self, values: Array) -> Array:
        """Add up values of leaves, shape (leaves,) or (leaves, k), by cohort."""
        return np.asarray(self._parts[0] @ values, dtype=float)

    def cohort(self, number: int) -> Cohort:
        """Return what a cohort's leaves have in common."""
        leaf = self.leaves[self._parts[2][number]]
        return tuple((a, int(leaf[a])) for a in self.subsets[self.subset_of[number]])


def holds(leaves: Codes, cohort: Cohort) -> Mask:
    """Return which leaves belong to a cohort."""
    inside = np.ones(len(leaves), bool)
    for attribute, code in cohort:
        inside &= leaves[:, attribute] == code
    return inside


def holds_any(leaves: Codes, cohorts: tuple[Cohort, ...]) -> Mask:
    """Return which leaves belong to at least one of some cohorts."""
    inside = np.zeros(len(leaves), bool)
    for cohort in cohorts:
        inside |= holds(leaves, cohort)
    return inside


def distinct(columns: Codes) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return an example of each distinct row, and which one each row is."""
    key = np.zeros(len(columns), np.int64)
    for column in columns.T:
        values, place = np.unique(column, return_inverse=True)
        key = key * len(values) + place.ravel()
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    return first, inverse.ravel()
