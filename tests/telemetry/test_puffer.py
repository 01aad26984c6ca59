"""A real day of viewers, through the same warehouse: totals equal those computed straight from the file."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.adapters.puffer import stalls_s
from telemetry.contract import DIMENSIONS
from telemetry.ingest import ingest
from telemetry.merge import merge_all


def test_a_buffer_that_runs_dry_is_a_stall_and_a_hair_is_not():
    assert list(stalls_s([0.0, 2.0, 5.0])) == pytest.approx([0, 0, 5.0 - 2 * 2.002])
    assert list(stalls_s([0.0, 2.042])) == [0, 0]
    assert list(stalls_s([0.0, 2.042, 4.104])) == pytest.approx([0, 0, 0.1])  # what was short is still owed
    assert list(stalls_s([])) == []


@pytest.fixture
def straight(shared):
    """The chunks of each stream, straight from the file."""
    rows = pq.read_table(shared / "real" / "puffer-day" / "chunks.parquet").to_pylist()
    streams = {}
    for row in rows:
        streams.setdefault(f"{row['dataset']}/{row['session']}", []).append(row)
    return streams


@pytest.mark.world
def test_a_real_day_adds_up(warehouse, now, shared, straight):
    folder = shared / "real" / "puffer-day"
    report = ingest(warehouse, folder / "chunks.parquet", now=now, format="puffer")
    merge_all(warehouse, now + timedelta(days=1))
    derived = {
        f"{row['ds']}/{row['sid']}": row
        for row in pq.read_table(folder / "sessions_derived_stalls.parquet").to_pylist()
    }

    found = warehouse.connection.execute(
        "SELECT session_id, stalled_ms, stall_count, startup_ms, playing_ms, outcome FROM sessions"
    ).fetchall()

    assert report.accepted == sum(len(chunks) + 2 for chunks in straight.values())
    assert {session for session, *_ in found} == set(straight) == set(derived)
    for session, stalled_ms, stall_count, startup_ms, playing_ms, outcome in found:
        truth = derived[session]
        assert stalled_ms == pytest.approx(1000 * truth["stall"], abs=1)
        assert stall_count == truth["nstall"]
        assert startup_ms == pytest.approx(1000 * truth["startup"], abs=1)
        assert playing_ms == pytest.approx(2002 * len(straight[session]), abs=1)
        assert outcome == "ended"
    assert sum(row[2] for row in found) == sum(row["nstall"] for row in derived.values())
    absent = warehouse.connection.execute(f"SELECT DISTINCT {', '.join(DIMENSIONS)} FROM slices").fetchall()
    assert absent == [(None,) * len(DIMENSIONS)]


def test_a_file_of_something_else_is_refused(warehouse, now, tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")

    assert dict(ingest(warehouse, tmp_path / "x.parquet", now=now, format="puffer").quarantined) == {
        "truncated_file": 1
    }
