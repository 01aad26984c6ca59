"""Each reason why a row or a file is not believed."""

from __future__ import annotations

import gzip
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.contract import PLAYBACK
from telemetry.ingest import ingest
from telemetry.quarantine import MAX_RAW_LENGTH, QuarantineReason, judgement

FORMATS = ("day.parquet", "day.ndjson", "day.csv", "day.ndjson.gz", "day.csv.gz")

BAD_ROWS = {
    "a required value is NULL": (dict(session_id=None), "missing_value", "session_id"),
    "a required value is empty": (dict(subscriber_id=""), "missing_value", "subscriber_id"),
    "no time of receipt": (dict(received_time=None), "missing_value", "received_time"),
    "an event nobody knows": (dict(event="play_paused"), "unknown_event", "event"),
    "an event in capitals": (dict(event="HEARTBEAT"), "unknown_event", "event"),
    "an empty event": (dict(event=""), "missing_value", "event"),
    "a device class nobody knows": (dict(device_type="fridge"), "unknown_value", "device_type"),
    "an error class nobody knows": (
        dict(event="play_failed", error_class="because"),
        "unknown_value",
        "error_class",
    ),
    "a refusal's class on a failure": (
        dict(event="play_failed", error_class="drm"),
        "unknown_value",
        "error_class",
    ),
    "a region that is no code": (dict(region="US-TX'; --"), "malformed_value", "region"),
    "a region in small letters": (dict(region="us-tx"), "malformed_value", "region"),
    "a right-to-left override in a region": (dict(region="\u202eUS"), "malformed_value", "region"),
    "a country of three letters": (dict(country="USA"), "malformed_value", "country"),
    "a negative duration": (dict(stalled_ms=-1), "negative_duration", "stalled_ms"),
    "a duration beyond a day": (dict(playing_ms=2_147_483_647), "absurd_duration", "playing_ms"),
    "a negative count": (dict(stall_count=-1), "number_out_of_range", "stall_count"),
    "a bitrate that no network has": (dict(bitrate_kbps=2_000_000), "number_out_of_range", "bitrate_kbps"),
    "a clock in 1970": (dict(event_time=datetime(1970, 1, 1)), "event_time_out_of_range", "event_time"),
    "a clock in 2106": (dict(event_time=datetime(2106, 2, 7)), "event_time_out_of_range", "event_time"),
    "received in 1999": (
        dict(received_time=datetime(1999, 1, 1)),
        "received_time_out_of_range",
        "received_time",
    ),
    "received next month": (
        dict(received_time=datetime(2026, 4, 1)),
        "received_time_out_of_range",
        "received_time",
    ),
    "a name of 20,000 letters": (dict(isp="A" * 20_000), "too_long", "isp"),
    "an id of 129 letters": (dict(event_id="x" * 129), "too_long", "event_id"),
    "a start-up time on a heartbeat": (dict(startup_ms=5), "misplaced_value", "startup_ms"),
    "play time on a start": (dict(event="play_started", playing_ms=5), "misplaced_value", "playing_ms"),
    "an error class on a heartbeat": (dict(error_class="cdn"), "misplaced_value", "error_class"),
}


def quarantined(warehouse):
    return warehouse.connection.execute(
        "SELECT line, reason, detail, raw FROM quarantine ORDER BY line NULLS FIRST, reason"
    ).fetchall()


@pytest.mark.parametrize("name", FORMATS[:3])
def test_bad_rows_are_kept_out_and_kept(warehouse, now, event, write, name):
    bad = [event(f"e{at}", at=at) | changes for at, (changes, _, _) in enumerate(BAD_ROWS.values())]
    path = write(name, [event("good", at=59), *bad, event("fine", at=58)])

    report = ingest(warehouse, path, now=now)

    first_line = 3 if ".csv" in name else 2
    found = quarantined(warehouse)
    assert [line for line, *_ in found] == list(range(first_line, first_line + len(bad)))
    for why, (_, _, detail, raw) in zip(BAD_ROWS, found, strict=True):
        _, _, column = BAD_ROWS[why]
        assert column in detail, why
        assert "s1" in raw or why == "a required value is NULL"
    assert [reason for _, reason, *_ in found] == [reason for _, reason, _ in BAD_ROWS.values()]
    assert (report.rows, report.accepted) == (len(bad) + 2, 2)
    assert warehouse.connection.execute("SELECT event_id FROM events ORDER BY 1").fetchall() == [
        ("fine",),
        ("good",),
    ]


