"""Whether what is called unlikely is unlikely: ``python -m benchmarks.calibration [--days N] [--seeds N ...]``.

Worlds without a fault are replayed with the product's own code. Every incident is false. And what the product's model
expected of each cohort in each stretch of time, with its dispersion, is held against what came: p-values of honest
expectations are uniform. Beside it stand a plain Poisson count with the mean of the hour of the week, a model that is
exactly right, and fixed limits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.cohort_cells import Spread, model_cells, plain_cells, states
from benchmarks.pit import Cells, ks_distance, pit, upper_tail
from benchmarks.report import report
from benchmarks.static_thresholds import write_static
from config.bootstrap import open_replay
from config.settings import Settings
from config.times import parse_duration
from console.replay import count_notices
from console.walk import WorldClock
from data.scenarios import SCENARIOS, recipe_of
from data.world import World, make_world
from detectors.observations import SIGNALS
from telemetry.time import Window

QUIET_DAYS = 7
"""Days of history before those that count."""
LENGTHS = {"15 minutes": 0.25, "an hour": 1.0, "4 hours": 4.0}
"""Stretches of time, in hours; the hour is the one in front, and the only one that the baseline knows."""
FRONT, TRUE, PLAIN = "an hour", "an hour, model exactly right", "an hour, plain Poisson"
KEYS = {FRONT: "", "15 minutes": "_15_min", "4 hours": "_4_hours", TRUE: "_if_right", PLAIN: "_plain_poisson"}
RARE = 0.01
"""The share of p-values that are to be the highest."""
PER_PEOPLE = 10_000


@dataclass(frozen=True)
class Harvest:
    """What came of one world: its cells by what they are, and what was said in vain, ours and by fixed limits."""

    cells: Mapping[str, Cells]
    days: float
    people_days: float
    incidents: int
    notices: int
    fixed_incidents: int
    fixed_notices: int


def harvest(world: World, folder: Path, step: timedelta, seed: int) -> Harvest:
    """Replay a world without faults and gather what was expected and what came."""
    now = max(datetime.now(UTC), world.end)
    clock, rng, span = WorldClock(now), np.random.default_rng(seed), Window(world.evaluate_from, world.end)
    parts: dict[str, list[Cells]] = {name: [] for name in KEYS}
    stores = folder / "stores"
    stores.mkdir()
    with open_replay(Settings(), stores, clock) as pipeline:
        pipeline.ingest(world.path)
        for state, window in states(pipeline, clock, span, step):
            spreads = {name: Spread.of(state, window, hours) for name, hours in LENGTHS.items()}
            for name, spread in spreads.items():
                parts[name].append(model_cells(state, spread))
            parts[TRUE].append(model_cells(state, spreads[FRONT], rng))
            parts[PLAIN].append(plain_cells(pipeline, state, window, spreads[FRONT]))
        notices = sum(count for (kind, _), count in count_notices(pipeline.ledger).items() if kind == "problem")
        incidents = len(pipeline.ledger.incidents())
    write_static(world.path, folder / "static", span, now)
    fixed = [pq.read_metadata(folder / "static" / f"{name}.parquet").num_rows for name in ("incidents", "notices")]
    days = (span.end - span.start) / timedelta(days=1)
    cells = {name: Cells.concat(them) for name, them in parts.items()}
    return Harvest(cells, days, days * world.subscribers, incidents, notices, *fixed)


def summarise(harvests: Sequence[Harvest], seed: int = 0) -> dict[str, float]:
    """Return the figures of several worlds together."""
    rng = np.random.default_rng(seed)
    weeks = sum(one.days for one in harvests) / 7
    people_days = sum(one.people_days for one in harvests)
    facts = {
        "false_incidents_per_week": sum(one.incidents for one in harvests) / weeks,
        "false_incidents_per_week_fixed_limits": sum(one.fixed_incidents for one in harvests) / weeks,
        "notices_per_10k_subscriber_days": PER_PEOPLE * sum(one.notices for one in harvests) / people_days,
        "notices_per_10k_subscriber_days_fixed_limits": PER_PEOPLE
        * sum(one.fixed_notices for one in harvests)
        / people_days,
        "weeks": weeks,
    }
    front = Cells.concat([one.cells[FRONT] for one in harvests])
    facts["observed_over_expected"] = _observed_over_expected(front)
    for number, signal in enumerate(SIGNALS):
        cells = front.take(front.signal == number)
        facts[f"observed_over_expected_{signal}"] = _observed_over_expected(cells)
        facts[f"ks_distance_{signal}"] = ks_distance(pit(cells, rng))
    for name, key in KEYS.items():
        values = pit(Cells.concat([one.cells[name] for one in harvests]), rng)
        facts |= {
            f"ks_distance{key}": ks_distance(values),
            f"rare_share{key}": upper_tail(values, RARE),
            f"cells{key}": float(len(values)),
        }
    return facts


def _observed_over_expected(cells: Cells) -> float:
    expected = float(cells.expected.sum())
    return float(cells.observed.sum()) / expected if expected else float("nan")


def rows_of(facts: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return the figures as rows of a table for people."""
    rows: list[tuple[str, ...]] = [
        (f"p-values of {name}", f"{facts[f'ks_distance{key}']:.3f}", f"{facts[f'rare_share{key}']:.4f}", "")
        for name, key in KEYS.items()
    ]
    rows += [(f"p-values of an hour, {it}", f"{facts[f'ks_distance_{it}']:.3f}", "", "") for it in SIGNALS]
    for words, key in (
        ("false incidents a week", "false_incidents_per_week"),
        ("needless notices, 10,000 people-days", "notices_per_10k_subscriber_days"),
    ):
        rows.append((words, f"{facts[key]:.2f}", "", f"{facts[f'{key}_fixed_limits']:.1f}"))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark in a temporary folder."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=__doc__)
    it.add_argument("--days", type=int, default=7, help="days that count, after seven of history (7)")
    it.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="seeds of the worlds (1 2 3)")
    it.add_argument("--subscribers", type=int, help="people in a world (3,000)")
    it.add_argument("--scenario", nargs="+", default=["calm"], choices=sorted(SCENARIOS), help="without faults (calm)")
    it.add_argument("--step", type=parse_duration, help="length of a step; that of the settings if absent")
    options = it.parse_args(arguments)
    step = options.step or Settings().schedules.step
    harvests = []
    for scenario in options.scenario:
        for seed in options.seeds:
            days = QUIET_DAYS + options.days
            recipe = recipe_of(scenario, seed=seed, subscribers=options.subscribers, days=days)
            with tempfile.TemporaryDirectory(prefix="prebuffer-calibration-") as name:
                folder = Path(name)
                world = make_world(folder / "world", replace(recipe, faults=()), seed=seed)
                harvests.append(harvest(world, folder, step, seed))
    facts = summarise(harvests)
    columns = ("worlds without faults", "distance or count", "rarest 1 % of them", "fixed limits")
    report(f"Calibration, {facts['weeks']:.1f} weeks", columns, rows_of(facts), facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
