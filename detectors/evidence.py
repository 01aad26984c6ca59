"""The detector contract.

A detector watches many *units* (cohorts or subscribers, numbered from 0) over time. In every window it is given the
evidence that is new: for each unit and slot, how many impairments were observed, how many were expected, and on how
many exposures. It answers with one score per unit, higher is worse, and only then learns from that evidence.
Evidence adds up: late rows for an old slot may come in any later window, and may be negative to take something back.

A detector holds no threshold. Rules (`detectors.rules`) turn scores into findings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Evidence:
    """What is new about units, one row per unit and slot; rows of the same unit and slot add up.

    Attributes
    ----------
    unit
        Unit numbers from 0, shape (n,).
    slot
        Five-minute slots since 1970, shape (n,).
    observed, expected
        Impairments seen and due, shape (n,). NaN counts as nothing.
    exposures
        Chances to be impaired, shape (n,).
    """

    unit: NDArray[np.int64]
    slot: NDArray[np.int64]
    observed: Array
    expected: Array
    exposures: Array

    def __len__(self) -> int:
        return len(self.unit)

    @classmethod
    def empty(cls) -> Evidence:
        """Return no evidence."""
        none = np.zeros(0, np.int64)
        return cls(none, none, np.zeros(0), np.zeros(0), np.zeros(0))

    @classmethod
    def concat(cls, parts: Sequence[Evidence]) -> Evidence:
        """Put several together."""
        return cls(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(cls)})

    def take(self, rows: NDArray[Any]) -> Evidence:
        """Return the rows that a mask or an index array selects."""
        return Evidence(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def clean(self) -> Evidence:
        """Return the evidence without rows that name no unit, and with NaN and infinity as nothing."""
        known = self if self.unit.min(initial=0) >= 0 else self.take(self.unit >= 0)
        numbers = (_finite(a) for a in (known.observed, known.expected, known.exposures))
        return Evidence(known.unit, known.slot, *numbers)


def _finite(values: Array) -> Array:
    """Return the values with NaN and infinity as 0; those that are finite already as they are."""
    return values if np.isfinite(values.sum()) else np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)


@runtime_checkable
class Detector(Protocol):
    """What every detector does; see the module's text for the contract."""

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:
        """Score every unit as of the end of a slot, with the new evidence taken into account but not yet learnt.

        Parameters
        ----------
        evidence
            What is new since the last call of `learn`.
        units
            How many units there are; the answer has this length.
        slot
            The latest slot that may be known.

        Returns
        -------
        ndarray of float, shape (units,)
            Higher is worse; never NaN; 0 where nothing is known.
        """
        ...

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:
        """Take the evidence in."""
        ...
