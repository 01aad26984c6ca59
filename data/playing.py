"""The play itself, minute by minute: it stalls, fails half-way, or is left by someone who has had enough."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from data.arrays import HOUR_MS, Bools, Columns, Floats, Ints, filled, running, within, zeros
from data.attempts import Attempts
from data.exposure import Strike
from data.outcomes import ERROR_CLASSES, NOTHING, Harm, Outcome, Played, Sessions, Stretches
from data.setting import Setting
from data.starting import FAILURE_SHARES, STALL_MEDIAN_MS, STALL_SESSION_SIGMA, STALL_SIGMA, STALLS_PER_HOUR

HEARTBEAT_MS = 60_000
HEARTBEAT_EARLY_MS, HEARTBEAT_LATE_MS = 350, 60
"""A player's timer is this much off at most, the same for a whole session."""
FAILURES_PER_HOUR = 0.007
STALL_PATIENCE_MEDIAN_MS = 150_000
"""Half of all people leave before a session has stalled longer than this in all."""
STALL_PATIENCE_SIGMA = 0.7
SHORTEST_STALL_MS = 150
LONGEST_STALLED_SHARE = 0.97
BUSY_X = 1.5
BUSIEST_HOUR = 20.5
"""At this local hour stalls are `BUSY_X` times as frequent as on average, 12 hours later as much rarer."""
NETWORK_STALL_X = {"wifi": 1.1, "ethernet": 0.7, "cellular": 1.4, "unknown": 1.0}
FELT_STALL_MS = 5_000
"""Stalling by a fault of less than this in a session is not material."""


@dataclass(frozen=True)
class Stalls(Columns):
    """Single stalls: the stretch each falls in, its length, and the strike that brought it."""

    stretch: Ints
    length_ms: Ints
    strike: Ints


