"""Probability integral transforms of counts: where what came lies in what was expected, uniform if that was honest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Cells:
    """Counts of cohorts in stretches of time; every array has shape (n,).

    Attributes
    ----------
    observed
        What came, whole numbers.
    expected
        The mean that was expected, above 0.
    dispersion
        The variance over the mean that was expected, at least 1.
    signal
        Of what, as a place in `SIGNALS`.
    """

    observed: Array
    expected: Array
    dispersion: Array
    signal: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.observed)

    def take(self, rows: NDArray[Any]) -> Cells:
        """Return the cells that a mask or an index array selects."""
        return Cells(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @classmethod
    def concat(cls, parts: Sequence[Cells]) -> Cells:
        """Put several together."""
        none = cls(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0, np.int64))
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in (none, *parts)]) for name in names})


def count_cdf(count: Array, mean: Array, dispersion: Array) -> Array:
    """Return the chance of at most `count`; 0 below none.

    A count with the mean and with variance ``dispersion * mean`` is negative binomial with size ``mean / (dispersion -
    1)`` and success probability ``1 / dispersion``, and Poisson where the dispersion is 1.
    """
    whole, is_over = np.maximum(count, 0), dispersion > 1
    size = mean / np.where(is_over, dispersion - 1, 1)
    chance = np.where(is_over, special.betainc(size, whole + 1, 1 / dispersion), special.pdtr(whole, mean))
    return np.asarray(np.where(count < 0, 0.0, chance))


def pit(cells: Cells, rng: np.random.Generator) -> Array:
    """Return the randomised transform of each cell, shape (n,), between 0 and 1.

    ``u = F(observed - 1) + v * (F(observed) - F(observed - 1))`` with v uniform: exactly uniform if the counts come
    from F (Brockwell 2007; Czado, Gneiting and Held 2009). Near 1 is more than expected.
    """
    below = count_cdf(cells.observed - 1, cells.expected, cells.dispersion)
    here = count_cdf(cells.observed, cells.expected, cells.dispersion)
    return np.asarray(below + rng.random(len(cells)) * (here - below))


def ks_distance(values: Array) -> float:
    """Return the largest distance of the values' distribution from the uniform one (0 to 1); NaN without values."""
    return float(stats.kstest(values, "uniform").statistic) if len(values) else float("nan")


def upper_tail(values: Array, share: float) -> float:
    """Return how many of the values are among the highest `share` of a uniform distribution (0 to 1)."""
    return float((values > 1 - share).mean()) if len(values) else float("nan")
