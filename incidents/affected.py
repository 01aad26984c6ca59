"""Who is troubled by an incident: the people in its cohort whose own playback was materially bad since it began."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detectors.observations import SIGNALS, ImpairmentRule, Observations
from telemetry.contract import Signal

Array = NDArray[np.float64]

RUNNING_US = 5 * 60 * 1_000_000
"""A session heard of so lately is going on, as far as one knows."""
TO_COME_MS = 20 * 60 * 1_000
"""How much longer a session that goes on is taken to last, and well: a stall in its first minutes is a part of it."""
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
    probability: float
    """That one of their bad sessions was this fault's, 0 to 1."""


def affected(
    rows: Observations,
    whole: Observations,
    onset_slot: int,
    now_us: int,
    signals: Collection[Signal],
    rule: ImpairmentRule,
    blame: Array,
    least_probability: float,
    known: Collection[int] = (),
    told: Collection[int] = (),
) -> list[Affected]:
    """Return the people whose sessions in `rows` were impaired by any of `signals`, each with their worst signal.

    A bad session in a faulty cohort may be bad by chance, above all where the fault is weak, or by another fault.
    Somebody is affected when the probability that at least one of theirs was this fault's, ``1 - prod(1 - blame)``, is
    high enough; or when it is that of any fault, this one is the likeliest, and they have heard of none.

    Parameters
    ----------
    rows
        The slices of the incident's cohort since its onset.
    whole
        Slices among which are all of the sessions in `rows`, as far back as memory reaches.
    onset_slot
        The slot of the incident's onset: what was before it does not count in a session that is over.
    now_us
        Until when events are known, microseconds since 1970.
    signals
        What the incident raises.
    rule
        When a session stalls too much.
    blame
        The probability that an impairment in a row is a fault's, shape (faults, n, 4), the incident's own first; see
        `incidents.blame`.
    least_probability
        From which (0 to 1) somebody is taken to be affected.
    known
        Codes of subscribers who need not be told again.
    told
        Codes of those who were told of another of the faults.
    """
    others = ~np.isin(rows.subscriber, np.fromiter(known, np.int32))
    rows, blame = rows.take(others), blame[:, others]
    if not len(rows):
        return []
    sessions, row_session = np.unique(rows.session, return_inverse=True)
    row_session = row_session.ravel()
    stalling = _Stalling.of(rows.take(rows.slot >= onset_slot), whole, sessions, now_us)
    bad = _impaired_sessions(rows, row_session, stalling, signals, rule)
    owner = np.zeros(len(sessions), np.int32)
    owner[row_session] = rows.subscriber
    people, session_person = np.unique(owner, return_inverse=True)
    counts = np.zeros((len(people), len(SIGNALS)), np.int64)
    np.add.at(counts, session_person.ravel(), bad)
    startup = SIGNALS.index(Signal.STARTUP)
    counts[:, startup] = np.where(counts[:, startup] >= SLOW_STARTS, counts[:, startup], 0)
    counted = bad & (counts[session_person.ravel()] > 0)
    guilty = [_guilt(one, row_session, counted, session_person.ravel()) for one in (*blame, blame.sum(axis=0))]
    sure = guilty[0] >= least_probability
    likeliest = (guilty[-1] >= least_probability) & (guilty[0] >= np.max(guilty[:-1], axis=0))
    likeliest &= ~np.isin(people, np.fromiter(told, np.int32))
    struck = np.flatnonzero(counts.any(axis=1) & (sure | likeliest))
    row_person = session_person.ravel()[row_session]
    return [
        _describe(rows, row_person == person, bad[row_session], counts[person], int(people[person]), guilty[0][person])
        for person in struck
    ]


def _guilt(
    blame: Array, row_session: NDArray[np.int64], counted: NDArray[np.bool_], session_person: NDArray[np.int64]
) -> Array:
    """The probability that one of each person's bad sessions was a fault's, shape (people,)."""
    guilt = np.zeros(counted.shape)
    np.maximum.at(guilt, row_session, blame)
    innocent = np.where(counted, 1 - guilt, 1.0).min(axis=1)
    chance = np.ones(int(session_person.max()) + 1)
    np.multiply.at(chance, session_person, innocent)
    return np.asarray(1 - chance)


@dataclass(frozen=True)
class _Stalling:
    """How long sessions stalled in all, and the stall and time that each is judged by, in ms, shape (sessions,).

    One that goes on is judged as a whole, as it will be in the end; one that is over by the part since the onset.
    """

    in_all: Array
    stalled: Array
    watched: Array

    @classmethod
    def of(cls, since: Observations, whole: Observations, sessions: NDArray[np.int32], now_us: int) -> _Stalling:
        whole = whole.take(np.isin(whole.session, sessions))
        in_all, watched = _played(whole, sessions)
        stalled_since, watched_since = _played(since, sessions)
        last = np.zeros(len(sessions), np.int64)
        np.maximum.at(last, np.searchsorted(sessions, whole.session), whole.last_us)
        running = last >= now_us - RUNNING_US
        return cls(
            in_all,
            np.where(running, in_all, stalled_since),
            np.where(running, watched + TO_COME_MS, watched_since),
        )


def _played(rows: Observations, sessions: NDArray[np.int32]) -> tuple[Array, Array]:
    """How long each session stalled, and stalled or played, in ms."""
    place = np.searchsorted(sessions, rows.session)
    stalled = np.bincount(place, rows.stalled_ms, len(sessions)).astype(float)
    return stalled, np.bincount(place, rows.playing_ms, len(sessions)) + stalled


def _impaired_sessions(
    rows: Observations,
    row_session: NDArray[np.int64],
    stalling: _Stalling,
    signals: Collection[Signal],
    rule: ImpairmentRule,
) -> NDArray[np.bool_]:
    """Which sessions each signal impaired, shape (sessions, 4)."""
    count = len(stalling.stalled)
    bad = np.zeros((count, len(SIGNALS)), bool)
    for number, signal in enumerate(SIGNALS):
        if signal is not Signal.BUFFERING:
            bad[row_session[rows.bad[:, number]], number] = True
    here = np.bincount(row_session, rows.stalled_ms, count)
    stalled, watched = stalling.stalled, stalling.watched
    own = np.zeros(count)
    own[row_session] = rows.own_ratio
    bad[:, SIGNALS.index(Signal.BUFFERING)] = (
        (stalled >= rule.min_session_ms)
        & (stalled > rule.min_ratio * watched)
        & (stalled > rule.own_factor * own * watched)
        & (2 * here >= stalling.in_all)
    )
    return np.asarray(bad & np.array([signal in signals for signal in SIGNALS]), dtype=bool)


def _describe(
    rows: Observations,
    mine: NDArray[np.bool_],
    session_bad: NDArray[np.bool_],
    counts: NDArray[np.int64],
    subscriber: int,
    probability: float,
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
        probability=float(probability),
    )
