"""The start of an attempt: it shows a first frame, fails, is refused, or takes longer than anyone waits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data.arrays import HOUR_MS, Floats, Ints, chances, epoch_ms, filled, zeros
from data.attempts import Attempts
from data.exposure import Strike
from data.outcomes import ERROR_CLASSES, NOTHING, Outcome, Sessions
from data.recipe import Harmless
from data.setting import Setting
from telemetry.contract import DENIAL_CLASSES, DEVICE_TYPES, FAILURE_CLASSES

FAIL_P = 0.008
DENY_P = 0.004
GIVE_UP_P = 0.009
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
STRUCK_STARTUP_SIGMA = 0.35
PATIENCE_MEDIAN_MS = 30_000
"""Half of all people wait longer than this for a first frame."""
PATIENCE_SIGMA = 0.6
STALLS_PER_HOUR = 1.6
STALL_SESSION_SIGMA = 1.1
STALL_MEDIAN_MS = 2_000
STALL_SIGMA = 0.85


@dataclass(frozen=True)
class Starts:
    """Starts attempts; `rng` is consumed in a fixed order, so a seed gives the same world."""

    setting: Setting
    rng: np.random.Generator

    def begin(self, attempts: Attempts) -> Sessions:
        """Decide how each attempt starts; one that starts well is `Outcome.ENDED` until it fails later."""
        sessions = self._untouched(attempts)
        self._bad_luck(sessions)
        for number, strike in enumerate(self.setting.strikes):
            self._strike(attempts, sessions, number, strike)
        self._lose_patience(attempts, sessions)
        return sessions

    def _untouched(self, attempts: Attempts) -> Sessions:
        count = len(attempts)
        expected = self._expected_startup(attempts)
        nobody = [filled(count, NOTHING) for _ in range(3)]
        return Sessions(
            outcome=filled(count, Outcome.ENDED),
            error=nobody[0],
            blame=nobody[1],
            startup_ms=expected.copy(),
            expected_startup_ms=expected,
            startup_blame=nobody[2],
            end_ms=zeros(count),
            normal_stall_ratio=self._normal_stall_ratio(attempts),
        )

    def _expected_startup(self, attempts: Attempts) -> Ints:
        medians = np.array([STARTUP_MEDIAN_MS[name] for name in DEVICE_TYPES])[attempts.codes("device_type")]
        noise = self.rng.lognormal(0, STARTUP_SIGMA, len(attempts))
        usual = medians * self.setting.people.startup_x[attempts.subscriber] * noise
        for it in self.setting.recipe.on(Harmless.LEVEL_SHIFT):
            shifted = self.setting.vocabulary.mask(attempts.dims, it.cohort)
            usual[shifted & (attempts.start_ms >= epoch_ms(it.start))] *= it.amount
        return usual.astype(np.int64)

    def _normal_stall_ratio(self, attempts: Attempts) -> Floats:
        mean_stall_ms = STALL_MEDIAN_MS * np.exp(STALL_SIGMA**2 / 2)
        home = self.setting.people.stall_x[attempts.subscriber]
        ratio: Floats = home * STALLS_PER_HOUR * np.exp(STALL_SESSION_SIGMA**2 / 2) * mean_stall_ms / HOUR_MS
        return ratio

    def _bad_luck(self, sessions: Sessions) -> None:
        fate = np.searchsorted(np.cumsum([FAIL_P, DENY_P, GIVE_UP_P]), self.rng.random(len(sessions)))
        failed, denied = fate == 0, fate == 1
        for struck, outcome in (
            (failed, Outcome.FAILED_AT_START),
            (denied, Outcome.DENIED),
            (fate == 2, Outcome.GIVEN_UP),
        ):
            sessions.outcome[struck] = outcome
        sessions.error[failed] = self.rng.choice(len(FAILURE_CLASSES), int(failed.sum()), p=FAILURE_SHARES)
        refusal = self.rng.choice(len(DENIAL_CLASSES), int(denied.sum()), p=DENIAL_SHARES)
        sessions.error[denied] = len(FAILURE_CLASSES) + refusal

    def _strike(self, attempts: Attempts, sessions: Sessions, number: int, strike: Strike) -> None:
        effect = strike.fault.effect
        at = attempts.start_ms
        is_on = (at >= strike.start_ms) & (at < strike.end_ms)
        hit = np.flatnonzero(is_on & strike.targets(attempts, self.setting.vocabulary))
        strength = strike.strength(at[hit], at[hit] + 1)
        self._slow_down(sessions, hit, number, (effect.startup_x - 1) * strength)
        error = ERROR_CLASSES.index(effect.error_class)
        for chance, outcome in ((effect.fail_p, Outcome.FAILED_AT_START), (effect.deny_p, Outcome.DENIED)):
            is_well = sessions.outcome[hit] == Outcome.ENDED
            struck = hit[is_well & (self.rng.random(len(hit)) < chance * strength)]
            sessions.outcome[struck], sessions.error[struck], sessions.blame[struck] = outcome, error, number

    def _slow_down(self, sessions: Sessions, hit: Ints, number: int, added: Floats) -> None:
        if not np.any(added > 0):
            return
        factor = 1 + added * self.rng.lognormal(0, STRUCK_STARTUP_SIGMA, len(hit))
        sessions.startup_ms[hit] = (sessions.startup_ms[hit] * factor).astype(np.int64)
        sessions.startup_blame[hit] = number

    def _lose_patience(self, attempts: Attempts, sessions: Sessions) -> None:
        """Let people leave who wait too long, and note when each attempt's start was over."""
        patience = self.rng.lognormal(np.log(PATIENCE_MEDIAN_MS), PATIENCE_SIGMA, len(sessions))
        bored = sessions.is_started & (sessions.startup_ms > patience)
        sessions.outcome[bored] = Outcome.GIVEN_UP
        partly = sessions.startup_ms * self.rng.uniform(0.2, 0.8, len(sessions))
        waited = np.select([bored, sessions.is_started], [patience, sessions.startup_ms], partly)
        sessions.end_ms[:] = attempts.start_ms + waited.astype(np.int64)
