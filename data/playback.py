"""What happens to attempts: they start, stall, fail, are refused or given up; people whose attempt failed try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.arrays import HOUR_MS, MINUTE_MS, Bools, Floats, Ints, chances, within
from data.demand import Attempts, joined
from data.exposure import Strike
from data.population import Population
from data.recipe import Harmless, Recipe
from data.vocabulary import Vocabulary
from telemetry.contract import DENIAL_CLASSES, DEVICE_TYPES, FAILURE_CLASSES

ERROR_CLASSES = FAILURE_CLASSES + DENIAL_CLASSES
FAIL_P = 0.008
DENY_P = 0.004
GIVE_UP_P = 0.009
FAILURES_PER_HOUR = 0.007
FAILURE_SHARES = chances([0.3, 0.28, 0.12, 0.12, 0.18])
DENIAL_SHARES = chances([0.2, 0.3, 0.15, 0.15, 0.15, 0.05])
STARTUP_MEDIAN_MS = {
    "smart_tv": 2900,
    "streaming_stick": 2500,
    "console": 2250,
    "web": 1600,
    "ios": 1400,
    "android": 1900,
}
STARTUP_SIGMA = 0.33
PATIENCE_MEDIAN_MS = 30_000
"""Half of all people wait longer than this for a first frame."""
STALL_PATIENCE_MEDIAN_MS = 150_000
"""Half of all people leave before a session has stalled longer than this in all."""
STALLS_PER_HOUR = 1.6
STALL_SESSION_SIGMA = 1.1
STALL_MEDIAN_MS = 2_000
STALL_SIGMA = 0.85
BUSY_HOUR_X = 1.5
"""Evening peaks stall this much more often than the quietest hour stalls less."""
HEARTBEAT_MS = 60_000
NETWORK_STALL_X = {"wifi": 1.1, "ethernet": 0.7, "cellular": 1.4, "unknown": 1.0}
RETRY_P = 0.72
RETRY_AFTER_GIVING_UP_P = 0.35
RETRY_GAP_MEDIAN_MS = 18_000
MAX_RETRIES = 7


class Outcome(IntEnum):
    """How an attempt ends."""

    ENDED = 0
    FAILED_AT_START = 1
    DENIED = 2
    GIVEN_UP = 3
    FAILED_LATER = 4


NO_ONE = -1
"""Blame of what just happens, and the error class of what went well."""


@dataclass
class Sessions:
    """Attempts with their fate, one entry each.

    Parameters
    ----------
    attempts
        Who, when, what.
    outcome, error
        How it ended, and the code of its error class.
    blame
        The strike behind its failure or refusal, else -1.
    startup_ms, expected_startup_ms
        Time to the first frame, and what it would have been without any strike.
    startup_blame
        The strike that slowed its start most, else -1.
    end_ms
        Time of its last event.
    normal_stall_ratio
        The share of time that this subscriber's sessions stall without any strike.
    """

    attempts: Attempts
    outcome: Ints
    error: Ints
    blame: Ints
    startup_ms: Ints
    expected_startup_ms: Ints
    startup_blame: Ints
    end_ms: Ints
    normal_stall_ratio: Floats

    def __len__(self) -> int:
        return len(self.outcome)

    @property
    def is_started(self) -> Bools:
        """Which sessions showed a first frame."""
        return (self.outcome == Outcome.ENDED) | (self.outcome == Outcome.FAILED_LATER)


@dataclass(frozen=True)
class Intervals:
    """Stretches of play between two events of a session, in order, the sessions one after another."""

    session: Ints
    start_ms: Ints
    length_ms: Ints
    stalled_ms: Ints
    stall_count: Ints
    is_last: Bools


@dataclass(frozen=True)
class Harm:
    """Stalling that a strike added to a session while it was exposed: the material of the truth, one row a pair."""

    session: Ints
    strike: Ints
    exposed_ms: Ints
    stalled_ms: Ints
    added_ms: Ints
    bad_ms: Ints


@dataclass(frozen=True)
class Played:
    """All that happened in one world."""

    sessions: Sessions
    intervals: Intervals
    harm: Harm


@dataclass(frozen=True)
class _Stalls:
    interval: Ints
    length_ms: Ints
    strike: Ints


@dataclass(frozen=True)
class Stage:
    """Plays attempts for one world; `rng` is consumed in a fixed order, so a seed gives the same world."""

    recipe: Recipe
    vocabulary: Vocabulary
    people: Population
    strikes: Sequence[Strike]
    rng: np.random.Generator

    def play(self, attempts: Attempts) -> Played:
        """Play attempts, then the retries of those that failed, until nobody tries again."""
        rounds = [self._round(attempts)]
        for _ in range(MAX_RETRIES):
            retries = self._retries(rounds[-1].sessions)
            if not len(retries):
                break
            rounds.append(self._round(retries))
        return _together(rounds)

    def _round(self, attempts: Attempts) -> Played:
        sessions = self._begin(attempts)
        intervals = self._stretches(sessions)
        stalls = self._stalls(sessions, intervals)
        harm_end = self._breaks(sessions, intervals, stalls)
        return self._settle(sessions, intervals, stalls, harm_end)

    # -- the start ------------------------------------------------------------------------------------------------

    def _begin(self, attempts: Attempts) -> Sessions:
        count = len(attempts)
        nothing = np.full(count, NO_ONE, dtype=np.int64)
        expected = self._expected_startup(attempts)
        sessions = Sessions(
            attempts,
            np.zeros(count, dtype=np.int64),
            nothing.copy(),
            nothing.copy(),
            expected.copy(),
            expected,
            nothing.copy(),
            attempts.start_ms.copy(),
            self._normal_stall_ratio(attempts),
        )
        self._bad_luck(sessions)
        for number, strike in enumerate(self.strikes):
            self._strike_start(sessions, number, strike)
        self._lose_patience(sessions)
        return sessions

    def _expected_startup(self, attempts: Attempts) -> Ints:
        medians = np.array([STARTUP_MEDIAN_MS[name] for name in DEVICE_TYPES])[attempts.dims["device_type"]]
        noise = self.rng.lognormal(0, STARTUP_SIGMA, len(attempts))
        usual = medians * self.people.startup_x[attempts.subscriber] * noise
        for it in self.recipe.on(Harmless.LEVEL_SHIFT):
            shifted = self.vocabulary.mask(attempts.dims, it.cohort) & (
                attempts.start_ms >= it.start.timestamp() * 1000
            )
            usual = np.where(shifted, usual * it.amount, usual)
        return usual.astype(np.int64)

    def _normal_stall_ratio(self, attempts: Attempts) -> Floats:
        mean_stall_ms = STALL_MEDIAN_MS * np.exp(STALL_SIGMA**2 / 2)
        per_hour = (
            STALLS_PER_HOUR * np.exp(STALL_SESSION_SIGMA**2 / 2) * self.people.stall_x[attempts.subscriber]
        )
        ratio: Floats = per_hour * mean_stall_ms / HOUR_MS
        return ratio

    def _bad_luck(self, sessions: Sessions) -> None:
        draw = self.rng.random(len(sessions))
        failed, denied = draw < FAIL_P, (draw >= FAIL_P) & (draw < FAIL_P + DENY_P)
        given_up = (draw >= FAIL_P + DENY_P) & (draw < FAIL_P + DENY_P + GIVE_UP_P)
        sessions.outcome[failed] = Outcome.FAILED_AT_START
        sessions.outcome[denied] = Outcome.DENIED
        sessions.outcome[given_up] = Outcome.GIVEN_UP
        sessions.error[failed] = self.rng.choice(len(FAILURE_CLASSES), int(failed.sum()), p=FAILURE_SHARES)
        denials = self.rng.choice(len(DENIAL_CLASSES), int(denied.sum()), p=DENIAL_SHARES)
        sessions.error[denied] = len(FAILURE_CLASSES) + denials

    def _strike_start(self, sessions: Sessions, number: int, strike: Strike) -> None:
        attempts, effect = sessions.attempts, strike.fault.effect
        hit = np.flatnonzero(
            (attempts.start_ms >= strike.start_ms)
            & (attempts.start_ms < strike.end_ms)
            & strike.targets(attempts, self.vocabulary)
        )
        strength = strike.strength(attempts.start_ms[hit], attempts.start_ms[hit] + 1)
        self._slow_down(sessions, hit, number, 1 + (effect.startup_x - 1) * strength)
        error = ERROR_CLASSES.index(effect.error_class)
        for chance, outcome in ((effect.fail_p, Outcome.FAILED_AT_START), (effect.deny_p, Outcome.DENIED)):
            is_hit = (self.rng.random(len(hit)) < chance * strength) & (
                sessions.outcome[hit] == Outcome.ENDED
            )
            struck = hit[is_hit]
            sessions.outcome[struck], sessions.error[struck], sessions.blame[struck] = outcome, error, number

    def _slow_down(self, sessions: Sessions, hit: Ints, number: int, factor: Floats) -> None:
        if not np.any(factor > 1):
            return
        noisy = 1 + (factor - 1) * self.rng.lognormal(0, 0.35, len(hit))
        sessions.startup_ms[hit] = (sessions.startup_ms[hit] * noisy).astype(np.int64)
        sessions.startup_blame[hit] = number

    def _lose_patience(self, sessions: Sessions) -> None:
        patience = self.rng.lognormal(np.log(PATIENCE_MEDIAN_MS), 0.6, len(sessions))
        bored = (sessions.outcome == Outcome.ENDED) & (sessions.startup_ms > patience)
        sessions.outcome[bored] = Outcome.GIVEN_UP
        wait = np.where(bored, patience, sessions.startup_ms * self.rng.uniform(0.2, 0.8, len(sessions)))
        asked = sessions.attempts.start_ms
        sessions.end_ms = asked + np.where(sessions.is_started, sessions.startup_ms, wait).astype(np.int64)

    # -- the play -------------------------------------------------------------------------------------------------

    def _stretches(self, sessions: Sessions) -> Intervals:
        """Cut each started session's planned time into stretches of about a minute."""
        started = np.flatnonzero(sessions.is_started)
        planned = sessions.attempts.planned_ms[started]
        beat = HEARTBEAT_MS + self.rng.integers(-350, 60, len(started))
        counts = -(-planned // beat)
        session = np.repeat(started, counts)
        place = within(session, counts)
        beat, planned, counts = (np.repeat(it, counts) for it in (beat, planned, counts))
        is_last = place == counts - 1
        start_ms = sessions.end_ms[session] + place * beat
        length_ms = np.where(is_last, planned - place * beat, beat)
        zeros = np.zeros(len(session), dtype=np.int64)
        return Intervals(session, start_ms, length_ms, zeros, zeros.copy(), is_last)

    def _stalls(self, sessions: Sessions, intervals: Intervals) -> _Stalls:
        usual = self._usual_rate(sessions, intervals)
        lots = [self._draw(np.arange(len(usual)), usual * intervals.length_ms, 1.0, NO_ONE)]
        for number, strike in enumerate(self.strikes):
            effect = strike.fault.effect
            hit, strength = self._exposed(sessions, intervals, strike)
            added = usual[hit] * (effect.stall_x - 1) + effect.stalls_per_hour / HOUR_MS
            if np.any(added > 0):
                expected = added * strength * intervals.length_ms[hit]
                lots.append(self._draw(hit, expected, effect.stall_length_x, number))
        return _Stalls(
            np.concatenate([lot.interval for lot in lots]),
            np.concatenate([lot.length_ms for lot in lots]),
            np.concatenate([lot.strike for lot in lots]),
        )

    def _usual_rate(self, sessions: Sessions, intervals: Intervals) -> Floats:
        """Return stalls per millisecond of play in each stretch, were nothing wrong."""
        attempts = sessions.attempts
        by_network = np.array([NETWORK_STALL_X[name] for name in self.vocabulary.values["connection_type"]])
        mood = self.rng.lognormal(0, STALL_SESSION_SIGMA, len(sessions))
        rate = STALLS_PER_HOUR / HOUR_MS * mood * self.people.stall_x[attempts.subscriber]
        rate = rate * by_network[attempts.dims["connection_type"]]
        busy = self._busyness(attempts.subscriber[intervals.session], intervals.start_ms)
        usual: Floats = rate[intervals.session] * busy
        return usual

    def _busyness(self, subscriber: Ints, time_ms: Ints) -> Floats:
        first_day = self.people.local_offset_ms(self.recipe)[:, 0]
        local_hour = (time_ms + first_day[subscriber]) / HOUR_MS % 24
        return BUSY_HOUR_X ** np.cos((local_hour - 20.5) / 24 * 2 * np.pi)

    def _draw(self, interval: Ints, expected: Floats, length_x: float, strike: int) -> _Stalls:
        counts = self.rng.poisson(expected)
        where = np.repeat(interval, counts)
        length = self.rng.lognormal(np.log(STALL_MEDIAN_MS * length_x), STALL_SIGMA, len(where))
        return _Stalls(
            where, np.maximum(length, 150).astype(np.int64), np.full(len(where), strike, dtype=np.int64)
        )

    def _exposed(self, sessions: Sessions, intervals: Intervals, strike: Strike) -> tuple[Ints, Floats]:
        """Return the stretches that a strike reaches, and its strength in each."""
        ends = intervals.start_ms + intervals.length_ms
        live = np.flatnonzero((intervals.start_ms < strike.end_ms) & (ends > strike.start_ms))
        hit = live[strike.targets(sessions.attempts.take(intervals.session[live]), self.vocabulary)]
        return hit, strike.strength(intervals.start_ms[hit], ends[hit])

    def _breaks(self, sessions: Sessions, intervals: Intervals, stalls: _Stalls) -> Bools:
        """Fail or end some sessions before their time; return which stretches were still played."""
        stalled = np.bincount(stalls.interval, stalls.length_ms, len(intervals.session)).astype(np.int64)
        intervals.stalled_ms[:] = np.minimum(stalled, (intervals.length_ms * 0.97).astype(np.int64))
        intervals.stall_count[:] = np.bincount(stalls.interval, minlength=len(intervals.session))
        failing, blame, error = self._failing(sessions, intervals)
        leaving = self._leaving(sessions, intervals)
        stop = failing | leaving
        before = np.cumsum(stop) - stop
        first = np.zeros(len(sessions), dtype=np.int64)
        opening = np.flatnonzero(np.diff(intervals.session, prepend=-1))
        first[intervals.session[opening]] = before[opening]
        played = before == first[intervals.session]
        over = np.flatnonzero(played & failing)
        who = intervals.session[over]
        sessions.outcome[who], sessions.error[who], sessions.blame[who] = (
            Outcome.FAILED_LATER,
            error[over],
            blame[over],
        )
        intervals.is_last[:] |= stop
        return played

    def _failing(self, sessions: Sessions, intervals: Intervals) -> tuple[Bools, Ints, Ints]:
        count = len(intervals.session)
        failing = self.rng.random(count) < FAILURES_PER_HOUR * intervals.length_ms / HOUR_MS
        blame = np.full(count, NO_ONE, dtype=np.int64)
        error = self.rng.choice(len(FAILURE_CLASSES), count, p=FAILURE_SHARES)
        for number, strike in enumerate(self.strikes):
            effect = strike.fault.effect
            if effect.failures_per_hour == 0:
                continue
            hit, strength = self._exposed(sessions, intervals, strike)
            risk = effect.failures_per_hour * strength * intervals.length_ms[hit] / HOUR_MS
            struck = hit[self.rng.random(len(hit)) < 1 - np.exp(-risk)]
            failing[struck], blame[struck], error[struck] = (
                True,
                number,
                ERROR_CLASSES.index(effect.error_class),
            )
        return failing, blame, error

    def _leaving(self, sessions: Sessions, intervals: Intervals) -> Bools:
        patience = self.rng.lognormal(np.log(STALL_PATIENCE_MEDIAN_MS), 0.7, len(sessions))
        total = np.cumsum(intervals.stalled_ms)
        opening = np.flatnonzero(np.diff(intervals.session, prepend=-1))
        base = np.zeros(len(sessions), dtype=np.int64)
        base[intervals.session[opening]] = total[opening] - intervals.stalled_ms[opening]
        leaving: Bools = total - base[intervals.session] > patience[intervals.session]
        return leaving

    # -- the end --------------------------------------------------------------------------------------------------

    def _settle(self, sessions: Sessions, intervals: Intervals, stalls: _Stalls, played: Bools) -> Played:
        kept = np.flatnonzero(played)
        final = Intervals(
            intervals.session[kept],
            intervals.start_ms[kept],
            intervals.length_ms[kept],
            intervals.stalled_ms[kept],
            intervals.stall_count[kept],
            intervals.is_last[kept],
        )
        last = np.flatnonzero(final.is_last)
        sessions.end_ms[final.session[last]] = final.start_ms[last] + final.length_ms[last]
        harm = [
            self._harm(sessions, intervals, stalls, played, number) for number in range(len(self.strikes))
        ]
        return Played(sessions, final, _all_harm(harm))

    def _harm(
        self, sessions: Sessions, intervals: Intervals, stalls: _Stalls, played: Bools, number: int
    ) -> Harm:
        strike = self.strikes[number]
        hit, strength = self._exposed(sessions, intervals, strike)
        hit = hit[played[hit] & (strength > 0)]
        mine = stalls.strike == number
        added = np.bincount(stalls.interval[mine], stalls.length_ms[mine], len(intervals.session)).astype(
            np.int64
        )
        owner, opening = np.unique(intervals.session[hit], return_index=True)

        def total(values: Ints) -> Ints:
            return np.add.reduceat(values[hit], opening) if len(opening) else values[:0]

        running = np.cumsum(added[hit])
        base = np.repeat(running[opening] - added[hit][opening], np.diff(np.append(opening, len(hit))))
        ends = intervals.start_ms[hit] + intervals.length_ms[hit]
        felt = np.where(running - base >= FELT_STALL_MS, ends, ends.max(initial=0))
        bad_ms = np.minimum.reduceat(felt, opening) if len(opening) else ends[:0]
        return Harm(
            owner,
            np.full(len(owner), number, dtype=np.int64),
            total(intervals.length_ms),
            total(intervals.stalled_ms),
            total(np.minimum(added, intervals.stalled_ms)),
            bad_ms,
        )

    def _retries(self, sessions: Sessions) -> Attempts:
        """Return the attempts of those who try again after a failure, a refusal or a loss of patience."""
        unhappy = sessions.outcome != Outcome.ENDED
        gave_up = sessions.outcome == Outcome.GIVEN_UP
        tries = np.where(gave_up, RETRY_AFTER_GIVING_UP_P, RETRY_P) * 0.93**sessions.attempts.number
        again = np.flatnonzero(unhappy & (self.rng.random(len(sessions)) < tries))
        gap = self.rng.lognormal(np.log(RETRY_GAP_MEDIAN_MS), 1.0, len(again)).astype(np.int64)
        old = sessions.attempts.take(again)
        start_ms = sessions.end_ms[again] + gap
        watched = np.where(
            sessions.outcome[again] == Outcome.FAILED_LATER, sessions.end_ms[again] - old.start_ms, 0
        )
        planned = np.maximum(old.planned_ms - watched, MINUTE_MS)
        inside = start_ms < self.recipe.end.timestamp() * 1000
        return Attempts(old.subscriber, start_ms, planned, old.number + 1, old.dims).take(inside)


FELT_STALL_MS = 5_000
"""Stalling by a fault of less than this in a session is not material."""


def _all_harm(parts: Sequence[Harm]) -> Harm:
    none = np.zeros(0, dtype=np.int64)

    def stack(arrays: list[Ints]) -> Ints:
        return np.concatenate([none, *arrays])

    return Harm(
        stack([it.session for it in parts]),
        stack([it.strike for it in parts]),
        stack([it.exposed_ms for it in parts]),
        stack([it.stalled_ms for it in parts]),
        stack([it.added_ms for it in parts]),
        stack([it.bad_ms for it in parts]),
    )


def _together(rounds: Sequence[Played]) -> Played:
    sizes = np.cumsum([0, *(len(it.sessions) for it in rounds)])

    def session(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(it.sessions, name) for it in rounds])

    def interval(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(it.intervals, name) for it in rounds])

    names = [it.name for it in fields(Sessions) if it.name != "attempts"]
    sessions = Sessions(
        joined([it.sessions.attempts for it in rounds]), **{name: session(name) for name in names}
    )
    intervals = Intervals(**{it.name: interval(it.name) for it in fields(Intervals)})
    intervals.session[:] += np.repeat(sizes[:-1], [len(it.intervals.session) for it in rounds])
    harm = _all_harm(
        [replace(it.harm, session=it.harm.session + size) for it, size in zip(rounds, sizes, strict=False)]
    )
    return Played(sessions, intervals, harm)
