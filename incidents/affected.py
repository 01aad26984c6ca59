"""Who is troubled by an incident: the people in its cohort whose own playback was materially bad since it began."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.observations import SIGNALS, ImpairmentRule, Observations
from telemetry.contract import Signal

SLOW_STARTS = 2
"""One slow start is an annoyance; two are a problem."""


@dataclass(frozen=True)
class Affected:
    """One person's bad time: row by row of their slices, summed."""

    subscriber: int
    signal: Signal
    first_us: int
    last_us: int
    impaired: int
    sessions: int
    device: int
    error_class: int


def affected(
    rows: Observations, signals: Collection[Signal], rule: ImpairmentRule, known: Collection[int] = ()
) -> list[Affected]:
    """Return the people whose sessions in `rows` were impaired by any of `signals`, each with their worst signal.

    Parameters
    ----------
    rows
        The slices of the incident's cohort since its onset.
    signals
        What the incident raises.
    rule
        When a session stalls too much.
    known
        Codes of subscribers who need not be told again.
    """
    rows = rows.take(~np.isin(rows.subscriber, np.fromiter(known, np.int32)))
    if not len(rows):
        return []
    sessions, row_session = np.unique(rows.session, return_inverse=True)
    row_session = row_session.ravel()
    bad = _impaired_sessions(rows, row_session, len(sessions), signals, rule)
    owner = np.zeros(len(sessions), np.int32)
    owner[row_session] = rows.subscriber
    people, session_person = np.unique(owner, return_inverse=True)
    counts = np.zeros((len(people), len(SIGNALS)), np.int64)
    np.add.at(counts, session_person.ravel(), bad)
    startup = SIGNALS.index(Signal.STARTUP)
    counts[:, startup] = np.where(counts[:, startup] >= SLOW_STARTS, counts[:, startup], 0)
    struck = np.flatnonzero(counts.any(axis=1))
    row_person = session_person.ravel()[row_session]
    return [
        _describe(rows, row_person == person, bad[row_session], counts[person], int(people[person]))
        for person in struck
    ]


def _impaired_sessions(
    rows: Observations, row_session: NDArray[np.int64], count: int, signals: Collection[Signal], rule: ImpairmentRule
) -> NDArray[np.bool_]:
    """Which sessions each signal impaired, shape (sessions, 4)."""
    bad = np.zeros((count, len(SIGNALS)), bool)
    for number, signal in enumerate(SIGNALS):
        if signal is not Signal.BUFFERING:
            bad[row_session[rows.bad[:, number]], number] = True
    stalled = np.bincount(row_session, rows.stalled_ms, count)
    played = np.bincount(row_session, rows.playing_ms, count) + stalled
    own = np.zeros(count)
    own[row_session] = rows.own_ratio
    bad[:, SIGNALS.index(Signal.BUFFERING)] = (
        (stalled >= rule.min_session_ms)
        & (stalled > rule.min_ratio * played)
        & (stalled > rule.own_factor * own * played)
    )
    return np.asarray(bad & np.array([signal in signals for signal in SIGNALS]), dtype=bool)


def _describe(
    rows: Observations,
    mine: NDArray[np.bool_],
    session_bad: NDArray[np.bool_],
    counts: NDArray[np.int64],
    subscriber: int,
) -> Affected:
    order = [Signal.ACCESS, Signal.FAILURE, Signal.BUFFERING, Signal.STARTUP]
    signal = next(s for s in order if counts[SIGNALS.index(s)])
    number = SIGNALS.index(signal)
    bad = mine & session_bad[:, number]
    exact = bad & rows.bad[:, number]
    shown = exact if exact.any() else bad
    classes = rows.error_class[shown & (rows.error_class >= 0)]
    return Affected(
        subscriber=subscriber,
        signal=signal,
        first_us=int(rows.first_us[shown].min()),
        last_us=int(rows.last_us[shown].max()),
        impaired=len(np.unique(rows.session[mine & session_bad.any(axis=1)])),
        sessions=len(np.unique(rows.session[mine])),
        device=int(np.bincount(rows.codes[bad, 4] + 1).argmax()) - 1,
        error_class=int(np.bincount(classes).argmax()) if len(classes) else -1,
    )
