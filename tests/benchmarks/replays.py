"""Replays of a world as somebody half-right would write them: some of it true, some nearly, some made up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from console.replay import INCIDENTS, NOTICES
from data.world import World


def write(out: Path, incidents: list[dict[str, object]], notices: list[dict[str, object]]) -> None:
    """Write the two files of a replay."""
    pq.write_table(pa.Table.from_pylist(incidents, schema=INCIDENTS), out / "incidents.parquet")
    pq.write_table(pa.Table.from_pylist(notices, schema=NOTICES), out / "notices.parquet")


def truth(world: World, name: str) -> pd.DataFrame:
    """Read one table of a world's truth."""
    return pd.read_parquet(world.path / "truth" / f"{name}.parquet")


def near(cohort: dict[str, str], rng: np.random.Generator) -> dict[str, object]:
    """Return the cohort, or one like it: a dimension less, one more, a list, or something else entirely."""
    names = list(cohort)
    match rng.integers(6):
        case 0 if names:
            return {name: cohort[name] for name in names[1:]}
        case 1:
            return {**cohort, "connection_type": str(rng.choice(["wifi", "ethernet"]))}
        case 2:
            return {name: [value, "another"] for name, value in cohort.items()}
        case 3:
            return {"device_type": str(rng.choice(["smart_tv", "web", "ios"]))}
        case _:
            return dict(cohort)


def drawn_incidents(world: World, rng: np.random.Generator) -> list[dict[str, object]]:
    """Draw some reports about each true incident and look-alike, and some about nothing."""
    found = []
    for row in truth(world, "incidents").itertuples():
        for _ in range(rng.integers(4)):
            onset = row.start + pd.Timedelta(minutes=float(rng.normal(0, 20)))
            detected = row.start + pd.Timedelta(minutes=int(rng.integers(-1, 12)) * 15)
            ends = rng.random() < 0.8
            found.append(
                {
                    "incident_id": f"i{len(found)}",
                    "signal": str(rng.choice(["buffering", "startup", "failure", "access", row.signal, row.signal])),
                    "cohort": json.dumps(near(json.loads(row.cohort), rng)) if rng.random() < 0.95 else "no JSON",
                    "onset_time": onset,
                    "detected_time": detected,
                    "resolved_time": detected + pd.Timedelta(hours=float(rng.exponential(6))) if ends else None,
                    "severity": "major",
                    "affected_subscribers": int(rng.integers(1, 300)) if rng.random() < 0.8 else None,
                }
            )
    return found


def drawn_notices(world: World, rng: np.random.Generator) -> list[dict[str, object]]:
    """Draw notices to people with an episode, too early and too late too, and to others; and all-clears."""
    rows = []
    for row in truth(world, "episodes").itertuples():
        for _ in range(rng.integers(4)):
            hours = float(rng.normal(1, 2))
            rows.append((row.subscriber_id, row.first_bad_time + pd.Timedelta(hours=hours), row.signal, row.cause))
            rows.append((row.subscriber_id, row.end + pd.Timedelta(hours=float(rng.normal(1, 3))), row.signal, None))
    people = pd.read_parquet(world.path / "subscribers.parquet")["subscriber_id"]
    span = pd.Timedelta(world.end - world.evaluate_from)
    for person in rng.choice(people.to_numpy(object), 60):
        moment = pd.Timestamp(world.evaluate_from).tz_localize(None) + span * float(rng.uniform(-0.1, 1.1))
        rows.append((person, moment, "buffering", "household"))
    return [notice(number, *row, rng=rng) for number, row in enumerate(rows)]


def notice(
    number: int, person: str, moment: pd.Timestamp, problem: str, cause: str | None, *, rng: np.random.Generator
) -> dict[str, object]:
    """Return one notice whose words may be wrong; without a cause it is an all-clear."""
    reasons = [None, None, None, None, "holdout", "no_consent", "quiet_hours", "frequency_cap"]
    return {
        "notice_id": f"n{number}",
        "subscriber_id": person,
        "decided_time": moment.floor("15min"),
        "problem": problem if rng.random() < 0.7 else "startup",
        "cause": "service" if cause is None or rng.random() < 0.3 else cause,
        "incident_id": None,
        "channel": "email",
        "kind": "all_clear" if cause is None else "problem",
        "withheld_reason": reasons[int(rng.integers(len(reasons)))],
    }
