"""Rules turn scores into alarms. A detector holds no threshold, so any two can be compared at the same price."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.evidence import Array


@dataclass(frozen=True, order=True)
class Alarm:
    """One unit above the threshold in every slot of ``[first_slot, end_slot)``."""

    unit: int
    first_slot: int
    end_slot: int


def threshold_for(scores: Array, share: float) -> float:
    """Return the lowest threshold that at most a share of some scores exceeds.

    Parameters
    ----------
    scores
        Of a stretch without a fault, any shape, not empty.
    share
        How much of it may raise a false alarm (0 to 1).
    """
    return float(np.quantile(scores, 1 - share, method="higher"))


def alarms(scores: Array, first_slot: int, threshold: float) -> list[Alarm]:
    """Return every run of slots in which a unit's score is above a threshold, in order of unit and time.

    Parameters
    ----------
    scores
        One row a slot, shape (slots, units).
    first_slot
        The slot of the first row.
    threshold
        A score must exceed it.
    """
    edges = np.diff((scores > threshold).astype(np.int8), axis=0, prepend=0, append=0)
    units, starts = np.nonzero(edges.T == 1)
    _, ends = np.nonzero(edges.T == -1)
    return [
        Alarm(int(u), first_slot + int(s), first_slot + int(e)) for u, s, e in zip(units, starts, ends, strict=True)
    ]