HOSTILE = [
    "<script>alert(1)</script>",
    "{{7*7}}",
    '=HYPERLINK("http://x")',
    "a\r\nSet-Cookie: x=1",
    "\u202e",
    "'; --",
]


@pytest.mark.parametrize("name", FORMATS)
def test_hostile_text_where_text_is_free_is_data(warehouse, now, event, write, name):
    rows = [
        event(f"e{i}", at=i, event="play_failed", error_class="app", error_code=code) for i, code in enumerate(HOSTILE)
    ]
    ingest(warehouse, write(name, rows), now=now)

    found = warehouse.connection.execute("SELECT error_code FROM events ORDER BY event_id").fetchall()
    assert [code for (code,) in found] == HOSTILE


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_optional_text_is_absent(warehouse, now, event, write, name):
    row = event(isp="", region="", connection_type="", error_class="")

    assert ingest(warehouse, write(name, [row]), now=now).accepted == 1
    found = warehouse.connection.execute("SELECT isp, region, connection_type, error_class FROM events").fetchall()
    assert found == [(None, None, None, None)]


@pytest.mark.parametrize("name", ["day.ndjson", "day.csv"])
def test_text_of_the_wrong_type(warehouse, now, event, write, name):
    wrong = [
        ("playing_ms", "sixty"),
        ("playing_ms", "3.7"),
        ("event_time", "yesterday"),
        ("received_time", "1767225600"),
    ]
    ingest(
        warehouse,
        write(name, [event(f"e{i}") | {column: text} for i, (column, text) in enumerate(wrong)]),
        now=now,
    )

    found = [(reason, detail.split()[0]) for _, reason, detail, _ in quarantined(warehouse)]
    assert found == [("wrong_type", column) for column, _ in wrong]


def test_typed_files_of_other_types_are_read_where_they_can_be(warehouse, now, event, tmp_path):
    row = event()
    odd = pa.table(
        {name: [value] for name, value in row.items() if value is not None}
        | {
            "playing_ms": [60_000.0],
            "received_time": [str(row["received_time"]) + "Z"],
            "stall_count": ["none"],
        }
    )
    pq.write_table(odd, tmp_path / "odd.parquet")
    pq.write_table(
        odd.set_column(odd.column_names.index("stall_count"), "stall_count", pa.array([2])),
        tmp_path / "x.parquet",
    )

    ingest(warehouse, tmp_path / "odd.parquet", now=now)
    report = ingest(warehouse, tmp_path / "x.parquet", now=now)

    assert [reason for _, reason, _, _ in quarantined(warehouse) if reason != "missing_column"] == ["wrong_type"]
    assert report.accepted == 1
    assert warehouse.connection.execute("SELECT playing_ms, stall_count FROM events").fetchall() == [(60_000, 2)]


def test_times_with_an_offset_are_turned_to_utc(warehouse, now, event, write):
    ingest(warehouse, write("day.ndjson", [event(event_time="2026-03-02T14:00:00+02:00")]), now=now)

    assert warehouse.connection.execute("SELECT event_time FROM events").fetchall() == [(datetime(2026, 3, 2, 12),)]


BROKEN_JSON = ["{", "not json", '{"event_id": "x"', "[1, 2]", "42", '"text"', "null", "{}\x00"]


def test_broken_json_lines_break_no_other(warehouse, now, event, write):
    path = write("day.ndjson", [event("a"), event("b", at=1)])
    first, second = path.read_text().splitlines()
    path.write_text("\n\n".join([first, *BROKEN_JSON, second]) + "\n")

    report = ingest(warehouse, path, now=now)

    found = quarantined(warehouse)
    assert [(line, reason) for line, reason, *_ in found] == [
        (3 + 2 * i, "broken_line") for i in range(len(BROKEN_JSON))
    ]
    assert [raw for *_, raw in found] == [line.replace("\x00", "\ufffd") for line in BROKEN_JSON]
    assert (report.rows, report.accepted) == (len(BROKEN_JSON) + 2, 2)


@pytest.mark.parametrize("line", ["null", "[]", "42"])
def test_one_json_line_that_is_no_object(warehouse, now, event, write, line):
    path = write("day.ndjson", [event("a"), event("b", at=1)])
    path.write_text(path.read_text() + line)

    assert dict(ingest(warehouse, path, now=now).quarantined) == {QuarantineReason.BROKEN_LINE: 1}


