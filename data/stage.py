"""Plays a world's attempts, and again for those who try again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from data.arrays import MINUTE_MS, Ints, epoch_ms
from data.attempts import Attempts
from data.outcomes import Harm, Outcome, Played, Sessions, Stretches
from data.playing import Play
from data.setting import Setting
from data.starting import Starts

RETRY_P = 0.72
RETRY_AFTER_GIVING_UP_P = 0.35
DISCOURAGEMENT = 0.93
"""Each further try is this much less likely than the one before."""
RETRY_GAP_MEDIAN_MS = 18_000
RETRY_GAP_SIGMA = 1.0
MAX_RETRIES = 7


def play(setting: Setting, attempts: Attempts, rng: np.random.Generator) -> Played:
    """Play attempts, then the retries of those that failed, until nobody tries again."""
    rounds = [_round(setting, attempts, rng)]
    while len(rounds) <= MAX_RETRIES and len(again := _retries(setting, rounds[-1], rng)):
        rounds.append(_round(setting, again, rng))
    return _together(rounds)


def _round(setting: Setting, attempts: Attempts, rng: np.random.Generator) -> Played:
    return Play(setting, rng).out(attempts, Starts(setting, rng).begin(attempts))


def _retries(setting: Setting, played: Played, rng: np.random.Generator) -> Attempts:
    """Return the attempts of those who try again after a failure, a refusal or a long wait."""
    sessions = played.sessions
    gave_up = sessions.outcome == Outcome.GIVEN_UP
    eagerness = np.where(gave_up, RETRY_AFTER_GIVING_UP_P, RETRY_P) * DISCOURAGEMENT**played.attempts.number
    again = np.flatnonzero((sessions.outcome != Outcome.ENDED) & (rng.random(len(sessions)) < eagerness))
    old = played.attempts.take(again)
    gap = rng.lognormal(np.log(RETRY_GAP_MEDIAN_MS), RETRY_GAP_SIGMA, len(again)).astype(np.int64)
    retries = replace(
        old,
        start_ms=sessions.end_ms[again] + gap,
        planned_ms=np.maximum(old.planned_ms - _watched(sessions, old, again), MINUTE_MS),
        number=old.number + 1,
    )
    return retries.take(retries.start_ms < epoch_ms(setting.recipe.end))


def _watched(sessions: Sessions, old: Attempts, again: Ints) -> Ints:
    was_playing = sessions.outcome[again] == Outcome.FAILED_LATER
    return np.where(was_playing, sessions.end_ms[again] - old.start_ms, 0)


def _together(rounds: Sequence[Played]) -> Played:
    """Join rounds; sessions are numbered through, so what points at them is moved on."""
    offsets = np.cumsum([0, *(len(it.sessions) for it in rounds)])[:-1].tolist()
    pairs = list(zip(rounds, offsets, strict=True))
    return Played(
        Attempts.joined([it.attempts for it in rounds]),
        Sessions.joined([it.sessions for it in rounds]),
        Stretches.joined([replace(it.stretches, session=it.stretches.session + by) for it, by in pairs]),
        Harm.joined([replace(it.harm, session=it.harm.session + by) for it, by in pairs]),
    )
