"""Whether a probability means what it says: ``python -m benchmarks.reliability [--learn N ...] [--seeds N ...]``.

Made worlds are replayed with the product's own code, and three sorts of claims are held against the truth: the cause
said to everybody whom a cohort's fault struck, the posterior probability of a fault of their own in all whose run of
sessions was going on at the end of a day, and the cause said to those found to have one, a household's or an account's.
A claim that nothing was wrong of that sort is wrong. Beside each stands what always says the share that is right; and
what a line through the log odds, fitted on the worlds of other seeds, would make of the same claims. A line near
``0 + 1 * log odds`` has nothing to mend.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from sqlalchemy import select

from benchmarks.report import report, table
from benchmarks.scoring.reading import read_truth
from config.bootstrap import open_replay
from config.settings import Settings
from console.walk import WorldClock, walk
from data.recipe import Recipe
from data.scenarios import SCENARIOS, recipe_of
from data.world import World, make_world
from detectors.observations import SLOT_US
from incidents.ledger.schema import troubles
from incidents.ledger.store import Ledger
from incidents.model import Cause, TroubleKind
from incidents.own import STRAGGLERS
from telemetry.time import Window, naive_utc

Array = NDArray[np.float64]

COHORT, RUNS, TOLD = "cause of a fault of many", "a fault of their own", "household or account"
KEYS = {COHORT: "", RUNS: "_own", TOLD: "_household_account"}
OWN_CAUSES = (Cause.HOUSEHOLD, Cause.ACCOUNT)
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.98, 1.0)
"""Edges of the probabilities said."""
LATELY = pd.Timedelta(hours=12)
"""A person was struck by a fault if a session of theirs was impaired by it so long before they were found."""
AFTER = pd.Timedelta(hours=6)
"""A fault of their own may be found so long after its end."""
CERTAIN = 1e-6
MORE_OWN = 4
"""So many times as many people have a fault of their own as the recipe says: about as often as in labelled worlds."""
MANY_SCENARIOS = ("everyday", "nested", "deep", "slow")


@dataclass(frozen=True)
class Claims:
    """Probabilities said, and whether it was so; shape (n,)."""

    said: Array
    right: NDArray[np.bool_]

    @classmethod
    def concat(cls, parts: Sequence[Claims]) -> Claims:
        """Put several together."""
        said = np.concatenate([np.zeros(0), *(one.said for one in parts)])
        return cls(said, np.concatenate([np.zeros(0, bool), *(one.right for one in parts)]))

    def __len__(self) -> int:
        return len(self.said)

    @property
    def brier(self) -> float:
        """The mean squared distance between what was said and what was so (Brier 1950)."""
        return float(np.mean((self.said - self.right) ** 2)) if len(self) else float("nan")

    @property
    def ece(self) -> float:
        """The expected calibration error: how far what was said lies from the share right, over bins by their size."""
        place = self.places
        gaps = [abs(float((self.said[it] - self.right[it]).sum())) for it in (place == n for n in np.unique(place))]
        return sum(gaps) / len(self) if len(self) else float("nan")

    @property
    def places(self) -> NDArray[np.int64]:
        """The bin of each claim."""
        return np.asarray(np.clip(np.searchsorted(BINS, self.said, "right") - 1, 0, len(BINS) - 2))

    @property
    def by_base_rate(self) -> Claims:
        """The same claims by somebody who always says the share that is right."""
        share = float(self.right.mean()) if len(self) else float("nan")
        return Claims(np.full(len(self), share), self.right)

    def along(self, line: tuple[float, float]) -> Claims:
        """Return the claims with other log odds: ``line[0] + line[1] * log odds``."""
        return Claims(_share(line[0] + line[1] * _log_odds(self.said)), self.right)

    def line(self) -> tuple[float, float]:
        """Return the line through the log odds under which what came was likeliest (Platt 1999)."""
        if not len(self) or self.right.all() or not self.right.any():
            return 0.0, 1.0
        odds, sign = _log_odds(self.said), np.where(self.right, 1.0, -1.0)

        def unlikely(line: Array) -> float:
            return float(np.logaddexp(0, -sign * (line[0] + line[1] * odds)).sum())

        found = minimize(unlikely, np.array([0.0, 1.0]))
        return float(found.x[0]), float(found.x[1])


def _log_odds(share: Array) -> Array:
    held = np.clip(share, CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(held / (1 - held)))


def _share(log_odds: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def harvest(world: World, folder: Path, step: timedelta) -> Mapping[str, Claims]:
    """Replay a world and hold what was said against its truth."""
    clock, span = WorldClock(max(datetime.now(UTC), world.end)), Window(world.evaluate_from, world.end)
    folder.mkdir(parents=True, exist_ok=True)
    with open_replay(Settings(), folder, clock) as pipeline:
        pipeline.ingest(world.path)
        walk(pipeline, clock, span.split(step))
        found = _troubles(pipeline.ledger)
        runs = _runs(pipeline.warehouse.connection, world.evaluate_from)
    truth = read_truth(world.path)
    own = truth.episodes[truth.episodes["cause"].isin([cause.value for cause in OWN_CAUSES])]
    of_many = found["incident_id"].notna()
    return {
        COHORT: of_cohorts(found[of_many], truth.sessions),
        RUNS: of_runs(runs, own),
        TOLD: of_own(found[~of_many], own),
    }


def _troubles(ledger: Ledger) -> pd.DataFrame:
    columns = [troubles.c[it] for it in ("subscriber_id", "found_time", "cause", "cause_probability", "incident_id")]
    with ledger.read() as connection:
        rows = connection.execute(select(*columns).where(troubles.c.kind == TroubleKind.PROBLEM.value)).all()
    found = pd.DataFrame(rows, columns=[column.name for column in columns])
    found["found_time"] = pd.to_datetime(found["found_time"], utc=True).dt.tz_localize(None)
    return found


def _runs(connection: duckdb.DuckDBPyConnection, since: datetime) -> pd.DataFrame:
    query = "SELECT day, subscriber_id, log_odds, since_slot FROM subscriber_runs WHERE day >= $since"
    runs = connection.execute(query, {"since": naive_utc(since)}).df()
    runs["time"] = pd.to_datetime(runs["day"]) + pd.Timedelta(days=1) + STRAGGLERS
    runs["since"] = pd.to_datetime(runs["since_slot"] * SLOT_US, unit="us")
    return runs


def of_cohorts(found: pd.DataFrame, sessions: pd.DataFrame) -> Claims:
    """Judge the causes said to people struck by an incident: right if one impaired a session of theirs lately."""
    bad = sessions.loc[sessions["impaired"].to_numpy(bool), ["subscriber_id", "bad_time", "cause"]]
    pairs = found.reset_index(names="number").merge(bad, on="subscriber_id", suffixes=("", "_true"))
    ago = pairs["found_time"] - pairs["bad_time"]
    so = (ago >= pd.Timedelta(0)) & (ago <= LATELY) & (pairs["cause"] == pairs["cause_true"])
    return _claims(found, pairs.loc[so, "number"], found["cause_probability"].to_numpy(float))


def of_runs(runs: pd.DataFrame, own: pd.DataFrame) -> Claims:
    """Judge the probabilities that a fault of their own has begun: right if one was there within the run."""
    pairs = runs.reset_index(names="number").merge(own, on="subscriber_id")
    so = (pairs["first_bad_time"] <= pairs["time"]) & (pairs["end"] >= pairs["since"])
    return _claims(runs, pairs.loc[so, "number"], _share(runs["log_odds"].to_numpy(float)))


def of_own(found: pd.DataFrame, own: pd.DataFrame) -> Claims:
    """Judge the causes said to people with a trouble of their own: right if a fault of that sort was there."""
    pairs = found.reset_index(names="number").merge(own, on="subscriber_id", suffixes=("", "_true"))
    so = (pairs["first_bad_time"] <= pairs["found_time"]) & (pairs["end"] + AFTER >= pairs["found_time"])
    so &= pairs["cause"] == pairs["cause_true"]
    return _claims(found, pairs.loc[so, "number"], found["cause_probability"].to_numpy(float))


def _claims(rows: pd.DataFrame, right: pd.Series[int], said: Array) -> Claims:
    return Claims(said, np.asarray(rows.index.isin(right.unique()), bool))


def gather(
    scenarios: Sequence[str], seeds: Sequence[int], subscribers: int, days: int, step: timedelta
) -> Mapping[str, Claims]:
    """Return the claims of several worlds by sort."""
    parts = []
    for scenario in scenarios:
        for seed in seeds:
            recipe = _with_more_own(recipe_of(scenario, seed=seed, subscribers=subscribers, days=days))
            with tempfile.TemporaryDirectory(prefix="prebuffer-reliability-") as name:
                world = make_world(Path(name) / "world", recipe, seed=seed)
                parts.append(harvest(world, Path(name) / "stores", step))
    return {sort: Claims.concat([one[sort] for one in parts]) for sort in KEYS}


def _with_more_own(recipe: Recipe) -> Recipe:
    """Return a recipe in which more people have a fault of their own."""
    return replace(recipe, faults=tuple(replace(it, households=MORE_OWN * it.households) for it in recipe.faults))


def facts_of(claims: Mapping[str, Claims], lines: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """Return every figure by name."""
    facts: dict[str, float] = {}
    for sort, key in KEYS.items():
        mine = claims[sort]
        others = {"": mine, "_base_rate": mine.by_base_rate, "_line": mine.along(lines[sort])}
        for suffix, them in others.items():
            facts |= {f"brier{key}{suffix}": them.brier, f"ece{key}{suffix}": them.ece}
        facts |= {f"claims{key}": float(len(mine)), f"right{key}": float(mine.right.mean()) if len(mine) else 0.0}
        facts |= {f"line_start{key}": lines[sort][0], f"line_slope{key}": lines[sort][1]}
    return facts


def bins_of(claims: Claims) -> list[tuple[str, ...]]:
    """Return the bins that hold claims as rows of a table for people."""
    rows: list[tuple[str, ...]] = []
    for number in np.unique(claims.places):
        mine = claims.places == number
        said, right = claims.said[mine].mean(), claims.right[mine].mean()
        rows.append((f"{BINS[number]:g} to {BINS[number + 1]:g}", f"{mine.sum():,}", f"{said:.3f}", f"{right:.3f}"))
    return rows


def rows_of(facts: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Return the figures as rows of a table for people."""
    rows: list[tuple[str, ...]] = []
    for sort, key in KEYS.items():
        for name, words in (("brier", "Brier score"), ("ece", "calibration error")):
            figures = (f"{facts[f'{name}{key}{suffix}']:.4f}" for suffix in ("", "_base_rate", "_line"))
            rows.append((f"{sort}: {words}", *figures))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark in temporary folders."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    it.add_argument("--scenario", nargs="+", default=MANY_SCENARIOS, choices=sorted(SCENARIOS), help="of the worlds")
    it.add_argument("--learn", type=int, nargs="*", default=[21, 22], help="seeds that the lines are fitted on (21 22)")
    it.add_argument("--seeds", type=int, nargs="+", default=[31, 32], help="seeds that are judged (31 32)")
    it.add_argument("--subscribers", type=int, default=2_000, help="people in a world (2,000)")
    it.add_argument("--days", type=int, default=9, help="days of a world, the first 7 without faults (9)")
    options = it.parse_args(arguments)
    if set(options.learn) & set(options.seeds):
        it.error("seeds that are judged cannot be learnt from too")
    step = Settings().schedules.step
    learnt, judged = (
        gather(options.scenario, seeds, options.subscribers, options.days, step)
        for seeds in (options.learn, options.seeds)
    )
    for sort, claims in judged.items():
        table(sort, ("probability said", "claims", "said on average", "right"), bins_of(claims))
    facts = facts_of(judged, {sort: claims.line() for sort, claims in learnt.items()})
    title = f"Reliability, {len(options.scenario) * len(options.seeds)} worlds"
    report(title, ("measure", "Prebuffer", "always the base rate", "along the line learnt"), rows_of(facts), facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