@dataclass(frozen=True)
class Play:
    """Plays started sessions; `rng` is consumed in a fixed order, so a seed gives the same world."""

    setting: Setting
    rng: np.random.Generator

    def out(self, attempts: Attempts, sessions: Sessions) -> Played:
        """Play sessions to their end; those that break are noted in `sessions`."""
        stretches = self._stretches(attempts, sessions)
        stalls = self._stalls(attempts, sessions, stretches)
        stretches = _stalled(stretches, stalls)
        is_played = self._break(attempts, sessions, stretches)
        harm = [
            self._harm(number, attempts, stretches, stalls, is_played) for number in range(len(self.setting.strikes))
        ]
        final = stretches.take(is_played)
        sessions.end_ms[final.session[final.is_last]] = final.end_ms[final.is_last]
        return Played(attempts, sessions, final, Harm.joined(harm or [Harm(*(zeros(0) for _ in range(6)))]))

    def _stretches(self, attempts: Attempts, sessions: Sessions) -> Stretches:
        """Cut each started session's planned time into stretches of about a minute."""
        started = np.flatnonzero(sessions.is_started)
        beat = HEARTBEAT_MS + self.rng.integers(-HEARTBEAT_EARLY_MS, HEARTBEAT_LATE_MS, len(started))
        counts = -(-attempts.planned_ms[started] // beat)
        session, beat = np.repeat(started, counts), np.repeat(beat, counts)
        before_ms = within(counts) * beat
        length_ms = np.minimum(attempts.planned_ms[session] - before_ms, beat)
        is_last = np.diff(session, append=-1) != 0
        nothing = zeros(len(session))
        return Stretches(session, sessions.end_ms[session] + before_ms, length_ms, nothing, nothing, is_last)

    # Stalls

    def _stalls(self, attempts: Attempts, sessions: Sessions, stretches: Stretches) -> Stalls:
        usual = self._usual_rate(attempts, stretches, len(sessions))
        everywhere = np.arange(len(stretches))
        lots = [self._draw(everywhere, usual * stretches.length_ms, 1.0, NOTHING)]
        for number, strike in enumerate(self.setting.strikes):
            effect = strike.fault.effect
            hit, strength = self._reached(attempts, stretches, strike)
            added = usual[hit] * (effect.stall_x - 1) + effect.stalls_per_hour / HOUR_MS
            lots.append(self._draw(hit, added * strength * stretches.length_ms[hit], effect.stall_length_x, number))
        return Stalls.joined(lots)

    def _usual_rate(self, attempts: Attempts, stretches: Stretches, sessions: int) -> Floats:
        """Return stalls per millisecond of play in each stretch, were nothing wrong."""
        network = np.array([NETWORK_STALL_X[name] for name in self.setting.vocabulary.values["connection_type"]])
        mood = self.rng.lognormal(0, STALL_SESSION_SIGMA, sessions)
        home = self.setting.people.stall_x[attempts.subscriber]
        rate = STALLS_PER_HOUR / HOUR_MS * mood * home * network[attempts.codes("connection_type")]
        usual: Floats = rate[stretches.session] * self._busyness(attempts, stretches)
        return usual

    def _busyness(self, attempts: Attempts, stretches: Stretches) -> Floats:
        offset = self.setting.people.local_offset_ms(self.setting.recipe)[:, 0]
        local_ms = stretches.start_ms + offset[attempts.subscriber[stretches.session]]
        turn = (local_ms / HOUR_MS % 24 - BUSIEST_HOUR) / 24 * 2 * np.pi
        factor: Floats = BUSY_X ** np.cos(turn)
        return factor

    def _draw(self, stretch: Ints, expected: Floats, length_x: float, strike: int) -> Stalls:
        where = np.repeat(stretch, self.rng.poisson(expected))
        length = self.rng.lognormal(np.log(STALL_MEDIAN_MS * length_x), STALL_SIGMA, len(where))
        length_ms = np.maximum(length, SHORTEST_STALL_MS).astype(np.int64)
        return Stalls(where, length_ms, filled(len(where), strike))

    def _reached(self, attempts: Attempts, stretches: Stretches, strike: Strike) -> tuple[Ints, Floats]:
        """Return the stretches that a strike reaches, and its strength in each."""
        live = np.flatnonzero((stretches.start_ms < strike.end_ms) & (stretches.end_ms > strike.start_ms))
        owners = attempts.take(stretches.session[live])
        hit = live[strike.targets(owners, self.setting.vocabulary)]
        return hit, strike.strength(stretches.start_ms[hit], stretches.end_ms[hit])

    # Ends before their time

    def _break(self, attempts: Attempts, sessions: Sessions, stretches: Stretches) -> Bools:
        """Fail or leave some sessions early; return which stretches were played."""
        blame, error = self._failures(attempts, stretches)
        fails = error != NOTHING
        patience = self.rng.lognormal(np.log(STALL_PATIENCE_MEDIAN_MS), STALL_PATIENCE_SIGMA, len(sessions))
        stops = fails | (running(stretches.stalled_ms, stretches.session) > patience[stretches.session])
        is_played: Bools = running(stops.astype(np.int64), stretches.session) - stops == 0
        stretches.is_last[:] |= stops
        broken = np.flatnonzero(is_played & fails)
        who = stretches.session[broken]
        sessions.outcome[who] = Outcome.FAILED_LATER
        sessions.error[who], sessions.blame[who] = error[broken], blame[broken]
        return is_played

    def _failures(self, attempts: Attempts, stretches: Stretches) -> tuple[Ints, Ints]:
        """Return who is to blame for each stretch's failure, and its error class; most do not fail."""
        hours = stretches.length_ms / HOUR_MS
        blame, error = filled(len(stretches), NOTHING), filled(len(stretches), NOTHING)
        unlucky = self.rng.random(len(stretches)) < FAILURES_PER_HOUR * hours
        error[unlucky] = self.rng.choice(len(FAILURE_SHARES), int(unlucky.sum()), p=FAILURE_SHARES)
        for number, strike in enumerate(self.setting.strikes):
            effect = strike.fault.effect
            hit, strength = self._reached(attempts, stretches, strike)
            risk = -np.expm1(-effect.failures_per_hour * strength * hours[hit])
            struck = hit[self.rng.random(len(hit)) < risk]
            blame[struck], error[struck] = number, ERROR_CLASSES.index(effect.error_class)
        return blame, error

    # Harm

    def _harm(self, number: int, attempts: Attempts, stretches: Stretches, stalls: Stalls, is_played: Bools) -> Harm:
        hit, strength = self._reached(attempts, stretches, self.setting.strikes[number])
        hit = hit[is_played[hit] & (strength > 0)]
        if not len(hit):
            return Harm(*(zeros(0) for _ in range(6)))
        added_ms = _total(stalls.take(stalls.strike == number), len(stretches))[hit]
        exposed = stretches.take(hit)
        session, opening = np.unique(exposed.session, return_index=True)
        is_felt = running(added_ms, exposed.session) >= FELT_STALL_MS
        felt_ms = np.where(is_felt, exposed.end_ms, exposed.end_ms.max())
        return Harm(
            session,
            filled(len(session), number),
            np.add.reduceat(exposed.length_ms, opening),
            np.add.reduceat(exposed.stalled_ms, opening),
            np.add.reduceat(np.minimum(added_ms, exposed.stalled_ms), opening),
            np.minimum.reduceat(felt_ms, opening),
        )


def _stalled(stretches: Stretches, stalls: Stalls) -> Stretches:
    """Return the stretches with their stalls; no stretch stalls longer than it lasts."""
    longest = (stretches.length_ms * LONGEST_STALLED_SHARE).astype(np.int64)
    return replace(
        stretches,
        stalled_ms=np.minimum(_total(stalls, len(stretches)), longest),
        stall_count=np.bincount(stalls.stretch, minlength=len(stretches)),
    )


def _total(stalls: Stalls, stretches: int) -> Ints:
    return np.bincount(stalls.stretch, stalls.length_ms, stretches).astype(np.int64)
