"""Reads what a replay wrote and what was true, with all times naive, UTC, in microseconds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from benchmarks.scoring.cohorts import Cohort, parse_cohort
from telemetry.adapters.reading import quoted
from telemetry.time import naive_utc

HISTORY = timedelta(days=7)
"""What is left out of the evaluation where the truth does not say from when it counts."""


@dataclass(frozen=True)
class TrueIncident:
    """One row of ``truth/incidents.parquet``; `signals` are all those that the fault raises."""

    number: int
    truth_id: str
    kind: str
    signals: frozenset[str]
    cohort_text: str
    cohort: Cohort
    start: datetime
    end: datetime
    is_benign: bool
    impaired_sessions: int
    impaired_subscribers: int


@dataclass(frozen=True)
class Reported:
    """One incident of a replay; `cohort_text` is the cohort in one agreed spelling."""

    signal: str
    cohort_text: str
    cohort: Cohort
    onset: datetime | None
    detected: datetime
    resolved: datetime | None
    affected: float | None


@dataclass(frozen=True)
class Truth:
    """What was really wrong in a world, and how many subscribers it has."""

    incidents: tuple[TrueIncident, ...]
    sessions: pd.DataFrame
    episodes: pd.DataFrame
    subscribers: int


@dataclass(frozen=True)
class Span:
    """From when to when a replay is judged, both ends included."""

    start: datetime
    end: datetime

    @property
    def days(self) -> float:
        """Its length in days."""
        return (self.end - self.start) / timedelta(days=1)


def read_span(world: Path, start: datetime | None = None, end: datetime | None = None) -> Span:
    """Return what is asked for, else what ``truth/meta.json`` says is to be evaluated."""
    meta = json.loads((world / "truth" / "meta.json").read_text(encoding="utf-8"))
    return Span(start or _evaluate_from(meta), end or _moment(meta["end"]))


def _evaluate_from(meta: Mapping[str, str]) -> datetime:
    given = meta.get("evaluate_from")
    return _moment(given) if given else _moment(meta["start"]) + HISTORY


def _moment(text: str) -> datetime:
    return naive_utc(datetime.fromisoformat(text))


def read_truth(world: Path) -> Truth:
    """Read a world's truth."""
    folder = world / "truth"
    sessions = _table(folder / "sessions.parquet", ("session_start", "session_end", "bad_time"))
    episode_times = ("start", "first_bad_time", "second_bad_time", "end", "first_complaint_time")
    episodes = _table(folder / "episodes.parquet", episode_times)
    incidents = _table(folder / "incidents.parquet", ("start", "end"))
    true = tuple(_true_incident(place, row) for place, row in enumerate(_rows(incidents)))
    return Truth(true, sessions, episodes, _count_people(world) or int(sessions["subscriber_id"].nunique()))


def _count_people(world: Path) -> int:
    """Return how many subscribers a world has, whatever its format; 0 if it does not say."""
    with duckdb.connect() as connection:
        files = (quoted(str(path)) for path in sorted(world.glob("subscribers.*")))
        counts = [connection.execute(f"SELECT count(*) FROM {file}").fetchall()[0][0] for file in files]
    return sum(counts)


def _true_incident(number: int, row: Mapping[str, Any]) -> TrueIncident:
    effect = json.loads(row["effect"]) if isinstance(row.get("effect"), str) else {}
    return TrueIncident(
        number=number,
        truth_id=row["truth_id"],
        kind=row["kind"],
        signals=frozenset(effect.get("signals", [])) | {row["signal"]},
        cohort_text=row["cohort"],
        cohort=parse_cohort(row["cohort"]),
        start=row["start"],
        end=row["end"],
        is_benign=bool(row["benign"]),
        impaired_sessions=int(row["impaired_sessions"]),
        impaired_subscribers=int(row["impaired_subscribers"]),
    )


def read_reported(out: Path, span: Span) -> tuple[Reported, ...]:
    """Read the incidents that a replay detected in a span, in the order in which it did."""
    table = _table(out / "incidents.parquet", ("onset_time", "detected_time", "resolved_time"))
    within = table[(table["detected_time"] >= span.start) & (table["detected_time"] <= span.end)]
    return tuple(_reported(row) for row in _rows(within.sort_values("detected_time")))


def _reported(row: Mapping[str, Any]) -> Reported:
    cohort = parse_cohort(row["cohort"])
    spelling = json.dumps(cohort, sort_keys=True, default=str)
    affected = row.get("affected_subscribers")
    return Reported(
        row["signal"],
        spelling,
        cohort,
        row["onset_time"],
        row["detected_time"],
        row["resolved_time"],
        None if affected is None else float(affected),
    )


def read_notices(out: Path) -> pd.DataFrame:
    """Read a replay's notices."""
    return _table(out / "notices.parquet", ("decided_time",))


def _table(path: Path, times: Iterable[str]) -> pd.DataFrame:
    """Read a table; a time that it lacks is missing in every row."""
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    for name in times:
        given = frame[name] if name in frame else pd.Series(pd.NaT, frame.index)
        frame[name] = pd.to_datetime(given, utc=True).dt.tz_localize(None).astype("datetime64[us]")
    return frame


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows as dictionaries of plain values; what is missing is None."""
    columns = {str(name): [_plain(value) for value in frame[name]] for name in frame.columns}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value.to_pydatetime() if isinstance(value, pd.Timestamp) else value
