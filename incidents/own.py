"""Troubles of one's own: what is left of a subscriber's bad sessions once the known incidents are taken out.

The run of somebody's sessions is followed from day to day: `fold_day` leaves in the warehouse where each stood when a
day was over, and `OwnTroubles` takes it from there with the sessions since, which are in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from detectors.cohort_scan import CohortScan
from detectors.cohorts import CohortIndex, members
from detectors.learning import midnight
from detectors.observations import (
    SIGNALS,
    SLOT_US,
    Codes,
    ImpairmentRule,
    Observations,
    Vocabularies,
    any_signal,
    is_among,
    load_observations,
    moment_of,
    read_sql,
    slot_of,
    slot_start,
)
from detectors.own_sessions import OwnSessions, UsualShares, count_kinds, own_sessions
from detectors.subscriber_run import NEVER, RunState, SubscriberRun
from incidents.lifecycle import related
from incidents.model import OWN_PREFIX, Incident, Trouble
from incidents.sentences import of_run
from incidents.verdict import own_verdict
from telemetry.contract import DIMENSIONS, Signal

DEVICE = DIMENSIONS.index("device_type")
STRAGGLERS = timedelta(hours=3)
"""A session that began before midnight is followed this long into the next day."""
CERTAINLY_TROUBLED = 0.5
"""Probability of a fault of their own from which somebody's sessions teach nothing about what is usual."""
NOTABLE_STALLED_MS = 1_000
"""Stall time in a slice from which a person is looked at."""


@dataclass(frozen=True)
class OwnRule:
    """When a subscriber's own trouble is sure enough.

    Parameters
    ----------
    days
        How far back a run of bad sessions may reach, and for how long a trouble found is no news.
    least_probability
        Posterior probability of a fault of their own (0 to 1) from which we speak; of those found, at most the mean
        of what is missing to 1 is expected to be false.
    fresh_hours
        The latest bad session must be this recent: old trouble is no news.
    suspect_nats
        Surprise of a cohort of theirs from which their trouble may well be a fault not yet named; it is weighed
        against their own.
    learn_days
        Days of history that teach how often sessions go wrong without a fault.
    """

    days: int = 7
    least_probability: float = 0.9
    fresh_hours: float = 2.0
    suspect_nats: float = 4.0
    learn_days: int = 28


@dataclass(frozen=True)
class Scene:
    """What is known while looking for troubles: the slices in memory, the cohorts and their scans, the incidents."""

    rows: Observations
    words: Vocabularies
    index: CohortIndex
    scans: tuple[CohortScan, ...]
    known: tuple[Incident, ...]
    onset_slack: timedelta


def explained_sessions(
    sessions: OwnSessions, words: Vocabularies, known: Iterable[Incident], slack: timedelta
) -> NDArray[np.bool_]:
    """Return which sessions a known incident accounts for, by signal, shape (n, 4)."""
    flags = np.zeros((len(sessions), len(SIGNALS)), bool)
    for incident in known:
        first = (incident.onset_time - slack).timestamp() * 1e6
        last = np.inf if incident.resolved_time is None else incident.resolved_time.timestamp() * 1e6
        inside = (sessions.last_us >= first) & (sessions.started_us < last)
        inside[inside] = members(words, sessions.codes[inside], incident.cohort)
        for signal in related(incident.signal):
            flags[:, SIGNALS.index(signal)] |= inside
    return flags


def fold_day(
    connection: duckdb.DuckDBPyConnection,
    day: date,
    rule: OwnRule,
    impairment: ImpairmentRule,
    known: Iterable[Incident],
    slack: timedelta,
) -> None:
    """Carry everybody's runs over one finished day; the caller's transaction makes it happen once.

    Parameters
    ----------
    connection
        The warehouse's connection.
    day
        A day that is over and learnt.
    rule, impairment
        The rules.
    known
        Incidents whose sessions do not count.
    slack
        How long before its onset an incident may account for a session.
    """
    words, run = Vocabularies(), SubscriberRun()
    start = midnight(day)
    rows = load_observations(connection, words, impairment, start, start + timedelta(days=1) + STRAGGLERS)
    shares = load_shares(connection, day - timedelta(days=1), rule.learn_days)
    sessions = own_sessions(rows, words, impairment, shares, run.impaired_share, slot_of(start))
    sessions = sessions.take(sessions.started_us < slot_of(start + timedelta(days=1)) * SLOT_US)
    usable = ~explained_sessions(sessions, words, known, slack)
    stored = _Stored.load(connection, words, day - timedelta(days=1))
    people = np.arange(len(words.subscribers), dtype=np.int32)
    troubled = np.zeros(len(people), bool)
    for number, signal in enumerate(SIGNALS):
        run = SubscriberRun()
        run.state_ = stored.state(signal, people)
        run.learn(sessions.evidence(number, people, usable[:, number]), len(people), 0)
        _save(connection, day, signal, run, words, slot_of(start - timedelta(days=rule.days)))
        troubled |= run.probability(len(people)) >= CERTAINLY_TROUBLED
    healthy = ~troubled[sessions.subscriber]
    _save_kinds(connection, day, count_kinds(sessions.take(healthy), words, usable[healthy]))


