"""Events into slices and sessions: late ones, copies, and any cut of windows."""

from __future__ import annotations

import itertools
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from telemetry.contract import PLAYBACK
from telemetry.ingest import ingest
from telemetry.merge import MergeReport, merge_all, merge_window
from telemetry.time import Window
from telemetry.warehouse import Warehouse

DAY = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 4, tzinfo=UTC))


def one(warehouse, columns, table="sessions"):
    [row] = warehouse.connection.execute(f"SELECT {columns} FROM {table}").fetchall()
    return row


@pytest.fixture
def take(warehouse, write, now):
    """Ingests rows as one more file."""
    numbers = itertools.count()
    return lambda *rows: ingest(warehouse, write(f"{next(numbers)}.parquet", list(rows)), now=now)


def story(event):
    return [
        event("r", event="play_requested"),
        event("s", at=0.1, event="play_started", startup_ms=900),
        event("h", at=1, stalled_ms=500, stall_count=1),
        event("x", at=6, event="play_ended", playing_ms=300_000, bitrate_kbps=2_000),
    ]


def test_a_session_is_the_sum_of_its_events(warehouse, now, event, take):
    take(*story(event))

    assert merge_all(warehouse, now) == MergeReport(events=4, slices=2)
    assert one(warehouse, "outcome, requested, started, failed, denied, ended, events") == (
        "ended",
        1,
        1,
        0,
        0,
        1,
        4,
    )
    assert one(warehouse, "startup_ms, playing_ms, stalled_ms, stall_count") == (900, 360_000, 500, 1)
    assert one(warehouse, "bitrate_kbps_ms") == (60_000 * 4_000 + 300_000 * 2_000,)
    assert one(warehouse, "subscriber_id, region, started_time") == ("u1", "US-TX", datetime(2026, 3, 2, 12))
    slots = warehouse.connection.execute("SELECT slot, events FROM slices ORDER BY slot").fetchall()
    assert slots == [(datetime(2026, 3, 2, 12), 3), (datetime(2026, 3, 2, 12, 5), 1)]


def test_how_a_session_came_out(warehouse, now, event, take):
    outcomes = {
        "failed": [event("f", session_id="failed", event="play_failed", error_class="cdn", error_code="E1")],
        "denied": [event("d", session_id="denied", event="access_denied", error_class="drm")],
        "abandoned": [event("a", session_id="abandoned", event="play_ended", playing_ms=0)],
        "playing": [event("p", session_id="playing")],
        "ended": [event("e", session_id="ended", event="play_ended")],
    }
    take(*[row for rows in outcomes.values() for row in rows])
    merge_all(warehouse, now)

    found = warehouse.connection.execute("SELECT session_id, outcome, error_class, error_code FROM sessions").fetchall()
    assert {session: outcome for session, outcome, *_ in found} == {name: name for name in outcomes}
    assert ("failed", "failed", "cdn", "E1") in found


def test_a_window_sees_only_what_was_received_before_its_end(warehouse, now, event, take):
    take(event("a"), event("b", at=20))
    start = datetime(2026, 3, 2, 12, tzinfo=UTC)
    first = Window(start, start + timedelta(minutes=15))
    second = Window(first.end, first.end + timedelta(minutes=15))

    assert merge_window(warehouse, first).events == 1
    assert merge_window(warehouse, first) == MergeReport()
    assert merge_window(warehouse, second).events == 1
    changed = warehouse.connection.execute("SELECT slot, changed_time FROM slices ORDER BY slot").fetchall()
    assert changed == [
        (datetime(2026, 3, 2, 12), datetime(2026, 3, 2, 12, 15)),
        (datetime(2026, 3, 2, 12, 20), datetime(2026, 3, 2, 12, 30)),
    ]


def test_a_late_event_joins_its_session_and_marks_its_slice_changed(warehouse, now, event, take):
    take(event("a"))
    merge_window(warehouse, Window(DAY.start, datetime(2026, 3, 2, 13, tzinfo=UTC)))
    late = event("b", at=1) | {"received_time": datetime(2026, 3, 2, 20)}
    take(late)

    report = merge_window(warehouse, Window(DAY.start, datetime(2026, 3, 2, 21, tzinfo=UTC)))

    assert report == MergeReport(events=1, slices=1)
    assert one(warehouse, "playing_ms, events, last_received") == (120_000, 2, datetime(2026, 3, 2, 20))
    assert one(warehouse, "slot, changed_time", "slices") == (
        datetime(2026, 3, 2, 12),
        datetime(2026, 3, 2, 21),
    )


def test_a_file_that_comes_late_is_merged_by_the_next_window(warehouse, now, event, take):
    take(event("a"))
    merge_window(warehouse, DAY)
    take(event("b", at=1))

    assert merge_window(warehouse, Window(DAY.end, DAY.end + timedelta(minutes=15))).events == 1
    assert one(warehouse, "events") == (2,)


