"""What was really wrong, for scoring only: impaired sessions, their episodes, the incidents behind them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from data.arrays import HOUR_MS, Bools, Floats, Ints, epoch_ms
from data.exposure import Strike
from data.outcomes import Played
from data.playing import FELT_STALL_MS
from data.recipe import LookAlike, Recipe
from data.setting import Setting
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


def truth_of(setting: Setting, played: Played, session_ids: Sequence[str], rng: np.random.Generator) -> Truth:
    """Judge every session by the rules that worlds are scored by."""
    bad = _worst(pd.concat([_failed(played), _rebuffering(played), _slow(played)]))
    frame = _with_harm(_sessions(setting, played, session_ids), bad, setting.strikes)
    episodes = _episodes(frame, setting, rng)
    for place, name in enumerate(DIMENSIONS):
        values = np.array(setting.vocabulary.values[name], dtype=object)
        frame[name] = values[played.attempts.dims[:, place]]
    incidents = _incidents(setting, played, frame)
    return Truth(frame.drop(columns="strike").sort_values("session_start"), episodes, incidents)


def _sessions(setting: Setting, played: Played, session_ids: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "session_id": list(session_ids),
            "subscriber_id": np.array(setting.people.ids, dtype=object)[played.attempts.subscriber],
            "session_start": _moments(played.attempts.start_ms),
            "session_end": _moments(played.sessions.end_ms),
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
        played.attempts.start_ms[who] + sessions.startup_ms[who],
    )


def _worst(bad: pd.DataFrame) -> pd.DataFrame:
    """Keep one reason a session: failures and refusals before rebuffering before slow starts."""
    rank = bad.reason.map({"failed": 0, "denied": 0, "rebuffer": 1, "startup": 2})
    return bad.assign(rank=rank).sort_values(["session", "rank"]).drop_duplicates("session").drop(columns="rank")


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


def _episodes(frame: pd.DataFrame, setting: Setting, rng: np.random.Generator) -> pd.DataFrame:
    """Gather each subscriber's bad sessions by fault, and keep those worth a notice."""
    bad = frame[frame.impaired].sort_values("bad_time")
    groups = bad.groupby(["subscriber_id", "strike"], sort=True)
    cases = [(setting.strikes[group.strike.iloc[0]], group) for _, group in groups]
    rows = [
        _episode(strike, group, setting.recipe, rng) for strike, group in cases if _is_worth_a_notice(strike, group)
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
    episodes = pd.DataFrame(rows, columns=[*columns, "first_complaint_time", "impaired_sessions"])
    times = ["start", "first_bad_time", "second_bad_time", "end", "first_complaint_time"]
    return episodes.astype(dict.fromkeys(times, "datetime64[us]")).sort_values("first_bad_time")


def _is_worth_a_notice(strike: Strike, bad: pd.DataFrame) -> bool:
    if strike.truth_id is None:
        return len(bad) >= 2
    return bool((bad.reason != "startup").any()) or len(bad) >= 2


def _episode(strike: Strike, bad: pd.DataFrame, recipe: Recipe, rng: np.random.Generator) -> tuple[object, ...]:
    fault, times = strike.fault, bad.bad_time.tolist()
    start, end = _naive(fault.start), _naive(min(fault.end, recipe.end))
    head = (
        bad.subscriber_id.iloc[0],
        strike.truth_id,
        start,
        times[0],
        times[1] if len(times) > 1 else None,
        end,
    )
    signal = SIGNAL_OF[bad.reason.value_counts().index[0]]
    return (*head, signal.value, fault.cause.value, _complaint(bad, recipe, rng), len(bad))


def _complaint(bad: pd.DataFrame, recipe: Recipe, rng: np.random.Generator) -> pd.Timestamp | None:
    """Return when the subscriber contacts support about it, if at all: some time after a bad session."""
    complains = rng.random(len(bad)) < bad.reason.map(COMPLAINT_P).to_numpy()
    delay_ms = rng.lognormal(np.log(0.5 * HOUR_MS), 1.0, len(bad))
    if not complains.any():
        return None
    place = int(np.argmax(complains))
    moment = bad.bad_time.iloc[place] + pd.Timedelta(milliseconds=int(delay_ms[place]))
    return moment if moment < pd.Timestamp(_naive(recipe.end)) else None


def _incidents(setting: Setting, played: Played, frame: pd.DataFrame) -> pd.DataFrame:
    faults = [_incident(it, setting, played, frame) for it in setting.strikes if it.truth_id]
    look_alikes = enumerate(setting.recipe.look_alikes, start=1)
    oddities = [_oddity(f"B{number:02d}", it, setting, played) for number, it in look_alikes]
    columns = ["truth_id", "kind", "signal", "cohort", "start", "end", "effect", "benign"]
    counts = ["impaired_sessions", "impaired_subscribers", "exposed_sessions"]
    incidents = pd.DataFrame([*faults, *oddities], columns=[*columns, *counts])
    return incidents.astype({"start": "datetime64[us]", "end": "datetime64[us]"}).sort_values("start")


def _incident(strike: Strike, setting: Setting, played: Played, frame: pd.DataFrame) -> tuple[object, ...]:
    fault = strike.fault
    exposed = strike.targets(played.attempts, setting.vocabulary) & _running(played, strike.start_ms, strike.end_ms)
    hit = frame[frame.truth_id == strike.truth_id]
    effect = {**asdict(fault.effect), "signals": fault.effect.signals, "cause": fault.cause.value}
    head = (strike.truth_id, fault.kind, fault.signal.value, _json(fault.cohort))
    times = (_naive(fault.start), _naive(fault.end))
    return (*head, *times, _json(effect), False, len(hit), hit.subscriber_id.nunique(), int(exposed.sum()))


def _oddity(name: str, it: LookAlike, setting: Setting, played: Played) -> tuple[object, ...]:
    exposed = setting.vocabulary.mask(played.attempts.dims, it.cohort)
    exposed &= _running(played, epoch_ms(it.start), epoch_ms(it.end))
    head = (name, it.kind.value, Signal.FAILURE.value, _json(it.cohort), _naive(it.start), _naive(it.end))
    return (*head, _json({"amount": it.amount}), True, 0, 0, int(exposed.sum()))


def _running(played: Played, start_ms: int, end_ms: int) -> Bools:
    """Return which sessions run at some time in ``[start_ms, end_ms)``."""
    runs: Bools = (played.attempts.start_ms < end_ms) & (played.sessions.end_ms > start_ms)
    return runs


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(dict(values), ensure_ascii=False)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _moments(milliseconds: Ints | Floats) -> pd.Series[pd.Timestamp]:
    """Return times since 1970 as timestamps; NaN is no time."""
    return pd.Series(pd.to_datetime(milliseconds, unit="ms")).astype("datetime64[us]")
