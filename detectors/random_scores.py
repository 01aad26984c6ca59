"""The control that guesses."""

from __future__ import annotations

import numpy as np

from detectors.evidence import Array, Evidence


class RandomScores:
    """Score every unit by chance, uniformly on [0, 1): how well luck does on the same stream.

    A unit's score at a slot depends on the seed and on nothing else, so the same seed gives the same answer however
    many units there are.

    Parameters
    ----------
    seed
        Any whole number from 0.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:  # noqa: ARG002 - the contract
        """Return the chance of this slot, shape (units,)."""
        return np.random.default_rng((self.seed, slot)).random(units)

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Learn nothing."""