def load_shares(connection: duckdb.DuckDBPyConnection, day: date, days: int) -> UsualShares:
    """Return what was usual in the `days` days up to `day`."""
    span = {"from": day - timedelta(days=days - 1), "to": day}
    return UsualShares.learnt(connection.execute(read_sql("load_kinds"), span).fetchall())


def _save_kinds(connection: duckdb.DuckDBPyConnection, day: date, counted: list[tuple[str, int, int]]) -> None:
    kinds, sessions, exposed = zip(*counted, strict=True)
    connection.register("kinds", pa.table({"kind": kinds, "sessions": sessions, "exposed": exposed}))
    connection.execute(read_sql("save_kinds"), {"day": day})
    connection.unregister("kinds")


def _save(
    connection: duckdb.DuckDBPyConnection,
    day: date,
    signal: Signal,
    run: SubscriberRun,
    words: Vocabularies,
    oldest_slot: int,
) -> None:
    """Store the runs that are going on and not too old."""
    state = run.state_
    going = ~run.resting(len(words.subscribers)) & (state.since >= oldest_slot)
    runs = pa.table(
        {
            "subscriber_id": words.subscribers.decode(np.flatnonzero(going).astype(np.int32)),
            "log_odds": state.log_odds[going],
            "since_slot": state.since[going],
            "impaired": state.impaired[going],
            "sessions": state.sessions[going],
        }
    )
    connection.register("runs", runs)
    connection.execute(read_sql("save_runs"), {"day": day, "signal": signal.value})
    connection.unregister("runs")


@dataclass(frozen=True)
class _Stored:
    """The runs that a day left behind."""

    signal: NDArray[np.object_]
    subscriber: Codes
    state_: RunState

    @classmethod
    def load(cls, connection: duckdb.DuckDBPyConnection, words: Vocabularies, day: date) -> _Stored:
        table = connection.sql(read_sql("load_runs"), params={"day": day}).to_arrow_table()

        def numbers(name: str, kind: type = np.int64) -> NDArray[Any]:
            return np.asarray(table.column(name).to_numpy()).astype(kind)

        state = RunState(numbers("log_odds", float), numbers("since_slot"), numbers("impaired"), numbers("sessions"))
        signal = np.array(table.column("signal").to_pylist(), dtype=object)
        return cls(signal, words.subscribers.encode(table.column("subscriber_id")), state)

    def state(self, signal: Signal, people: Codes) -> RunState:
        """Return where the run of each of `people`, sorted codes, stood."""
        state = SubscriberRun().state_.grown(len(people), SubscriberRun().rest)
        mine = (self.signal == signal.value) & np.isin(self.subscriber, people)
        place = np.searchsorted(people, self.subscriber[mine])
        for name in ("log_odds", "since", "impaired", "sessions"):
            getattr(state, name)[place] = getattr(self.state_, name)[mine]
        return state


