"""Files in: formats, folders and worlds, copies of one event, and the same file again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from telemetry.errors import SourceNotFoundError, UnknownFormatError, WarehouseBusyError
from telemetry.ingest import ingest
from telemetry.merge import merge_all
from telemetry.time import Window
from telemetry.warehouse import Warehouse

FORMATS = ("day.parquet", "day.ndjson", "day.ndjson.gz", "day.csv", "day.csv.gz")


def events(warehouse):
    query = "SELECT * EXCLUDE (batch_id) FROM events ORDER BY event_id"
    return warehouse.connection.execute(query).fetchall()


def test_every_format_gives_the_same_events(now, event, write):
    rows = [event(f"e{i}", at=i, event="play_failed", error_class="cdn", error_code='a,"b"') for i in range(3)]
    rows.append(event("e4", event="play_started", startup_ms=1200, isp=None))
    found = []
    for name in FORMATS:
        with Warehouse() as warehouse:
            assert ingest(warehouse, write(name, rows), now=now).accepted == 4
            found.append(events(warehouse))

    assert all(one == found[0] for one in found)


def test_a_world_is_read_and_its_truth_is_not(warehouse, now, event, subscriber, contact, write, tmp_path):
    write("world/playback/b.parquet", [event("e2", at=1)])
    write("world/playback/a.parquet", [event("e1")])
    write("world/subscribers.parquet", [subscriber()], "subscribers")
    write("world/contacts.parquet", [contact()], "contacts")
    write("world/truth/incidents.parquet", [event("never")])
    seen = []

    report = ingest(warehouse, tmp_path / "world", now=now, progress=seen.append)

    assert [Path(file.source).name for file in report.files] == [
        "subscribers.parquet",
        "contacts.parquet",
        "a.parquet",
        "b.parquet",
    ]
    assert [(step.done, step.total) for step in seen] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [row[0] for row in events(warehouse)] == ["e1", "e2"]
    counts = warehouse.connection.execute(
        "SELECT (SELECT count(*) FROM subscribers), (SELECT count(*) FROM contacts)"
    ).fetchall()
    assert counts == [(1, 1)]


def test_what_cannot_be_read_is_said_in_a_sentence(warehouse, now, tmp_path):
    with pytest.raises(SourceNotFoundError, match="There is nothing at"):
        ingest(warehouse, tmp_path / "absent", now=now)
    with pytest.raises(SourceNotFoundError, match="no file"):
        ingest(warehouse, tmp_path, now=now)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UnknownFormatError, match=r"notes\.txt"):
        ingest(warehouse, tmp_path / "notes.txt", now=now)
    with pytest.raises(UnknownFormatError, match="xml"):
        ingest(warehouse, tmp_path / "notes.txt", now=now, format="xml")


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_again_changes_nothing(warehouse, now, event, write, name):
    path = write(name, [event("a"), event("a"), event("b", at=1, playing_ms=-1), event("c", at=2)])
    first = ingest(warehouse, path, now=now)
    before = [
        warehouse.connection.execute(f"FROM {table}").fetchall() for table in ("event_rows", "quarantine", "batches")
    ]

    again = ingest(warehouse, path, now=now)
    moved = path.with_name("other." + name.split(".", 1)[1])
    shutil.copy(path, moved)
    renamed = ingest(warehouse, moved, now=now)

    assert (first.accepted, first.duplicates, first.rows) == (2, 1, 4)
    assert [file.skipped for file in (*again.files, *renamed.files)] == [True, True]
    after = [
        warehouse.connection.execute(f"FROM {table}").fetchall() for table in ("event_rows", "quarantine", "batches")
    ]
    assert after == before


def test_a_file_that_has_grown_brings_only_what_is_new(warehouse, now, event, write):
    rows = [event("a"), event("bad", playing_ms=-1)]
    ingest(warehouse, write("day.ndjson", rows), now=now)

    report = ingest(warehouse, write("day.ndjson", [*rows, event("b", at=1)]), now=now)

    assert (report.accepted, report.duplicates) == (1, 1)
    assert warehouse.connection.execute("SELECT count(*) FROM quarantine").fetchall() == [(1,)]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
@pytest.mark.parametrize("apart", [True, False])
def test_of_copies_the_one_received_first_stays(warehouse, now, event, write, order, apart):
    copies = [event(received_time=datetime(2026, 3, 2, 12, minute), playing_ms=minute) for minute in (1, 5)]
    copies = [copies[i] for i in order]
    files = [[copy] for copy in copies] if apart else [copies]
    reports = [ingest(warehouse, write(f"{i}.csv", rows), now=now) for i, rows in enumerate(files)]

    assert sum(report.accepted for report in reports) == 1
    assert sum(report.duplicates for report in reports) == 1
    assert warehouse.connection.execute("SELECT playing_ms FROM events").fetchall() == [(1,)]


@pytest.mark.parametrize("days", [-20, -1, 0, 3, 20])
def test_a_copy_is_known_again_whatever_its_clock_says(warehouse, now, event, write, days):
    """Copies come hours apart, among other events; the player's clock may be wrong by days."""
    odd = event("odd")
    odd["event_time"] += timedelta(days=days)
    late = odd | {"received_time": odd["received_time"] + timedelta(hours=30)}
    ingest(warehouse, write("1.csv", [event("x"), odd]), now=now)

    report = ingest(warehouse, write("2.csv", [event("y", at=60 * 30), late]), now=now)

    assert (report.accepted, report.duplicates) == (1, 1)


