"""Replays a world, and writes what would have been decided: the contract's incidents and notices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Row, select

from config.bootstrap import open_replay
from config.settings import Settings
from console.walk import Progress, WorldClock, span_of, walk
from incidents.ledger.schema import notices
from incidents.ledger.store import Ledger
from incidents.model import Incident
from incidents.quality import QualityNotice
from telemetry.time import Window, naive_utc

TIME = pa.timestamp("us")
INCIDENTS = pa.schema(
    [
        ("incident_id", pa.string()),
        ("signal", pa.string()),
        ("cohort", pa.string()),
        ("onset_time", TIME),
        ("detected_time", TIME),
        ("resolved_time", TIME),
        ("severity", pa.string()),
        ("affected_subscribers", pa.int64()),
    ]
)
NOTICES = pa.schema(
    [
        ("notice_id", pa.string()),
        ("subscriber_id", pa.string()),
        ("decided_time", TIME),
        ("problem", pa.string()),
        ("cause", pa.string()),
        ("incident_id", pa.string()),
        ("channel", pa.string()),
        ("kind", pa.string()),
        ("withheld_reason", pa.string()),
    ]
)
SENT = "sent"
"""What stands in a table where a notice has no reason to be withheld."""


@dataclass(frozen=True)
class ReplayReport:
    """What a replay found and wrote.

    Parameters
    ----------
    span, steps
        What was walked, in how many steps.
    incidents
        As known at the end.
    notices
        How many, by kind and reason.
    files
        What was written.
    quality
        Notices for ops of missing telemetry and viewers; they are in no file.
    """

    span: Window
    steps: int
    incidents: list[Incident]
    notices: dict[tuple[str, str], int]
    files: tuple[Path, Path]
    quality: list[QualityNotice]


def replay(
    world: Path,
    out: Path,
    settings: Settings,
    *,
    now: datetime,
    step: timedelta,
    start: datetime | None = None,
    end: datetime | None = None,
    progress: Progress | None = None,
) -> ReplayReport:
    """Walk a world's clock and write what would have been decided; nothing is delivered.

    Parameters
    ----------
    world
        A folder in the contract's form; its truth is not read.
    out
        Where the two files go.
    settings
        What is tried out.
    now
        A row that claims to be received more than a day later is not believed.
    step
        Length of a window.
    start, end
        From when to when; see `console.walk.span_of`.
    progress
        Called with the steps done and all steps after each one.
    """
    clock = WorldClock(now)
    with (
        TemporaryDirectory(prefix="prebuffer-replay-") as folder,
        open_replay(settings, Path(folder), clock) as pipeline,
    ):
        pipeline.ingest(world)
        span = span_of(pipeline.received(), start, end, step)
        windows = span.split(step)
        walk(pipeline, clock, windows, progress)
        files = write_files(pipeline.ledger, out)
        found = pipeline.ledger.incidents()
        quality = pipeline.ledger.quality_notices()
        return ReplayReport(span, len(windows), found, count_notices(pipeline.ledger), files, quality)


def write_files(ledger: Ledger, out: Path) -> tuple[Path, Path]:
    """Write the incidents and notices in the contract's form; the same ledger gives the same bytes."""
    out.mkdir(parents=True, exist_ok=True)
    found = ledger.incidents(merged=True)
    whole = {incident.incident_id: incident.merged_into or incident.incident_id for incident in found}
    incidents_file, notices_file = out / "incidents.parquet", out / "notices.parquet"
    _write(incidents_file, INCIDENTS, (_incident(incident) for incident in found if incident.merged_into is None))
    _write(notices_file, NOTICES, (_notice(row, whole) for row in _notices(ledger)))
    return incidents_file, notices_file


def _write(path: Path, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def _incident(incident: Incident) -> dict[str, Any]:
    return {
        "incident_id": incident.incident_id,
        "signal": incident.signal.value,
        "cohort": incident.cohort.json,
        "onset_time": naive_utc(incident.onset_time),
        "detected_time": naive_utc(incident.detected_time),
        "resolved_time": incident.resolved_time and naive_utc(incident.resolved_time),
        "severity": incident.severity.value,
        "affected_subscribers": incident.affected_subscribers,
    }


def _notice(row: Row[Any], whole: dict[str, str]) -> dict[str, Any]:
    columns = {name: getattr(row, name) for name in NOTICES.names}
    columns["decided_time"] = naive_utc(row.decided_time)
    columns["incident_id"] = row.incident_id and whole[row.incident_id]
    return columns


def _notices(ledger: Ledger) -> list[Row[Any]]:
    columns = [notices.c[name] for name in NOTICES.names]
    with ledger.read() as connection:
        return list(connection.execute(select(*columns).order_by(notices.c.decided_time, notices.c.notice_id)))


def count_notices(ledger: Ledger) -> dict[tuple[str, str], int]:
    """Return how many notices there are by kind and reason."""
    return dict(Counter((row.kind, row.withheld_reason or SENT) for row in _notices(ledger)))
