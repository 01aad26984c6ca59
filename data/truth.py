"""What was really wrong, for scoring only: impaired sessions, their episodes, and the incidents behind them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data.arrays import HOUR_MS, Ints, epoch_ms
from data.exposure import Strike
from data.playback import FELT_STALL_MS, Played
from data.population import Population
from data.recipe import LookAlike, Recipe
from data.vocabulary import Vocabulary
from telemetry.contract import DIMENSIONS, FAILURE_CLASSES, Signal

MIN_REBUFFERING_RATIO = 0.02
MIN_TIMES_NORMAL = 3.0
SLOW_START_X = 2.0
SLOW_START_MS = 3_000
SIGNAL_OF = {
    "failed": Signal.FAILURE,
    "denied": Signal.ACCESS,
    "rebuffer": Signal.BUFFERING,
    "startup": Signal.STARTUP,
}
COMPLAINT_P = {"failed": 0.11, "denied": 0.13, "rebuffer": 0.05, "startup": 0.015}
"""Chance that one bad session makes a subscriber contact support."""


@dataclass(frozen=True)
class Truth:
    """The three truth tables of a world."""

    sessions: pd.DataFrame
    episodes: pd.DataFrame
    incidents: pd.DataFrame


def truth_of(
    recipe: Recipe,
    vocabulary: Vocabulary,
    people: Population,
    strikes: Sequence[Strike],
    played: Played,
    session_ids: Sequence[str],
    rng: np.random.Generator,
) -> Truth:
    """Judge every session by the rules that worlds are scored by."""
    frame = _sessions(played, people, session_ids)
    bad = _worst(pd.concat([_failed(played), _rebuffering(played), _slow(played)]))
    frame = _with_harm(frame, bad, strikes)
    episodes = _episodes(frame, strikes, recipe, rng)
    for name in DIMENSIONS:
        frame[name] = _names(vocabulary.values[name], played.sessions.attempts.dims[name])
    incidents = _incidents(recipe, vocabulary, strikes, played, frame)
    return Truth(frame.drop(columns="strike").sort_values("session_start"), episodes, incidents)


def _sessions(played: Played, people: Population, session_ids: Sequence[str]) -> pd.DataFrame:
    sessions = played.sessions
    return pd.DataFrame(
        {
            "session_id": list(session_ids),
            "subscriber_id": np.array(people.ids, dtype=object)[sessions.attempts.subscriber],
            "session_start": _moments(sessions.attempts.start_ms),
            "session_end": _moments(sessions.end_ms),
        }
    )


def _bad(session: object, strike: object, reason: object, bad_ms: object) -> pd.DataFrame:
    return pd.DataFrame({"session": session, "strike": strike, "reason": reason, "bad_ms": bad_ms})


def _failed(played: Played) -> pd.DataFrame:
    sessions = played.sessions
    who = np.flatnonzero(sessions.blame >= 0)
    is_denial = sessions.error[who] >= len(FAILURE_CLASSES)
    return _bad(who, sessions.blame[who], np.where(is_denial, "denied", "failed"), sessions.end_ms[who])


def _rebuffering(played: Played) -> pd.DataFrame:
    harm = played.harm
    ratio = harm.stalled_ms / np.maximum(harm.exposed_ms, 1)
    normal = played.sessions.normal_stall_ratio[harm.session]
    bad = (ratio > MIN_REBUFFERING_RATIO) & (ratio > MIN_TIMES_NORMAL * normal)
    bad &= (harm.stalled_ms >= FELT_STALL_MS) & (harm.added_ms >= harm.stalled_ms / 2)
    return _bad(harm.session[bad], harm.strike[bad], "rebuffer", harm.bad_ms[bad])


def _slow(played: Played) -> pd.DataFrame:
    sessions = played.sessions
    added = sessions.startup_ms - sessions.expected_startup_ms
    slow = sessions.is_started & (sessions.startup_blame >= 0) & (added >= SLOW_START_MS)
    slow &= sessions.startup_ms > SLOW_START_X * sessions.expected_startup_ms
    who = np.flatnonzero(slow)
    return _bad(
        who,
        sessions.startup_blame[who],
        "startup",
        sessions.attempts.start_ms[who] + sessions.startup_ms[who],
    )


def _worst(bad: pd.DataFrame) -> pd.DataFrame:
    """Keep one reason a session: failures and refusals before rebuffering before slow starts."""
    rank = bad.reason.map({"failed": 0, "denied": 0, "rebuffer": 1, "startup": 2})
    return (
        bad.assign(rank=rank).sort_values(["session", "rank"]).drop_duplicates("session").drop(columns="rank")
    )


def _with_harm(frame: pd.DataFrame, bad: pd.DataFrame, strikes: Sequence[Strike]) -> pd.DataFrame:
    joined = frame.join(bad.set_index("session"))
    strike = joined.strike.fillna(-1).astype(int)
    truth_ids = np.array([it.truth_id for it in strikes] + [None], dtype=object)
    causes = np.array([it.fault.cause.value for it in strikes] + [None], dtype=object)
    return frame.assign(
        impaired=strike >= 0,
        truth_id=truth_ids[strike],
        cause=causes[strike],
        reason=joined.reason.astype(object).where(joined.reason.notna(), None),
        bad_time=_moments(joined.bad_ms.to_numpy()),
        strike=strike,
    )


def _episodes(
    frame: pd.DataFrame, strikes: Sequence[Strike], recipe: Recipe, rng: np.random.Generator
) -> pd.DataFrame:
    """Gather each subscriber's bad sessions by fault, and keep those worth a notice."""
    bad = frame[frame.impaired].sort_values("bad_time")
    rows = [
        _episode(str(who), strikes[int(number)], group, recipe, rng)
        for (who, number), group in bad.groupby(["subscriber_id", "strike"], sort=True)
        if _is_worth_a_notice(strikes[int(number)], group)
    ]
    columns = [
        "subscriber_id",
        "truth_id",
        "start",
        "first_bad_time",
        "second_bad_time",
        "end",
        "signal",
        "cause",
    ]
    frame = pd.DataFrame(rows, columns=[*columns, "first_complaint_time", "impaired_sessions"])
    times = ["start", "first_bad_time", "second_bad_time", "end", "first_complaint_time"]
    return frame.astype(dict.fromkeys(times, "datetime64[us]")).sort_values("first_bad_time")


