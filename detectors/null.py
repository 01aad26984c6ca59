"""The control that never sees anything."""

from __future__ import annotations

import numpy as np

from detectors.evidence import Array, Evidence


class Null:
    """Score every unit 0: what a detector must beat to be worth running."""

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:  # noqa: ARG002 - the contract
        """Return zeros, shape (units,)."""
        return np.zeros(units)

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Learn nothing."""
