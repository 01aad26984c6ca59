"""How surprising a cohort must be: the price of having looked in so many places.

Cohorts of three dimensions outnumber those of one by a hundred to one, and most faults are of one or two. So the chance
of a false alarm is shared out first among the numbers of dimensions, then among the combinations of so many dimensions,
then among the cohorts of a combination, and each pays the logarithm of its share's inverse (a Bonferroni correction by
levels). A fault of a whole network is cheap to name, one that shows only where three dimensions meet is dear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import ALL_SUBSETS, MAX_DIMENSIONS, TITLE, CohortIndex, Subset

Array = NDArray[np.float64]

WORTH_WATCHING = 0.2
"""Impairments due in a day from which a cohort counts as watched; with fewer, chance cannot strike four people."""
FEWEST_COHORTS = 10
"""A combination's cohorts are looked at by the dozen, however few have traffic."""
JOINT_PRICE = 1.0
"""Nats for each further signal whose surprise is added: the sum of several chance excesses is larger than one."""
_ALIKE = np.bincount([len(subset) for subset in ALL_SUBSETS])
"""Combinations of so many dimensions."""


@dataclass(frozen=True)
class Prices:
    """Nats that a cohort must show, by the combination of dimensions that it names.

    Parameters
    ----------
    by_number
        By place in `CohortIndex.chosen`, shape (subsets,).
    by_subset
        The same by combination.
    dearest
        By number of dimensions, for a combination that is not watched.
    """

    by_number: Array
    by_subset: Mapping[Subset, float]
    dearest: Mapping[int, float]

    @classmethod
    def of(cls, index: CohortIndex, expected: Array, margin_nats: float, signals: int, titles: Array) -> Prices:
        """Work out the prices.

        Parameters
        ----------
        index
            The cohorts.
        expected
            Impairments due of each over the longest horizon, the most of the signals looked at, shape (cohorts,).
        margin_nats
            What is asked on top of the price.
        signals
            How many signals are looked at together.
        titles
            The same as `expected` of titles that have no number yet: nobody was struck, but they were looked at.
        """
        watched = np.bincount(index.subset_numbers[expected >= WORTH_WATCHING], minlength=len(index.chosen))
        watched[index.chosen.index((TITLE,))] += np.count_nonzero(titles >= WORTH_WATCHING)
        base = margin_nats + JOINT_PRICE * (signals - 1) + np.log(MAX_DIMENSIONS)
        sizes = np.array([len(subset) for subset in index.chosen])
        choices = np.log(_ALIKE[np.maximum(sizes, 1)])  # everyone costs what one value does
        nats = base + choices + np.log(np.maximum(watched, FEWEST_COHORTS))
        dearest = {int(size): float(nats[sizes == size].max()) for size in np.unique(sizes)}
        return cls(nats, dict(zip(index.chosen, nats.tolist(), strict=True)), dearest)

    def price(self, subset: Subset) -> float:
        """Return the nats that a cohort of one combination must show."""
        return self.by_subset.get(subset, self.dearest[len(subset)])
