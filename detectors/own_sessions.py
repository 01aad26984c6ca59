"""Subscribers' sessions as evidence about their own faults: what each session says, against what was due.

A session's likelihood ratio depends on how bad it was. Stalling comes in levels; how often each level occurs without a
fault is learnt, and how often within one is assumed, flat over levels, from what household faults look like. For a
Bernoulli detector the ratio is passed on as an effective expectation, ``p1 * P0(level) / P1(level)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.evidence import Array, Evidence
from detectors.observations import (
    MISSING,
    SIGNALS,
    SLOT_US,
    Codes,
    ImpairmentRule,
    Observations,
    Times,
    Vocabularies,
)
from telemetry.contract import Signal

STALL_LEVELS = (0.02, 0.05, 0.15)
"""Rebuffering ratios from which a session stalls badly, very badly, unwatchably."""
STALL_SHARES = (0.30, 0.33, 0.12)
"""How a household fault's sessions spread over the levels; the rest are good."""
USUAL_STALL_SHARES = (0.0245, 0.0056, 0.0006)
"""The same of people without a fault."""
FAILURE_SHARES = (0.57, 0.0102)
"""Failed sessions within a fault of one's own, and without."""
STARTUP_SHARES = (0.6, 0.04)
DENIAL_SHARES: Mapping[str, tuple[float, float]] = {
    "payment": (0.4, 0.0002),
    "device_limit": (0.3, 0.0003),
    "auth": (0.02, 0.0012),
    "entitlement": (0.02, 0.001),
    "drm": (0.002, 0.0005),
    "geo": (0.002, 0.0004),
}
"""Refusals by error class within an account's fault, and without one: what an account can cause speaks loudly."""
UNKNOWN_DENIAL = (0.01, 0.001)


@dataclass(frozen=True)
class OwnSessions:
    """Sessions of some subscribers as columns, ordered by subscriber and start.

    Attributes
    ----------
    session, subscriber, error_class
        Codes of `Vocabularies`, shape (n,).
    codes
        Dimension codes, shape (n, 9).
    started_us, last_us
        First and last event, microseconds since 1970, shape (n,).
    exposed, bad
        By signal, shape (n, 4).
    expected
        Effective expectation by signal for `SubscriberRun`, shape (n, 4).
    """

    session: Codes
    subscriber: Codes
    error_class: Codes
    codes: Codes
    started_us: Times
    last_us: Times
    exposed: NDArray[np.bool_]
    bad: NDArray[np.bool_]
    expected: Array

    def __len__(self) -> int:
        return len(self.session)

    def take(self, rows: NDArray[Any]) -> OwnSessions:
        """Return the rows that a mask or an index array selects."""
        return OwnSessions(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def evidence(self, signal: int, people: Codes, usable: NDArray[np.bool_]) -> Evidence:
        """Return the usable sessions as evidence; a unit is a place in `people`, sorted subscriber codes."""
        rows = usable & self.exposed[:, signal]
        unit = np.searchsorted(people, self.subscriber[rows]).astype(np.int64)
        ones = np.ones(int(rows.sum()))
        observed = self.bad[rows, signal].astype(float)
        return Evidence(unit, self.started_us[rows] // SLOT_US, observed, self.expected[rows, signal], ones)


def own_sessions(
    rows: Observations, words: Vocabularies, rule: ImpairmentRule, impaired_share: float, first_slot: int
) -> OwnSessions:
    """Add slices up to sessions and judge each against its viewer's own normal.

    Parameters
    ----------
    rows
        All the slices of some people.
    words
        Of the rows.
    rule
        What counts as impaired.
    impaired_share
        `SubscriberRun.impaired_share`, for which the expectations are made.
    first_slot
        Sessions that began before it are left out: another day has counted them.
    """
    rows = rows.take(np.lexsort((rows.slot, rows.session)))
    session, first, inverse = np.unique(rows.session, return_index=True, return_inverse=True)
    count, inverse = len(session), inverse.ravel()
    stalled = np.bincount(inverse, rows.stalled_ms, count).astype(float)
    played = np.bincount(inverse, rows.playing_ms, count) + stalled
    some = {name: _any(rows.bad[:, SIGNALS.index(name)], inverse, count) for name in SIGNALS}
    level = _stall_level(stalled, played, rows.own_ratio[first], rule)
    error_class = np.full(count, MISSING, np.int32)
    np.maximum.at(error_class, inverse, rows.error_class)
    started, last = np.full(count, np.iinfo(np.int64).max), np.zeros(count, np.int64)
    np.minimum.at(started, inverse, rows.first_us)
    np.maximum.at(last, inverse, rows.last_us)
    failure, access = some[Signal.FAILURE], some[Signal.ACCESS] | _any(rows.account, inverse, count)
    exposed_start = _any(rows.exposed[:, SIGNALS.index(Signal.STARTUP)], inverse, count)
    found = OwnSessions(
        session,
        rows.subscriber[first],
        error_class,
        rows.codes[first],
        started,
        last,
        np.column_stack([(played > 0) & ~failure, exposed_start, ~access, np.ones(count, bool)]),
        np.column_stack([level > 0, some[Signal.STARTUP], failure, access]),
        np.column_stack(
            [
                _stall_expectation(level, rows.stalling_factor[first], impaired_share),
                np.full(count, impaired_share * STARTUP_SHARES[1] / STARTUP_SHARES[0]),
                np.full(count, impaired_share * FAILURE_SHARES[1] / FAILURE_SHARES[0]),
                _denial_expectation(error_class, access, words, impaired_share),
            ]
        ),
    )
    return found.take(rows.slot[first] >= first_slot)


def _any(flag: NDArray[np.bool_], group: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(group, flag, count) > 0)


def _stall_level(stalled: Array, played: Array, own: Array, rule: ImpairmentRule) -> NDArray[np.int64]:
    """Return 0 for a good session, else 1 to 3 by how much it stalled."""
    ratio = stalled / np.maximum(played, 1)
    bad = (stalled >= rule.min_session_ms) & (ratio > rule.min_ratio) & (ratio > rule.own_factor * own)
    return np.where(bad, np.searchsorted(STALL_LEVELS, ratio), 0).clip(0, len(STALL_LEVELS))


def _stall_expectation(level: NDArray[np.int64], factor: Array, impaired_share: float) -> Array:
    """Effective expectation of stalling: what is usual at this level, times how prone the person is."""
    usual, within = np.array([sum(USUAL_STALL_SHARES), *USUAL_STALL_SHARES]), np.array([1.0, *STALL_SHARES])
    effective = np.where(level > 0, impaired_share * usual[level] / within[level], usual[0])
    return np.asarray(effective * factor)


def _denial_expectation(classes: Codes, access: NDArray[np.bool_], words: Vocabularies, impaired_share: float) -> Array:
    usual = sum(without for _, without in DENIAL_SHARES.values())
    texts = [words.error_classes.text(c) for c in range(len(words.error_classes))]
    shares = np.array([*(DENIAL_SHARES.get(t, UNKNOWN_DENIAL) for t in texts), UNKNOWN_DENIAL])
    within, without = shares[classes].T
    return np.where(access, impaired_share * without / within, usual)
