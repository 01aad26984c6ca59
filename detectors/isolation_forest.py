"""An isolation forest behind the detector contract, to compare with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest as Forest

from detectors.evidence import Array, Evidence

KNOWN_EXPOSURES = 1e-6
"""Decayed exposures above which a unit is known; below is what rounding leaves of evidence taken back."""
_KINDS = ("observed", "expected", "exposures")


class IsolationForest:
    """Score each unit by how easily random splits isolate its recent past from that of the other units.

    With n units, the mean depth E[h(x)] at which a unit x ends up alone in trees of random splits, and the mean depth
    c(n) of a binary search tree,

        score = 2 ** (-E[h(x)] / c(n)) - (its median over the units that the forest was grown on)

    (Liu, Ting and Zhou 2008, "Isolation forest"; scikit-learn's implementation, whose opposite sign is turned here).
    x holds exponentially decayed sums of what was observed, expected and tried, and their ratios. The forest knows no
    direction: a unit that does unusually well stands out too. It is here to be compared with, not to be run.

    Parameters
    ----------
    half_life_slots
        Age at which evidence counts half; three hours, the middle of what `CohortScan` looks back.
    refit_slots
        Slots between one forest and the next; a day, so that each has seen every hour of it.
    trees
        Trees in the forest; by the authors' account the depths converge well before 100.
    seed
        Of the random splits.
    """

    def __init__(self, half_life_slots: int = 36, refit_slots: int = 288, trees: int = 50, seed: int = 0) -> None:
        self.half_life_slots = half_life_slots
        self.refit_slots = refit_slots
        self.trees = trees
        self.seed = seed
        self.forest_: Forest | None = None
        self.usual_ = 0.0
        self._sums = np.zeros((0, len(_KINDS)))
        self._newest = 0
        self._fitted: int | None = None

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:
        """Return how odd each unit is with the new evidence; 0 before there is a forest and where nothing is known."""
        scores = np.zeros(units)
        sums = self._added(evidence.clean(), units, slot)[:units]
        known = _known(sums)
        if self.forest_ is not None and known.any():
            scores[known] = _oddity(self.forest_, sums[known]) - self.usual_
        return scores

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Add the evidence, after growing a new forest on what was known before if the old one has had its time."""
        if self._fitted is None or slot - self._fitted >= self.refit_slots:
            self._refit(slot)
        self._sums = self._added(evidence.clean(), units, slot)
        self._newest = max(self._newest, slot)

    def _refit(self, slot: int) -> None:
        sums = self._sums[_known(self._sums)]
        if len(sums):
            self.forest_ = Forest(n_estimators=self.trees, random_state=self.seed).fit(_features(sums))
            self.usual_ = float(np.median(_oddity(self.forest_, sums)))
            self._fitted = slot

    def _added(self, new: Evidence, units: int, slot: int) -> Array:
        """Return the sums as of a slot, shape (at least units, 3): older evidence counts less, whenever it comes."""
        newest = max(self._newest, slot)
        sums = np.zeros((max(units, len(self._sums)), len(_KINDS)))
        sums[: len(self._sums)] = self._sums * self._weight(newest - self._newest)
        weight = self._weight(np.maximum(newest - new.slot, 0))
        for column, kind in enumerate(_KINDS):
            sums[:, column] += np.bincount(new.unit, getattr(new, kind) * weight, len(sums))
        return sums

    def _weight(self, age_slots: Array | int) -> Array:
        return np.asarray(0.5 ** (np.asarray(age_slots) / self.half_life_slots))


def _known(sums: Array) -> NDArray[np.bool_]:
    return sums[:, _KINDS.index("exposures")] > KNOWN_EXPOSURES


def _features(sums: Array) -> Array:
    """Return logarithms of the sums and of their ratios, shape (n, 5)."""
    observed, expected, exposures = np.maximum(sums, 0).T
    ratio, share = (observed + 1) / (expected + 1), (observed + 1) / (exposures + 1)
    return np.asarray(np.log(np.column_stack([observed + 1, expected + 1, exposures + 1, ratio, share])))


def _oddity(forest: Forest, sums: Array) -> Array:
    return np.asarray(-forest.score_samples(_features(sums)), dtype=float)
