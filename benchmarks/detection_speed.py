"""How fast detection is by itself: ``python -m benchmarks.detection_speed``.

Made-up slices go through the product's own detectors: one window that reaches each of 20,000 cohorts, and a million
subscribers with new sessions. Beside each stands what DuckDB needs merely to read the same rows; and what a window
costs after a day and after a week.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from benchmarks.report import report
from benchmarks.synthetic import FIRST_SLOT, Market
from detectors.cohorts import CohortIndex
from detectors.observations import SIGNALS, ImpairmentRule, Observations, slot_start
from detectors.own_sessions import UsualShares, own_sessions
from detectors.subscriber_run import SubscriberRun
from incidents.lifecycle import GROUPS
from incidents.state import WatchState
from telemetry.contract import DIMENSIONS
from telemetry.time import SLOT

TARGETS = {"cohorts_s": 0.5, "subscribers_s": 20.0, "peak_mb": 4096.0}
SLOTS_A_WINDOW = 3
MEMORY = timedelta(hours=36)
"""What detection keeps in memory."""
WINDOWS_A_DAY = 96
LONG_DAYS = 7
MOST_LEAVES = 8_000
TIMED = 9
"""Windows of which the median is taken."""


@dataclass
class Walk:
    """Detection fed with made-up windows, one after the other.

    Parameters
    ----------
    market
        Whom the slices belong to.
    state
        What detection holds in memory.
    rows_a_window
        Slices that each window brings.
    """

    market: Market
    state: WatchState
    rows_a_window: int
    rng: np.random.Generator
    windows: int = 0
    people: int = 0

    @classmethod
    def start(cls, market: Market, rows_a_window: int, rng: np.random.Generator) -> Walk:
        """Begin with a model learnt from made-up history and nothing in memory."""
        state = WatchState.of(market.words(), market.model(rng), ImpairmentRule().memory_slots, timedelta(minutes=15))
        return cls(market, state, rows_a_window, rng)

    def step(self, rows: Observations | None = None) -> tuple[float, float]:
        """Take one window in, ask which cohorts stand out, and return the seconds and processor seconds it took."""
        slot = FIRST_SLOT + SLOTS_A_WINDOW * self.windows
        rows = self.draw() if rows is None else rows
        now = slot_start(slot) + SLOTS_A_WINDOW * SLOT
        start, cpu = time.perf_counter(), time.process_time()
        self.state.take_in(rows, (), now - MEMORY, now)
        for group in GROUPS:
            self.state.most_surprising(group)
        seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
        self.windows += 1
        return seconds, cpu

    def draw(self, leaf: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None) -> Observations:
        """Draw the next window's slices, of some finest cohorts or of any."""
        slot = FIRST_SLOT + SLOTS_A_WINDOW * self.windows
        chosen = self.rng.integers(0, len(self.market.leaves), self.rows_a_window) if leaf is None else leaf
        self.people += len(chosen)
        return self.market.slices(chosen, slot, self.people - len(chosen), self.rng)

    def median_step(self) -> tuple[float, float]:
        """Return the median seconds and processor seconds of the next windows, each of which reaches every cohort."""
        every = np.arange(len(self.market.leaves))
        taken = [self.step(self.draw(every)) for _ in range(TIMED)]
        return statistics.median(wall for wall, _ in taken), statistics.median(cpu for _, cpu in taken)


def measure_cohorts(series: int, folder: Path, threads: int, days: int) -> dict[str, float]:
    """Measure a window that reaches every one of so many cohorts, after one day and after `days`."""
    rng = np.random.default_rng(1)
    walk = Walk.start(market_of(series, rng), 500, rng)
    for _ in range(WINDOWS_A_DAY):
        walk.step()
    first, first_cpu = walk.median_step()
    for _ in range(WINDOWS_A_DAY * (days - 1)):
        walk.step()
    cohorts = len(walk.state.recent.index)
    last, last_cpu = walk.median_step()
    reading = read_rollups(cohorts, folder / "rollups.duckdb", threads)
    return {
        "cohorts": float(cohorts),
        "cohorts_s": max(first, last),
        "cohorts_cpu_s": max(first_cpu, last_cpu),
        "cohorts_s_after_1_day": first,
        f"cohorts_s_after_{days}_days": last,
        "cohorts_growth": last_cpu / first_cpu,
        "cohorts_read_s": reading,
        "cohorts_over_read": max(first, last) / reading,
    }


def market_of(series: int, rng: np.random.Generator) -> Market:
    """Return a market whose finest cohorts make at least so many cohorts, and not many more.

    Raises
    ------
    SystemExit
        If the values of `benchmarks.synthetic` do not make so many.
    """
    for leaves in np.geomspace(16, MOST_LEAVES, 24).astype(int):
        market, index = Market.draw(int(leaves), rng), CohortIndex()
        index.units(market.leaves)
        if len(index) >= series:
            return market
    raise SystemExit(f"The made-up dimensions have too few values for {series:,} cohorts.")


