"""How fast files become sessions: ``python -m benchmarks.ingest``.

A generated world, made larger by copies of its people, is ingested from Parquet, NDJSON and CSV into a warehouse on
disk, with duplicates dropped, bad rows quarantined, and slices and sessions made. Beside it stands the floor: what
DuckDB needs merely to read the same files and group them by session and five minutes. Then, after 7 and after 28 days
of history, the cost of a step: ingest and merge of what fifteen minutes brought.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from benchmarks.report import report
from data.scenarios import recipe_of
from data.world import make_world
from telemetry.ingest import ingest
from telemetry.merge import merge_all, merge_window
from telemetry.sources import find_sources
from telemetry.time import Window, utc
from telemetry.warehouse import Warehouse

TARGETS = {"parquet": 700_000, "ndjson": 250_000}
"""Events a second that must be reached on two cores."""
SHARES = {"parquet": 1.0, "ndjson": 0.25, "csv": 0.25}
"""Of the people asked for, how many are in a format's files: text takes up to thirty times the room."""
FORMATS = {"parquet": "(FORMAT parquet)", "ndjson": "(FORMAT json)", "csv": "(FORMAT csv, HEADER)"}
STEP = timedelta(minutes=15)
FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Throughput:
    """Events read from one format, and the seconds that ingest with merge, and the floor, took."""

    events: int
    seconds: float
    floor_seconds: float

    @property
    def events_per_s(self) -> float:
        """Events from file to session, a second."""
        return self.events / self.seconds

    @property
    def over_floor(self) -> float:
        """How many times longer than merely reading and grouping the file it took."""
        return self.seconds / self.floor_seconds


def make_playback(folder: Path, *, subscribers: int, days: int, seed: int = 1) -> Path:
    """Generate a world and return its folder of playback files, one a day of arrival."""
    make_world(folder, recipe_of("everyday", seed=seed, subscribers=subscribers, days=days), seed=seed)
    return folder / "playback"


def enlarge(playback: Path, out: Path, *, copies: int, file_format: str, shift_days: int = 0) -> Path:
    """Write each file of `playback` again with `copies` times the people, as `file_format`, later by `shift_days`."""
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        for path in sorted(playback.glob("20*.parquet")):
            target = out / f"{path.stem}+{shift_days:02}.{file_format}"
            connection.execute(
                f"""COPY (
                    SELECT * REPLACE (
                        event_id || '-' || copy || '-{shift_days}' AS event_id,
                        session_id || '-' || copy || '-{shift_days}' AS session_id,
                        subscriber_id || '-' || copy AS subscriber_id,
                        event_time + INTERVAL {shift_days} DAYS AS event_time,
                        received_time + INTERVAL {shift_days} DAYS AS received_time
                    )
                    FROM '{path}', (SELECT range AS copy FROM range({copies}))
                ) TO '{target}' {FORMATS[file_format]}"""
            )
    return out


def copies_of(file_format: str, copies: int) -> int:
    """Return how many times the world's people a format's files hold, of `copies` asked for."""
    return max(1, round(copies * SHARES[file_format]))


def measure(folder: Path, warehouse: Path, *, threads: int, repeats: int = 3) -> Throughput:
    """Ingest and merge every file in `folder` into a new warehouse, and measure the floor; the best of `repeats`.

    Sessions are a view, so they are summed up within the measured time.
    """
    events, seconds, floor = 0, [], []
    for number in range(repeats):
        floor.append(floor_seconds(folder, threads))
        with Warehouse(warehouse / f"{number}.duckdb", threads=threads) as opened:
            start = time.perf_counter()
            events = ingest(opened, folder, now=FAR_FUTURE).rows
            merge_all(opened, FAR_FUTURE)
            opened.connection.execute("SELECT outcome, count(*) FROM sessions GROUP BY ALL").fetchall()
            seconds.append(time.perf_counter() - start)
    return Throughput(events, min(seconds), min(floor))


