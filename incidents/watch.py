"""Watching: from what changed in one window to incidents that open, grow and close, and the people they trouble.

`Watch` is the pure middle of the pipeline: it reads the warehouse and is told what the ledger knows, and it returns what
should be written. A watch that has just seen the previous window updates itself; a new one rebuilds the same state from
the last day of slices.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta

import duckdb
import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import SLOTS_PER_BUCKET, CohortScan
from detectors.cohorts import CohortIndex, members, name_cohort
from detectors.finding import Alternative, Cohort
from detectors.learning import hourly_counts, learn_day, prepare, unlearnt_days
from detectors.localise import Suspect, suspects
from detectors.observations import (
    SIGNALS,
    SLOT_US,
    Flags,
    ImpairmentRule,
    Observations,
    Vocabularies,
    load_observations,
    moment_of,
    slot_of,
    slot_start,
)
from detectors.poisson import excess_llr
from detectors.rates import HourlyCounts, RateModel
from detectors.recent import Recent
from incidents.affected import Affected, affected
from incidents.lifecycle import LifecycleRule, incident_id, is_over, overlap, related, severity
from incidents.model import ChartPoint, Incident, Trouble, Verdict
from incidents.own import STRAGGLERS, OwnRule, OwnTroubles, Scene, fold_day
from incidents.verdict import cohort_verdict
from telemetry.contract import Signal
from telemetry.time import Window

RELOCATE_GROWTH = 1.1
"""An incident is located anew when a tenth more people are struck than when it was located last."""

CLOCKS_AHEAD = timedelta(hours=1)
"""Slots are of trustworthy times, so none is later than now; the margin costs nothing."""

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class WatchRule:
    """How long to look back, and when to speak.

    Parameters
    ----------
    memory_hours
        Length of the recent past that is kept: a day, and before it as long as an impairment
        makes the person's next one stale.
    learn_days
        Days of history that teach what is normal.
    learn_after
        How long after midnight UTC the day before is taken to be complete.
    margin_nats
        Surprise that a cohort must show above the logarithm of the number of cohorts watched: the price of looking in
        many places, and then the evidence itself.
    least_subscribers
        People struck below which nothing is an incident.
    onset_slack
        How long before the estimated onset a struck session may still belong to the incident.
    """

    memory_hours: int = 36
    learn_days: int = 28
    learn_after: timedelta = STRAGGLERS
    margin_nats: float = 6.0
    least_subscribers: int = 4
    onset_slack: timedelta = timedelta(minutes=15)
    own: OwnRule = OwnRule()


@dataclass(frozen=True)
class Detection:
    """What one window changes: incidents that are new or differ, and people newly in trouble."""

    incidents: tuple[Incident, ...] = ()
    troubles: tuple[Trouble, ...] = ()


class Watch:
    """Detects incidents and the people they trouble, window by window.

    Parameters
    ----------
    connection
        The warehouse's connection; windows must be merged before they are watched.
    rule, impairment, lifecycle
        The rules; each has its own defaults and reasons.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        rule: WatchRule = WatchRule(),
        impairment: ImpairmentRule = ImpairmentRule(),
        lifecycle: LifecycleRule = LifecycleRule(),
    ) -> None:
        self.connection = connection
        self.rule = rule
        self.impairment = impairment
        self.lifecycle = lifecycle
        self.vocabularies = Vocabularies()
        self._own = OwnTroubles(rule.own, impairment)
        self._as_of: datetime | None = None
        self._learnt: date | None = None
        self._recent: Recent | None = None
        self._scans: list[CohortScan] = []

    # -- the past ----------------------------------------------------------------------------------------------

    def detect(
        self, window: Window, known: Sequence[Incident], troubled: Mapping[str, Collection[str]]
    ) -> Detection:
        """Detect what a merged window changes.

        Parameters
        ----------
        window
            The window of received time that was merged last.
        known
            The open incidents and those resolved within the rule's memory.
        troubled
            For each open incident the subscribers already found to be troubled by it.
        """
        self._catch_up(window, known)
        return _Step(self, window, known, troubled).run()

    def _catch_up(self, window: Window, known: Sequence[Incident]) -> None:
        learnt = self._learn(window.end, known)
        if learnt or self._recent is None or self._as_of != window.start:
            self._rebuild(window.end, known)
        else:
            self._update(window.end, known, window.end)
        self._as_of = window.end

    def _learn(self, now: datetime, known: Sequence[Incident]) -> bool:
        """Learn the days that are over since the last time; says whether there were any."""
        through = (now - timedelta(days=1) - self.rule.learn_after).date()
        if through == self._learnt:
            return False
        if self._learnt is None:
            prepare(self.connection)
        days = unlearnt_days(self.connection, through, self.rule.learn_days)
        for day in days:
            with _transaction(self.connection):
                learn_day(self.connection, day, self.rule.learn_days, self.impairment)
                fold_day(
                    self.connection, day, self.rule.own, self.impairment, known, self.rule.onset_slack
                )
        self._learnt = through
        return bool(days)

    def _rebuild(self, now: datetime, known: Sequence[Incident]) -> None:
        self.vocabularies = Vocabularies()
        model = RateModel().fit(self._history(now, known))
        self._recent = Recent(model, CohortIndex(), self.impairment.memory_slots)
        self._scans = [CohortScan(float(d)) for d in model.dispersion_]
        self._own.start(self.connection, self.vocabularies, self._learnt)
        self._update(now, known, None)

    def _update(self, now: datetime, known: Sequence[Incident], changed_at: datetime | None) -> None:
        oldest = self._oldest(now)
        rows = load_observations(
            self.connection, self.vocabularies, self.impairment, oldest, now + CLOCKS_AHEAD, changed_at=changed_at
        )
        changes = self.recent.update(rows, lambda r: self.explained(r, known), slot_of(oldest))
        self._absorb(changes, now)

    def _oldest(self, now: datetime) -> datetime:
        return now - timedelta(hours=self.rule.memory_hours)

    def _history(self, now: datetime, known: Sequence[Incident]) -> HourlyCounts:
        today = datetime.combine(now.date(), time(), tzinfo=now.tzinfo)
        counts = hourly_counts(
            self.connection, self.vocabularies, today - timedelta(days=self.rule.learn_days), today
        )
        return counts.drop(self._anomalous(counts, known))

    def _anomalous(self, counts: HourlyCounts, known: Sequence[Incident]) -> Mask:
        """Hours and cohorts in which an incident ran: a baseline never learns from them."""
        struck = np.zeros(len(counts.hour), bool)
        for incident in known:
            plain = Cohort(tuple(v for v in incident.cohort.values if v[0] != "title_id"))
            first = slot_of(incident.onset_time) // 12
            last = 1 << 60 if incident.resolved_time is None else slot_of(incident.resolved_time) // 12
            inside = (counts.hour >= first) & (counts.hour <= last)
            struck |= inside & members(self.vocabularies, counts.codes, plain)
        return struck

    # -- the present -------------------------------------------------------------------------------------------

    @property
    def recent(self) -> Recent:
        """The last day of observations."""
        if self._recent is None:
            raise RuntimeError("Nothing has been watched yet.")
        return self._recent

    @property
    def scans(self) -> Sequence[CohortScan]:
        """One scan per signal."""
        return self._scans

    def explain(self, known: Iterable[Incident], now: datetime) -> None:
        """Take what `known` incidents account for out of the evidence, and bring back what they no longer do."""
        self._absorb(self.recent.explain(self.explained(self.recent.rows, known)), now)

    def own_troubles(
        self, known: Iterable[Incident], troubled: Mapping[str, Collection[str]], now: datetime
    ) -> list[Trouble]:
        """Return the people who are in trouble by themselves; see `incidents.own`."""
        scene = Scene(
            self.recent.rows,
            self.vocabularies,
            self.recent.index,
            tuple(self._scans),
            tuple(known),
            self.rule.onset_slack,
        )
        return self._own.find(scene, troubled, now)

    def _absorb(self, evidence: Sequence, now: datetime) -> None:
        units = len(self.recent.index)
        for scan, new in zip(self._scans, evidence, strict=True):
            scan.learn(new, units, slot_of(now) - 1)

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
        first = slot_of(incident.onset_time - self.rule.onset_slack)
        last = 1 << 60 if incident.resolved_time is None else slot_of(incident.resolved_time)
        inside = (rows.slot >= first) & (rows.slot < last)
        inside[inside] = members(self.vocabularies, rows.codes[inside], incident.cohort)
        return inside


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