def test_an_earlier_copy_that_comes_later_takes_the_place_of_what_was_counted(warehouse, now, event, take):
    take(event("a", playing_ms=7, received_time=datetime(2026, 3, 2, 12, 30)), event("b", at=1))
    merge_window(warehouse, DAY)
    take(event("a", playing_ms=5, received_time=datetime(2026, 3, 2, 12, 10)))

    merge_window(warehouse, Window(DAY.end, DAY.end + timedelta(minutes=15)))

    assert one(warehouse, "playing_ms, events") == (60_005, 2)


def test_events_that_disagree_give_the_greatest_known_value(warehouse, now, event, take):
    rows = [event("a", isp=None, cdn="cdn-a"), event("b", at=1, isp="Nordfunk", cdn="cdn-b", region=None)]
    rows.append(event("c", at=2, isp=None, cdn=None, subscriber_id="u0"))
    take(*rows)
    merge_all(warehouse, now)

    assert one(warehouse, "subscriber_id, isp, cdn, region, events", "slices") == (
        "u0",
        "Nordfunk",
        "cdn-b",
        "US-TX",
        3,
    )
    assert one(warehouse, "subscriber_id, isp, cdn, region") == ("u0", "Nordfunk", "cdn-b", "US-TX")


def test_a_clock_that_cannot_be_right_is_replaced_by_the_time_of_receipt(warehouse, now, event, take):
    rows = [event(str(hours)) for hours in range(3)]
    for row, ahead in zip(rows, (timedelta(hours=1), timedelta(hours=-13), timedelta(hours=-11)), strict=True):
        row["event_time"] = row["received_time"] + ahead
    take(*rows)

    found = warehouse.connection.execute(
        "SELECT occurred_time = received_time, occurred_time = event_time FROM events ORDER BY event_id"
    ).fetchall()
    assert found == [(True, False), (True, False), (False, True)]


# Any file order, any repetition and any cut of windows give the same slices and sessions.

ROWS = st.builds(
    dict,
    event_id=st.sampled_from([f"e{i}" for i in range(12)]),
    late=st.sampled_from([0, 0, 0, 1, 7, 45, 800, 2_000]),
    session_id=st.sampled_from(["s1", "s2"]),
    subscriber_id=st.sampled_from(["u1", "u2"]),
    event=st.sampled_from(["play_requested", "heartbeat", "play_failed"]),
    cdn=st.sampled_from([None, "cdn-a", "cdn-b"]),
    playing_ms=st.integers(0, 1000),
)


def _row(drawn):
    """A copy of an event: one id has one event_time, yet its content may differ."""
    occurred = datetime(2026, 3, 2, 12) + timedelta(minutes=7 * int(drawn["event_id"][1:]))
    counts = {"playing_ms": drawn["playing_ms"]} if drawn["event"] != "play_requested" else {}
    clock = {"e3": -3 * 1440, "e7": 600}.get(drawn["event_id"], 0)
    return (
        dict.fromkeys(PLAYBACK.names)
        | counts
        | {
            "event_id": drawn["event_id"],
            "event_time": occurred + timedelta(minutes=clock),
            "received_time": occurred + timedelta(minutes=drawn["late"], seconds=1),
            "session_id": drawn["session_id"],
            "subscriber_id": drawn["subscriber_id"],
            "event": drawn["event"],
            "cdn": drawn["cdn"],
        }
    )


ARROW = {"VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us"), "INTEGER": pa.int32()}
SCHEMA = pa.schema([(column.name, ARROW[column.type]) for column in PLAYBACK.columns])
LAST = datetime(2026, 3, 6, tzinfo=UTC)


def _outcome(files, cuts, *, between):
    with tempfile.TemporaryDirectory() as folder, Warehouse(threads=1) as warehouse:
        ends = [datetime(2026, 3, 2, 12, tzinfo=UTC) + timedelta(minutes=cut) for cut in sorted(cuts)]
        for number, rows in enumerate(files):
            path = Path(folder) / f"{number}.parquet"
            pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), path)
            ingest(warehouse, path, now=LAST)
            if between and ends:
                merge_all(warehouse, ends.pop(0))
        for end in [*ends, LAST]:
            merge_all(warehouse, end)
        tables = ("slices", "sessions")
        return [
            warehouse.connection.execute(f"SELECT * EXCLUDE (changed_time) FROM {table} ORDER BY ALL").fetchall()
            for table in tables
        ]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_order_of_files_and_any_cut_of_windows_give_the_same(data):
    rows = [_row(drawn) for drawn in data.draw(st.lists(ROWS, min_size=1, max_size=25))]
    places = data.draw(st.lists(st.integers(0, 3), min_size=len(rows), max_size=len(rows)))
    files = [[row for row, place in zip(rows, places, strict=True) if place == number] for number in range(4)]
    files = data.draw(st.permutations([file for file in files if file]))
    again = data.draw(st.lists(st.sampled_from(files), max_size=2))
    cuts = data.draw(st.lists(st.integers(0, 3_000), max_size=5))

    assert _outcome([*files, *again], cuts, between=data.draw(st.booleans())) == _outcome([rows], [], between=False)
