"""Subscribers' sessions as evidence about their own faults: what each session says, against what was due.

A session's likelihood ratio depends on how bad it was. Stalling comes in levels; how often each level occurs without a
fault is learnt, and how often within one is assumed, flat over levels, from what household faults look like. For a
Bernoulli detector the ratio is passed on as an effective expectation, ``p1 * P0(level) / P1(level)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
STALL_KINDS = ("stall_1", "stall_2", "stall_3")
FAILURE_KIND = "failure"
STARTUP_KIND = "startup"
DENIAL_KIND = "denial:"
"""Begins the kind of a refused session, before its error class."""

WITHIN_FAULT: Mapping[str, float] = {
    "stall_1": 0.30,
    "stall_2": 0.33,
    "stall_3": 0.12,
    FAILURE_KIND: 0.57,
    STARTUP_KIND: 0.6,
    "denial:payment": 0.4,
    "denial:device_limit": 0.3,
    "denial:auth": 0.02,
    "denial:entitlement": 0.02,
    "denial:drm": 0.002,
    "denial:geo": 0.002,
}
"""How the sessions of somebody with a fault of their own spread over kinds; the rest are good. Assumed, not learnt:
what an account can cause speaks loudly."""
USUALLY: Mapping[str, float] = {
    "stall_1": 0.025,
    "stall_2": 0.006,
    "stall_3": 0.0006,
    FAILURE_KIND: 0.01,
    STARTUP_KIND: 0.08,
    "denial:payment": 0.0002,
    "denial:device_limit": 0.0003,
    "denial:auth": 0.001,
    "denial:entitlement": 0.001,
    "denial:drm": 0.0005,
    "denial:geo": 0.0004,
}
"""How often a session is of a kind without a fault, before anything is learnt."""
UNKNOWN_WITHIN, UNKNOWN_USUALLY = 0.01, 0.001
"""The same of a refusal of another class."""
PRIOR_SESSIONS = 1_000
"""Sessions that `USUALLY` weighs against those counted."""


@dataclass(frozen=True)
class UsualShares:
    """How often a session is of each kind without a fault of one's own (0 to 1)."""

    shares: Mapping[str, float]

    @classmethod
    def learnt(cls, counted: Iterable[tuple[str, int, int]] = ()) -> UsualShares:
        """Return the shares of counted ``(kind, sessions, exposed)``, shrunk towards `USUALLY` and never below.

        Bad sessions come in bursts, a refusal above all: where they are rare, two in a row say less than twice one.
        """
        shares = dict(USUALLY)
        for kind, sessions, exposed in counted:
            prior = USUALLY.get(kind, UNKNOWN_USUALLY)
            shares[kind] = max(prior, (sessions + PRIOR_SESSIONS * prior) / (exposed + PRIOR_SESSIONS))
        return cls(shares)

    def of(self, kind: str) -> float:
        """Return the share of one kind."""
        return self.shares.get(kind, UNKNOWN_USUALLY)

    def total(self, prefix: str) -> float:
        """Return the share of all kinds that begin so."""
        return sum(share for kind, share in self.shares.items() if kind.startswith(prefix))


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
    level
        How badly it stalled: 0 for not, else the place in `STALL_LEVELS` from 1, shape (n,).
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
    level: NDArray[np.int64]
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
    rows: Observations,
    words: Vocabularies,
    rule: ImpairmentRule,
    usual: UsualShares,
    impaired_share: float,
    first_slot: int,
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
    usual
        What is usual without a fault.
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
        level,
        np.column_stack(
            [
                _stall_expectation(level, rows.stalling_factor[first], usual, impaired_share),
                np.full(count, impaired_share * usual.of(STARTUP_KIND) / WITHIN_FAULT[STARTUP_KIND]),
                np.full(count, impaired_share * usual.of(FAILURE_KIND) / WITHIN_FAULT[FAILURE_KIND]),
                _denial_expectation(error_class, access, words, usual, impaired_share),
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


def _stall_expectation(level: NDArray[np.int64], factor: Array, usual: UsualShares, impaired_share: float) -> Array:
    """Effective expectation of stalling: what is usual at this level, times how prone the person is."""
    without = np.array([usual.of(kind) for kind in STALL_KINDS])
    within = np.array([WITHIN_FAULT[kind] for kind in STALL_KINDS])
    effective = np.r_[without.sum(), impaired_share * without / within]
    return np.asarray(effective[level] * factor)


def _denial_expectation(
    classes: Codes, access: NDArray[np.bool_], words: Vocabularies, usual: UsualShares, impaired_share: float
) -> Array:
    kinds = [*_denial_kinds(words), ""]
    within = np.array([WITHIN_FAULT.get(kind, UNKNOWN_WITHIN) for kind in kinds])
    without = np.array([usual.of(kind) for kind in kinds])
    return np.where(access, impaired_share * (without / within)[classes], usual.total(DENIAL_KIND))


def _denial_kinds(words: Vocabularies) -> list[str]:
    """Return the kind of a refusal by code of its error class."""
    return [DENIAL_KIND + words.error_classes.text(code) for code in range(len(words.error_classes))]


def count_kinds(sessions: OwnSessions, words: Vocabularies, usable: NDArray[np.bool_]) -> list[tuple[str, int, int]]:
    """Count sessions by kind: ``(kind, sessions, exposed)``, what `UsualShares` learns from.

    Parameters
    ----------
    sessions
        Of people without a fault of their own.
    words
        Of the sessions.
    usable
        Which of them no incident explains, by signal, shape (n, 4).
    """
    open_to = usable & sessions.exposed
    exposed = dict(zip(SIGNALS, open_to.sum(axis=0).tolist(), strict=True))
    stalls = np.bincount(sessions.level[open_to[:, SIGNALS.index(Signal.BUFFERING)]], minlength=len(STALL_KINDS) + 1)
    counted = [(kind, int(n), exposed[Signal.BUFFERING]) for kind, n in zip(STALL_KINDS, stalls[1:], strict=True)]
    for kind, signal in ((STARTUP_KIND, Signal.STARTUP), (FAILURE_KIND, Signal.FAILURE)):
        number = SIGNALS.index(signal)
        counted.append((kind, int((open_to & sessions.bad)[:, number].sum()), exposed[signal]))
    refused = (open_to & sessions.bad)[:, SIGNALS.index(Signal.ACCESS)] & (sessions.error_class != MISSING)
    denials = np.bincount(sessions.error_class[refused], minlength=len(words.error_classes))
    counted += [(kind, int(n), exposed[Signal.ACCESS]) for kind, n in zip(_denial_kinds(words), denials, strict=True)]
    return counted
