"""How good detection is on worlds whose truth is known: ``python -m benchmarks.worlds DIR [DIR ...]``.

Each world is replayed with the product's own code, which never sees the truth, and what it wrote is scored. Beside it
stand a replay that says nothing and one with fixed limits. Instead of folders, ``--scenario`` and ``--seed`` make
worlds. The last line is JSON: for one world its score with all figures, for several ``worlds`` by name, and the means.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.report import table
from benchmarks.scoring import score_replay
from benchmarks.scoring.reading import read_span
from benchmarks.static_thresholds import write_null, write_static
from config.times import parse_duration, parse_moment
from console.opening import settings_of
from console.replay import replay
from data.scenarios import SCENARIOS, recipe_of
from data.world import make_world
from telemetry.time import Window, naive_utc, utc

OURS = "Prebuffer"
STATIC, NULL = "fixed limits", "silence"
MEASURES: Mapping[str, tuple[str, ...]] = {
    "score, 0 to 100": ("score",),
    "incidents to find": ("incidents", "true_incidents"),
    "incidents found": ("incidents", "recall"),
    "found in time": ("incidents", "recall_timely"),
    "incident precision": ("incidents", "precision"),
    "cohort named exactly": ("incidents", "exact_cohort"),
    "delay, median min": ("incidents", "delay_min_median"),
    "delay, 9 in 10 within min": ("incidents", "delay_min_p90"),
    "closed after its end, median min": ("incidents", "resolved_after_end_min_median"),
    "look-alikes reported": ("incidents", "lookalikes_flagged"),
    "false incidents a day": ("incidents", "false_per_day"),
    "notice precision": ("notices", "precision"),
    "notice recall": ("notices", "recall"),
    "notice recall, cohort faults": ("notices", "recall_cohort"),
    "notice recall, household, account": ("notices", "recall_household_account"),
    "cause right": ("notices", "cause_accuracy"),
    "complaints pre-empted": ("notices", "complaints_preempted"),
    "needless, a 10,000 people-days": ("notices", "nuisance_per_10k_subscriber_days"),
    "all-clear given": ("notices", "all_clear_rate"),
    "all-clear too early": ("notices", "all_clear_premature"),
}


@dataclass(frozen=True)
class Task:
    """One world to replay, and how; `start` and `end` are those of its truth if absent."""

    name: str
    world: Path
    out: Path
    config: Path | None = None
    step: timedelta | None = None
    start: datetime | None = None
    end: datetime | None = None
    with_baselines: bool = True


@dataclass(frozen=True)
class Judged:
    """A world's score by who replayed it, and the seconds that our replay took."""

    name: str
    scores: Mapping[str, Mapping[str, Any]]
    seconds: float


def judge(task: Task) -> Judged:
    """Replay one world and score it, with the baselines beside it."""
    span = read_span(task.world, *(None if it is None else naive_utc(it) for it in (task.start, task.end)))
    window = Window(utc(span.start), utc(span.end))
    now = max(datetime.now(UTC), window.end)
    settings = settings_of(task.config)
    start = time.perf_counter()
    replay(
        task.world,
        task.out / "prebuffer",
        settings,
        now=now,
        step=task.step or settings.schedules.step,
        start=window.start,
        end=window.end,
    )
    seconds, outs = time.perf_counter() - start, {OURS: task.out / "prebuffer"}
    if task.with_baselines:
        outs |= {STATIC: task.out / "static", NULL: task.out / "null"}
        write_static(task.world, outs[STATIC], window, now)
        write_null(outs[NULL])
    scores = {who: score_replay(task.world, out, span.start, span.end) for who, out in outs.items()}
    return Judged(task.name, scores, seconds)


def judge_all(tasks: Sequence[Task], jobs: int) -> list[Judged]:
    """Judge several worlds, so many at once, in the order of the tasks."""
    if jobs == 1 or len(tasks) == 1:
        return [judge(task) for task in tasks]
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(judge, tasks))


def show(judged: Sequence[Judged]) -> None:
    """Print one table a world, and for several worlds one over all."""
    for one in judged:
        rows = [(name, *(_text(scores, path) for scores in one.scores.values())) for name, path in MEASURES.items()]
        rows.append(("seconds", f"{one.seconds:.0f}", *("" for _ in list(one.scores)[1:])))
        flags = {flag for scores in one.scores.values() for flag in scores["degenerate"]}
        rows += [(flag, *(_tick(flag, scores) for scores in one.scores.values())) for flag in sorted(flags)]
        table(one.name, ("", *one.scores), rows)
    if len(judged) > 1:
        means = {who: f"{statistics.fmean(one.scores[who]['score'] for one in judged):.1f}" for who in judged[0].scores}
        lines = [(one.name, *(f"{it['score']}" for it in one.scores.values()), f"{one.seconds:.0f}") for one in judged]
        lines.append(("mean", *means.values(), f"{sum(one.seconds for one in judged):.0f}"))
        table("Score by world", ("world", *judged[0].scores, "seconds"), lines)


