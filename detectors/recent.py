"""The last day of observations, kept up to date, and the evidence that each update adds or takes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import NO_COHORT, TITLE, CohortIndex, Places
from detectors.evidence import Array, Evidence
from detectors.observations import MISSING, SIGNALS, Flags, Observations, any_signal, is_among
from detectors.rates import RateModel

ROWS_AT_ONCE = 4_096
"""Rows spread over their cohorts at once: some megabytes an array, which stay in the processor's cache."""


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

    def unwatched_titles(self, first_slot: int, signals: Sequence[int]) -> Array:
        """Return what is due of each title that is not watched since a slot, by signal, shape (titles, signals)."""
        title = self.rows.codes[:, TITLE]
        rows = np.flatnonzero((self.rows.slot >= first_slot) & np.append(~self.titles, False)[title])
        title = title[rows]
        due = (np.where(self.explained[rows, it], 0.0, self.expected[rows, it]) for it in signals)
        return np.column_stack([np.bincount(title, column) for column in due])

    def update(
        self,
        changed: Observations,
        explained: Callable[[Observations], Flags],
        oldest_slot: int,
        level: Callable[[Observations], Array] | None = None,
    ) -> tuple[Change, ...]:
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
        tuple of Change
            The difference that it makes, in the order in which it is to be learnt.
        """
        touched = self._touched(changed)
        leaving = np.flatnonzero(touched)
        before = self.rows.take(leaving)
        stay = np.flatnonzero(~np.isin(before.key, changed.key))
        rows = Observations.concat([before.take(stay), changed]).with_fresh(self.memory_slots)
        expected, flags = self.model.expected(rows), explained(rows)
        expected = expected if level is None else expected * level(rows)
        self._make_room(changed)
        old = _Judged(before, self.expected[leaving], self.explained[leaving])
        difference = self._difference(old, _Judged(rows, expected, flags), stay)
        recent = np.flatnonzero(rows.slot >= oldest_slot)
        keep = np.flatnonzero(~touched & (self.rows.slot >= oldest_slot))
        self.rows = self.rows.followed_by(keep, rows, recent)
        self.expected = np.concatenate([self.expected[keep], expected[recent]])
        self.explained = np.concatenate([self.explained[keep], flags[recent]])
        return difference, self._admitted(len(keep))

    def _make_room(self, changed: Observations) -> None:
        """Have a place for each title that came."""
        extra = int(changed.codes[:, TITLE].max(initial=MISSING)) + 1 - len(self.titles)
        if extra > 0:
            self.titles = self.index.titles = np.concatenate([self.titles, np.zeros(extra, bool)])

    def _admitted(self, first: int) -> Change:
        """Watch the titles of which somebody has now been struck; returns all of their evidence that is in memory.

        Whoever was struck in the rows before `first` had been struck when these came.
        """
        struck = self.rows.codes[first:, TITLE][any_signal(self.rows.fresh[first:])]
        new = np.zeros(len(self.titles), bool)
        new[struck[struck != MISSING]] = True
        new &= ~self.titles
        self.titles = self.index.titles = self.titles | new
        rows = np.flatnonzero(np.append(new, False)[self.rows.codes[:, TITLE]] if new.any() else [])
        places = Places(None, self.index.titles_of(self.rows.codes[rows]))
        return self._change(rows, places, np.where(self.explained[rows], 0.0, 1.0))

    def _touched(self, changed: Observations) -> NDArray[np.bool_]:
        """Rows that are replaced, and all rows of people with an impairment, whose freshness may turn."""
        theirs = np.flatnonzero(is_among(self.rows.subscriber, changed.subscriber))
        who = self.rows.subscriber[theirs]
        bad = any_signal(np.take(self.rows.bad, theirs, axis=0))
        struck = np.concatenate([changed.subscriber[any_signal(changed.bad)], who[bad]])
        touched = np.zeros(len(self.rows), bool)
        touched[theirs] = is_among(who, struck) | np.isin(self.rows.key_of(theirs), changed.key)
        return touched

    def explain(self, explained: Flags) -> tuple[Change, ...]:
        """Set which rows are explained; returns the evidence to take back, or to bring back."""
        turned = self.explained != explained
        rows = np.flatnonzero(any_signal(turned))
        sign = np.where(explained[rows], -1.0, 1.0) * turned[rows]
        self.explained = explained
        return (self._change(rows, self.index.places(self.rows.codes[rows]), sign),)

    def _change(self, rows: NDArray[np.int64], places: Places, sign: Array) -> Change:
        mine = self.rows
        return Change(
            self.index, places, mine.slot[rows], mine.at_risk[rows], mine.fresh[rows], self.expected[rows], sign
        )

    def _difference(self, old: _Judged, new: _Judged, stay: NDArray[np.int64]) -> Change:
        """Evidence of the rows that come, less that of the rows that go; what is in both cancels out unseen."""
        goes, comes = (np.flatnonzero(~same) for same in _unchanged(old, new, stay))

        def both(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
            return np.concatenate([before[goes], after[comes]])

        sign = np.repeat([-1.0, 1.0], [len(goes), len(comes)])
        return Change(
            self.index,
            self.index.places(both(old.rows.codes, new.rows.codes)),
            both(old.rows.slot, new.rows.slot),
            both(old.rows.at_risk, new.rows.at_risk),
            both(old.rows.fresh, new.rows.fresh),
            both(old.expected, new.expected),
            sign[:, None] * ~both(old.explained, new.explained),
        )


@dataclass(frozen=True)
class _Judged:
    """Rows with what was expected of them, and whether a known fault explains them, shape (n, 4) each."""

    rows: Observations
    expected: Array
    explained: Flags


@dataclass(frozen=True)
class Change:
    """What some rows add to the evidence of their cohorts, or take from it.

    A row is part of up to a hundred cohorts, and a day and a half of rows spread over all of theirs at once would take
    a gigabyte: so they are spread a piece at a time.

    Attributes
    ----------
    index, places
        Of which cohorts the rows are.
    slot
        Five-minute slots since 1970, shape (n,).
    at_risk, fresh, expected
        By signal, shape (n, 4); see `Observations`.
    sign
        1 where a row is added, -1 where it is taken away, 0 where it does not count, by signal, shape (n, 4).
    """

    index: CohortIndex
    places: Places
    slot: NDArray[np.int64]
    at_risk: Flags
    fresh: Flags
    expected: Array
    sign: Array

    def pieces(self) -> Iterator[list[Evidence]]:
        """Spread the rows over all their cohorts, so many rows at a time; yields the evidence of each signal."""
        for first in range(0, len(self.slot), ROWS_AT_ONCE):
            yield self._piece(slice(first, first + ROWS_AT_ONCE))

    def _piece(self, rows: slice) -> list[Evidence]:
        units = self.index.spread(self.places.part(rows))
        named = units != NO_COHORT
        row = np.repeat(np.arange(len(units)), named.sum(axis=1))
        units, slot, at_risk, sign = units[named], self.slot[rows], self.at_risk[rows], self.sign[rows]
        seen, due = self.fresh[rows] * sign, self.expected[rows] * sign
        found = []
        for signal in range(len(SIGNALS)):
            counted = (at_risk[:, signal] & (sign[:, signal] != 0))[row]
            mine = row[counted]
            numbers = (values[:, signal][mine] for values in (seen, due, sign))
            found.append(Evidence(units[counted], slot[mine], *numbers))
        return found


def _unchanged(old: _Judged, new: _Judged, stay: NDArray[np.int64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which old rows come again just the same, and which new rows were there already.

    The first of the new rows are those at `stay` among the old ones; of the others the keys tell.
    """
    coming = np.arange(len(stay), len(new.rows))
    order = np.argsort(new.rows.key_of(coming), kind="stable")
    left = np.setdiff1d(np.arange(len(old.rows)), stay, assume_unique=True)
    place = np.searchsorted(new.rows.key_of(coming[order]), old.rows.key_of(left))
    ones, others = np.concatenate([stay, left]), np.concatenate([np.arange(len(stay)), coming[order[place]]])
    alike = np.ones(len(ones), bool)
    for before, after in (
        (old.rows.codes, new.rows.codes),
        (old.rows.at_risk, new.rows.at_risk),
        (old.rows.fresh, new.rows.fresh),
        (old.explained, new.explained),
    ):
        alike &= ~any_signal(np.take(before, ones, axis=0) != np.take(after, others, axis=0))
    goes, comes = np.zeros(len(old.rows), bool), np.zeros(len(new.rows), bool)
    goes[ones], comes[others] = alike, alike
    return goes, comes
