"""Whose fault a bad session is: chance, or one of the faults that are known, told apart by when, where and how.

Impairments of a signal are a mixture. Chance brings what is usual, of the kinds that are usual: mild stalls mostly,
errors of all classes. Fault i brings x_i times the usual in its cohort, of its own kinds: an access network loses
connections, a delivery network's errors are of its own class, and both stall longer than chance does. So an impairment
of kind k at time t is the fault's with probability

    blame_i = x_i(t) rho_i(k) / (f pi(k) + sum over faults j of x_j(t) rho_j(k))

with pi and rho the shares of kinds by chance and by a fault, and f how prone to stalls the person is. With one fault
whose kinds are usual it is the attributable fraction, (m - 1) / (m - 1 + f) with m = 1 + x (Miettinen 1974). x and rho
are found by expectation and maximisation (Dempster, Laird and Rubin 1977), starting from equal parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import SLOTS_PER_BUCKET
from detectors.observations import SIGNALS, Flags, Observations
from detectors.own_sessions import STALL_LEVELS
from telemetry.contract import Signal

Array = NDArray[np.float64]
Kinds = NDArray[np.int64]

PRIOR = 0.5
"""Impairments due that a fault's whole course weighs beside one quarter-hour's."""
PRIOR_PEOPLE = 3.0
"""People whom the usual shares of kinds weigh against those whom a fault struck."""
PRIOR_KIND = 0.5
"""People with which each kind starts among those struck by chance."""
SWEEPS = 12
SLOW = (3.0, 6.0)
"""Times the usual start-up from which a slow start is of the next kind."""
MOST_KINDS = 3
"""Kinds of stalls and of slow starts: by how badly."""
OWN_FAULT = 20.0
"""How many times as prone somebody is who has a fault of their own: it impairs most sessions, not one in thirty."""


@dataclass(frozen=True)
class Fault:
    """A known fault, as far as it is in memory.

    Parameters
    ----------
    inside
        Which rows are in its cohort while it ran, shape (n,).
    onset_slot
        The slot of its onset; the slots just before have to speak for themselves.
    """

    inside: Flags
    onset_slot: int

    def buckets(self, slot: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the quarter-hour of each slot, from 1 on since the onset, 0 before."""
        return np.maximum((slot - self.onset_slot) // SLOTS_PER_BUCKET + 1, 0)


def kinds_of(rows: Observations) -> Kinds:
    """Return of which kind each row's impairment is or would be, by signal, shape (n, 4)."""
    ratio = rows.stalled_ms / np.maximum(rows.playing_ms + rows.stalled_ms, 1)
    badly = rows.bad[:, SIGNALS.index(Signal.BUFFERING)]
    stalls = np.where(badly, np.searchsorted(STALL_LEVELS[1:], ratio, "right"), 0)
    starts = np.searchsorted(SLOW, np.nan_to_num(rows.startup_ratio), "right")
    errors = rows.error_class.astype(np.int64) + 1
    return np.column_stack([stalls, starts, errors, errors]).astype(np.int64)


def usual_shares(rows: Observations, kinds: int) -> Array:
    """Return the shares of kinds among people struck by chance, shape (4, kinds).

    Parameters
    ----------
    rows
        Slices that no fault explains.
    kinds
        How many there are.
    """
    of_rows, shares = kinds_of(rows), np.full((len(SIGNALS), kinds), PRIOR_KIND)
    for number in range(len(SIGNALS)):
        bad = rows.bad[:, number]
        pairs = np.unique(np.column_stack([rows.subscriber[bad].astype(np.int64), of_rows[bad, number]]), axis=0)
        shares[number] += np.bincount(pairs[:, 1], minlength=kinds)
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def blame(rows: Observations, usual: Array, faults: Sequence[Fault], shares: Array, prone: Array) -> Array:
    """Return the probability that an impairment in a row is each fault's, shape (faults, n, 4).

    Parameters
    ----------
    rows
        All slices in the cohorts of the faults while these ran, everybody's.
    usual
        Impairments due in each row, shape (n, 4).
    faults
        Those that may be to blame.
    shares
        The usual shares of kinds; see `usual_shares`.
    prone
        How many times as prone as others each row's viewer is, shape (n, 4).
    """
    result = np.zeros((len(faults), len(rows), len(SIGNALS)))
    if not len(rows):
        return result
    kinds = kinds_of(rows)
    for number in range(len(SIGNALS)):
        mixture = _Mixture(rows, usual[:, number], faults, kinds[:, number], shares[number], prone[:, number], number)
        result[:, :, number] = mixture.blame()
    return result


class _Mixture:
    """One signal's impairments as a mixture of chance and faults."""

    def __init__(
        self,
        rows: Observations,
        usual: Array,
        faults: Sequence[Fault],
        kinds: Kinds,
        shares: Array,
        prone: Array,
        number: int,
    ) -> None:
        self.kinds, self.shares = kinds, shares
        self.inside = np.array([fault.inside for fault in faults])
        self.bucket = np.array([fault.buckets(rows.slot) for fault in faults])
        self.bad = np.flatnonzero(rows.bad[:, number])
        self.chance = prone * shares[kinds]
        self.usual = usual
        _, self.person = np.unique(rows.subscriber, return_inverse=True)
        times = np.bincount(self.person[self.bad], minlength=int(self.person.max()) + 1)
        self.weight = 1 / np.maximum(times[self.person[self.bad]], 1)
        self.due = [self._by_bucket(it, usual) for it in range(len(faults))]

    def blame(self) -> Array:
        bad, held = self.bad, self.inside[:, self.bad]
        parts = held / (1 + held.sum(axis=0))
        for _ in range(SWEEPS):
            excess = [self._excess(it, part) for it, part in enumerate(parts)]
            odds = np.array(
                [x[bad] * self._kinds(part)[self.kinds[bad]] for x, part in zip(excess, parts, strict=True)]
            )
            parts = odds / (self.chance[bad] + odds.sum(axis=0))
        excess = [self._excess(it, part) for it, part in enumerate(parts)]
        odds = np.array([x * self._kinds_of_others(part) for x, part in zip(excess, parts, strict=True)])
        return np.asarray(odds / np.maximum(self.chance + odds.sum(axis=0), 1e-12))

    def _excess(self, it: int, part: Array) -> Array:
        """Times the usual that a fault brings to each row."""
        brought = np.zeros(len(self.usual))
        brought[self.bad] = part
        seen, due = self._by_bucket(it, brought), self.due[it]
        overall = seen.sum() / max(due.sum(), 1e-9)
        times = (_with_neighbours(seen) + PRIOR * overall) / (_with_neighbours(due) + PRIOR)
        times[0] = seen[0] / (due[0] + PRIOR)
        return np.asarray(times[self.bucket[it]] * self.inside[it])

    def _by_bucket(self, it: int, values: Array) -> Array:
        return np.bincount(self.bucket[it], values * self.inside[it], int(self.bucket[it].max()) + 1).astype(float)

    def _kinds(self, part: Array) -> Array:
        """A fault's shares of kinds; each person counts once."""
        found = np.bincount(self.kinds[self.bad], self.weight * part, len(self.shares))
        return np.asarray((found + PRIOR_PEOPLE * self.shares) / (found.sum() + PRIOR_PEOPLE))

    def _kinds_of_others(self, part: Array) -> Array:
        """The share of each row's kind without what its own viewer adds: nobody's bad session speaks for itself."""
        bad, kinds = self.bad, len(self.shares)
        found = np.bincount(self.kinds[bad], self.weight * part, kinds)
        own = np.zeros(len(self.kinds))
        mine = self.person[bad] * kinds + self.kinds[bad]
        by_kind = np.bincount(mine, self.weight * part, (int(self.person.max()) + 1) * kinds)
        own = by_kind[self.person * kinds + self.kinds]
        total = by_kind.reshape(-1, kinds).sum(axis=1)[self.person]
        numerator = np.maximum(found[self.kinds] - own, 0) + PRIOR_PEOPLE * self.shares[self.kinds]
        return np.asarray(numerator / (np.maximum(found.sum() - total, 0) + PRIOR_PEOPLE))


def _with_neighbours(counts: Array) -> Array:
    return np.convolve(counts, np.ones(3))[1:-1]
