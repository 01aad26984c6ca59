"""Baselines beside a replay: one that says nothing, and one with fixed limits that are the same for everyone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from console.replay import INCIDENTS, NOTICES
from incidents.model import Cause
from telemetry.contract import Signal
from telemetry.ingest import ingest
from telemetry.time import Window, naive_utc
from telemetry.warehouse import Warehouse

LIMITS: Mapping[str, Any] = {"stalled_ms": 5_000, "stall_ratio": 0.02, "slow_start_ms": 10_000}
"""When a session is bad: round numbers as they stand in any dashboard, set before looking at any world."""
ALARM: Mapping[str, Any] = {"least": 10, "share": 0.1}
"""When a value of a dimension alarms: bad sessions in an hour, and their share of the sessions begun."""
CAUSES = {
    Signal.BUFFERING: Cause.HOUSEHOLD,
    Signal.STARTUP: Cause.SERVICE,
    Signal.FAILURE: Cause.SERVICE,
    Signal.ACCESS: Cause.ACCOUNT,
}
"""What somebody is told who knows the signal alone."""
_SQL = Path(__file__).with_name("sql")


def write_null(out: Path) -> None:
    """Write a replay that found nothing and told nobody."""
    _write(out, [], [])


def write_static(world: Path, out: Path, span: Window, now: datetime) -> None:
    """Write what fixed limits would have reported.

    Parameters
    ----------
    world
        A folder in the contract's form; its truth is not read.
    out
        Where the two files of a replay go.
    span
        From when to when to decide.
    now
        A row that claims to be received more than a day later is not believed.
    """
    with (
        TemporaryDirectory(prefix="prebuffer-static-") as folder,
        Warehouse(Path(folder) / "events.duckdb") as warehouse,
    ):
        ingest(warehouse, world, now=now)
        times = {"start": naive_utc(span.start), "end": naive_utc(span.end)}
        warehouse.connection.execute(_sql("static_sessions"), {**times, **LIMITS})
        incidents = _rows(warehouse.connection, "static_incidents", {**times, **ALARM})
        notices = _rows(warehouse.connection, "static_notices", times)
    _write(out, [_incident(*row) for row in incidents], [_notice(*row) for row in notices])


def _sql(name: str) -> str:
    return (_SQL / f"{name}.sql").read_text(encoding="utf-8")


def _rows(connection: duckdb.DuckDBPyConnection, name: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(_sql(name), dict(parameters)).fetchall()
    return rows


def _incident(signal: str, dimension: str, value: str, detected: datetime, resolved: datetime | None) -> dict[str, Any]:
    return {
        "signal": signal,
        "cohort": json.dumps({dimension: value}),
        "onset_time": detected,
        "detected_time": detected,
        "resolved_time": resolved,
    }


def _notice(subscriber_id: str, decided: datetime, problem: str) -> dict[str, Any]:
    return {
        "subscriber_id": subscriber_id,
        "decided_time": decided,
        "problem": problem,
        "cause": CAUSES[Signal(problem)].value,
        "channel": "email",
        "kind": "problem",
    }


def _write(out: Path, incidents: list[dict[str, Any]], notices: list[dict[str, Any]]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(incidents, schema=INCIDENTS), out / "incidents.parquet")
    pq.write_table(pa.Table.from_pylist(notices, schema=NOTICES), out / "notices.parquet")
