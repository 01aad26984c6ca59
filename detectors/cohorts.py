"""Every combination of a few dimensions: which cohorts there are, and which of them a slice belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.finding import Cohort
from detectors.observations import MISSING, Codes, Vocabularies
from telemetry.contract import DIMENSIONS

MAX_DIMENSIONS = 3
NO_COHORT = -1
TITLE = DIMENSIONS.index("title_id")

_CODE_BITS = 18
"""Three values and the subset's number fit a signed 64-bit key; a dimension's values past 262,144 go unnamed."""

Subset = tuple[int, ...]


def subsets(dimensions: Iterable[int], most: int = MAX_DIMENSIONS) -> tuple[Subset, ...]:
    """Return every combination of one to `most` of the dimensions, and the empty one first."""
    order = tuple(dimensions)
    return ((), *(s for size in range(1, most + 1) for s in combinations(order, size)))


WATCHED = (*subsets(range(TITLE)), (TITLE,))
"""What is watched all the time: titles only by themselves, since their combinations are many and short-lived."""
ALL_SUBSETS = subsets(range(len(DIMENSIONS)))
"""Where a fault may be localised."""


def subset_keys(codes: Codes, number: int, subset: Subset) -> NDArray[np.int64]:
    """Return one integer per row that names its cohort of one subset, or `NO_COHORT` where a value is missing."""
    key = np.full(len(codes), number, np.int64)
    missing = np.zeros(len(codes), bool)
    for dimension in subset:
        value = codes[:, dimension].astype(np.int64)
        missing |= (value == MISSING) | (value >> _CODE_BITS != 0)
        key = (key << _CODE_BITS) | value
    return np.where(missing, NO_COHORT, key)


def cohort_keys(codes: Codes, chosen: Sequence[Subset]) -> NDArray[np.int64]:
    """Return the cohort keys of each row for each subset, shape (n, subsets): `subset_keys` of all at once."""
    keys = np.tile(np.arange(len(chosen), dtype=np.int64), (len(codes), 1))
    missing = np.zeros(keys.shape, bool)
    for turn in range(MAX_DIMENSIONS):
        places = [place for place, subset in enumerate(chosen) if turn < len(subset)]
        values = np.take(codes, [chosen[place][turn] for place in places], axis=1).astype(np.int64)
        missing[:, places] |= (values == MISSING) | (values >> _CODE_BITS != 0)
        keys[:, places] = (keys[:, places] << _CODE_BITS) | values
    return np.where(missing, NO_COHORT, keys)


def member(codes: Codes, subset: Subset, values: Sequence[int]) -> NDArray[np.bool_]:
    """Return which rows belong to the cohort with these codes."""
    inside = np.ones(len(codes), bool)
    for dimension, value in zip(subset, values, strict=True):
        inside &= codes[:, dimension] == value
    return inside


def key_values(key: int, subset: Subset) -> tuple[int, ...]:
    """Return the dimension codes that a cohort key holds."""
    mask = (1 << _CODE_BITS) - 1
    shifts = range(_CODE_BITS * (len(subset) - 1), -1, -_CODE_BITS) if subset else ()
    return tuple((key >> shift) & mask for shift in shifts)


def name_cohort(vocabularies: Vocabularies, subset: Subset, values: Sequence[int]) -> Cohort:
    """Return the cohort in words."""
    texts = (vocabularies.dimensions[d].text(v) for d, v in zip(subset, values, strict=True))
    return Cohort(tuple(zip((DIMENSIONS[d] for d in subset), texts, strict=True)))


def members(vocabularies: Vocabularies, codes: Codes, cohort: Cohort) -> NDArray[np.bool_]:
    """Return which rows belong to a cohort in words; a value never seen has no members."""
    subset = tuple(DIMENSIONS.index(name) for name, _ in cohort.values)
    values = [vocabularies.dimensions[d].find(v) for d, (_, v) in zip(subset, cohort.values, strict=True)]
    if MISSING in values:
        return np.zeros(len(codes), bool)
    return member(codes, subset, values)


def distinct_rows(table: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the distinct rows in the order in which they come first, and the place of each row among them.

    By hashing: several times as fast as sorting them.
    """
    rows = np.ascontiguousarray(table)
    if not rows.size:
        return rows[:1], np.zeros(len(rows), np.int64)
    kind = pa.binary(rows.dtype.itemsize * rows.shape[1])
    encoded = pa.Array.from_buffers(kind, len(rows), [None, pa.py_buffer(rows)]).dictionary_encode()
    distinct = np.frombuffer(encoded.dictionary.buffers()[1], rows.dtype, rows.shape[1] * len(encoded.dictionary))
    return distinct.reshape(-1, rows.shape[1]), encoded.indices.to_numpy().astype(np.int64)


@dataclass(frozen=True)
class Places:
    """Where rows belong, not yet spread over all of their cohorts.

    Attributes
    ----------
    leaf
        The number of each row's finest cohort, shape (n,); None where titles are all that counts.
    title
        The number of each row's title where titles are watched by themselves, shape (n,).
    """

    leaf: NDArray[np.int64] | None
    title: NDArray[np.int64]

    def part(self, rows: slice) -> Places:
        """Return the places of some rows."""
        return Places(None if self.leaf is None else self.leaf[rows], self.title[rows])


