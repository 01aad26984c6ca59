"""Troubles of one's own: what is left of a subscriber's bad sessions once the known incidents are taken out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detectors.cohorts import members
from detectors.observations import SIGNALS, moment_of
from detectors.own_sessions import OwnSessions, load_own_sessions
from detectors.subscriber_run import SubscriberRun
from incidents.lifecycle import related
from incidents.model import Incident, Trouble
from incidents.verdict import own_verdict
from telemetry.contract import DIMENSIONS, Signal

if TYPE_CHECKING:
    from incidents.watch import Watch

OWN_PREFIX = "own:"
"""Key of those already found to have a trouble of their own, by signal, in what a step is told."""
DEVICE = DIMENSIONS.index("device_type")


@dataclass(frozen=True)
class OwnRule:
    """When a subscriber's own trouble is sure enough.

    Parameters
    ----------
    days
        How far back a run of bad sessions may reach.
    least_probability
        Posterior probability of a fault of their own (0 to 1) from which we speak; of those found, at most the mean
        of what is missing to 1 is expected to be false.
    fresh_hours
        The latest bad session must be this recent: old trouble is no news.
    suspect_nats
        Surprise of a cohort of theirs from which their trouble may well be a fault not yet named; it is weighed
        against their own.
    """

    days: int = 7
    least_probability: float = 0.8
    fresh_hours: float = 2.0
    suspect_nats: float = 4.0


def own_troubles(
    watch: Watch, known: Iterable[Incident], troubled: Mapping[str, Collection[str]], now: datetime
) -> list[Trouble]:
    """Return the people whose own run of sessions is surprising, given the known incidents.

    Parameters
    ----------
    watch
        Its warehouse is read, its scans say what else may be going on.
    known
        The incidents whose sessions do not count.
    troubled
        Under ``own:buffering`` and so on, who has been found lately.
    now
        The end of the window.
    """
    rule, run = watch.rule.own, SubscriberRun()
    sessions = load_own_sessions(
        watch.connection,
        watch.vocabularies,
        watch.impairment,
        now - timedelta(days=rule.days),
        now + timedelta(hours=1),
        now - timedelta(hours=rule.fresh_hours),
        run.impaired_share,
    )
    if not len(sessions):
        return []
    explained = _explained(watch, sessions, known)
    found = []
    for number, signal in enumerate(SIGNALS):
        told = {watch.vocabularies.subscribers.find(s) for s in troubled.get(OWN_PREFIX + signal, ())}
        found += _of_signal(watch, sessions, ~explained[:, number], signal, told, now)
    return found


def _explained(watch: Watch, sessions: OwnSessions, known: Iterable[Incident]) -> NDArray[np.bool_]:
    """Which sessions a known incident accounts for, by signal, shape (n, 4)."""
    flags = np.zeros((len(sessions), len(SIGNALS)), bool)
    for incident in known:
        first = (incident.onset_time - watch.rule.onset_slack).timestamp() * 1e6
        last = np.inf if incident.resolved_time is None else incident.resolved_time.timestamp() * 1e6
        inside = (sessions.last_us >= first) & (sessions.started_us < last)
        inside[inside] = members(watch.vocabularies, sessions.codes[inside], incident.cohort)
        for signal in related(incident.signal):
            flags[:, SIGNALS.index(signal)] |= inside
    return flags


def _of_signal(
    watch: Watch,
    sessions: OwnSessions,
    usable: NDArray[np.bool_],
    signal: Signal,
    told: Collection[int],
    now: datetime,
) -> list[Trouble]:
    number, run = SIGNALS.index(signal), SubscriberRun()
    people = np.unique(sessions.subscriber)
    run.learn(sessions.evidence(number, people, usable), len(people), 0)
    probability, since = run.probability(len(people)), run.since(len(people))
    found = []
    for place in np.flatnonzero(probability >= watch.rule.own.least_probability):
        mine = sessions.take((sessions.subscriber == people[place]) & usable)
        trouble = _trouble(watch, mine, signal, float(probability[place]), int(since[place]), now)
        if trouble is not None and int(people[place]) not in told:
            found.append(trouble)
    return found


def _trouble(
    watch: Watch, mine: OwnSessions, signal: Signal, probability: float, since: int, now: datetime
) -> Trouble | None:
    """Describe one person's run, unless it is old or may be part of a fault not yet named."""
    number, rule, words = SIGNALS.index(signal), watch.rule.own, watch.vocabularies
    run = mine.take(mine.started_us // 300_000_000 >= since)
    bad = run.take(run.bad[:, number])
    if not len(bad) or moment_of(int(bad.last_us.max())) < now - timedelta(hours=rule.fresh_hours):
        return None
    odds = np.log(probability / (1 - probability)) - _doubt(watch, bad, number, now)
    if odds < np.log(rule.least_probability / (1 - rule.least_probability)):
        return None
    error = _commonest(bad.error_class)
    error_class = None if error is None else words.error_classes.text(error)
    device = _commonest(bad.codes[:, DEVICE])
    return Trouble(
        subscriber_id=words.subscribers.text(int(run.subscriber[0])),
        problem=signal,
        verdict=own_verdict(signal, error_class, float(odds), _sentences(run, bad, signal)),
        incident_id=None,
        since=moment_of(int(bad.started_us.min())),
        last_bad_time=moment_of(int(bad.last_us.max())),
        impaired=len(bad),
        sessions=len(run),
        device_type=None if device is None else words.dimensions[DEVICE].text(device),
        error_class=error_class,
    )


def _doubt(watch: Watch, bad: OwnSessions, number: int, now: datetime) -> float:
    """Nats to take off because a cohort of theirs is doing badly too, just now."""
    recent = bad.take(bad.last_us >= (now - timedelta(hours=watch.rule.own.fresh_hours)).timestamp() * 1e6)
    if not len(recent):
        return 0.0
    units = np.unique(watch.recent.index.units(recent.codes))
    worst = max(watch.scans[SIGNALS.index(s)].suspicion(units) for s in related(SIGNALS[number]))
    return float(np.log1p(np.exp(worst - watch.rule.own.suspect_nats)))


def _commonest(codes: NDArray[np.int32]) -> int | None:
    known = codes[codes >= 0]
    return int(np.bincount(known).argmax()) if len(known) else None


_WHAT = {
    Signal.BUFFERING: "stalled",
    Signal.STARTUP: "started slowly",
    Signal.FAILURE: "failed",
    Signal.ACCESS: "were refused",
}


def _sentences(run: OwnSessions, bad: OwnSessions, signal: Signal) -> tuple[str, ...]:
    first = f"{len(bad)} of the last {len(run)} sessions {_WHAT[signal]}."
    devices = len(np.unique(bad.codes[:, DEVICE]))
    second = f"They were on {devices} kinds of device." if devices > 1 else "They were on one kind of device."
    return (first, second, "Nobody else on the same network, delivery network or app version has more trouble than usual.")