def read_rollups(cohorts: int, path: Path, threads: int) -> float:
    """Return the seconds that DuckDB takes to read a day of quarter-hour counts of so many cohorts and signals."""
    with duckdb.connect(path, config={"threads": threads}) as connection:
        connection.execute(
            f"""CREATE TABLE rollups AS
            SELECT u.range::INTEGER AS unit, s.range::TINYINT AS signal, b.range::SMALLINT AS bucket,
                random()::FLOAT AS observed, random()::FLOAT AS expected
            FROM range({cohorts}) AS u, range({len(SIGNALS)}) AS s, range({WINDOWS_A_DAY}) AS b"""
        )
        return fastest(lambda: connection.execute("FROM rollups").fetchnumpy())


def measure_subscribers(count: int, folder: Path, threads: int) -> dict[str, float]:
    """Measure the scoring of so many subscribers who all had new sessions."""
    rng = np.random.default_rng(2)
    market = market_of(1_000, rng)
    rows, words = market.sessions(count, FIRST_SLOT, rng), market.words()
    reading = read_slices(rows, folder / "slices.duckdb", threads)
    start, cpu = time.perf_counter(), time.process_time()
    sessions = own_sessions(rows, words, ImpairmentRule(), UsualShares.learnt(), SubscriberRun().impaired_share, 0)
    judged = time.perf_counter()
    people, usable = np.arange(count, dtype=np.int32), np.ones(len(sessions), bool)
    troubled = 0
    for signal in range(len(SIGNALS)):
        run = SubscriberRun()
        run.learn(sessions.evidence(signal, people, usable), count, 0)
        troubled += int((run.probability(count) > 0.5).sum())
    end, cpu = time.perf_counter(), time.process_time() - cpu
    return {
        "subscribers": float(count),
        "sessions": float(len(sessions)),
        "subscribers_s": end - start,
        "subscribers_cpu_s": cpu,
        "subscribers_judging_s": judged - start,
        "subscribers_scoring_s": end - judged,
        "subscribers_read_s": reading,
        "subscribers_over_read": (end - start) / reading,
        "subscribers_suspected": float(troubled),
    }


def read_slices(rows: Observations, path: Path, threads: int) -> float:
    """Return the seconds that DuckDB takes to read slices, whose ids are text as they are in the warehouse."""
    numbers = {
        "session": rows.session,
        "subscriber": rows.subscriber,
        **{name: rows.codes[:, place] for place, name in enumerate(DIMENSIONS)},
        **{f"bad_{name}": rows.bad[:, place] for place, name in enumerate(SIGNALS)},
        **{f"exposed_{name}": rows.exposed[:, place] for place, name in enumerate(SIGNALS)},
        **{name: getattr(rows, name) for name in ("slot", "playing_ms", "stalled_ms", "first_us", "last_us")},
    }
    with duckdb.connect(path, config={"threads": threads}) as connection:
        connection.register("numbers", pa.table(numbers))
        names = ", ".join(f"'{name}-' || {name} AS {name}" for name in ("session", "subscriber", *DIMENSIONS))
        connection.execute(f"CREATE TABLE slices AS SELECT * REPLACE ({names}) FROM numbers")
        connection.unregister("numbers")
        return fastest(lambda: connection.sql("FROM slices").to_arrow_table())


def fastest(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the seconds of the fastest of some repeats."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return min(taken)


def rows_of(facts: Mapping[str, float], days: int) -> list[tuple[str, ...]]:
    """Return the figures as rows of a table for people."""
    return [
        (
            f"a window of {facts['cohorts']:,.0f} cohorts",
            f"{facts['cohorts_s']:.3f} s",
            f"{TARGETS['cohorts_s']:g} s",
            f"{facts['cohorts_over_read']:.1f}",
        ),
        (f"the same after {days} days", f"{facts['cohorts_growth']:.2f} times after one", "1", ""),
        (
            f"{facts['subscribers']:,.0f} subscribers, {facts['sessions']:,.0f} sessions",
            f"{facts['subscribers_s']:.1f} s",
            f"{TARGETS['subscribers_s']:g} s",
            f"{facts['subscribers_over_read']:.1f}",
        ),
        ("highest memory", f"{facts['peak_mb']:,.0f} MB", f"{TARGETS['peak_mb']:,.0f} MB", ""),
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark in a temporary folder."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.detection_speed", description=__doc__)
    it.add_argument("--cohorts", type=int, default=20_000, help="cohorts at least (20,000)")
    it.add_argument("--subscribers", type=int, default=1_000_000, help="people with new sessions (1,000,000)")
    it.add_argument("--days", type=int, default=LONG_DAYS, help=f"days of the longer history ({LONG_DAYS})")
    it.add_argument("--threads", type=int, default=2, help="DuckDB threads (2)")
    options = it.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="prebuffer-speed-") as folder:
        facts = measure_cohorts(options.cohorts, Path(folder), options.threads, options.days)
        facts |= measure_subscribers(options.subscribers, Path(folder), options.threads)
    facts["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report("Detection", ("what", "measured", "wanted", "times reading"), rows_of(facts, options.days), facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