class OwnTroubles:
    """Finds the people whose own run of sessions is surprising, whatever incidents are known.

    Parameters
    ----------
    rule, impairment
        The rules.
    """

    def __init__(self, rule: OwnRule, impairment: ImpairmentRule) -> None:
        self.rule = rule
        self.impairment = impairment
        self._stored: _Stored | None = None
        self._shares = UsualShares.learnt()
        self._first_slot = 0

    def start(self, connection: duckdb.DuckDBPyConnection, words: Vocabularies, folded: date | None) -> None:
        """Read where the runs stood at the end of the last day folded."""
        day = folded or date.min
        self._stored = _Stored.load(connection, words, day)
        self._shares = self._shares if folded is None else load_shares(connection, folded, self.rule.learn_days)
        self._first_slot = 0 if folded is None else slot_of(midnight(folded) + timedelta(days=1))

    def find(self, scene: Scene, troubled: Mapping[str, Collection[str]], now: datetime) -> list[Trouble]:
        """Return the troubles that the latest slices bring to light.

        Parameters
        ----------
        scene
            What is known.
        troubled
            Under ``own:buffering`` and so on, who has been found lately.
        now
            The end of the window.
        """
        rows = self._candidates(scene.rows, now)
        if not len(rows):
            return []
        run = SubscriberRun()
        sessions = own_sessions(rows, scene.words, self.impairment, self._shares, run.impaired_share, self._first_slot)
        usable = ~explained_sessions(sessions, scene.words, scene.known, scene.onset_slack)
        found: list[Trouble] = []
        for number, signal in enumerate(SIGNALS):
            told = troubled.get(OWN_PREFIX + signal, ())
            found += self._of_signal(scene, sessions, usable[:, number], signal, told, now)
        return found

    def _candidates(self, rows: Observations, now: datetime) -> Observations:
        """All slices of the people who had a bad one of late."""
        late = np.flatnonzero(rows.slot >= slot_of(now - timedelta(hours=self.rule.fresh_hours)))
        struck = any_signal(np.take(rows.bad, late, axis=0)) | rows.account[late]
        struck |= rows.stalled_ms[late] >= NOTABLE_STALLED_MS
        return rows.take(is_among(rows.subscriber, rows.subscriber[late[struck]]))

    def _of_signal(
        self,
        scene: Scene,
        sessions: OwnSessions,
        usable: NDArray[np.bool_],
        signal: Signal,
        told: Collection[str],
        now: datetime,
    ) -> list[Trouble]:
        """Follow the runs of those who had a bad session that nothing explains; the others' say nothing new."""
        number, run = SIGNALS.index(signal), SubscriberRun()
        people = np.unique(sessions.subscriber[usable & sessions.bad[:, number]])
        if not len(people):
            return []
        usable = usable & is_among(sessions.subscriber, people)
        if self._stored is not None:
            run.state_ = self._stored.state(signal, people)
        run.learn(sessions.evidence(number, people, usable), len(people), 0)
        probability = run.probability(len(people))
        found = []
        for place in np.flatnonzero(probability >= self.rule.least_probability):
            if scene.words.subscribers.text(int(people[place])) in told:
                continue
            mine = sessions.take((sessions.subscriber == people[place]) & usable & sessions.bad[:, number])
            if len(mine) and run.state_.since[place] != NEVER:
                trouble = self._trouble(scene, mine, signal, _Run.of(run, int(place)), now)
                found += [trouble] if trouble else []
        return found

    def _trouble(self, scene: Scene, bad: OwnSessions, signal: Signal, run: _Run, now: datetime) -> Trouble | None:
        """Describe one person's run, unless it is old or may be part of a fault not yet named."""
        last = moment_of(int(bad.last_us.max()))
        suspicion = self._suspicion(scene, bad, signal, now)
        odds = run.log_odds - self._doubt(suspicion)
        least = np.log(self.rule.least_probability / (1 - self.rule.least_probability))
        if odds < least or last < now - timedelta(hours=self.rule.fresh_hours):
            return None
        error = _commonest(bad.error_class)
        error_class = None if error is None else scene.words.error_classes.text(error)
        device = _commonest(bad.codes[:, DEVICE])
        suspected = suspicion >= self.rule.suspect_nats
        evidence = of_run(run.impaired, run.sessions, signal, others_suspected=suspected)
        return Trouble(
            subscriber_id=scene.words.subscribers.text(int(bad.subscriber[0])),
            problem=signal,
            verdict=own_verdict(signal, error_class, float(odds), evidence),
            incident_id=None,
            since=slot_start(run.since),
            last_bad_time=last,
            impaired=run.impaired,
            sessions=run.sessions,
            device_type=None if device is None else scene.words.dimensions[DEVICE].text(device),
            error_class=error_class,
        )

    def _suspicion(self, scene: Scene, bad: OwnSessions, signal: Signal, now: datetime) -> float:
        """Surprise of the worst cohort of theirs just now, in nats; minus infinity where they did not watch of late."""
        recent = bad.take(bad.last_us >= (now - timedelta(hours=self.rule.fresh_hours)).timestamp() * 1e6)
        if not len(recent):
            return -np.inf
        units = np.unique(scene.index.units(recent.codes))
        return float(max(scene.scans[SIGNALS.index(s)].suspicion(units) for s in related(signal)))

    def _doubt(self, suspicion: float) -> float:
        """Nats to take off because a cohort of theirs is doing badly too."""
        return float(np.log1p(np.exp(suspicion - self.rule.suspect_nats)))


@dataclass(frozen=True)
class _Run:
    """One person's run."""

    log_odds: float
    since: int
    impaired: int
    sessions: int

    @classmethod
    def of(cls, run: SubscriberRun, place: int) -> _Run:
        state = run.state_
        return cls(
            float(state.log_odds[place]),
            int(state.since[place]),
            int(state.impaired[place]),
            int(state.sessions[place]),
        )


def _commonest(codes: NDArray[np.int32]) -> int | None:
    known = codes[codes >= 0]
    return int(np.bincount(known).argmax()) if len(known) else None
