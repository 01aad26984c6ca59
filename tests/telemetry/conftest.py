"""Events and files for tests of telemetry."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.contract import CONTACTS, PLAYBACK, SUBSCRIBERS, TABLES
from telemetry.warehouse import Warehouse

Row = dict[str, Any]
START = datetime(2026, 3, 2, 12, 0)

ARROW = {
    "VARCHAR": pa.string(),
    "TIMESTAMP": pa.timestamp("us"),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
}


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture
def warehouse() -> Iterator[Warehouse]:
    with Warehouse() as opened:
        yield opened


@pytest.fixture
def event() -> Callable[..., Row]:
    """Makes a good heartbeat, changed by what is given; `at` is minutes after the start."""

    def make(event_id: str = "e1", at: float = 0.0, **changes: Any) -> Row:
        time = START + timedelta(minutes=at)
        row = dict.fromkeys(PLAYBACK.names) | {
            "event_id": event_id,
            "event_time": time,
            "received_time": time + timedelta(seconds=2),
            "session_id": "s1",
            "subscriber_id": "u1",
            "event": "heartbeat",
            "country": "US",
            "region": "US-TX",
            "isp": "Copperline",
            "cdn": "cdn-a",
            "device_type": "web",
            "app_version": "1.2.3",
            "connection_type": "wifi",
            "content_type": "vod",
            "title_id": "t1",
        }
        if changes.get("event", "heartbeat") in ("heartbeat", "play_failed", "play_ended"):
            row |= {"playing_ms": 60_000, "stalled_ms": 0, "stall_count": 0, "bitrate_kbps": 4_000}
        return row | changes

    return make


@pytest.fixture
def subscriber() -> Callable[..., Row]:
    def make(subscriber_id: str = "u1", **changes: Any) -> Row:
        row = dict.fromkeys(SUBSCRIBERS.names) | {"subscriber_id": subscriber_id, "email": "a@example.com"}
        return row | {"display_name": "Ana", "email_opt_in": True, "created_at": START} | changes

    return make


@pytest.fixture
def contact() -> Callable[..., Row]:
    def make(contact_id: str = "c1", **changes: Any) -> Row:
        row = dict.fromkeys(CONTACTS.names) | {"contact_id": contact_id, "subscriber_id": "u1"}
        return row | {"contacted_at": START, "channel": "chat", "reason": "buffering"} | changes

    return make


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes rows to a file in the format that its name says, typed by the contract where the format has
    types."""

    def to_file(name: str, rows: Sequence[Row], table: str = "playback") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            _write_parquet(path, rows, table)
        else:
            text = _ndjson(rows) if ".ndjson" in name else _csv(rows, TABLES[table].names)
            path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return to_file


def _write_parquet(path: Path, rows: Sequence[Row], table: str) -> None:
    known = TABLES[table].by_name
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(known)
    schema = pa.schema([(name, ARROW[known[name].type] if name in known else pa.string()) for name in names])
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), path)


def _ndjson(rows: Sequence[Row]) -> str:
    return "".join(json.dumps(row, default=str) + "\n" for row in rows)


def _csv(rows: Sequence[Row], names: Sequence[str]) -> str:
    text = io.StringIO()
    header = list(dict.fromkeys((*names, *(name for row in rows for name in row))))
    writer = csv.DictWriter(text, header)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