def _is_worth_a_notice(strike: Strike, bad: pd.DataFrame) -> bool:
    if strike.truth_id is None:
        return len(bad) >= 2
    return bool((bad.reason != "startup").any()) or len(bad) >= 2


def _episode(
    who: str, strike: Strike, bad: pd.DataFrame, recipe: Recipe, rng: np.random.Generator
) -> tuple[object, ...]:
    times = bad.bad_time.tolist()
    signal = SIGNAL_OF[bad.reason.value_counts().index[0]]
    start, end = (
        moment.replace(tzinfo=None) for moment in (strike.fault.start, min(strike.fault.end, recipe.end))
    )
    second = times[1] if len(times) > 1 else None
    complaint = _complaint(bad, recipe, rng)
    cause = strike.fault.cause.value
    return who, strike.truth_id, start, times[0], second, end, signal.value, cause, complaint, len(bad)


def _complaint(bad: pd.DataFrame, recipe: Recipe, rng: np.random.Generator) -> pd.Timestamp | None:
    """Return when the subscriber contacts support about it, if at all: some time after a bad session."""
    complains = rng.random(len(bad)) < bad.reason.map(COMPLAINT_P).to_numpy()
    delay_ms = rng.lognormal(np.log(0.5 * HOUR_MS), 1.0, len(bad))
    if not complains.any():
        return None
    place = int(np.argmax(complains))
    moment = bad.bad_time.iloc[place] + pd.Timedelta(milliseconds=int(delay_ms[place]))
    return moment if moment < pd.Timestamp(recipe.end.replace(tzinfo=None)) else None


def _incidents(
    recipe: Recipe, vocabulary: Vocabulary, strikes: Sequence[Strike], played: Played, frame: pd.DataFrame
) -> pd.DataFrame:
    faults = [_incident(it, vocabulary, played, frame) for it in strikes if it.truth_id]
    oddities = [
        _oddity(f"B{i:02d}", it, vocabulary, played) for i, it in enumerate(recipe.look_alikes, start=1)
    ]
    columns = ["truth_id", "kind", "signal", "cohort", "start", "end", "effect", "benign"]
    counts = ["impaired_sessions", "impaired_subscribers", "exposed_sessions"]
    frame = pd.DataFrame([*faults, *oddities], columns=[*columns, *counts])
    return frame.astype({"start": "datetime64[us]", "end": "datetime64[us]"}).sort_values("start")


def _incident(
    strike: Strike, vocabulary: Vocabulary, played: Played, frame: pd.DataFrame
) -> tuple[object, ...]:
    fault, attempts = strike.fault, played.sessions.attempts
    exposed = strike.targets(attempts, vocabulary)
    exposed &= (attempts.start_ms < strike.end_ms) & (played.sessions.end_ms > strike.start_ms)
    hit = frame[frame.truth_id == strike.truth_id]
    effect = {**asdict(fault.effect), "signals": fault.effect.signals, "cause": fault.cause.value}
    head = (
        strike.truth_id,
        fault.kind,
        fault.signal.value,
        json.dumps(dict(fault.cohort), ensure_ascii=False),
    )
    times = (fault.start.replace(tzinfo=None), fault.end.replace(tzinfo=None))
    return (
        *head,
        *times,
        json.dumps(effect),
        False,
        len(hit),
        hit.subscriber_id.nunique(),
        int(exposed.sum()),
    )


def _oddity(name: str, it: LookAlike, vocabulary: Vocabulary, played: Played) -> tuple[object, ...]:
    sessions = played.sessions
    exposed = vocabulary.mask(sessions.attempts.dims, it.cohort)
    exposed &= (sessions.attempts.start_ms < epoch_ms(it.end)) & (sessions.end_ms > epoch_ms(it.start))
    times = (it.start.replace(tzinfo=None), it.end.replace(tzinfo=None))
    cohort = json.dumps(dict(it.cohort), ensure_ascii=False)
    effect = json.dumps({"amount": it.amount})
    return name, it.kind.value, "failure", cohort, *times, effect, True, 0, 0, int(exposed.sum())


def _names(values: Sequence[str], codes: Ints) -> NDArray[np.object_]:
    return np.array(values, dtype=object)[codes]


def _moments(epoch_milliseconds: Any) -> pd.Series[Any]:
    return pd.Series(pd.to_datetime(epoch_milliseconds, unit="ms")).astype("datetime64[us]")
