"""What a watch holds in memory: the recent slices, what is normal, the cohorts, and one scan per signal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import CohortScan
from detectors.cohorts import CohortIndex, members
from detectors.evidence import Evidence
from detectors.localise import Suspect, suspects
from detectors.observations import SIGNALS, Flags, Observations, Vocabularies, slot_of
from detectors.rates import RateModel
from detectors.recent import Recent
from incidents.lifecycle import related
from incidents.model import Incident
from telemetry.contract import Signal

Mask = NDArray[np.bool_]
FOREVER = 1 << 60
"""A slot after all slots."""


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
    def of(
        cls, words: Vocabularies, model: RateModel, memory_slots: int, onset_slack: timedelta
    ) -> WatchState:
        """Return an empty state around a fitted model."""
        scans = tuple(CohortScan(float(dispersion)) for dispersion in model.dispersion_)
        return cls(words, Recent(model, CohortIndex(), memory_slots), scans, onset_slack)

    @property
    def rows(self) -> Observations:
        """The slices in memory."""
        return self.recent.rows

    def take_in(
        self, changed: Observations, known: Iterable[Incident], oldest: datetime, now: datetime
    ) -> None:
        """Put in slices that are new or changed, and forget what is older than `oldest`."""
        incidents = tuple(known)
        explain: Callable[[Observations], Flags] = lambda rows: self.explained(rows, incidents)  # noqa: E731
        self._absorb(self.recent.update(changed, explain, slot_of(oldest)), now)

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

    def inside(self, rows: Observations, incident: Incident) -> Mask:
        """Return which rows are in an incident's cohort while it ran."""
        last = FOREVER if incident.resolved_time is None else slot_of(incident.resolved_time)
        inside = (rows.slot >= self.first_slot(incident)) & (rows.slot < last)
        inside[inside] = members(self.words, rows.codes[inside], incident.cohort)
        return inside

    def first_slot(self, incident: Incident) -> int:
        """Return the first slot that may belong to an incident."""
        return slot_of(incident.onset_time - self.onset_slack)

    def ranked(self, signal: Signal, first_slot: int, usable: Mask) -> list[Suspect]:
        """Rank the cohorts that could carry the excess of a signal in the usable rows from a slot on."""
        number = SIGNALS.index(signal)
        rows = usable & (self.rows.slot >= first_slot) & self.rows.at_risk[:, number]
        scan = self.scans[number]
        return suspects(
            self.rows.codes[rows],
            self.rows.fresh[rows, number].astype(float),
            self.recent.expected[rows, number] * (1 + scan.slack),
            dispersion=scan.dispersion,
            floor=scan.floor,
        )

    def threshold(self, scan: CohortScan, margin_nats: float) -> float:
        """Return the surprise from which a cohort is worth a look: the price of all cohorts watched, and a margin."""
        watched = int((scan.expected_total(len(self.recent.index)) >= 1).sum())
        return margin_nats + float(np.log(max(watched, FEWEST_COHORTS)))

    def _absorb(self, evidence: Sequence[Evidence], now: datetime) -> None:
        units = len(self.recent.index)
        for scan, new in zip(self.scans, evidence, strict=True):
            scan.learn(new, units, slot_of(now) - 1)


FEWEST_COHORTS = 100
"""Even a quiet service's cohorts are looked at by the hundred."""