def test_bytes_that_are_not_utf8_are_shown_as_such(warehouse, now, event, write):
    path = write("day.ndjson", [event("a"), event("b", at=1)])
    path.write_bytes(path.read_bytes() + b'{"event_id": "\xff\xfe\n')

    assert ingest(warehouse, path, now=now).accepted == 2
    assert quarantined(warehouse)[0][:2] == (3, "broken_line")


@pytest.mark.parametrize(
    "line",
    ["too,few", ",".join("x" * 30), '"open quote,' + ",".join("x" * 21), 'a"b"c,"' + "," * 20, "x" * 200_000],
    ids=["too few fields", "too many fields", "an open quote", "a stray quote", "one long word"],
)
def test_a_broken_csv_line_breaks_no_other(warehouse, now, event, write, line):
    path = write("day.csv", [event(f"e{i}", at=i) for i in range(5)])
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")

    report = ingest(warehouse, path, now=now)

    [(number, reason, _, raw)] = quarantined(warehouse)
    assert (number, reason, raw) == (4, "broken_line", line[:MAX_RAW_LENGTH])
    assert (report.rows, report.accepted) == (6, 5)


def test_csv_fields_may_hold_commas_quotes_and_newlines(warehouse, now, event, write):
    title = 'He said "no",\nand left'
    path = write("day.csv", [event("a", title_id=title), event("b", at=1, playing_ms=-5), event("c", at=2)])

    ingest(warehouse, path, now=now)

    assert quarantined(warehouse)[0][:2] == (4, "negative_duration")
    found = warehouse.connection.execute("SELECT event_id, title_id FROM events ORDER BY 1").fetchall()
    assert found == [("a", title), ("c", "t1")]


@pytest.mark.parametrize("name", FORMATS)
def test_an_unknown_column_is_noted_once_and_the_rest_is_read(warehouse, now, event, write, name):
    path = write(name, [event(f"e{i}", at=i) | {"battery": "12"} for i in range(3)])

    report = ingest(warehouse, path, now=now)

    assert [(line, reason) for line, reason, *_ in quarantined(warehouse)] == [(None, "unknown_column")]
    assert (report.accepted, dict(report.quarantined)) == (3, {QuarantineReason.UNKNOWN_COLUMN: 1})


@pytest.mark.parametrize("name", ["day.parquet", "day.csv"])
def test_a_missing_optional_column_is_noted_and_read_as_null(warehouse, now, event, write, name):
    path = write("full.csv", [event()])
    lines = path.read_text().splitlines()
    path = path.with_name(name)
    if name.endswith(".csv"):
        path.write_text("\n".join(line.rsplit(",", 1)[0] for line in lines) + "\n")
    else:
        path = write(name, [{key: value for key, value in event().items() if key != "title_id"}])

    assert ingest(warehouse, path, now=now).accepted == 1
    assert [reason for _, reason, *_ in quarantined(warehouse)] == ["missing_column"]
    assert warehouse.connection.execute("SELECT title_id FROM events").fetchall() == [(None,)]


def test_without_a_required_column_no_row_is_good(warehouse, now, event, write):
    path = write("day.parquet", [{key: value for key, value in event().items() if key != "event_id"}])

    report = ingest(warehouse, path, now=now)

    assert dict(report.quarantined) == {QuarantineReason.MISSING_COLUMN: 1}
    assert "event_id" in quarantined(warehouse)[0][2]


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_rows_is_noted(warehouse, now, write, name):
    assert dict(ingest(warehouse, write(name, []), now=now).quarantined) == {QuarantineReason.EMPTY_FILE: 1}


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_bytes_is_noted(warehouse, now, tmp_path, name):
    (tmp_path / name).write_bytes(b"")

    assert dict(ingest(warehouse, tmp_path, now=now).quarantined) == {QuarantineReason.EMPTY_FILE: 1}


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_half_a_parquet_file_is_noted_and_the_run_goes_on(warehouse, now, event, write, tmp_path, keep):
    path = write("in/a.parquet", [event(f"e{i}", at=i) for i in range(50)])
    write("in/b.parquet", [event("other")])
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])

    report = ingest(warehouse, tmp_path / "in", now=now)

    assert report.accepted == 1
    assert dict(report.quarantined) == {QuarantineReason.TRUNCATED_FILE: 1}


