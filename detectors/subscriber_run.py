"""The subscriber detector: the probability that somebody's own fault has begun, session by session."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from detectors.evidence import Array, Evidence

NEVER = -1
STIRRING = 1.0
"""Nats above rest from which a run counts as going on."""


@dataclass(frozen=True)
class RunState:
    """Where each unit's run stands: log odds, slot of its first impaired exposure, and its counts; shape (units,)."""

    log_odds: Array
    since: NDArray[np.int64]
    impaired: NDArray[np.int64]
    sessions: NDArray[np.int64]

    @classmethod
    def at_rest(cls, units: int, rest: float) -> RunState:
        """Return units in which nothing has begun."""
        none = np.zeros(units, np.int64)
        return cls(np.full(units, rest), np.full(units, NEVER, np.int64), none, none.copy())

    def grown(self, units: int, rest: float) -> RunState:
        """Return the state with room for `units`."""
        extra = RunState.at_rest(max(units - len(self.log_odds), 0), rest)
        if not len(extra.log_odds):
            return self
        return RunState(
            **{f.name: np.concatenate([getattr(self, f.name), getattr(extra, f.name)]) for f in fields(self)}
        )

    def copy(self) -> RunState:
        """Return an independent copy."""
        return RunState(**{f.name: getattr(self, f.name).copy() for f in fields(self)})


class SubscriberRun:
    """Score each subscriber by the posterior log odds that a fault of their own is going on.

    Shiryaev's recursion (1963) for a change of unknown time. Before each exposure a fault begins with probability
    rho; then the exposure's likelihood ratio counts:

        odds = (odds + rho) / (1 - rho) * LR
        LR   = p1 / p0  for an impaired exposure,   (1 - p1) / (1 - p0)  for a good one

    with p0 what is due of this exposure, and p1 how often a fault impairs one. The odds are calibrated if p0, p1 and
    rho are, and they never turn below the chance that a fault has just begun, so a long good past does not hide a bad
    evening.

    Parameters
    ----------
    hazard
        rho: how likely a fault begins before any one exposure. Some 1.5 in 1,000 sessions begin one.
    impaired_share
        p1: household faults impair some seven sessions in ten, and so do account faults.
    most_odds
        Log odds are held at this height, so that an end can be seen too.
    """

    def __init__(self, hazard: float = 0.0015, impaired_share: float = 0.7, most_odds: float = 12.0) -> None:
        self.hazard = hazard
        self.impaired_share = impaired_share
        self.most_odds = most_odds
        self.state_ = RunState.at_rest(0, self.rest)

    def learn(self, evidence: Evidence, units: int, slot: int) -> None:  # noqa: ARG002 - the contract
        """Take new exposures in, each unit's in the order of their slots, the good ones of a slot first.

        A run is followed forwards only: what is taken back, with less than no exposures, is passed over.
        """
        self._state(units)
        rows = evidence.clean()
        rows = rows.take(rows.exposures > 0)
        rows = rows.take(np.lexsort((rows.expected, rows.observed, rows.slot, rows.unit)))
        for step in _ranks(rows.unit):
            self._take(rows.take(step))

    def score(self, evidence: Evidence, units: int, slot: int) -> Array:
        """Return every unit's log odds with the new evidence; `log(hazard)` is shown as 0, the usual level."""
        trial = SubscriberRun(self.hazard, self.impaired_share, self.most_odds)
        trial.state_ = self.state_.grown(units, self.rest).copy()
        trial.learn(evidence, units, slot)
        return trial.current(units)

    def current(self, units: int) -> Array:
        """Return the log odds of what has been learnt, over those of a fault that has just begun."""
        return self._state(units).log_odds - self.rest

    def probability(self, units: int) -> Array:
        """Return each unit's posterior probability of a fault of its own."""
        return np.asarray(1 / (1 + np.exp(-self._state(units).log_odds)))

    def resting(self, units: int) -> NDArray[np.bool_]:
        """Return the units in which nothing seems to have begun."""
        return self._state(units).log_odds <= self.rest + STIRRING

    @property
    def rest(self) -> float:
        """The log odds of a fault that has just begun."""
        return float(np.log(self.hazard / (1 - self.hazard)))

    def _state(self, units: int) -> RunState:
        self.state_ = self.state_.grown(units, self.rest)
        return self.state_

    def _take(self, rows: Evidence) -> None:
        """One exposure of each of several units."""
        state, unit = self.state_, rows.unit
        p0 = np.clip(rows.expected, 1e-6, self.impaired_share * 0.9)
        impaired = rows.observed > 0
        ratio = np.where(impaired, self.impaired_share / p0, (1 - self.impaired_share) / (1 - p0))
        before = state.log_odds[unit]
        running = before > self.rest + STIRRING
        odds = (np.exp(before) + self.hazard) / (1 - self.hazard) * ratio
        state.log_odds[unit] = np.minimum(np.log(odds), self.most_odds)
        state.since[unit] = np.where(running, state.since[unit], np.where(impaired, rows.slot, NEVER))
        state.impaired[unit] = np.where(running, state.impaired[unit], 0) + impaired
        state.sessions[unit] = np.where(running, state.sessions[unit], 0) + 1


def _ranks(unit: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Split sorted unit numbers into rounds in which each unit comes at most once, in order."""
    if not len(unit):
        return []
    starts = np.flatnonzero(np.r_[True, unit[1:] != unit[:-1]])
    rank = np.arange(len(unit)) - np.repeat(starts, np.diff(np.r_[starts, len(unit)]))
    order = np.argsort(rank, kind="stable")
    return np.split(order, np.cumsum(np.bincount(rank))[:-1])
