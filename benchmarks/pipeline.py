"""How fast the loop is, and whether a step stays as cheap as history grows: ``python -m benchmarks.pipeline``.

Files to sessions from Parquet and NDJSON, beside the floor (see `benchmarks.ingest`). Then whole steps of a replay,
merge, detect and decide, after 7 and after 28 days of history with the same new events a step: the same week is told
four times over, so that only the length of history differs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks.ingest import FAR_FUTURE, FORMATS, TARGETS, copies_of, enlarge, make_playback, measure
from benchmarks.report import report
from config.bootstrap import open_replay
from config.pipeline import Pipeline
from config.settings import Settings
from console.walk import WorldClock
from telemetry.time import Window

STEP = timedelta(minutes=15)
STEPS = 24
"""Six hours of an evening."""
HISTORIES = (7, 28)
"""Days of history after which a step is timed."""
WEEKS = 5
FIRST_STEPS = 2
"""Left out of the median: the first learns what is normal and rebuilds what is in memory, as happens once a day."""


def measure_steps(playback: Path, folder: Path) -> dict[int, list[float]]:
    """Return the milliseconds of each step after each length of history."""
    world = folder / "world"
    for week in range(WEEKS):
        enlarge(playback, world / "playback", copies=1, file_format="parquet", shift_days=7 * week)
    return {days: steps_after(world, folder / f"after{days}", days) for days in HISTORIES}


def steps_after(world: Path, folder: Path, days: int) -> list[float]:
    """Take in `days` days of a world at once, then run one evening's steps and return what each took, in ms."""
    folder.mkdir(parents=True)
    clock = WorldClock(FAR_FUTURE)
    with open_replay(Settings(), folder, clock) as pipeline:
        pipeline.ingest(world)
        received = pipeline.received()
        if received is None:
            raise SystemExit("The generated world has no events.")
        evening = _midnight(received.start) + timedelta(days=days, hours=16)
        pipeline.take_history(evening)
        return [_timed_step(pipeline, clock, window) for window in Window(evening, evening + STEPS * STEP).split(STEP)]


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _timed_step(pipeline: Pipeline, clock: WorldClock, window: Window) -> float:
    clock.time = window.end
    start = time.perf_counter()
    pipeline.run(window)
    return 1000 * (time.perf_counter() - start)


def run(folder: Path, *, subscribers: int, copies: int, threads: int) -> dict[str, float]:
    """Measure everything, print it, and return the numbers by name."""
    playback = make_playback(folder / "source", subscribers=subscribers, days=8)
    facts: dict[str, float] = {}
    rows: list[tuple[str, ...]] = []
    for file_format in [name for name in FORMATS if name in TARGETS]:
        copied = copies_of(file_format, copies)
        files = enlarge(playback, folder / file_format, copies=copied, file_format=file_format)
        found = measure(files, folder, threads=threads)
        facts[f"{file_format}_events_per_s"] = found.events_per_s
        facts[f"{file_format}_over_floor"] = found.over_floor
        speed = f"{found.events_per_s:,.0f} events/s"
        facts[f"{file_format}_events"] = found.events
        rows.append(
            (f"{file_format} to sessions, {found.events:,} events", speed, f"{found.over_floor:.1f} times the floor")
        )
    for days, taken in measure_steps(playback, folder / "steps").items():
        facts[f"step_ms_at_{days}_days"] = statistics.median(taken[FIRST_STEPS:])
        facts[f"slowest_step_ms_at_{days}_days"] = max(taken)
        rows.append(
            (
                f"a step after {days} days",
                f"{facts[f'step_ms_at_{days}_days']:,.0f} ms",
                f"slowest {max(taken):,.0f} ms",
            )
        )
    growth = facts["step_ms_at_28_days"] / facts["step_ms_at_7_days"]
    facts["step_growth"] = growth
    rows.append(("four times the history", f"{growth:.2f} times the cost", ""))
    report(f"The loop, {threads} threads, {subscribers:,} subscribers", ("what", "measured", "beside it"), rows, facts)
    return facts


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark in a temporary folder."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=2_000, help="people in the generated world (2,000)")
    parser.add_argument(
        "--copies", type=int, default=16, help="how many times these people in the files to ingest (16); text a quarter"
    )
    parser.add_argument("--threads", type=int, default=2, help="DuckDB threads for the files (2)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), subscribers=options.subscribers, copies=options.copies, threads=options.threads)
    return 0


if __name__ == "__main__":
    sys.exit(main())