class CohortIndex:
    """Numbers the cohorts of `chosen` subsets as they appear, and remembers them by finest cohort.

    The number of a cohort is a row in a detector's arrays. Each distinct row of dimension codes is expanded into
    its cohorts once; afterwards it costs one look-up. Where titles are watched by themselves only, finest cohorts are
    told apart without them: nearly every session would be one of its own.

    Parameters
    ----------
    chosen
        Subsets of dimensions whose cohorts are numbered.

    Attributes
    ----------
    titles
        Which titles are numbered where they are watched by themselves, by code; None for all.
    """

    def __init__(self, chosen: Sequence[Subset] = WATCHED) -> None:
        self.chosen = tuple(chosen)
        self.titles: NDArray[np.bool_] | None = None
        self._titles_apart = [subset for subset in self.chosen if TITLE in subset] == [(TITLE,)]
        self._leaves: dict[bytes, int] = {}
        self._units: dict[int, int] = {}
        self._keys: list[int] = []
        self._subset_numbers: list[int] = []
        self._subset_array = np.zeros(0, np.int64)
        self._expansion = np.zeros((0, len(self.chosen)), np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    def units(self, codes: Codes) -> NDArray[np.int64]:
        """Return the numbers of the cohorts of each row, shape (n, subsets); `NO_COHORT` where a value is missing."""
        return self.spread(self.places(codes))

    def places(self, codes: Codes) -> Places:
        """Return where each row belongs; its cohorts are numbered by then."""
        if not self._titles_apart:
            return Places(self.leaves(codes), np.zeros(0, np.int64))
        untitled = codes.copy()
        untitled[:, TITLE] = MISSING
        return Places(self.leaves(untitled), self.titles_of(codes))

    def spread(self, places: Places) -> NDArray[np.int64]:
        """Return the numbers of all cohorts of each row, shape (n, subsets), or (n, 1) where only titles count."""
        if places.leaf is None:
            return np.reshape(places.title, (-1, 1))
        units = np.take(self._expansion, places.leaf, axis=0)
        if self._titles_apart:
            units[:, self.chosen.index((TITLE,))] = places.title
        return units

    def titles_of(self, codes: Codes) -> NDArray[np.int64]:
        """Return the number of each row's title by itself, shape (n,); `NO_COHORT` where it is not watched."""
        units = np.full(len(codes), NO_COHORT, np.int64)
        if (TITLE,) not in self.chosen:
            return units
        place = self.chosen.index((TITLE,))
        keys = subset_keys(codes, place, (TITLE,))
        numbered = keys != NO_COHORT
        if self.titles is not None:
            numbered &= np.append(self.titles, False)[np.minimum(codes[:, TITLE], len(self.titles))]
        distinct, inverse = np.unique(keys[numbered], return_inverse=True)
        units[numbered] = np.array([self._number(key, place) for key in distinct.tolist()], np.int64)[inverse]
        return units

    def leaves(self, codes: Codes) -> NDArray[np.int64]:
        """Return the number of each row's finest cohort, shape (n,)."""
        kinds, place = distinct_rows(codes)
        leaves = np.array([self._leaves.get(row.tobytes(), -1) for row in kinds], np.int64)
        fresh = leaves < 0
        if fresh.any():
            self._learn(np.unique(kinds[fresh], axis=0))
            leaves = np.array([self._leaves[row.tobytes()] for row in kinds], np.int64)
        return leaves[place]

    def cohort(self, unit: int, vocabularies: Vocabularies) -> Cohort:
        """Return the cohort that a number stands for."""
        subset = self.chosen[self._subset_numbers[unit]]
        return name_cohort(vocabularies, subset, key_values(self._keys[unit], subset))

    @property
    def subset_numbers(self) -> NDArray[np.int64]:
        """The place in `chosen` of each cohort's dimensions, shape (cohorts,)."""
        known = len(self._subset_array)
        if known < len(self._subset_numbers):
            self._subset_array = np.append(self._subset_array, np.array(self._subset_numbers[known:], np.int64))
        return self._subset_array

    def _learn(self, rows: Codes) -> None:
        keys = cohort_keys(rows, self.chosen)
        unique, place, inverse = np.unique(keys, return_index=True, return_inverse=True)
        subsets_of = (place % len(self.chosen)).tolist()
        numbers = np.array([self._number(k, s) for k, s in zip(unique.tolist(), subsets_of, strict=True)], np.int64)
        first = len(self._expansion)
        self._expansion = np.vstack([self._expansion, numbers[inverse].reshape(keys.shape)])
        self._leaves.update((row.tobytes(), first + i) for i, row in enumerate(rows))

    def _number(self, key: int, subset: int) -> int:
        if key == NO_COHORT:
            return NO_COHORT
        unit = self._units.get(key)
        if unit is None:
            unit = self._units[key] = len(self._keys)
            self._keys.append(key)
            self._subset_numbers.append(subset)
        return unit
