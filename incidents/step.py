"""One window's work: close what is over, relocate what goes on, open what is new, find who is troubled."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from detectors.cohort_scan import SLOTS_PER_BUCKET
from detectors.cohorts import members, name_cohort
from detectors.finding import Cohort
from detectors.localise import PRICE_PER_DIMENSION, Suspect
from detectors.observations import SIGNALS, ImpairmentRule, Observations, any_signal, moment_of, slot_of
from detectors.poisson import excess_llr
from incidents.affected import Affected, affected
from incidents.blame import MOST_KINDS, OWN_FAULT, Fault, blame, usual_shares
from incidents.description import described, raised_signals
from incidents.lifecycle import GROUPS, LifecycleRule, has_dried_up, incident_id, is_over, is_settled, overlap, related
from incidents.model import OWN_PREFIX, Incident, Severity, Trouble, TroubleKind, Verdict
from incidents.naming import Search
from incidents.prices import Prices
from incidents.sentences import of_fault
from incidents.state import Mask, WatchState, numbers_of
from incidents.verdict import cohort_verdict
from telemetry.contract import DIMENSIONS, Signal

Array = NDArray[np.float64]

MOST_DRIFTS = 3
"""Cohorts whose normal has drifted that are looked behind in one search."""
RELOCATE_GROWTH = 1.1
"""An incident is located anew when there is a tenth more evidence, and a nat, than when it was located last."""
MOST_LOOKS = 20
"""Suspicious cohorts looked into in one window; each that is opened explains hundreds of others."""
SAME_COHORT = 0.5
"""Jaccard index from which two cohorts are taken for the same fault."""
MOSTLY_COVERED = 0.7
MOSTLY_DARK = 0.5
"""Share of an incident's slices in a cohort without telemetry from which nothing is known of its end."""
TRANSIENT = frozenset({"app_version", "title_id"})
"""Dimensions whose values go out of use from one hour to the next."""
DEVICE = DIMENSIONS.index("device_type")


@dataclass(frozen=True)
class StepRules:
    """The rules of a step; see `incidents.watch.WatchRule`, `LifecycleRule` and `ImpairmentRule`."""

    margin_nats: float
    least_subscribers: int
    memory_buckets: int
    least_blame: float
    least_ratio: float
    least_slowdown: float
    lifecycle: LifecycleRule
    impairment: ImpairmentRule


