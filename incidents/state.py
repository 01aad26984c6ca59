"""What a watch holds in memory: the recent slices, what is normal, the cohorts, and one scan per signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import HORIZONS, SLOTS_PER_BUCKET, CohortScan
from detectors.cohorts import CohortIndex, members
from detectors.evidence import Evidence
from detectors.localise import Suspect, suspects
from detectors.observations import SIGNALS, Flags, Observations, Vocabularies, slot_of
from detectors.poisson import excess_llr
from detectors.rates import RateModel
from detectors.recent import Change, Recent
from incidents.lifecycle import related
from incidents.model import Incident
from incidents.prices import Prices
from telemetry.contract import Signal

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
FOREVER = 1 << 60
"""A slot after all slots."""


def numbers_of(signals: Iterable[Signal]) -> list[int]:
    """Return the places of signals in `SIGNALS`."""
    return [SIGNALS.index(signal) for signal in signals]


@dataclass
class WatchState:
    """The arrays that detection works on, for one stretch of hot windows.

    Parameters
    ----------
    words
        The vocabularies of all codes.
    recent
        The slices in memory, with what was expected of them.
    scans
        One scan per signal, in the order of `SIGNALS`.
    onset_slack
        How long before its estimated onset a struck session may still belong to an incident.
    """

    words: Vocabularies
    recent: Recent
    scans: tuple[CohortScan, ...]
    onset_slack: timedelta

    @classmethod
    def of(cls, words: Vocabularies, model: RateModel, memory_slots: int, onset_slack: timedelta) -> WatchState:
        """Return an empty state around a fitted model."""
        scans = tuple(CohortScan(float(dispersion)) for dispersion in model.dispersion_)
        return cls(words, Recent(model, CohortIndex(), memory_slots), scans, onset_slack)

    @property
    def rows(self) -> Observations:
        """The slices in memory."""
        return self.recent.rows

    def take_in(self, changed: Observations, known: Iterable[Incident], oldest: datetime, now: datetime) -> None:
        """Put in slices that are new or changed, and forget what is older than `oldest`."""
        incidents = tuple(known)
        explain: Callable[[Observations], Flags] = lambda rows: self.explained(rows, incidents)  # noqa: E731
        level: Callable[[Observations], Array] = lambda rows: self.level(rows, incidents)  # noqa: E731
        self._absorb(self.recent.update(changed, explain, slot_of(oldest), level), now)

    def explain(self, known: Iterable[Incident], now: datetime) -> None:
        """Take what `known` incidents account for out of the evidence, and bring back what they no longer do."""
        self._absorb(self.recent.explain(self.explained(self.rows, known)), now)

    def explained(self, rows: Observations, known: Iterable[Incident]) -> Flags:
        """Return for each row and signal whether an incident accounts for it, shape (n, 4)."""
        flags = np.zeros((len(rows), len(SIGNALS)), bool)
        for incident in known:
            inside = self.inside(rows, incident)
            for signal in related(incident.signal):
                flags[:, SIGNALS.index(signal)] |= inside
        return flags

    def level(self, rows: Observations, known: Iterable[Incident]) -> Array:
        """Return how many times the model's expectation is due of each row and signal, shape (n, 4).

        What a settled incident left behind is the new level of its cohort from then on.
        """
        times = np.ones((len(rows), len(SIGNALS)))
        for incident in known:
            if incident.settled and incident.resolved_time is not None:
                since = rows.slot >= slot_of(incident.resolved_time)
                since &= members(self.words, rows.codes, incident.cohort)
                rise = max(incident.observed / max(incident.expected, 1.0), 1.0)
                times[since, SIGNALS.index(incident.signal)] *= rise
        return times

    def inside(self, rows: Observations, incident: Incident) -> Mask:
        """Return which rows are in an incident's cohort while it ran."""
        last = FOREVER if incident.resolved_time is None else slot_of(incident.resolved_time)
        inside = (rows.slot >= self.first_slot(incident)) & (rows.slot < last)
        return inside & members(self.words, rows.codes, incident.cohort)

    def first_slot(self, incident: Incident) -> int:
        """Return the first slot that may belong to an incident."""
        return slot_of(incident.onset_time - self.onset_slack)

    def ranked(self, signal: Signal, first_slot: int, usable: Mask, most: int = 10) -> list[Suspect]:
        """Rank `most` cohorts that could carry the excess of a signal, and of those related to it, from a slot on."""
        numbers = numbers_of(related(signal))
        rows = np.flatnonzero(usable & (self.rows.slot >= first_slot))
        return suspects(
            np.take(self.rows.codes, rows, axis=0),
            np.take(self.rows.fresh, rows, axis=0)[:, numbers].astype(float),
            np.take(self.recent.expected, rows, axis=0)[:, numbers] * (1 + self.scans[0].slack),
            dispersion=self.dispersion(signal),
            floor=self.scans[0].floor,
            most=most,
        )

    def dispersion(self, signal: Signal) -> Array:
        """Return the dispersion of a signal and those related to it."""
        return np.array([self.scans[number].dispersion for number in numbers_of(related(signal))])

    def surprise(self, signal: Signal, seen: Array, due: Array, floor: float | None = None) -> Array:
        """Return the joint surprise of counts of a signal and those related to it, shape (..., signals), in nats."""
        slack, least = self.scans[0].slack, self.scans[0].floor if floor is None else floor
        return np.asarray(excess_llr(seen, due * (1 + slack) + least, self.dispersion(signal)).sum(axis=-1))

    def surprise_since(self, signal: Signal, mine: Mask, first_slot: int, floor: float | None = None) -> Array:
        """Return for each slot from `first_slot` on how surprising the rows of a mask are from it on, in nats."""
        numbers = numbers_of(related(signal))
        rows = np.flatnonzero(mine & (self.rows.slot >= first_slot))
        place = self.rows.slot[rows] - first_slot
        seen = _since(place, np.take(self.rows.fresh, rows, axis=0)[:, numbers])
        due = _since(place, np.take(self.recent.expected, rows, axis=0)[:, numbers])
        return self.surprise(signal, seen, due, floor)

    def prices(self, group: Sequence[Signal], margin_nats: float) -> Prices:
        """Return the surprise from which a cohort is worth a look."""
        units = len(self.recent.index)
        expected = np.max([self.scans[number].expected_total(units) for number in numbers_of(group)], axis=0)
        oldest = self.scans[0].oldest_slot
        titles = self.recent.unwatched_titles(oldest, numbers_of(group)).max(axis=1, initial=0.0)
        return Prices.of(self.recent.index, expected, margin_nats, len(group), titles)

    def most_surprising(self, group: Sequence[Signal]) -> tuple[NDArray[np.int64], Array, NDArray[np.int64]]:
        """Return the cohorts in which anybody was struck, their joint surprise, and the horizon of it in slots."""
        scans = [self.scans[number] for number in numbers_of(group)]
        units = len(self.recent.index)
        rows = np.flatnonzero(sum(scan.struck(units) for scan in scans) >= scans[0].least)
        if not len(rows):
            return rows, np.zeros(0), rows
        joint = np.sum([scan.surprise(rows) for scan in scans], axis=0)
        best = joint.argmax(axis=1)
        horizon = np.array(HORIZONS)[best] * SLOTS_PER_BUCKET
        return rows, joint[np.arange(len(rows)), best], horizon

    def _absorb(self, changes: Iterable[Change], now: datetime) -> None:
        units, slot = len(self.recent.index), slot_of(now) - 1
        for scan in self.scans:
            scan.learn(Evidence.empty(), units, slot)
        for change in changes:
            for piece in change.pieces():
                for scan, new in zip(self.scans, piece, strict=True):
                    scan.learn(new, units, slot)


def _since(place: NDArray[np.int64], values: NDArray[Any]) -> Array:
    """Return for each slot the sums of each column from it on, shape (slots, columns)."""
    sums = np.column_stack([np.bincount(place, column, minlength=1) for column in values.T])
    return np.asarray(sums[::-1].cumsum(axis=0)[::-1], dtype=float)