def floor_seconds(folder: Path, threads: int) -> float:
    """Seconds that DuckDB takes to read the files in `folder` and group them by session and five minutes."""
    with duckdb.connect(config={"threads": threads}) as connection:
        start = time.perf_counter()
        for source in find_sources(folder):
            connection.execute(
                f"""SELECT sum(events), sum(playing_ms), sum(stalled_ms) FROM (
                    SELECT session_id, time_bucket(INTERVAL 5 MINUTES, event_time::TIMESTAMP), count(*) AS events,
                        sum(playing_ms::BIGINT) AS playing_ms, sum(stalled_ms::BIGINT) AS stalled_ms
                    FROM '{source.path}'
                    GROUP BY ALL
                )"""
            ).fetchall()
        return time.perf_counter() - start


def step_ms(warehouse: Warehouse, files: Sequence[tuple[Window, Path]]) -> float:
    """Median milliseconds to ingest one window's file and merge it."""
    taken = []
    for window, path in files:
        start = time.perf_counter()
        ingest(warehouse, path, now=FAR_FUTURE)
        merge_window(warehouse, window)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def windows_of(path: Path, out: Path, count: int) -> list[tuple[Window, Path]]:
    """Cut the evening of a day's file into `count` files of fifteen minutes of received_time each."""
    out.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        query = f"SELECT date_trunc('day', median(received_time)) FROM '{path}'"
        [(day,)] = connection.execute(query).fetchall()
        evening = utc(day) + timedelta(hours=18)
        windows = Window(evening, evening + count * STEP).split(STEP)
        files = [(window, out / f"{window.key}.parquet") for window in windows]
        for window, target in files:
            connection.execute(
                f"""COPY (FROM '{path}' WHERE received_time >= $start AND received_time < $end) TO '{target}'""",
                {"start": window.start.replace(tzinfo=None), "end": window.end.replace(tzinfo=None)},
            )
        return files


def measure_steps(playback: Path, folder: Path, *, copies: int, threads: int) -> dict[int, float]:
    """Milliseconds of a step after 7 and after 28 days of history, from seven days of `playback` told four times."""
    weeks = [
        enlarge(playback, folder / f"week{week}", copies=copies, file_format="parquet", shift_days=7 * week)
        for week in range(5)
    ]
    found = {}
    with Warehouse(folder / "steps.duckdb", threads=threads) as warehouse:
        for week, history in enumerate(weeks[:4], 1):
            ingest(warehouse, history, now=FAR_FUTURE)
            merge_all(warehouse, FAR_FUTURE)
            if week in (1, 4):
                day = sorted(weeks[week].glob("*.parquet"))[1]
                found[7 * week] = step_ms(warehouse, windows_of(day, folder / f"steps{week}", 12))
    return found


def run(folder: Path, *, copies: int, threads: int) -> dict[str, float]:
    """Measure everything, print it, and return the numbers by name."""
    playback = make_playback(folder / "world", subscribers=2_000, days=8)
    facts: dict[str, float] = {}
    rows = []
    for file_format in FORMATS:
        files = enlarge(playback, folder / file_format, copies=copies_of(file_format, copies), file_format=file_format)
        found = measure(files, folder, threads=threads)
        facts |= {
            f"{file_format}_events_per_s": found.events_per_s,
            f"{file_format}_over_floor": found.over_floor,
        }
        target = f"{TARGETS[file_format]:,}" if file_format in TARGETS else ""
        floor = f"{found.events / found.floor_seconds:,.0f}"
        rows.append(
            (
                file_format,
                f"{found.events:,}",
                f"{found.events_per_s:,.0f}",
                target,
                floor,
                f"{found.over_floor:.1f}",
            )
        )
    for days, taken in measure_steps(playback, folder / "steps", copies=1, threads=threads).items():
        facts[f"ingest_merge_ms_at_{days}_days"] = taken
        rows.append((f"one step after {days} days", "", f"{taken:,.0f} ms", "", "", ""))
    columns = ("from", "events", "events/s", "target", "floor, events/s", "times the floor")
    report(f"Files to sessions, {threads} threads", columns, rows, facts)
    return facts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark in a temporary folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ingest", description=__doc__)
    parser.add_argument("--copies", type=int, default=16, help="how many times the world's people (16); text a quarter")
    parser.add_argument("--threads", type=int, default=2, help="DuckDB threads (2)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), copies=options.copies, threads=options.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
