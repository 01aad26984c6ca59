"""A replay writes the contract's two files, the same ones every time, and touches nothing else."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from config.settings import Settings
from console.replay import replay

HOUR = timedelta(hours=1)
NOW = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def replayed(world, outage, tmp_path_factory):
    """The evening of the outage, replayed."""
    out = tmp_path_factory.mktemp("out")
    steps = []
    report = replay(
        world,
        out,
        Settings(),
        now=NOW,
        step=HOUR / 4,
        start=outage - HOUR,
        end=outage + HOUR,
        progress=lambda done, total: steps.append((done, total)),
    )
    return report, out, steps


def test_the_outage_is_found_with_its_cohort_and_its_people_are_told(replayed, outage):
    report, out, _ = replayed
    (incident,) = pq.read_table(out / "incidents.parquet").to_pylist()
    assert (incident["signal"], json.loads(incident["cohort"])) == (
        "access",
        {"device_type": "streaming_stick"},
    )
    assert outage <= incident["detected_time"].replace(tzinfo=UTC) <= outage + HOUR
    assert [found.incident_id for found in report.incidents] == [incident["incident_id"]]
    notices = pq.read_table(out / "notices.parquet").to_pylist()
    assert len(notices) == sum(report.notices.values()) > 5
    assert report.notices["problem", "sent"] == sum(notice["withheld_reason"] is None for notice in notices)
    assert incident["incident_id"] in {notice["incident_id"] for notice in notices}


def test_the_files_have_the_columns_and_types_of_the_contract(replayed):
    _, out, _ = replayed
    text, time = pa.string(), pa.timestamp("us")
    incidents = pq.read_schema(out / "incidents.parquet")
    assert dict(zip(incidents.names, incidents.types, strict=True)) == {
        "incident_id": text,
        "signal": text,
        "cohort": text,
        "onset_time": time,
        "detected_time": time,
        "resolved_time": time,
        "severity": text,
        "affected_subscribers": pa.int64(),
    }
    notices = pq.read_schema(out / "notices.parquet")
    assert dict(zip(notices.names, notices.types, strict=True)) == {
        "notice_id": text,
        "subscriber_id": text,
        "decided_time": time,
        "problem": text,
        "cause": text,
        "incident_id": text,
        "channel": text,
        "kind": text,
        "withheld_reason": text,
    }


def test_rows_are_sorted_and_decided_at_steps(replayed, outage):
    _, out, _ = replayed
    notices = pq.read_table(out / "notices.parquet").to_pylist()
    keys = [(notice["decided_time"], notice["notice_id"]) for notice in notices]
    assert keys == sorted(set(keys))
    assert all((notice["decided_time"].replace(tzinfo=UTC) - outage) % (HOUR / 4) == timedelta(0) for notice in notices)


def test_progress_counts_every_step(replayed):
    _, _, steps = replayed
    assert steps == [(done, 8) for done in range(1, 9)]


def test_the_same_replay_writes_the_same_bytes(replayed, world, outage, tmp_path):
    _, out, _ = replayed
    replay(world, tmp_path, Settings(), now=NOW, step=HOUR / 4, start=outage - HOUR, end=outage + HOUR)
    for name in ("incidents.parquet", "notices.parquet"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_the_future_changes_nothing_that_was_decided_before_it(replayed, world, outage, tmp_path):
    _, out, _ = replayed
    until = outage + 3 * HOUR / 4
    replay(world, tmp_path, Settings(), now=NOW, step=HOUR / 4, start=outage - HOUR, end=until)
    early = decided(tmp_path, until)
    assert early
    assert early == decided(out, until)


def decided(folder, until):
    """Who was told what by `until`; a notice held over night may be let go later."""
    rows = pq.read_table(folder / "notices.parquet").to_pylist()
    return [
        {name: value for name, value in row.items() if name != "withheld_reason"}
        for row in rows
        if row["decided_time"].replace(tzinfo=UTC) <= until
    ]


def test_a_quiet_night_writes_empty_files_of_the_same_form(world, outage, tmp_path):
    report = replay(world, tmp_path, Settings(), now=NOW, step=HOUR, start=outage - 8 * HOUR, end=outage - 6 * HOUR)
    assert report.incidents == []
    assert pq.read_table(tmp_path / "incidents.parquet").num_rows == 0
    assert pq.read_schema(tmp_path / "incidents.parquet").names[0] == "incident_id"
