"""The last day of observations, kept up to date, and the evidence that each update adds or takes back."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import NO_COHORT, TITLE, CohortIndex, distinct_rows
from detectors.evidence import Array, Evidence
from detectors.observations import MISSING, SIGNALS, Flags, Observations
from detectors.rates import RateModel


class Recent:
    """Observations of a trailing stretch of time with what was expected of each and whether a known fault explains it.

    Parameters
    ----------
    model
        What is normal.
    index
        Numbers the cohorts.
    memory_slots
        For how long a person's impairment makes their next one stale.

    Attributes
    ----------
    rows
        The observations, in no particular order.
    expected
        Fresh impairments due, shape (n, 4).
    explained
        Whether a known incident accounts for the row's signal, shape (n, 4).
    titles
        Titles that are watched, by code: those of which anybody was struck. Of the others nothing could be said, and a
        catalogue may have a hundred thousand.
    """

    def __init__(self, model: RateModel, index: CohortIndex, memory_slots: int) -> None:
        self.model = model
        self.index = index
        self.memory_slots = memory_slots
        self.rows = Observations.empty()
        self.expected: Array = np.zeros((0, len(SIGNALS)))
        self.explained: Flags = np.zeros((0, len(SIGNALS)), bool)
        self.titles: NDArray[np.bool_] = np.zeros(0, bool)
        self.index.titles = self.titles

    def unwatched_titles(self, first_slot: int) -> Array:
        """Return what is due of each title that is not watched since a slot, by signal, shape (titles, 4)."""
        rows = (self.rows.slot >= first_slot) & (self.rows.codes[:, TITLE] != MISSING)
        rows[rows] = ~self.titles[self.rows.codes[rows, TITLE]]
        due = np.where(self.explained[rows], 0.0, self.expected[rows])
        return np.column_stack([np.bincount(self.rows.codes[rows, TITLE], column) for column in due.T])

    def update(
        self,
        changed: Observations,
        explained: Callable[[Observations], Flags],
        oldest_slot: int,
        level: Callable[[Observations], Array] | None = None,
    ) -> list[Evidence]:
        """Put in slices that are new or have changed, and forget what is older than `oldest_slot`.

        Whether an impairment is fresh depends on the person's other slices, so all of theirs are looked at again.

        Parameters
        ----------
        changed
            The slices, with their full sums.
        explained
            Says which rows a known incident accounts for.
        oldest_slot
            The first slot to remember.
        level
            Says how many times the model's expectation is due of each row and signal, shape (n, 4); None for once.

        Returns
        -------
        list of Evidence
            For each signal the difference that it makes.
        """
        touched = self._touched(changed)
        before = self.rows.take(touched)
        stay = before.take(~np.isin(before.key, changed.key))
        rows = Observations.concat([stay, changed]).with_fresh(self.memory_slots)
        expected, flags = self.model.expected(rows), explained(rows)
        expected = expected if level is None else expected * level(rows)
        self._make_room(changed)
        changes = self._difference(touched, rows, expected, flags)
        keep, recent = ~touched & (self.rows.slot >= oldest_slot), rows.slot >= oldest_slot
        self.rows = Observations.concat([self.rows.take(keep), rows.take(recent)])
        self.expected = np.concatenate([self.expected[keep], expected[recent]])
        self.explained = np.concatenate([self.explained[keep], flags[recent]])
        return [Evidence.concat(parts) for parts in zip(changes, self._admitted(), strict=True)]

    def _make_room(self, changed: Observations) -> None:
        """Have a place for each title that came."""
        extra = int(changed.codes[:, TITLE].max(initial=MISSING)) + 1 - len(self.titles)
        if extra > 0:
            self.titles = self.index.titles = np.concatenate([self.titles, np.zeros(extra, bool)])

    def _admitted(self) -> list[Evidence]:
        """Watch the titles of which somebody has now been struck; returns all of their evidence that is in memory."""
        struck = self.rows.codes[self.rows.fresh.any(axis=1), TITLE]
        new = np.zeros(len(self.titles), bool)
        new[struck[struck != MISSING]] = True
        new &= ~self.titles
        self.titles = self.index.titles = self.titles | new
        rows = self.rows.codes[:, TITLE] != MISSING
        rows[rows] = new[self.rows.codes[rows, TITLE]]
        theirs = self.rows.take(rows)
        units = self.index.units(theirs.codes)
        for place, subset in enumerate(self.index.chosen):
            if subset != (TITLE,):
                units[:, place] = NO_COHORT
        sign = (~self.explained[rows]).astype(float)
        return [_evidence(units, theirs, self.expected[rows][:, it], sign[:, it], it) for it in range(len(SIGNALS))]

    def _touched(self, changed: Observations) -> NDArray[np.bool_]:
        """Rows that are replaced, and all rows of people with an impairment, whose freshness may turn."""
        theirs = np.isin(self.rows.subscriber, np.unique(changed.subscriber))
        struck = np.concatenate(
            [changed.subscriber[changed.bad.any(axis=1)], self.rows.subscriber[theirs & self.rows.bad.any(axis=1)]]
        )
        touched = theirs & np.isin(self.rows.subscriber, np.unique(struck))
        touched[theirs] |= np.isin(self.rows.key[theirs], changed.key)
        return touched

    def explain(self, explained: Flags) -> list[Evidence]:
        """Set which rows are explained; returns for each signal the evidence to take back, or to bring back."""
        turned = self.explained != explained
        rows = turned.any(axis=1)
        sign = np.where(explained, -1.0, 1.0) * turned
        self.explained = explained
        return self._spread(self.rows.take(rows), self.expected[rows], sign[rows])

    def _difference(
        self, leaving: NDArray[np.bool_], rows: Observations, expected: Array, explained: Flags
    ) -> list[Evidence]:
        """Evidence of the rows that come, less that of the rows that go; what is in both cancels out unseen."""
        old, old_explained = self.rows.take(leaving), self.explained[leaving]
        stays_old, stays_new = _unchanged(old, old_explained, rows, explained)
        goes, comes = ~stays_old, ~stays_new
        counts = ~np.concatenate([old_explained[goes], explained[comes]])
        sign = np.repeat([-1.0, 1.0], [goes.sum(), comes.sum()])
        return self._spread(
            Observations.concat([old.take(goes), rows.take(comes)]),
            np.concatenate([self.expected[leaving][goes], expected[comes]]),
            sign[:, None] * counts,
        )

    def _spread(self, rows: Observations, expected: Array, sign: Array) -> list[Evidence]:
        """Spread rows over all the cohorts that they belong to; the sign, by signal, adds them or takes them away."""
        units = self.index.units(rows.codes)
        return [_evidence(units, rows, expected[:, signal], sign[:, signal], signal) for signal in range(len(SIGNALS))]


def _evidence(units: NDArray[np.int64], rows: Observations, expected: Array, sign: Array, signal: int) -> Evidence:
    counted = np.flatnonzero(rows.at_risk[:, signal] & (sign != 0))
    sign, units = sign[counted], units[counted]
    named = units != NO_COHORT
    row = np.repeat(np.arange(len(counted)), named.sum(axis=1))
    seen, due = rows.fresh[counted, signal] * sign, expected[counted] * sign
    return Evidence(units[named], rows.slot[counted][row], seen[row], due[row], sign[row])


def _unchanged(
    old: Observations, old_explained: Flags, new: Observations, explained: Flags
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which old rows come again just the same, and which new rows were there already."""
    _, place = distinct_rows(np.concatenate([_signature(old, old_explained), _signature(new, explained)]))
    same = np.bincount(place)[place] > 1
    return same[: len(old)], same[len(old) :]


def _signature(rows: Observations, explained: Flags) -> NDArray[np.int64]:
    """One row of numbers per row, equal where all that counts as evidence is equal."""
    flags = np.packbits(np.hstack([rows.at_risk, rows.fresh, explained]), axis=1).astype(np.int64)
    return np.column_stack([rows.session.astype(np.int64), rows.slot, rows.codes.astype(np.int64), flags])