def test_a_parquet_file_damaged_inside_is_noted(warehouse, now, event, write):
    path = write("a.parquet", [event(f"e{i}", at=i % 60) for i in range(5_000)])
    content = bytearray(path.read_bytes())
    content[50:4_000] = b"\xff" * 3_950
    path.write_bytes(bytes(content))

    assert dict(ingest(warehouse, path, now=now).quarantined) == {QuarantineReason.TRUNCATED_FILE: 1}
    assert warehouse.connection.execute("SELECT count(*) FROM event_rows").fetchall() == [(0,)]


@pytest.mark.parametrize("name", ["day.ndjson.gz", "day.csv.gz"])
def test_of_half_a_gzip_file_the_whole_lines_are_kept(warehouse, now, event, write, name):
    path = write(name, [event(f"e{i}", at=i % 60, title_id=f"{i * 7919 % 10007}") for i in range(3_000)])
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    report = ingest(warehouse, path, now=now)

    assert 500 < report.accepted < 2_500
    assert report.quarantined[QuarantineReason.TRUNCATED_FILE] == 1


def test_a_file_that_is_no_gzip_at_all(warehouse, now, tmp_path):
    (tmp_path / "day.ndjson.gz").write_bytes(b"plain")

    assert dict(ingest(warehouse, tmp_path, now=now).quarantined)[QuarantineReason.TRUNCATED_FILE] == 1


def test_raw_text_has_a_lid(warehouse, now, event, write):
    ingest(warehouse, write("day.ndjson", [event(isp="A" * 100_000)]), now=now)

    assert len(quarantined(warehouse)[0][3]) == MAX_RAW_LENGTH


def test_gzip_of_nothing_is_empty(warehouse, now, tmp_path):
    (tmp_path / "day.ndjson.gz").write_bytes(gzip.compress(b""))

    assert dict(ingest(warehouse, tmp_path, now=now).quarantined) == {QuarantineReason.EMPTY_FILE: 1}


def test_an_infinite_time_is_out_of_range(warehouse, now, event, write):
    ingest(
        warehouse,
        write("day.csv", [event(event_time="infinity"), event("e2", received_time="-infinity")]),
        now=now,
    )

    reasons = [reason for _, reason, *_ in quarantined(warehouse)]
    assert reasons == ["event_time_out_of_range", "received_time_out_of_range"]


def test_a_past_world_is_not_out_of_range(warehouse, event, write):
    later = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

    assert ingest(warehouse, write("day.csv", [event()]), now=later).accepted == 1


def test_a_clock_wrong_by_less_than_a_month_is_believed_to_be_wrong(warehouse, now, event, write):
    row = event()
    row["event_time"] = row["received_time"] - timedelta(days=29)

    ingest(warehouse, write("day.csv", [row]), now=now)

    found = warehouse.connection.execute("SELECT occurred_time = received_time FROM events").fetchall()
    assert found == [(True,)]


@pytest.mark.parametrize(
    ("table", "row", "reason"),
    [
        ("subscribers", dict(subscriber_id=None), "missing_value"),
        ("subscribers", dict(email="x" * 400), "too_long"),
        ("contacts", dict(channel="fax"), "unknown_value"),
        ("contacts", dict(csat=6), "number_out_of_range"),
        ("contacts", dict(handle_seconds=-1), "negative_duration"),
    ],
)
def test_people_are_judged_too(warehouse, now, subscriber, contact, write, table, row, reason):
    make = {"subscribers": subscriber, "contacts": contact}[table]
    report = ingest(warehouse, write(f"{table}.parquet", [make() | row], table), now=now)

    assert dict(report.quarantined) == {reason: 1}


def test_every_column_of_a_row_is_judged(now):
    assert all(f"{name} " in judgement(PLAYBACK, now) for name in PLAYBACK.names)


@pytest.mark.world
@pytest.mark.parametrize("world", ["dev-small", "dev-medium"])
def test_no_row_that_should_not_be_trusted_is(warehouse, now, shared, world):
    later = now + timedelta(days=30)
    report = ingest(warehouse, shared / "worlds" / world / "playback" / "extra-0001.parquet", now=later)

    assert report.accepted == 0
    assert sum(report.quarantined.values()) == report.rows
    assert set(report.quarantined) >= {
        QuarantineReason.MISSING_VALUE,
        QuarantineReason.TOO_LONG,
        QuarantineReason.UNKNOWN_EVENT,
        QuarantineReason.EVENT_TIME_OUT_OF_RANGE,
        QuarantineReason.NEGATIVE_DURATION,
        QuarantineReason.ABSURD_DURATION,
        QuarantineReason.MALFORMED_VALUE,
        QuarantineReason.MISPLACED_VALUE,
    }
