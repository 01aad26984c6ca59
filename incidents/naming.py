"""Which cohort to name, when what is seen may be two faults at once.

The best single cohort for two faults is often one that holds both, say their country. It is a worse account than the
two by name: their rates differ, and between them lie people whom nothing ails. So a cohort is judged by what it
explains and by what the best cohort beside it would explain of the rest, less the price of naming another. Each counts
from its own onset: a fault that joins another begins later, and that is often what tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from detectors.localise import PRICE_PER_DIMENSION, Suspect
from incidents.lifecycle import related
from incidents.prices import Prices
from incidents.state import Mask, WatchState, numbers_of
from telemetry.contract import Signal

MOST_CANDIDATES = 8
"""Cohorts that are tried with another beside them; the best ones of different subsets of dimensions."""
MOST_BESIDE = 6
"""Cohorts that are tried beside one: what began lately may not be the first of them."""
CONSIDERED = 60
MOSTLY_KEPT = 0.6
"""Share of the excess that an incident was opened on which another name for it must hold."""
FLOOR = 0.02
"""Added to what is due of each cohort: the scan's own floor would weigh against two cohorts where hardly any is due."""


@dataclass(frozen=True)
class Search:
    """Where an explanation is looked for.

    Parameters
    ----------
    state
        What is in memory.
    signal
        What is wrong; signals related to it are looked at with it.
    first_slot
        From when on.
    usable
        Rows that nothing else explains, shape (n,).
    prices
        Nats that naming another cohort costs: what it takes to open an incident.
    """

    state: WatchState
    signal: Signal
    first_slot: int
    usable: Mask
    prices: Prices
    _totals: dict[Suspect, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def ranked(self, keeping: Mask | None = None) -> tuple[list[Suspect], float]:
        """Return suspects, the one that belongs to the best account first, and that account's gain in nats.

        Only those are considered that hold most of the excess in the rows `keeping`, on which an incident was opened,
        so that it does not turn into another one that has joined it; nor into chance, once others explain all of it.
        """
        found = self.state.ranked(self.signal, self.first_slot, self.usable, CONSIDERED)
        if not found:
            return [], 0.0
        if keeping is not None:
            found = [suspect for suspect in found if self._keeps(suspect, keeping)]
        if not found or found[0].gain < 2 * self.prices.dearest[1]:  # too little for two
            return found, found[0].gain if found else 0.0
        totals = {suspect: self.total(suspect) for suspect in _varied(found)[:MOST_CANDIDATES]}
        best = max(totals, key=lambda suspect: totals[suspect])
        return [best, *(suspect for suspect in found if suspect != best)], totals[best]

    def _keeps(self, suspect: Suspect, keeping: Mask) -> bool:
        held = keeping & suspect.holds(self.state.rows.codes)
        if self._excess(held & self.usable) <= 0:
            return False
        return self._excess(held) >= MOSTLY_KEPT * max(self._excess(keeping), 0.0)

    def _excess(self, mine: Mask) -> float:
        numbers, rows = numbers_of(related(self.signal)), np.flatnonzero(mine)
        seen = np.take(self.state.rows.fresh, rows, axis=0)[:, numbers].sum()
        return float(seen - np.take(self.state.recent.expected, rows, axis=0)[:, numbers].sum())

    def total(self, suspect: Suspect) -> float:
        """Return what a suspect explains together with the best one beside it, in nats."""
        if suspect not in self._totals:
            self._totals[suspect] = self.account(suspect.holds(self.state.rows.codes), len(suspect.subset))
        return self._totals[suspect]

    def account(self, inside: Mask, dimensions: int) -> float:
        """Return what a cohort explains together with the best one beside it, in nats.

        Parameters
        ----------
        inside
            Which rows are the cohort's, shape (n,).
        dimensions
            How many it names.
        """
        gain = self._gain(inside, dimensions)
        others = self.state.ranked(self.signal, self.first_slot, self.usable & ~inside, CONSIDERED)
        codes = self.state.rows.codes
        beside = [
            self._gain(other.holds(codes) & ~inside, len(other.subset)) - self.prices.price(other.subset)
            for other in _varied(others)[:MOST_BESIDE]
        ]
        return gain + max([*beside, 0.0])

    def _gain(self, inside: Mask, dimensions: int) -> float:
        """What one cohort explains from its most telling onset on."""
        surprise = self.state.surprise_since(self.signal, self.usable & inside, self.first_slot, FLOOR)
        return float(surprise.max()) - PRICE_PER_DIMENSION * dimensions


def _varied(found: Sequence[Suspect]) -> list[Suspect]:
    """Return the best suspects of different subsets of dimensions."""
    by_subset: dict[tuple[int, ...], Suspect] = {}
    for suspect in found:
        by_subset.setdefault(suspect.subset, suspect)
    return list(by_subset.values())