def test_a_window_takes_only_what_was_received_in_it(warehouse, now, event, write):
    path = write("day.parquet", [event(f"e{i}", at=10 * i) for i in range(6)] + [event("bad", received_time=None)])
    start = datetime(2026, 3, 2, 12, 10, tzinfo=UTC)
    windows = [
        Window(start, start + timedelta(minutes=20)),
        Window(start + timedelta(minutes=20), start + timedelta(hours=1)),
    ]

    first, second, again = (ingest(warehouse, path, now=now, window=window) for window in (*windows, windows[0]))
    whole = ingest(warehouse, path, now=now)

    assert [row[0] for row in events(warehouse)] == ["e0", "e1", "e2", "e3", "e4", "e5"]
    assert [report.accepted for report in (first, second, again, whole)] == [2, 3, 0, 1]
    assert again.files[0].skipped
    assert warehouse.connection.execute("SELECT count(*) FROM quarantine").fetchall() == [(1,)]


def test_the_newest_file_says_who_a_subscriber_is(warehouse, now, subscriber, write):
    old = [subscriber("u1"), subscriber("u2")]
    ingest(warehouse, write("subscribers-1.csv", old, "subscribers"), now=now)

    report = ingest(
        warehouse,
        write(
            "subscribers-2.csv",
            [subscriber("u1", locale="de"), subscriber("u2"), subscriber("u3")],
            "subscribers",
        ),
        now=now,
    )

    assert (report.accepted, report.duplicates) == (2, 1)
    found = warehouse.connection.execute("SELECT subscriber_id, locale FROM subscribers ORDER BY 1").fetchall()
    assert found == [("u1", "de"), ("u2", None), ("u3", None)]


def test_an_empty_display_name_and_markup_in_it_are_kept(warehouse, now, subscriber, write):
    names = ["", "<b>Ana</b>", 'A "B"\nC', "\u202eeve"]
    rows = [subscriber(f"u{i}", display_name=name) for i, name in enumerate(names)]
    ingest(warehouse, write("subscribers.parquet", rows, "subscribers"), now=now)

    found = warehouse.connection.execute("SELECT display_name FROM subscribers ORDER BY subscriber_id").fetchall()
    assert [name for (name,) in found] == names


def test_a_second_process_is_told_that_the_warehouse_is_busy(tmp_path):
    script = "import sys; from telemetry.warehouse import Warehouse; Warehouse(sys.argv[1])"
    with Warehouse(tmp_path / "w.duckdb"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / "w.duckdb")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert WarehouseBusyError.__name__ in done.stderr


KILLED = """
    import sys, os, signal
    from datetime import datetime, UTC
    from telemetry.ingest import ingest
    from telemetry.merge import merge_all
    from telemetry.warehouse import Warehouse
    now, files = datetime(2026, 3, 10, tzinfo=UTC), int(sys.argv[3])
    def stop(progress):
        if progress.done == files:
            os.kill(os.getpid(), signal.SIGKILL)
    with Warehouse(sys.argv[1]) as warehouse:
        ingest(warehouse, sys.argv[2], now=now, progress=stop)
        merge_all(warehouse, now)
"""


@pytest.mark.parametrize("files", [1, 2])
def test_killed_and_run_again_it_is_as_if_run_once(now, event, write, tmp_path, files):
    for number in range(3):
        write(f"in/{number}.parquet", [event(f"e{i}", at=i) for i in range(number, number + 20)])

    killed = tmp_path / "killed.duckdb"
    arguments = [sys.executable, "-c", textwrap.dedent(KILLED), str(killed), str(tmp_path / "in"), str(files)]
    done = subprocess.run(arguments, env=os.environ, check=False)
    assert done.returncode == -signal.SIGKILL

    contents = []
    for path in (killed, None):
        with Warehouse(path) as warehouse:
            ingest(warehouse, tmp_path / "in", now=now)
            merge_all(warehouse, now)
            tables = ("event_rows", "batches", "slices", "sessions", "contexts")
            contents.append(
                [sorted(warehouse.connection.execute(f"FROM {table}").fetchall(), key=repr) for table in tables]
            )
    assert contents[0] == contents[1]
