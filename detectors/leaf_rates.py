"""What rate a leaf is usually at, learned from its own past, however short and spoilt that is.

A leaf is a combination of values of all attributes. Its usual rate is its own, shrunk to everyone's; how much it
wanders from minute to minute is its own too, so that a leaf that is always restless is no news. Minutes in which a leaf
was struck teach little: they are weighed by how likely they were normal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln, expit, logit

Array = NDArray[np.float64]

RATE_WEIGHT = 30.0
"""Viewers that everyone's rate counts for in a leaf's own: a few minutes of a small leaf."""
WANDER = 5e-4
"""Correlation of a leaf's viewers within a minute before its past is seen: it doubles the variance of 2,000 viewers."""
FIRST_STRENGTH = 20.0
"""How sure the first minute of a stream is of what is usual, as a Beta's sum of parameters: hardly."""
STRUCK_PRIOR = 0.1
"""Share of minutes in which a leaf may be struck, before its counts are seen."""
STRUCK_SHAPE = (1.0, 3.0)
"""Beta prior of a struck leaf's rate: anything may happen, less is likelier than more."""
LEAST_RATE = 0.002
"""No leaf is thought to be so sound that one stall is a wonder."""
MOST_RATE = 0.95
LEAST_WANDER = 1e-5
FIRST_WANDER = 0.02
"""Correlation within a leaf's minute that is thought of before anything is known; it forgives a lot."""
ROUNDS = 3
"""Rounds of weighing and estimating; a fourth changes nothing that matters."""


@dataclass(frozen=True)
class UsualRates:
    """What is due of each leaf: its rate, shape (leaves,), and how sure that is, as a Beta's sum of parameters."""

    rate: Array
    strength: Array


@dataclass(frozen=True)
class PastCounts:
    """Stalled and all viewers of each leaf in the minutes before one, shape (minutes, leaves)."""

    struck: Array
    seen: Array

    def usual(self, struck_now: Array, seen_now: Array) -> UsualRates:
        """Return what is due of each leaf in a minute; without any past, by what most leaves do in it."""
        if self.seen.any():
            return usual_rates(self.struck, self.seen, weight=RATE_WEIGHT, wander=WANDER)
        rate = np.full(len(seen_now), typical_rate(struck_now[None], seen_now[None]))
        return UsualRates(rate, np.full(len(seen_now), FIRST_STRENGTH))

    def merged(self, place: NDArray[np.int64]) -> PastCounts:
        """Return the counts of leaves added up that have the same `place`, shape (leaves,)."""
        shape = (len(self.seen), int(place.max()) + 1)
        struck, seen = np.zeros(shape), np.zeros(shape)
        np.add.at(struck.T, place, self.struck.T)
        np.add.at(seen.T, place, self.seen.T)
        return PastCounts(struck, seen)


def log_beta_binomial(struck: Array, seen: Array, rate: Array | float, strength: Array | float) -> Array:
    """Return the log likelihood of counts whose rate is Beta distributed, less the binomial coefficient, in nats."""
    a, b = rate * strength, (1 - rate) * strength
    return np.asarray(betaln(struck + a, seen - struck + b) - betaln(a, b), dtype=float)


def log_struck(struck: Array, seen: Array) -> Array:
    """Return the log likelihood of counts of a leaf to which anything may have happened, in nats."""
    a, b = STRUCK_SHAPE
    return log_beta_binomial(struck, seen, a / (a + b), a + b)


def usual_rates(struck: Array, seen: Array, *, weight: float, wander: float) -> UsualRates:
    """Estimate what is usual from past minutes.

    In rounds: each leaf-minute above its leaf's rate is weighed by the odds that it was normal; then the rate is
    ``(K + weight * g) / (N + weight)`` with g everyone's, and the correlation rho within a minute comes from Pearson's
    chi-square, ``(X2 - df) / (df * n)``, shrunk to `wander` by its own precision. The strength, ``1 / (rho + 1 /
    (weight + N_eff))``, counts both the wandering and the doubt about the rate.

    Parameters
    ----------
    struck, seen
        Stalled and all viewers, shape (minutes, leaves). Of a leaf without viewers nothing is learned.
    weight
        Viewers that everyone's rate counts for in a leaf's own.
    wander
        Correlation of a leaf's viewers within a minute that is expected before its past is seen.
    """
    minutes, leaves = struck.shape
    everyone = typical_rate(struck, seen)
    rate, rho = np.full(leaves, everyone), np.full(leaves, FIRST_WANDER)
    if minutes == 0 or not seen.any():
        return UsualRates(rate, 1 / (rho + 1 / weight))
    observed, spoilt = _ratio(struck, seen), logit(STRUCK_PRIOR) + log_struck(struck, seen)
    for _ in range(ROUNDS):
        normal = expit(log_beta_binomial(struck, seen, rate, 1 / rho) - spoilt)
        kept = np.where(observed > rate, normal, 1.0) * (seen > 0)
        total = (kept * seen).sum(axis=0)
        everyone = max(float((kept * struck).sum() / max(total.sum(), 1)), LEAST_RATE)
        rate = np.minimum((weight * everyone + (kept * struck).sum(axis=0)) / (weight + total), MOST_RATE)
        rho, crowd = _wander(struck, seen, rate, kept, wander)
    effective = total / (1 + crowd * rho)
    return UsualRates(rate, 1 / (rho + 1 / (weight + effective)))


def typical_rate(struck: Array, seen: Array) -> float:
    """Return the rate that half of all viewers' leaves are below: a struck minority does not move it."""
    there = seen > 0
    if not there.any():
        return LEAST_RATE
    rates, weights = _ratio(struck, seen)[there], seen[there]
    order = np.argsort(rates, kind="stable")
    share = np.cumsum(weights[order])
    return float(np.clip(rates[order][np.searchsorted(share, share[-1] / 2)], LEAST_RATE, MOST_RATE))


def _wander(struck: Array, seen: Array, rate: Array, kept: Array, wander: float) -> tuple[Array, Array]:
    """Return each leaf's correlation within a minute, and the other viewers that a viewer had beside them."""
    minutes = kept.sum(axis=0)
    freedom = np.maximum(minutes - 1, 0)
    variance = np.maximum(seen * rate * (1 - rate), 1e-9)
    chi_square = (kept * (struck - seen * rate) ** 2 / variance).sum(axis=0)
    crowd = np.maximum((kept * (seen - 1)).sum(axis=0) / np.maximum(minutes, 1e-9), 0)
    own = np.clip((chi_square - freedom) / np.maximum(freedom * crowd, 1e-9), 0, 0.5)
    precision, prior = crowd**2 * freedom / 2, wander**-2
    return np.maximum((own * precision + wander * prior) / (precision + prior), LEAST_WANDER), crowd


def _ratio(struck: Array, seen: Array) -> Array:
    return np.asarray(struck / np.maximum(seen, 1), dtype=float)
