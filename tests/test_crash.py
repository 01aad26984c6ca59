"""A window that is run twice, or killed at random moments and run again, leaves what one clean run leaves."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from data.demo import RECIPE
from data.recipe import Effect, Fault
from data.world import make_world
from incidents.ledger.schema import metadata
from incidents.ledger.store import Ledger
from telemetry.contract import Signal
from telemetry.time import Window

KILLS = 10
OUTAGE = datetime(2026, 5, 5, 18, 30, tzinfo=UTC)
WINDOW = Window(OUTAGE + timedelta(minutes=30), OUTAGE + timedelta(minutes=45))
BETWEEN_RUNS = timedelta(minutes=5)
"""Longer than the sender's lease, so that the next run settles what the last one was sending."""
WORLD = replace(
    RECIPE,
    days=2,
    quiet_days=1,
    subscribers=300,
    sessions_per_day=3.0,
    releases=(),
    look_alikes=(),
    faults=(
        Fault(
            "drm_outage",
            Signal.ACCESS,
            {"device_type": "streaming_stick"},
            OUTAGE,
            OUTAGE + timedelta(hours=2),
            Effect(deny_p=0.95, error_class="drm"),
        ),
    ),
)
"""A quiet day, and one on which licences are refused to streaming sticks."""
SETTINGS = """
paths: {{incoming: "{world}", mailbox: "{stores}/mailbox"}}
warehouse: {{path: "{stores}/warehouse.duckdb"}}
ledger: {{url: "sqlite:///{stores}/ledger.db"}}
notices: {{quiet_from: "00:00", quiet_until: "00:00"}}
channels: {{email: mailbox}}
"""
RUNNER = """
import os, sys
from datetime import datetime
from pathlib import Path
from config.bootstrap import open_pipeline
from config.reading import read_settings
from config.times import parse_window

def run(file, window, now):
    settings = read_settings(Path(file))
    with open_pipeline(settings, lambda: datetime.fromisoformat(now)) as pipeline:
        pipeline.ingest(settings.paths.incoming)
        pipeline.run(parse_window(window))
        pipeline.deliver()

print("ready", flush=True)
for line in sys.stdin:
    child = os.fork()
    if not child:
        run(*line.split())
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Imports once, then forks a process for each line that it reads: file, window, time."""
BOOKKEEPING = {
    "windows": {"lease_owner", "lease_until", "finished_time"},
    "outbox": {"attempts", "settled_time", "lease_owner", "lease_until", "next_attempt_time"},
    "deliveries": {"attempt", "attempted_time"},
    "batches": {"ingested_time"},
}
"""When, how often and by whom something was done, by table: that is not what was done."""


@dataclass
class Runner:
    """Runs the window in processes of their own."""

    process: subprocess.Popen
    folder: Path
    world: Path
    runs: int = 0

    def begin(self, stores):
        """Begin a run, and return its process id."""
        file = self.folder / f"{stores.name}.yaml"
        file.write_text(SETTINGS.format(world=self.world, stores=stores), encoding="utf-8")
        self.runs += 1
        now = (WINDOW.end + self.runs * BETWEEN_RUNS).isoformat()
        window = f"{WINDOW.start.isoformat()}/{WINDOW.end.isoformat()}"
        self.process.stdin.write(f"{file} {window} {now}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def end(self):
        """Wait for the run to end, and return its exit code."""
        return int(self.process.stdout.readline())

    def run(self, stores):
        """Run to the end, and return how many seconds it took."""
        begun = time.monotonic()
        self.begin(stores)
        assert self.end() == 0
        return time.monotonic() - begun

    def run_and_kill(self, stores, after_s):
        """Begin a run, and kill it; return whether it was still running."""
        child = self.begin(stores)
        time.sleep(after_s)
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        return self.end() == -signal.SIGKILL


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return make_world(tmp_path_factory.mktemp("world"), WORLD, seed=1).path


@pytest.fixture
def runner(tmp_path, world, root):
    command = [sys.executable, "-c", RUNNER]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield Runner(process, tmp_path, world)


def contents(stores):
    """Everything in the warehouse, the ledger and the mailbox."""
    return {"warehouse": warehouse(stores), "ledger": ledger(stores), "mailbox": mailbox(stores)}


def warehouse(stores):
    with duckdb.connect(str(stores / "warehouse.duckdb"), read_only=True) as connection:
        names = [name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        return {name: rows_of(connection, name) for name in sorted(names)}


def rows_of(connection, name):
    left_out = BOOKKEEPING.get(name, set())
    columns = [column for column, *_ in connection.execute(f"DESCRIBE {name}").fetchall() if column not in left_out]
    return connection.execute(f"SELECT {', '.join(columns)} FROM {name} ORDER BY ALL").fetchall()


def ledger(stores):
    with Ledger(f"sqlite:///{stores}/ledger.db") as opened, opened.read() as connection:
        return {
            table.name: [
                {column: value for column, value in row.items() if column not in BOOKKEEPING.get(table.name, set())}
                for row in connection.execute(table.select().order_by(*table.primary_key)).mappings()
                if row.get("outcome") != "lost"
            ]
            for table in metadata.sorted_tables
        }


def mailbox(stores):
    return {file.name: file.read_bytes() for file in sorted((stores / "mailbox").iterdir())}


def assert_same(found, expected):
    assert set(found) == set(expected)
    for part, tables in expected.items():
        assert set(found[part]) == set(tables)
        for name, rows in tables.items():
            assert found[part][name] == rows, f"{name} of the {part} differs"


def test_runs_killed_at_random_moments_and_run_again_leave_what_a_clean_run_leaves(runner, tmp_path):
    seconds = runner.run(tmp_path / "clean")
    expected = contents(tmp_path / "clean")
    assert expected["ledger"]["incidents"]
    assert len(expected["mailbox"]) > 2

    moments, kills, attempt = random.Random(11), 0, 0
    while kills < KILLS:
        stores = tmp_path / f"killed-{attempt}"
        while kills < KILLS and runner.run_and_kill(stores, moments.uniform(0, seconds)):
            kills += 1
        runner.run(stores)
        assert_same(contents(stores), expected)
        attempt += 1


def test_two_runs_of_the_same_window_change_nothing(runner, tmp_path):
    stores = tmp_path / "stores"
    runner.run(stores)
    once = contents(stores)
    runner.run(stores)
    assert_same(contents(stores), once)
