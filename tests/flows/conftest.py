"""One Prefect server for all tests of flows, and settings whose stores are in a temporary folder."""

import flows  # noqa: F401 - first: it tells Prefect, before that is imported, not to report on us

# isort: split
import os
from datetime import UTC, datetime, timedelta

os.environ["PREFECT_LOGGING_LEVEL"] = "ERROR"

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prefect.testing.utilities import prefect_test_harness

from detectors.finding import Cohort
from incidents.model import Cause, Incident, Severity, Verdict
from telemetry.contract import Signal

T0 = datetime(2026, 3, 9, 14, tzinfo=UTC)
EVENT = {"session_id": "s1", "subscriber_id": "ann", "cdn": "cdn-b"}


@pytest.fixture(scope="session")
def prefect():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def window():
    return "2026-03-09T14:00/2026-03-09T14:15"


@pytest.fixture
def config(tmp_path, root, monkeypatch):
    """A settings file; commands that flows start find the code."""
    monkeypatch.setenv("PYTHONPATH", str(root))
    file = tmp_path / "my.yaml"
    file.write_text(
        f"paths:\n  incoming: {tmp_path}/incoming\n"
        f"  reports: {tmp_path}/reports\n  mailbox: {tmp_path}/mailbox\n"
        f"warehouse: {{path: {tmp_path}/warehouse.duckdb}}\n"
        f"ledger: {{url: 'sqlite:///{tmp_path}/ledger.db'}}\n",
        encoding="utf-8",
    )
    return str(file)


@pytest.fixture
def incoming(tmp_path):
    """One attempt that ends before it plays, received in the window."""
    folder = tmp_path / "incoming" / "playback"
    folder.mkdir(parents=True)
    moment = T0.replace(tzinfo=None) + timedelta(minutes=3)
    times = {"event_time": moment, "received_time": moment + timedelta(seconds=5)}
    rows = [
        EVENT | times | {"event_id": "e1", "event": "play_requested"},
        EVENT | times | {"event_id": "e2", "event": "play_ended"},
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "part.parquet")


@pytest.fixture
def make_incident():
    """A maker of incidents of 9 March by id and hours."""

    def make(incident_id, *, hour, resolved=None):
        day = datetime(2026, 3, 9, tzinfo=UTC)
        return Incident(
            incident_id=incident_id,
            signal=Signal.BUFFERING,
            cohort=Cohort.of({"cdn": "cdn-b"}),
            onset_time=day,
            detected_time=day + timedelta(hours=hour),
            resolved_time=None if resolved is None else day + timedelta(hours=resolved),
            severity=Severity.MAJOR,
            affected_subscribers=40,
            verdict=Verdict(Cause.SERVICE, 0.9),
            observed=40.0,
            expected=3.0,
            sessions=90,
            surprise=20.0,
            updated_time=day + timedelta(hours=hour),
        )

    return make
