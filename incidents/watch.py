"""Watching: from what changed in one window to incidents that open, grow and close, and the people they trouble.

`Watch` is the pure middle of the pipeline: it reads the warehouse and is told what the ledger knows, and it returns
what should be written. A watch that has just seen the previous window updates itself; a new one rebuilds the same state
from the last day and a half of slices.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import duckdb
import numpy as np

from detectors.cohorts import members
from detectors.finding import Cohort
from detectors.learning import hourly_counts, learn_day, midnight, prepare, unlearnt_days
from detectors.local_hours import LocalHours
from detectors.observations import ImpairmentRule, Vocabularies, load_observations, slot_of
from detectors.rates import SLOTS_PER_HOUR, HourlyCounts, RateModel
from detectors.volume import SeasonalVolume
from incidents.lifecycle import LifecycleRule
from incidents.model import Incident, Trouble
from incidents.own import STRAGGLERS, OwnRule, OwnTroubles, Scene, fold_day
from incidents.quality import QualityKind, QualityNotice, QualityWatch
from incidents.state import FOREVER, Mask, WatchState
from incidents.step import Step, StepRules
from telemetry.time import Window

BUCKETS_PER_HOUR = 4
CATCHING_UP = timedelta(hours=1)
"""For so long after a gap in the telemetry what was held back is still coming in."""
CLOCKS_AHEAD = timedelta(hours=1)
"""Slots are of trustworthy times, so none is later than now; the margin costs nothing."""
CAREFUL_SHARE = 0.03
"""Impairments per exposure that are taken to be usual while hardly anything is known: more than there are anywhere."""


@dataclass(frozen=True)
class WatchRule:
    """How long to look back, and when to speak.

    Parameters
    ----------
    memory_hours
        Length of the recent past that is kept: a day, and before it as long as an impairment makes the person's next
        one stale.
    learn_days
        Days of history that teach what is normal.
    learn_after
        How long after midnight UTC the day before is taken to be complete.
    margin_nats
        Surprise that a cohort must show above the logarithm of the number of cohorts watched: the price of looking in
        many places, and then the evidence itself.
    least_subscribers
        People struck below which nothing is an incident.
    least_ratio
        How many times the people struck that are usual make a fault; less is a drift of what is normal.
    least_slowdown
        How many times the usual the median start must take before slow starts are a fault.
    least_blame
        Probability (0 to 1) that a bad session was the fault's from which its viewer counts as affected.
    onset_slack
        How long before the estimated onset a struck session may still belong to the incident.
    """

    memory_hours: int = 36
    learn_days: int = 28
    learn_after: timedelta = STRAGGLERS
    margin_nats: float = 3.0
    least_subscribers: int = 4
    least_ratio: float = 1.75
    least_slowdown: float = 1.4
    least_blame: float = 0.72
    onset_slack: timedelta = timedelta(minutes=15)


@dataclass(frozen=True)
class Detection:
    """What one window changes: incidents that are new or differ, and people newly in trouble or out of it.

    And, for ops alone, notices of missing telemetry and missing viewers.
    """

    incidents: tuple[Incident, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    quality: tuple[QualityNotice, ...] = ()


class Watch:
    """Detects incidents and the people they trouble, window by window.

    Parameters
    ----------
    connection
        The warehouse's connection; windows must be merged before they are watched.
    rule, impairment, lifecycle, own
        The rules; each has its own defaults and reasons.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        rule: WatchRule | None = None,
        impairment: ImpairmentRule | None = None,
        lifecycle: LifecycleRule | None = None,
        own: OwnRule | None = None,
    ) -> None:
        self.connection = connection
        self.rule = rule or WatchRule()
        self.impairment = impairment or ImpairmentRule()
        self.lifecycle = lifecycle or LifecycleRule()
        self.own = own or OwnRule()
        self._own_troubles = OwnTroubles(self.own, self.impairment)
        self._quality: QualityWatch | None = None
        self._state: WatchState | None = None
        self._as_of: datetime | None = None
        self._learnt: date | None = None
        self._provisional: datetime | None = None

    def detect(
        self,
        window: Window,
        known: Sequence[Incident],
        troubled: Mapping[str, Collection[str]],
        quality: Sequence[QualityNotice] = (),
    ) -> Detection:
        """Detect what a merged window changes.

        Parameters
        ----------
        window
            The window of received time that was merged last.
        known
            The open incidents and those resolved within `WatchRule.learn_days`.
        troubled
            For each open incident the subscribers already found to be troubled by it; and under ``own:buffering``,
            ``own:startup``, ``own:failure`` and ``own:access`` those found within `OwnRule.days` to have a trouble of
            their own.
        quality
            The open quality notices, and those closed within `incidents.quality.LATE_FOR`.
        """
        state = self._caught_up(window, known)
        oldest = window.end - timedelta(hours=self.rule.memory_hours)
        recent = [incident for incident in known if incident.resolved_time is None or incident.resolved_time > oldest]
        dark = [it.cohort for it in quality if it.kind is QualityKind.MISSING_TELEMETRY and _is_missing(it, window.end)]
        step = Step(state, self._step_rules, recent, troubled, window.end, dark)
        incidents, troubles = step.run()
        scene = Scene(
            state.rows,
            state.words,
            state.recent.index,
            state.scans,
            tuple(step.incidents.values()),
            self.rule.onset_slack,
        )
        own = self._own_troubles.find(scene, troubled, window.end)
        noticed = self._quality.step(state.rows, quality, window.end) if self._quality else []
        return Detection(tuple(incidents), (*troubles, *own), tuple(noticed))

    @property
    def state(self) -> WatchState:
        """What is in memory.

        Raises
        ------
        RuntimeError
            Before the first window.
        """
        if self._state is None:
            raise RuntimeError("Nothing has been watched yet.")
        return self._state

    @property
    def _step_rules(self) -> StepRules:
        return StepRules(
            self.rule.margin_nats,
            self.rule.least_subscribers,
            self.rule.memory_hours * BUCKETS_PER_HOUR,
            self.rule.least_blame,
            self.rule.least_ratio,
            self.rule.least_slowdown,
            self.lifecycle,
            self.impairment,
        )

    def _caught_up(self, window: Window, known: Sequence[Incident]) -> WatchState:
        learnt = self._learn(window.end, known)
        same = not learnt and self._provisional in (None, self._first_hours_end(window.end))
        hot = self._state is not None and self._as_of == window.start and same
        if not hot:
            self._state = self._fresh_state(window.end, known)
        self._take_in(self.state, window.end, known, window.end if hot else None)
        self._as_of = window.end
        return self.state

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
                fold_day(self.connection, day, self.own, self.impairment, known, self.rule.onset_slack)
        self._learnt = through
        return bool(days)

    def _fresh_state(self, now: datetime, known: Sequence[Incident]) -> WatchState:
        words = Vocabularies()
        counts = self._history(words, now)
        hours = LocalHours.learnt(self.connection, words)
        self._quality = QualityWatch(SeasonalVolume(local_hours=hours).fit(counts), words)
        model = RateModel(local_hours=hours)
        self._provisional = None if len(counts.hour) else self._first_hours_end(now)
        if self._provisional is not None:
            model = RateModel(local_hours=hours, prior_share=CAREFUL_SHARE)
            counts = self._first_hours(words, self._provisional)
        model.fit(counts.drop(_anomalous(counts, words, known)))
        self._own_troubles.start(self.connection, words, self._learnt)
        return WatchState.of(words, model, self.impairment.memory_slots, self.rule.onset_slack)

    def _first_hours_end(self, now: datetime) -> datetime:
        """Until when the slices themselves teach, as long as no day is learnt: a fault is not usual from its start."""
        return (now - self.rule.learn_after).replace(minute=0, second=0, microsecond=0)

    def _first_hours(self, words: Vocabularies, end: datetime) -> HourlyCounts:
        """Count the slices that are there before any day is learnt."""
        start = end - timedelta(hours=self.rule.memory_hours)
        rows = load_observations(self.connection, words, self.impairment, start, end)
        return HourlyCounts.of(rows.with_fresh(self.impairment.memory_slots))

    def _take_in(
        self, state: WatchState, now: datetime, known: Sequence[Incident], changed_at: datetime | None
    ) -> None:
        oldest = now - timedelta(hours=self.rule.memory_hours)
        rows = load_observations(
            self.connection, state.words, self.impairment, oldest, now + CLOCKS_AHEAD, changed_at=changed_at
        )
        state.take_in(rows, known, oldest, now)

    def _history(self, words: Vocabularies, now: datetime) -> HourlyCounts:
        today = midnight(now.date())
        return hourly_counts(self.connection, words, today - timedelta(days=self.rule.learn_days), today)


def _is_missing(notice: QualityNotice, now: datetime) -> bool:
    """Whether telemetry is missing still, or was until lately."""
    return notice.until is None or notice.until > now - CATCHING_UP


def _anomalous(counts: HourlyCounts, words: Vocabularies, known: Sequence[Incident]) -> Mask:
    """Hours and cohorts in which an incident ran: a baseline never learns from them."""
    struck = np.zeros(len(counts.hour), bool)
    for incident in known:
        plain = Cohort(tuple(value for value in incident.cohort.values if value[0] != "title_id"))
        first = slot_of(incident.onset_time) // SLOTS_PER_HOUR
        until = None if incident.settled else incident.resolved_time
        last = FOREVER if until is None else slot_of(until) // SLOTS_PER_HOUR
        inside = (counts.hour >= first) & (counts.hour <= last)
        struck |= inside & members(words, counts.codes, plain)
    return struck


@contextmanager
def _transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()
