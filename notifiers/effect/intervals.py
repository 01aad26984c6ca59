"""How far chance alone could have moved a difference between two groups of people.

Two kinds of limits. A fixed one (95 %) is right for whoever looks once. Leads look every day, and would sooner or later
see a difference where there is none; a verdict therefore needs the limits of a confidence sequence, which hold however
often one looks.

Sources: Wilson 1927 and Newcombe 1998 (method 10) for shares; Welch 1947 for means; Robbins 1970, and Waudby-Smith et
al. 2024, for limits that hold at all times; Kish 1965 for the effect of clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEVEL = 0.95
"""Of the limits that are shown."""
TUNED_FOR = 400.0
"""People in the smaller arm at which a confidence sequence is tightest: a few weeks of a two per cent holdout."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Share:
    """So many of so many people; `effect` is by how much people who are alike in a cluster widen its limits (1 up)."""

    some: float
    all: float
    effect: float = 1.0

    @property
    def value(self) -> float:
        """The share itself, 0 to 1."""
        return self.some / self.all

    @property
    def size(self) -> float:
        """How many independent people it is worth."""
        return self.all / self.effect


@dataclass(frozen=True)
class Mean:
    """A mean of so many numbers with their variance; `effect` as for `Share`."""

    value: float
    variance: float
    count: float
    effect: float = 1.0

    @property
    def size(self) -> float:
        """How many independent numbers it is worth."""
        return self.count / self.effect

    @property
    def error(self) -> float:
        """The squared standard error."""
        return self.variance / self.size


def normal_z(level: float = LEVEL) -> float:
    """Return how many standard errors a fixed two-sided interval reaches."""
    return float(special.ndtri(0.5 + level / 2))


def lasting_z(size: float, alpha: float, tuned_for: float = TUNED_FOR) -> float:
    """Return how many standard errors a limit must reach to hold at every look, with probability 1 - alpha.

    The boundary of the normal mixture, ``sqrt((t + r) / t * log((t + r) / (r * alpha^2)))`` at size t, with r such that
    it is tightest at `tuned_for`.

    Parameters
    ----------
    size
        Independent observations so far; of two groups, half their harmonic mean.
    alpha
        Probability, over all time, of ever being wrong.
    tuned_for
        The size at which it is tightest.
    """
    room = tuned_for / (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha)))
    grown = max(size, 1e-9) + room
    return math.sqrt(grown / max(size, 1e-9) * math.log(grown / (room * alpha**2)))


def wilson(share: Share, z: float) -> tuple[float, float]:
    """Return the limits of a share by Wilson's score; they stay within 0 and 1, for none and for all too."""
    size, value = share.size, share.value
    middle = (value + z * z / (2 * size)) / (1 + z * z / size)
    reach = z / (1 + z * z / size) * math.sqrt(value * (1 - value) / size + z * z / (4 * size * size))
    return max(middle - reach, 0.0), min(middle + reach, 1.0)


def share_difference(one: Share, other: Share, z: float) -> tuple[float, float]:
    """Return the limits of ``one - other`` by Newcombe's hybrid score."""
    (low, high), (other_low, other_high) = wilson(one, z), wilson(other, z)
    difference = one.value - other.value
    below = math.hypot(one.value - low, other_high - other.value)
    above = math.hypot(high - one.value, other.value - other_low)
    return difference - below, difference + above


def mean_difference(one: Mean, other: Mean, z: float) -> tuple[float, float]:
    """Return the limits of ``one - other`` by Welch, whose t distribution takes the place of the normal one."""
    error = one.error + other.error
    if error == 0:
        return one.value - other.value, one.value - other.value
    freedom = error**2 / (one.error**2 / max(one.size - 1, 1) + other.error**2 / max(other.size - 1, 1))
    reach = -float(special.stdtrit(max(freedom, 1), float(special.ndtr(-z)))) * math.sqrt(error)
    return one.value - other.value - reach, one.value - other.value + reach


def ratio(one: Share, other: Share, z: float) -> tuple[float, float, float] | None:
    """Return ``one / other`` with its limits on the log scale (Katz 1978, half a case added); None without cases."""
    if not other.some:
        return None
    error = (1 - one.value) / (one.value * one.size + 0.5) + (1 - other.value) / (other.value * other.size)
    middle = math.log((one.some + 0.5 / one.size) / one.all / other.value)
    reach = z * math.sqrt(max(error, 0.0))
    return one.value / other.value, math.exp(middle - reach), math.exp(middle + reach)


def cluster_effect(some: Array, counts: Array, variance: float) -> float:
    """Return by how much people's likeness to themselves widens the limits of ``sum(some) / sum(counts)``; at least 1.

    One person is seen on several days. Their days are in one bucket; buckets differ by more than chance where people
    differ. The variance of the ratio between buckets is held against that of independent observations.

    Parameters
    ----------
    some, counts
        Sums by bucket.
    variance
        Of one observation.
    """
    total = counts.sum()
    used = int((counts > 0).sum())
    if used < 8 or variance <= 0:  # too few to tell
        return 1.0
    rest = some - counts * (some.sum() / total)
    between = float((rest**2).sum()) / total**2 * used / (used - 1)
    return max(1.0, float(between / (variance / total)))