class Step:
    """Works out one window.

    Parameters
    ----------
    state
        What is in memory, up to the window's end.
    rules
        When to speak.
    known
        Open incidents, and resolved ones that still explain slices in memory.
    troubled
        For each open incident the subscribers already found to be troubled by it; and under ``own:buffering`` and so
        on, by subscriber since when they have a trouble of their own.
    now
        The end of the window.
    dark
        Cohorts whose telemetry is missing: what is not seen is no recovery.
    """

    def __init__(
        self,
        state: WatchState,
        rules: StepRules,
        known: Sequence[Incident],
        troubled: Mapping[str, Collection[str]],
        now: datetime,
        dark: Sequence[Cohort] = (),
    ) -> None:
        self.state = state
        self.rules = rules
        self.troubled = troubled
        self.own_since = {key: found for key, found in troubled.items() if isinstance(found, Mapping)}
        self.now = now
        self.dark = dark
        self.before = {incident.incident_id: incident for incident in known}
        self.incidents = dict(self.before)
        self.last_slot = slot_of(now) - 1
        self._priced: dict[Signal, Prices] = {}
        self._found: dict[tuple[object, ...], list[Affected]] = {}

    def run(self) -> tuple[list[Incident], list[Trouble]]:
        """Return the incidents that are new or changed, and the people to hear of them."""
        for incident in self._open():
            self.incidents[incident.incident_id] = self._advanced(incident)
        if self.incidents != self.before:
            self.state.explain(self.incidents.values(), self.now)
        self._open_new()
        troubles = [trouble for incident in self._open() for trouble in self._complete(incident)]
        changed = [i for i in self.incidents.values() if i != self.before.get(i.incident_id)]
        return changed, troubles + self._all_clears(changed)

    def _open(self) -> list[Incident]:
        return [incident for incident in self.incidents.values() if incident.is_open]

    # -- opening

    def _open_new(self) -> None:
        for group in GROUPS:
            refused: set[int] = set()
            for _ in range(MOST_LOOKS):
                horizon = self._suspicious(group, refused)
                if horizon is None:
                    break
                found = self._investigated(group, horizon)
                if found is None:
                    refused.add(horizon)
                else:
                    self.incidents[found.incident_id] = found
                    self.state.explain(self.incidents.values(), self.now)

    def _suspicious(self, group: Sequence[Signal], refused: Collection[int]) -> int | None:
        """Return the horizon, in slots, of the cohort that exceeds the threshold most; not one looked into in vain."""
        units, surprise, horizon = self.state.most_surprising(group)
        above = surprise - self._prices(group).by_number[self.state.recent.index.subset_numbers[units]]
        above = np.where(np.isin(horizon, list(refused)), -np.inf, above)
        if not len(above) or above.max() < 0:
            return None
        return int(horizon[above.argmax()])

    def _prices(self, group: Sequence[Signal]) -> Prices:
        """What it takes to be looked into, worked out once a window."""
        if group[0] not in self._priced:
            self._priced[group[0]] = self.state.prices(group, self.rules.margin_nats)
        return self._priced[group[0]]

    def _investigated(self, group: Sequence[Signal], horizon: int) -> Incident | None:
        """Localise a suspicion; return the incident that it opens or widens, if it stands."""
        first, usable = self.last_slot - horizon + 1, ~self.state.recent.explained[:, SIGNALS.index(group[0])]
        for _ in range(MOST_DRIFTS):
            ranked, _ = Search(self.state, group[0], first, usable, self._prices(group)).ranked()
            if not ranked:
                return None
            held = ranked[0].holds(self.state.rows.codes)
            mine = usable & held & (self.state.rows.slot >= first)
            struck = self._people(group, mine)
            if not self._stands(group, ranked[0], struck):
                return None
            if self._is_material(group, ranked[0], struck, mine):
                break
            usable &= ~held  # normal has drifted there; a fault may hide behind it
        else:
            return None
        signal = group[int(np.argmax(np.subtract(ranked[0].observed, ranked[0].expected)))]
        draft = self._draft(signal, ranked[0], first - horizon, usable)
        for incident in self._open():
            if self._is_part_of(incident, draft):
                return self._described(replace(incident, cohort=draft.cohort), ranked)
            widened = self._widened(incident, signal, ranked[0])
            if widened is not None:
                return widened
        return self._described(draft, ranked)

    def _is_part_of(self, incident: Incident, draft: Incident) -> bool:
        """Whether what was just found holds an open incident's cohort and began with it: it was named too narrowly."""
        if draft.signal not in related(incident.signal):
            return False
        contained = set(draft.cohort.values) < set(incident.cohort.values)
        return contained and abs(draft.onset_time - incident.onset_time) <= self.state.onset_slack

    def _people(self, group: Sequence[Signal], mine: Mask) -> list[NDArray[np.int32]]:
        """The different people struck in some rows, by signal of the group."""
        rows = self.state.rows
        return [np.unique(rows.subscriber[mine & rows.fresh[:, number]]) for number in numbers_of(group)]

    def _stands(self, group: Sequence[Signal], suspect: Suspect, struck: Sequence[NDArray[np.int32]]) -> bool:
        """Whether a suspect is surprising still when everybody counts once, however often they were struck."""
        people = np.array([len(who) for who in struck], float)
        floor = self.state.scans[0].floor
        surprise = excess_llr(people, np.array(suspect.expected) + floor, self.state.dispersion(group[0])).sum()
        enough = len(np.unique(np.concatenate(struck))) >= self.rules.least_subscribers
        return enough and float(surprise) >= self._prices(group).price(suspect.subset)

    def _is_material(
        self, group: Sequence[Signal], suspect: Suspect, struck: Sequence[NDArray[np.int32]], mine: Mask
    ) -> bool:
        """Whether an excess, however sure, is large enough to matter: normal may drift, and nobody is worse off."""
        people = np.array([len(who) for who in struck], float)
        if people.sum() < self.rules.least_ratio * max(sum(suspect.expected), 1.0):
            return False
        if group[int(np.argmax(people - suspect.expected))] is not Signal.STARTUP:
            return True
        ratios = self.state.rows.startup_ratio[mine]
        ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
        return bool(len(ratios) and np.median(ratios) >= self.rules.least_slowdown)

    def _draft(self, signal: Signal, suspect: Suspect, first_slot: int, usable: Mask) -> Incident:
        """Return the incident that a suspect opens, not yet described."""
        cohort = self._name(suspect)
        return Incident(
            incident_id=incident_id(signal, cohort, self.now),
            signal=signal,
            cohort=cohort,
            onset_time=self._onset(signal, cohort, first_slot, usable),
            detected_time=self.now,
            resolved_time=None,
            severity=Severity.MINOR,
            affected_subscribers=0,
            verdict=cohort_verdict(signal, cohort, {}),
            observed=0.0,
            expected=0.0,
            sessions=0,
            surprise=suspect.gain,
            updated_time=self.now,
        )

    def _name(self, suspect: Suspect) -> Cohort:
        return name_cohort(self.state.words, suspect.subset, suspect.values)

    def _onset(self, signal: Signal, cohort: Cohort, first: int, usable: Mask) -> datetime:
        """The start of the stretch up to now, from slot `first` on, that speaks most for the fault's own rate."""
        rows, mine = self.state.rows, usable & (self.state.rows.slot >= first)
        mine[mine] = members(self.state.words, rows.codes[mine], cohort)
        best = int(self.state.surprise_since(signal, mine, first).argmax())
        numbers = numbers_of(related(signal))
        struck = mine & any_signal(rows.fresh[:, numbers]) & (rows.slot >= first + best)
        return moment_of(int(rows.first_us[struck].min()))

    # -- going on

    def _advanced(self, incident: Incident) -> Incident:
        if self._is_dark(incident):
            return self._described(incident, ())
        seen, due, exposures = self._buckets(incident)
        gone = self._is_gone(incident, seen.sum(axis=1), exposures.sum(axis=1))
        if gone or is_over(seen, due, exposures, self.rules.lifecycle):
            return self._described(replace(incident, resolved_time=self.now), ())
        if is_settled(self.now - incident.detected_time, incident.observed, incident.expected, self.rules.lifecycle):
            return self._described(replace(incident, resolved_time=self.now, settled=True), ())
        if self._gain(incident) < incident.surprise * RELOCATE_GROWTH + 1:
            return self._described(incident, ())
        return self._relocated(incident)

    def _is_dark(self, incident: Incident) -> bool:
        """Whether the telemetry of most of an incident's cohort is missing: it stays open, so its people are told."""
        inside = self.state.rows.codes[self.state.inside(self.state.rows, incident)]
        return any(
            members(self.state.words, inside, cohort).mean() >= MOSTLY_DARK for cohort in self.dark if len(inside)
        )

    def _buckets(self, incident: Incident) -> tuple[Array, Array, Array]:
        """Impairments seen and due, and exposures, by quarter-hour since the onset or as far as memory reaches.

        Apart for slices in which a session goes on and in which one is asked for, shape (buckets, 2).
        """
        number, rows = SIGNALS.index(incident.signal), self.state.rows
        mine = rows.take(self.state.inside(rows, incident) & rows.exposed[:, number])
        last = self.last_slot // SLOTS_PER_BUCKET
        first = max(self.state.first_slot(incident) // SLOTS_PER_BUCKET, last - self.rules.memory_buckets)
        count, asked = last - first + 1, mine.exposed[:, SIGNALS.index(Signal.ACCESS)]
        place = 2 * np.clip(mine.slot // SLOTS_PER_BUCKET - first, 0, count - 1) + asked
        numbers = (mine.bad[:, number], self.state.recent.model.usual(mine)[:, number], np.ones(len(mine)))
        seen, due, exposures = (np.bincount(place, of, 2 * count).reshape(-1, 2).astype(float) for of in numbers)
        return seen, due, exposures

    def _is_gone(self, incident: Incident, seen: Array, exposures: Array) -> bool:
        """Whether nobody is left in the cohort, though everybody else is there: only versions and titles go."""
        if not TRANSIENT & {name for name, _ in incident.cohort.values}:
            return False
        rows = self.state.rows
        bucket = rows.slot[rows.exposed[:, SIGNALS.index(incident.signal)]] // SLOTS_PER_BUCKET
        first = self.last_slot // SLOTS_PER_BUCKET - len(exposures) + 1
        everyone = np.bincount(bucket[bucket >= first] - first, minlength=len(exposures))[: len(exposures)]
        return has_dried_up(exposures, everyone.astype(float), seen, self.rules.lifecycle)

    def _relocated(self, incident: Incident) -> Incident:
        """Name a better cohort if one explains the same excess by a margin."""
        search = self._search(incident)
        ranked, _ = search.ranked(self._opened_on(incident))
        if not ranked:
            return self._described(incident, ())
        if (
            self._name(ranked[0]) != incident.cohort
            and search.total(ranked[0]) > self._total(incident, search) + self.rules.lifecycle.switch_nats
        ):
            cohort = self._name(ranked[0])
            onset = self._onset(incident.signal, cohort, search.first_slot, search.usable)
            incident = replace(incident, cohort=cohort, onset_time=onset)
        return self._described(incident, ranked)

    def _opened_on(self, incident: Incident) -> Mask:
        """The rows that the incident was opened on."""
        rows = self.state.rows
        return self.state.inside(rows, incident) & (rows.slot < slot_of(incident.detected_time))

    def _search(self, incident: Incident) -> Search:
        """Where an incident's cohort is looked for anew."""
        first, group = self.state.first_slot(incident), related(incident.signal)
        return Search(self.state, incident.signal, first, self._free_for(incident), self._prices(group))

    def _total(self, incident: Incident, search: Search) -> float:
        """What an incident explains together with the best cohort beside it."""
        return search.account(self.state.inside(self.state.rows, incident), len(incident.cohort.values))

    def _free_for(self, incident: Incident) -> Mask:
        """Rows that no other incident explains."""
        others = [i for i in self.incidents.values() if i.incident_id != incident.incident_id]
        return ~self.state.explained(self.state.rows, others)[:, SIGNALS.index(incident.signal)]

    def _gain(self, incident: Incident) -> float:
        numbers, inside = numbers_of(related(incident.signal)), self.state.inside(self.state.rows, incident)
        seen = self.state.rows.fresh[inside][:, numbers].sum(axis=0).astype(float)
        due = self.state.recent.expected[inside][:, numbers].sum(axis=0)
        price = PRICE_PER_DIMENSION * len(incident.cohort.values)
        return float(self.state.surprise(incident.signal, seen, due)) - price

    def _widened(self, incident: Incident, signal: Signal, suspect: Suspect) -> Incident | None:
        """Widen an open incident that is part of what was just found, if one cohort explains both."""
        if signal not in related(incident.signal):
            return None
        rows, search = self.state.rows, self._search(incident)
        ranked, total = search.ranked()
        if not ranked or total < self._gain(incident) + suspect.gain - search.prices.price(suspect.subset):
            return None
        first = search.first_slot
        since, own = rows.slot >= first, self.state.inside(rows, incident)
        joint, new = ranked[0].holds(rows.codes) & since, suspect.holds(rows.codes) & since
        struck = any_signal(rows.fresh[:, numbers_of(related(signal))])
        weight = np.ones(len(rows))
        covered = struck[joint & own].sum() / max(struck[own].sum(), 1)
        same = max(overlap(joint, new, weight), overlap(own, new, weight)) >= SAME_COHORT
        if covered < MOSTLY_COVERED or not same:
            return None
        return self._described(replace(incident, cohort=self._name(ranked[0])), ranked)

    def _described(self, incident: Incident, ranked: Sequence[Suspect]) -> Incident:
        people = set(self.troubled.get(incident.incident_id, ()))
        people |= {self._subscriber(person.subscriber) for person in self._affected(incident)}
        return described(self.state, incident, ranked, people, self.rules.lifecycle, self.now)

    # -- people

    def _affected(self, incident: Incident) -> list[Affected]:
        """Who is struck by an incident; asked for twice, to count and to tell, and worked out once."""
        places = tuple(_place(one) for one in (incident, *self.incidents.values()))
        if places not in self._found:
            self._found[places] = self._struck_by(incident)
        return self._found[places]

    def _struck_by(self, incident: Incident) -> list[Affected]:
        every, inside = self.state.rows, self.state.inside(self.state.rows, incident)
        own = every.take(inside)
        rivals = self._rivals(incident, own)
        within = inside | any_signal(self.state.explained(every, rivals)) if rivals else inside
        rows, mine = (every.take(within), inside[within]) if rivals else (own, np.ones(len(own), bool))
        faults = [Fault(self.state.inside(rows, one), slot_of(one.onset_time)) for one in (incident, *rivals)]
        usual = self.state.recent.model.usual(rows)
        blamed = blame(rows, usual, faults, self._usual_shares(), self._prone(rows, incident))
        return affected(
            own,
            every,
            slot_of(incident.onset_time),
            int(self.now.timestamp() * 1e6),
            raised_signals(self.state, incident, related(incident.signal)),
            self.rules.impairment,
            blamed[:, mine],
            self.rules.least_blame,
            self._codes(self.troubled.get(incident.incident_id, ())),
            self._codes(person for one in rivals for person in self.troubled.get(one.incident_id, ())),
        )

    def _rivals(self, incident: Incident, rows: Observations) -> list[Incident]:
        """Other incidents that may be to blame for sessions of this one's cohort, of which these are the rows."""
        return [
            other
            for other in self.incidents.values()
            if other.incident_id != incident.incident_id
            and related(other.signal) == related(incident.signal)
            and self.state.inside(rows, other).any()
        ]

    def _usual_shares(self) -> Array:
        """What kinds of impairments chance brings."""
        by_chance = np.flatnonzero(~any_signal(self.state.recent.explained) & any_signal(self.state.rows.bad))
        kinds = max(len(self.state.words.error_classes) + 1, MOST_KINDS)
        return usual_shares(self.state.rows.take(by_chance), kinds)

    def _prone(self, rows: Observations, incident: Incident) -> Array:
        """How many times as prone to be impaired each row's viewer is: who had trouble of their own before has more."""
        prone = np.ones((len(rows), len(SIGNALS)))
        prone[:, SIGNALS.index(Signal.BUFFERING)] = rows.stalling_factor
        for signal in related(incident.signal):
            since = self.own_since.get(OWN_PREFIX + signal, {})
            people = self._codes(who for who, moment in since.items() if moment < incident.onset_time)
            prone[np.isin(rows.subscriber, people), SIGNALS.index(signal)] *= OWN_FAULT
        return prone

    def _codes(self, people: Iterable[str]) -> list[int]:
        return [self.state.words.subscribers.find(person) for person in people]

    def _complete(self, incident: Incident) -> list[Trouble]:
        found, every = self._affected(incident), self.state.rows
        theirs = every.take(np.isin(every.subscriber, [person.subscriber for person in found]))
        return [
            self._trouble(incident, person, theirs.take(theirs.subscriber == person.subscriber)) for person in found
        ]

    def _trouble(self, incident: Incident, person: Affected, rows: Observations) -> Trouble:
        words, verdict = self.state.words, incident.verdict
        evidence = (*self._own_evidence(incident, person, rows), *verdict.evidence)
        return Trouble(
            subscriber_id=self._subscriber(person.subscriber),
            problem=person.signal,
            verdict=Verdict(verdict.cause, verdict.probability * person.probability, evidence),
            incident_id=incident.incident_id,
            since=moment_of(person.first_us),
            last_bad_time=moment_of(person.last_us),
            impaired=person.impaired,
            sessions=person.sessions,
            severity=incident.severity,
            device_type=None if person.device < 0 else words.dimensions[DEVICE].text(person.device),
            error_class=None if person.error_class < 0 else words.error_classes.text(person.error_class),
        )

    def _own_evidence(self, incident: Incident, person: Affected, rows: Observations) -> tuple[str, ...]:
        return of_fault(
            rows,
            self.state.words,
            incident.cohort,
            incident.onset_time,
            person.signal,
            related(incident.signal),
            person.impaired,
            person.sessions,
        )

    def _all_clears(self, changed: Sequence[Incident]) -> list[Trouble]:
        """Everybody troubled by an incident that closed now hears that it is over; deciding leaves out the untold.

        One that settled is not over.
        """
        closed = [incident for incident in changed if incident.resolved_time == self.now and not incident.settled]
        return [
            self._all_clear(incident, person)
            for incident in closed
            for person in sorted(self.troubled.get(incident.incident_id, ()))
        ]

    def _all_clear(self, incident: Incident, person: str) -> Trouble:
        return Trouble(
            subscriber_id=person,
            problem=incident.signal,
            verdict=incident.verdict,
            incident_id=incident.incident_id,
            since=incident.onset_time,
            last_bad_time=self.now,
            impaired=0,
            sessions=0,
            severity=incident.severity,
            kind=TroubleKind.ALL_CLEAR,
            incident_resolved=True,
        )

    def _subscriber(self, code: int) -> str:
        return self.state.words.subscribers.text(code)


def _place(incident: Incident) -> tuple[object, ...]:
    """Where and when an incident was: all that decides whom it struck."""
    return incident.incident_id, incident.cohort, incident.onset_time, incident.resolved_time
