"""Overlaps of what was reported with what was true, each worked out once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.scoring.cohorts import TINY, Mask, Overlap, Sessions
from benchmarks.scoring.reading import Reported, TrueIncident


@dataclass(frozen=True)
class _Scene:
    """The sessions that ran while a fault did: their weights, who was in its cohort, whom it impaired."""

    places: NDArray[np.int64]
    weight: NDArray[np.float64]
    members: Mask
    impaired: Mask


class Geometry:
    """Compares cohorts over the sessions that ran while the fault did.

    Parameters
    ----------
    sessions
        The true ones.
    """

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._scenes: dict[int, _Scene] = {}
        self._found: dict[tuple[int, str], Overlap] = {}

    def overlap(self, true: TrueIncident, reported: Reported) -> Overlap:
        """Return what two cohorts have in common."""
        key = (true.number, reported.cohort_text)
        if key not in self._found:
            self._found[key] = self._work_out(self._scene(true), reported)
        return self._found[key]

    def _scene(self, true: TrueIncident) -> _Scene:
        if true.number not in self._scenes:
            stretch = self._sessions.running(true.start, true.end)
            members = self._sessions.members(true.cohort, stretch.places)
            impaired = self._sessions.impaired_by(true.truth_id, stretch.places)
            self._scenes[true.number] = _Scene(stretch.places, stretch.weight, members, impaired)
        return self._scenes[true.number]

    def _work_out(self, scene: _Scene, reported: Reported) -> Overlap:
        mine, weight = self._sessions.members(reported.cohort, scene.places), scene.weight
        both = weight[scene.members & mine].sum()
        return Overlap(
            float(both / max(weight[scene.members | mine].sum(), TINY)),
            float((scene.impaired & mine).sum() / max(scene.impaired.sum(), 1)),
            float(both / max(weight[mine].sum(), TINY)),
        )
