"""Subscribers' sessions as evidence about their own faults: what each session says, against what was due.

A session's likelihood ratio depends on how bad it was. Stalling comes in levels; how often each level occurs without a
fault is learnt, and how often within one is assumed, flat over levels, from what household faults look like. For a
Bernoulli detector the ratio is passed on as an effective expectation, ``p1 * P0(level) / P1(level)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from detectors.evidence import Array, Evidence
from detectors.observations import (
    SIGNALS,
    SLOT_US,
    Codes,
    ImpairmentRule,
    Times,
    Vocabularies,
    read_sql,
)
from telemetry.contract import DIMENSIONS, Signal
from telemetry.time import naive_utc

STALL_LEVELS = (0.02, 0.05, 0.15)
"""Rebuffering ratios from which a session stalls badly, very badly, unwatchably."""
STALL_SHARES = (0.30, 0.33, 0.12)
"""How a household fault's sessions spread over the levels; the rest are good."""
USUAL_STALL_SHARES = (0.0245, 0.0056, 0.0006)
"""The same of people without a fault."""
FAILURE_SHARES = (0.57, 0.0102)
"""Failed sessions within a fault of one's own, and without."""
STARTUP_SHARES = (0.6, 0.021)
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
MOST_SESSIONS = 200
"""Of one subscriber: the latest ones count."""


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


def load_own_sessions(
    connection: duckdb.DuckDBPyConnection,
    vocabularies: Vocabularies,
    rule: ImpairmentRule,
    start: datetime,
    end: datetime,
    changed_from: datetime,
    impaired_share: float,
) -> OwnSessions:
    """Read the sessions of ``[start, end)`` of everyone who had a bad slice in what was merged from `changed_from`.

    Parameters
    ----------
    impaired_share
        `SubscriberRun.impaired_share`, for which the expectations are made.
    """
    parameters = {
        "from": naive_utc(start),
        "to": naive_utc(end),
        "changed": naive_utc(changed_from),
        "min_stalled_ms": rule.min_session_ms,
        "slow_ms": rule.slow_ms,
    }
    table = connection.sql(read_sql("wanted_sessions"), params=parameters).to_arrow_table()
    column = {name: table.column(name) for name in table.column_names}

    def numbers(name: str, kind: type = float) -> NDArray[Any]:
        return np.asarray(column[name].to_numpy()).astype(kind)

    def times(name: str) -> Times:
        return np.asarray(column[name].to_numpy()).astype("datetime64[us]").astype(np.int64)

    classes = column["error_class"].to_pylist()
    stalled, played = numbers("stalled_ms"), numbers("playing_ms") + numbers("stalled_ms")
    level = _stall_level(stalled, played, numbers("own_ratio"), rule)
    failure, access = numbers("failure", bool), numbers("access", bool)
    startup, usual = numbers("startup_ms"), numbers("usual_startup_ms")
    slow = (usual > 0) & (startup > rule.slow_factor * usual) & (startup > rule.slow_ms + usual)
    bad = np.column_stack([level > 0, slow, failure, access])
    exposed = np.column_stack([(played > 0) & ~failure, startup > 0, ~access, np.ones(len(bad), bool)])
    expected = np.column_stack(
        [
            _stall_expectation(level, numbers("stalling_factor"), impaired_share),
            np.full(len(bad), impaired_share * STARTUP_SHARES[1] / STARTUP_SHARES[0]),
            np.full(len(bad), impaired_share * FAILURE_SHARES[1] / FAILURE_SHARES[0]),
            _denial_expectation(classes, access, impaired_share),
        ]
    )
    dims = [v.encode(column[d]) for d, v in zip(DIMENSIONS, vocabularies.dimensions, strict=True)]
    return OwnSessions(
        vocabularies.sessions.encode(column["session_id"]),
        vocabularies.subscribers.encode(column["subscriber_id"]),
        vocabularies.error_classes.encode(column["error_class"]),
        np.column_stack(dims).astype(np.int32),
        times("started_time"),
        times("last_time"),
        exposed,
        bad,
        expected,
    )


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


def _denial_expectation(
    classes: list[str | None], access: NDArray[np.bool_], impaired_share: float
) -> Array:
    usual = sum(without for _, without in DENIAL_SHARES.values())
    denied = [DENIAL_SHARES.get(c or "", UNKNOWN_DENIAL) for c in classes]
    effective = np.array([impaired_share * without / within for within, without in denied] or [0.0])[: len(access)]
    return np.where(access, effective, usual)


def signal_of(number: int) -> Signal:
    """Return the signal at a place of `SIGNALS`."""
    return SIGNALS[number]