def _text(scores: Mapping[str, Any], path: tuple[str, ...]) -> str:
    value: Any = scores
    for name in path:
        value = value[name]
    return "-" if value is None else str(value)


def _tick(flag: str, scores: Mapping[str, Any]) -> str:
    return "yes" if flag in scores["degenerate"] else ""


def document(judged: Sequence[Judged]) -> Mapping[str, Any]:
    """Return what the last line says: the scorer's own object, or for several worlds these by name and the means."""
    if len(judged) == 1:
        return judged[0].scores[OURS]
    means = {who: statistics.fmean(one.scores[who]["score"] for one in judged) for who in judged[0].scores}
    return {
        "worlds": {one.name: one.scores[OURS] for one in judged},
        "score": round(means[OURS], 1),
        "lowest_score": min(one.scores[OURS]["score"] for one in judged),
        "baselines": {who: round(mean, 1) for who, mean in means.items() if who != OURS},
        "seconds": round(sum(one.seconds for one in judged), 1),
    }


def make_worlds(folder: Path, options: argparse.Namespace) -> list[Path]:
    """Make one world for each scenario and seed that is asked for."""
    made = []
    for scenario in options.scenario:
        for seed in options.seed:
            recipe = recipe_of(scenario, seed=seed, subscribers=options.subscribers, days=options.days)
            made.append(make_world(folder / recipe.name, recipe, seed=seed).path)
    return made


def tasks_of(worlds: Sequence[Path], out: Path, options: argparse.Namespace) -> list[Task]:
    """Return one task a world; a name that occurs twice becomes the whole path."""
    names = [world.absolute().name for world in worlds]
    names = [name if names.count(name) == 1 else str(world) for name, world in zip(names, worlds, strict=True)]
    return [
        Task(
            name,
            world,
            out / f"{place:02}-{world.absolute().name}",
            options.config,
            options.step,
            options.start,
            options.end,
            not options.no_baselines,
        )
        for place, (name, world) in enumerate(zip(names, worlds, strict=True))
    ]


def parser() -> argparse.ArgumentParser:
    """Return the command's options."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.worlds", description=__doc__)
    it.add_argument("worlds", nargs="*", type=Path, metavar="DIR", help="a world with truth/")
    it.add_argument("--scenario", nargs="+", default=[], choices=sorted(SCENARIOS), help="make worlds of these")
    it.add_argument("--seed", nargs="+", type=int, default=[1], help="seeds of the worlds to make (1)")
    it.add_argument("--subscribers", type=int, help="people in a made world (3,000)")
    it.add_argument("--days", type=int, help="days of a made world, the first 7 without faults (9)")
    it.add_argument("--jobs", type=int, default=1, help="worlds replayed at once (1)")
    it.add_argument("--out", type=Path, help="keep what the replays wrote in this folder")
    it.add_argument("--config", type=Path, help="a settings file; the one inside Prebuffer if absent")
    it.add_argument("--step", type=parse_duration, help="length of a step; that of the settings if absent")
    it.add_argument("--from", dest="start", type=parse_moment, help="start, UTC; what the truth says if absent")
    it.add_argument("--to", dest="end", type=parse_moment, help="end, UTC; what the truth says if absent")
    it.add_argument("--no-baselines", action="store_true", help="leave the baselines out")
    return it


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; what it makes on the way goes into a temporary folder."""
    it = parser()
    options = it.parse_args(arguments)
    if not options.worlds and not options.scenario:
        it.error("name a world's folder, or a scenario to make one of")
    without = [str(world) for world in options.worlds if not (world / "truth" / "meta.json").exists()]
    if without:
        it.error(f"there is no truth/meta.json in {', '.join(without)}")
    with tempfile.TemporaryDirectory(prefix="prebuffer-worlds-") as folder:
        worlds = [*options.worlds, *make_worlds(Path(folder) / "worlds", options)]
        judged = judge_all(tasks_of(worlds, options.out or Path(folder) / "out", options), max(options.jobs, 1))
    show(judged)
    print(json.dumps(document(judged), default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())