class _Step:
    """One window's work: close what is over, relocate what goes on, open what is new, find who is troubled."""

    def __init__(
        self,
        watch: Watch,
        window: Window,
        known: Sequence[Incident],
        troubled: Mapping[str, Collection[str]],
    ) -> None:
        self.watch = watch
        self.now = window.end
        self.before = {i.incident_id: i for i in known}
        self.incidents = dict(self.before)
        self.troubled = troubled
        self.last_slot = slot_of(self.now) - 1

    def run(self) -> Detection:
        for incident in [i for i in self.incidents.values() if i.is_open]:
            self.incidents[incident.incident_id] = self._advance(incident)
        if self.incidents != self.before:
            self.watch.explain(self.incidents.values(), self.now)
        self._open_new()
        troubles = [t for i in self.incidents.values() if i.is_open for t in self._troubles(i)]
        troubles += self.watch.own_troubles(self.incidents.values(), self.troubled, self.now)
        changed = [i for i in self.incidents.values() if i != self.before.get(i.incident_id)]
        return Detection(tuple(changed), tuple(troubles))

    # -- opening -----------------------------------------------------------------------------------------------

    def _threshold(self, scan: CohortScan) -> float:
        watched = int((scan.expected_total(len(self.watch.recent.index)) >= 1).sum())
        return self.watch.rule.margin_nats + float(np.log(max(watched, 100)))

    def _open_new(self) -> None:
        refused: set[tuple[int, int]] = set()
        for _ in range(20):
            top = self._top(refused)
            if top is None:
                return
            signal, unit = top
            opened = self._investigate(signal, unit)
            if opened is None:
                refused.add(top)
                continue
            self.incidents[opened.incident_id] = opened
            self.watch.explain(self.incidents.values(), self.now)

    def _top(self, refused: set[tuple[int, int]]) -> tuple[int, int] | None:
        """Return the signal and unit that exceed the threshold most."""
        best, place = 0.0, None
        for signal, scan in enumerate(self.watch.scans):
            score = scan.current(len(self.watch.recent.index)) - self._threshold(scan)
            score[[u for s, u in refused if s == signal]] = -1
            unit = int(score.argmax()) if len(score) else 0
            if len(score) and score[unit] > best:
                best, place = float(score[unit]), (signal, unit)
        return place

    def _investigate(self, signal: int, unit: int) -> Incident | None:
        horizon = self.watch.scans[signal].horizon(unit) * SLOTS_PER_BUCKET
        first = self.last_slot - horizon + 1
        ranked = self._suspects(signal, first, ~self.watch.recent.explained[:, signal])
        if not ranked or not self._enough_people(signal, ranked[0], first):
            return None
        for incident in [i for i in self.incidents.values() if i.is_open]:
            grown = self._grow(incident, signal, ranked[0])
            if grown is not None:
                return grown
        return self._incident(SIGNALS[signal], ranked, first - horizon)

    def _suspects(self, signal: int, first_slot: int, usable: Mask) -> list[Suspect]:
        recent = self.watch.recent
        rows = usable & (recent.rows.slot >= first_slot) & recent.rows.at_risk[:, signal]
        scan = self.watch.scans[signal]
        return suspects(
            recent.rows.codes[rows],
            recent.rows.fresh[rows, signal].astype(float),
            recent.expected[rows, signal] * (1 + scan.slack),
            dispersion=scan.dispersion,
            floor=scan.floor,
        )

    def _enough_people(self, signal: int, suspect: Suspect, first_slot: int) -> bool:
        """Whether the suspect stands when everybody counts once, however often they were struck."""
        rows, scan = self.watch.recent.rows, self.watch.scans[signal]
        struck = rows.fresh[:, signal] & (rows.slot >= first_slot) & suspect.holds(rows.codes)
        struck &= ~self.watch.recent.explained[:, signal]
        people = len(np.unique(rows.subscriber[struck]))
        surprise = excess_llr(np.array(float(people)), np.array(suspect.expected + scan.floor), scan.dispersion)
        return people >= self.watch.rule.least_subscribers and float(surprise) >= self._threshold(scan)

    def _incident(self, signal: Signal, ranked: Sequence[Suspect], first_slot: int) -> Incident:
        cohort = self._name(ranked[0])
        onset = self._onset(signal, cohort, first_slot, ~self.watch.recent.explained[:, SIGNALS.index(signal)])
        draft = Incident(
            incident_id=incident_id(signal, cohort, self.now),
            signal=signal,
            cohort=cohort,
            onset_time=onset,
            detected_time=self.now,
            resolved_time=None,
            severity=severity(0, 1, self.watch.lifecycle),
            affected_subscribers=0,
            verdict=Verdict(cohort_verdict(signal, cohort, {}).cause, 0.0),
            observed=0.0,
            expected=0.0,
            sessions=0,
            surprise=0.0,
            updated_time=self.now,
        )
        return self._described(draft, ranked)

    def _name(self, suspect: Suspect) -> Cohort:
        return name_cohort(self.watch.vocabularies, suspect.subset, suspect.values)

    def _onset(self, signal: Signal, cohort: Cohort, first: int, usable: Mask) -> datetime:
        """The start of the stretch up to now, from slot `first` on, that speaks most for the fault's own rate."""
        number, recent = SIGNALS.index(signal), self.watch.recent
        rows = usable & (recent.rows.slot >= first)
        rows[rows] = members(self.watch.vocabularies, recent.rows.codes[rows], cohort)
        place, count = np.clip(recent.rows.slot[rows] - first, 0, self.last_slot - first), self.last_slot - first + 1
        seen = np.bincount(place, recent.rows.fresh[rows, number], count)[::-1].cumsum()[::-1]
        due = np.bincount(place, recent.expected[rows, number], count)[::-1].cumsum()[::-1]
        best = int(excess_llr(seen, due * 1.15 + 0.15).argmax())
        struck = rows & recent.rows.fresh[:, number] & (recent.rows.slot >= first + best)
        return moment_of(int(recent.rows.first_us[struck].min()))

    # -- going on ----------------------------------------------------------------------------------------------

    def _advance(self, incident: Incident) -> Incident:
        if is_over(*self._buckets(incident), self.watch.lifecycle):
            return self._described(replace(incident, resolved_time=self.now), None)
        if self._seen(incident) < incident.observed * RELOCATE_GROWTH + 1:
            return self._described(incident, None)
        return self._relocated(incident)

    def _seen(self, incident: Incident) -> float:
        """People freshly struck in the incident's cohort since its onset, as far back as memory reaches."""
        recent = self.watch.recent
        return float(recent.rows.fresh[self.watch.inside(recent.rows, incident), SIGNALS.index(incident.signal)].sum())

    def _relocated(self, incident: Incident) -> Incident:
        """Name a better cohort if one explains the same excess by a margin."""
        number = SIGNALS.index(incident.signal)
        ranked = self._suspects(number, self._first_slot(incident), self._free_for(incident, number))
        if not ranked:
            return self._described(incident, None)
        current = next((s for s in ranked if self._name(s) == incident.cohort), None)
        gain = current.gain if current else self._gain(incident, number)
        if ranked[0].gain > gain + self.watch.lifecycle.switch_nats:
            cohort, first = self._name(ranked[0]), self._first_slot(incident)
            onset = self._onset(incident.signal, cohort, first, self._free_for(incident, number))
            incident = replace(incident, cohort=cohort, onset_time=onset)
        return self._described(incident, ranked)

    def _free_for(self, incident: Incident, number: int) -> Mask:
        """Rows that no other incident explains."""
        others = [i for i in self.incidents.values() if i.incident_id != incident.incident_id]
        return ~self.watch.explained(self.watch.recent.rows, others)[:, number]

    def _gain(self, incident: Incident, number: int) -> float:
        recent, scan = self.watch.recent, self.watch.scans[number]
        rows = self.watch.inside(recent.rows, incident)
        due = recent.expected[rows, number].sum() * (1 + scan.slack) + scan.floor
        gain = excess_llr(np.array(recent.rows.fresh[rows, number].sum(), float), np.array(due), scan.dispersion)
        return float(gain) - 1.5 * len(incident.cohort.values)

    def _grow(self, incident: Incident, signal: int, suspect: Suspect) -> Incident | None:
        """Widen an open incident that is part of what was just found, if one cohort explains both."""
        if SIGNALS[signal] not in related(incident.signal):
            return None
        recent = self.watch.recent
        since = recent.rows.slot >= self._first_slot(incident)
        own = self.watch.inside(recent.rows, incident)
        number = SIGNALS.index(incident.signal)
        ranked = self._suspects(number, self._first_slot(incident), self._free_for(incident, number) & since)
        if not ranked:
            return None
        joint = ranked[0].holds(recent.rows.codes) & since
        struck = recent.rows.fresh[:, number].astype(float)
        covered = struck[joint & own].sum() / max(struck[own].sum(), 1)
        new = suspect.holds(recent.rows.codes) & since
        same = overlap(joint, new, np.ones(len(struck))) >= 0.5 or overlap(own, new, np.ones(len(struck))) >= 0.5
        if covered < 0.7 or not same:
            return None
        return self._described(replace(incident, cohort=self._name(ranked[0])), ranked)

    def _first_slot(self, incident: Incident) -> int:
        return slot_of(incident.onset_time - self.watch.rule.onset_slack)

    # -- describing --------------------------------------------------------------------------------------------

    def _buckets(self, incident: Incident) -> tuple[Array, Array, Array]:
        """Impairments seen and due, and exposures, by quarter-hour since the onset or as far as memory reaches."""
        number, recent = SIGNALS.index(incident.signal), self.watch.recent
        rows = self.watch.inside(recent.rows, incident) & recent.rows.exposed[:, number]
        bucket = recent.rows.slot[rows] // SLOTS_PER_BUCKET
        last = self.last_slot // SLOTS_PER_BUCKET
        first = max(self._first_slot(incident) // SLOTS_PER_BUCKET, last - self.watch.rule.memory_hours * 4)
        place, count = np.clip(bucket - first, 0, last - first), last - first + 1
        seen = np.bincount(place, recent.rows.bad[rows, number], count)
        due = np.bincount(place, recent.model.usual(recent.rows.take(rows))[:, number], count)
        return seen, due, np.bincount(place, minlength=count).astype(float)

    def _described(self, incident: Incident, ranked: Sequence[Suspect] | None) -> Incident:
        recent, number = self.watch.recent, SIGNALS.index(incident.signal)
        inside = self.watch.inside(recent.rows, incident)
        rows = recent.rows.take(inside)
        observed = float(rows.fresh[:, number].sum())
        expected = float(recent.expected[inside, number].sum())
        classes = self._error_classes(rows, number)
        people = set(self.troubled.get(incident.incident_id, ()))
        people |= {self._subscriber(a.subscriber) for a in self._affected(incident)}
        watching = len(np.unique(recent.rows.subscriber))
        return replace(
            incident,
            observed=observed if ranked else incident.observed,
            expected=max(expected, incident.expected),
            sessions=max(len(np.unique(rows.session)), incident.sessions),
            surprise=ranked[0].gain if ranked else incident.surprise,
            affected_subscribers=len(people),
            severity=severity(len(people), watching, self.watch.lifecycle),
            verdict=cohort_verdict(incident.signal, incident.cohort, classes),
            alternatives=self._alternatives(ranked) if ranked else incident.alternatives,
            updated_time=self.now,
        )

    def _error_classes(self, rows: Observations, number: int) -> Counter[str]:
        codes = rows.error_class[rows.bad[:, number] & (rows.error_class >= 0)]
        return Counter(self.watch.vocabularies.error_classes.text(int(c)) for c in codes)

    def _alternatives(self, ranked: Sequence[Suspect]) -> tuple[Alternative, ...]:
        excess = max(ranked[0].observed - ranked[0].expected, 1e-9)
        return tuple(
            Alternative(self._name(s), s.gain, float(np.clip((s.observed - s.expected) / excess, 0, 1)))
            for s in ranked[:6]
        )

    # -- people ------------------------------------------------------------------------------------------------

    def _affected(self, incident: Incident) -> list[Affected]:
        recent = self.watch.recent
        rows = recent.rows.take(self.watch.inside(recent.rows, incident))
        known = [self.watch.vocabularies.subscribers.find(s) for s in self.troubled.get(incident.incident_id, ())]
        return affected(rows, self._raised(incident), self.watch.impairment, known)

    def _raised(self, incident: Incident) -> set[Signal]:
        """The related signals that are in excess in the cohort; its own always."""
        recent = self.watch.recent
        inside = self.watch.inside(recent.rows, incident)
        seen = recent.rows.fresh[inside].sum(axis=0)
        due = recent.expected[inside].sum(axis=0)
        surprise = excess_llr(seen.astype(float), due * 1.15 + 0.15)
        return {s for i, s in enumerate(SIGNALS) if s in related(incident.signal) and surprise[i] > 3} | {incident.signal}

    def _troubles(self, incident: Incident) -> list[Trouble]:
        return [self._trouble(incident, a) for a in self._affected(incident)]

    def _trouble(self, incident: Incident, person: Affected) -> Trouble:
        words = self.watch.vocabularies
        return Trouble(
            subscriber_id=self._subscriber(person.subscriber),
            problem=person.signal,
            verdict=incident.verdict,
            incident_id=incident.incident_id,
            since=moment_of(person.first_us),
            last_bad_time=moment_of(person.last_us),
            impaired=person.impaired,
            sessions=person.sessions,
            severity=incident.severity,
            device_type=None if person.device < 0 else words.dimensions[4].text(person.device),
            error_class=None if person.error_class < 0 else words.error_classes.text(person.error_class),
        )

    def _subscriber(self, code: int) -> str:
        return self.watch.vocabularies.subscribers.text(code)
