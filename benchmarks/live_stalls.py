"""Alarm and cause on real counts of stalled viewers: ``python -m benchmarks.live_stalls DIR``.

DIR holds `viewers.parquet`, counts by minute and combination of attributes, and `labels.csv`, the minute that an
operator marked and the true cause. Told the minute: is the true cause ranked first, or among five? Not told: does the
watch alarm in time, how often without need, and what does it name? `first_unmarked` asks whether the alarm by which a
case counts as alarmed, the first in time, names exactly the true cause first, not later than two minutes after it was
raised. `first_strict` asks the same of the very first alarm of a case, also where that is about something else, long
before the mark. Beside it stand simpler methods on the same cases.
With ``--tune`` the few constants are chosen without the channel that is tested, channel by channel: prices by how
clearly the true cause leads, the alarm's rule by cases.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks import live_baselines
from benchmarks.live_cases import Case, Named, read_cases
from benchmarks.report import report
from detectors.leaf_causes import PRICES, Cause, CausePrices
from detectors.leaf_cohorts import LeafCohorts
from detectors.live import RULE, AlarmRule, LiveAlarm, LiveWatch, causes_at

BEFORE, AFTER = 10, 2
"""Minutes before the mark, if stalls had risen, and after it, in which an alarm is in time."""
GRID = {
    "per_bit": (0.005, 0.0075, 0.01, 0.015, 0.02),
    "per_cohort": (0.1, 0.15, 0.2, 0.25),
}
RULE_GRID = {"nats": (8.0, 10.0, 15.0), "share": (0.002, 0.003, 0.005), "rate": (0.02, 0.03, 0.05)}
CLEAR = 0.05
"""Margin of scores between the true and the best other cause that is worth something in the choice of the prices."""
UNLISTED = -0.3
"""Score of a true cause that is not among those ranked."""
UNMARKED_COST = 0.05
"""What an alarm without need costs in the choice of the rule, in missed cases."""


@dataclass(frozen=True)
class Told:
    """What a method named of one case when told the minute."""

    first: bool
    first_five: bool
    jaccard_half: bool


@dataclass(frozen=True)
class Watched:
    """How a watch did on one case: in time, named rightly at its first alarm in time and at its very first one."""

    alarm: bool
    named: bool
    named_strictly: bool
    unmarked: int
    minutes: int


def ours(case: Case, minute: int, prices: CausePrices = PRICES) -> list[Named]:
    """Rank by the leaves' likelihood."""
    return _names(case, causes_at(case.cohorts, case.struck, case.seen, minute, prices))


def told(case: Case, ranked: Sequence[Named]) -> Told:
    """Judge a ranking of causes against the true one."""
    truth = case.truth or frozenset()
    overlap = case.jaccard(ranked[0], truth) if ranked else 0.0
    return Told(list(ranked[:1]) == [truth], truth in ranked[:5], overlap >= 0.5)


def log_chance(case: Case, causes: Sequence[Cause]) -> float:
    """Return how well a ranking separates the true cause from the others, as the log of a logistic of the margin.

    Unlike the count of those ranked first it does not jump from setting to setting, so a choice by it is steadier.
    """
    scores = {True: UNLISTED, False: 0.0}
    for name, cause in zip(reversed(_names(case, causes)), reversed(causes), strict=True):
        scores[name == case.truth] = cause.score
    return -float(np.log1p(np.exp((scores[False] - scores[True]) / CLEAR)))


def watch(case: Case, rule: AlarmRule = RULE) -> list[LiveAlarm]:
    """Return the alarms that the watch raises over a case."""
    watching = LiveWatch(case.cohorts, rule)
    return [a for struck, seen in zip(case.struck, case.seen, strict=True) for a in watching.step(struck, seen)]


def watched(case: Case, alarms: Sequence[int], named: Sequence[Sequence[Named]]) -> Watched:
    """Judge the minutes of alarms, and the ranking of causes that each of them named."""
    fits = _in_time(case, alarms)
    right = [list(names[:1]) == [case.truth] for names in named]
    in_time = [is_right for is_right, is_fit in zip(right, fits, strict=True) if is_fit]
    return Watched(any(fits), any(in_time[:1]), any(right[:1]), len(fits) - sum(fits), len(case.struck))


def _in_time(case: Case, alarms: Sequence[int]) -> list[bool]:
    mark, risen = case.mark or 0, case.risen()
    return [mark <= m <= mark + AFTER or (mark - BEFORE <= m < mark and bool(risen[m])) for m in alarms]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tune", action="store_true", help="choose the constants channel by channel, each left out")
    parser.add_argument("--failing", action="store_true", help="list the cases whose true cause is not ranked first")
    options = parser.parse_args(arguments)
    cases = read_cases(options.folder)
    labelled = [case for case in cases if case.truth and case.mark is not None]
    if options.failing:
        _print_failing(labelled)
    facts: dict[str, float] = {"cases": len(labelled), "unlabelled_cases": len(cases) - len(labelled)}
    rows = [_row("likelihood over leaves", judged := [told(c, ours(c, c.mark or 0)) for c in labelled], labelled)]
    facts |= _shares(judged)
    facts |= _watch_facts(labelled, rows)
    facts |= _speeds(cases)
    rows[0][-1] = f"{facts['ms_per_case']:.1f}"
    _baselines(labelled, rows, facts)
    if options.tune:
        facts |= _tuned(labelled, rows)
    columns = ["method", "first", "five", "Jaccard", "alarm", "unmarked/h", "in time, first", "strict", "ms"]
    report(f"{len(labelled)} labelled cases of {len(cases)}", columns, rows, facts)
    return 0


def _names(case: Case, causes: Sequence[Cause]) -> list[Named]:
    return [case.named(cause.cohorts) for cause in causes]


def _shares(judged: Sequence[Told], prefix: str = "") -> dict[str, float]:
    names = ("first", "first_five", "jaccard_half")
    return {prefix + name: _share([getattr(one, name) for one in judged]) for name in names}


def _share(values: Sequence[bool]) -> float:
    return float(np.mean(values)) if len(values) else 0.0


def _row(name: str, judged: Sequence[Told], cases: Sequence[Case]) -> list[str]:
    cells = [f"{100 * share:.0f} %" if cases else "" for share in _shares(judged).values()]
    return [name, *cells, "", "", "", "", ""]


def _watch_facts(cases: Sequence[Case], rows: list[list[str]]) -> dict[str, float]:
    results = [_watched(case) for case in cases]
    facts = _watched_shares(results)
    rows[0][4:8] = _watch_cells(facts)
    return facts


def _watched(case: Case, rule: AlarmRule = RULE) -> Watched:
    alarms = watch(case, rule)
    return watched(case, [alarm.minute for alarm in alarms], [_names(case, alarm.causes) for alarm in alarms])


def _watched_shares(results: Sequence[Watched], prefix: str = "") -> dict[str, float]:
    hours = sum(result.minutes for result in results) / 60
    unmarked = sum(result.unmarked for result in results)
    return {
        f"{prefix}alarm": _share([result.alarm for result in results]),
        f"{prefix}unmarked_alarms_per_hour": unmarked / hours if hours else 0.0,
        f"{prefix}first_unmarked": _share([result.named for result in results]),
        f"{prefix}first_strict": _share([result.named_strictly for result in results]),
    }


def _watch_cells(facts: dict[str, float]) -> list[str]:
    alarm, unmarked, named, strict = facts.values()
    return [f"{100 * alarm:.0f} %", f"{unmarked:.2f}", f"{100 * named:.0f} %", f"{100 * strict:.0f} %"]


def _speeds(cases: Sequence[Case]) -> dict[str, float]:
    """Time what a case costs when told the minute, its cohorts counted in, and a minute of the watch."""
    gc.collect()
    start = time.process_time()
    for case in cases:
        if len(case.struck):
            cohorts = LeafCohorts(case.leaves)
            causes_at(cohorts, case.struck, case.seen, case.mark if case.mark is not None else len(case.struck) - 1)
    middle = time.process_time()
    for case in cases:
        watch(case)
    end = time.process_time()
    minutes = sum(len(case.struck) for case in cases)
    return {
        "ms_per_case": 1000 * (middle - start) / max(len(cases), 1),
        "watch_ms_per_minute": 1000 * (end - middle) / max(minutes, 1),
    }


def _baselines(cases: Sequence[Case], rows: list[list[str]], facts: dict[str, float]) -> None:
    methods = {
        "greedy": ("z-score, greedy", live_baselines.greedy),
        "house_plain": ("cohort localiser", live_baselines.house_plain),
        "adtributor": ("Adtributor", live_baselines.adtributor),
    }
    for key, (title, method) in methods.items():
        start = time.process_time()
        ranked = [[case.named(cohorts) for cohorts in method(case, case.mark or 0)] for case in cases]
        spent = 1000 * (time.process_time() - start) / max(len(cases), 1)
        judged = [told(case, names) for case, names in zip(cases, ranked, strict=True)]
        row = _row(title, judged, cases)
        row[-1] = f"{spent:.1f}"
        facts |= _shares(judged, f"{key}_")
        if key == "greedy":
            row[4:8] = _watch_cells(watched_facts := _crude_watch(cases))
            facts |= watched_facts
        rows.append(row)


def _crude_watch(cases: Sequence[Case]) -> dict[str, float]:
    results = []
    for case in cases:
        alarms = live_baselines.z_score_alarms(case)
        named = [[case.named(cohorts) for cohorts in live_baselines.greedy(case, minute)] for minute in alarms]
        results.append(watched(case, alarms, named))
    return _watched_shares(results, "greedy_")


def _tuned(cases: Sequence[Case], rows: list[list[str]]) -> dict[str, float]:
    """Judge each channel with the constants that do best on all the others."""
    if not cases:
        return {}
    tried = [replace(PRICES, per_bit=bit, per_cohort=cohort) for bit, cohort in product(*GRID.values())]
    ranked = [[causes_at(c.cohorts, c.struck, c.seen, c.mark or 0, prices) for c in cases] for prices in tried]
    judged = [[told(c, _names(c, r)) for c, r in zip(cases, run, strict=True)] for run in ranked]
    counted = [[j.first + 0.2 * (j.first_five + j.jaccard_half) for j in run] for run in judged]
    by_count = _left_out(cases, counted)
    chosen = _left_out(cases, [[log_chance(c, r) for c, r in zip(cases, run, strict=True)] for run in ranked])
    named = [judged[best][number] for number, best in enumerate(chosen)]
    counts = {"left_out_first_by_count": _share([judged[best][number].first for number, best in enumerate(by_count)])}
    rows.append(_row("leaves, channel left out", named, cases))
    rules = [replace(RULE, nats=nats, share=share, rate=rate) for nats, share, rate in product(*RULE_GRID.values())]
    watches = [[_watched(case, rule) for case in cases] for rule in rules]
    worth = [[j.alarm + 0.2 * j.named - UNMARKED_COST * j.unmarked for j in run] for run in watches]
    results = [watches[best][number] for number, best in enumerate(_left_out(cases, worth))]
    facts = _watched_shares(results, "left_out_")
    rows[-1][4:8] = _watch_cells(facts)
    return _shares(named, "left_out_") | counts | facts


def _left_out(cases: Sequence[Case], worth: Sequence[Sequence[float]]) -> list[int]:
    """Return for each case the number of the setting that is worth most on the cases of all other channels."""
    value, channels = np.array(worth), np.array([case.channel for case in cases])
    best = {c: int(np.argmax(np.round(value[:, channels != c].sum(axis=1), 6))) for c in np.unique(channels)}
    return [best[channel] for channel in channels]


def _print_failing(cases: Sequence[Case]) -> None:
    for case in cases:
        ranked = ours(case, case.mark or 0)
        if list(ranked[:1]) != [case.truth]:
            place = ranked.index(case.truth) + 1 if case.truth in ranked else None
            print(
                f"{case.name}: true {_words(case.truth)}, place {place}, named {_words(ranked[0] if ranked else None)}"
            )


def _words(cause: Named | None) -> str:
    return " and ".join(sorted(", ".join(f"{a}={v}" for a, v in sorted(cohort)) for cohort in cause or ()))


if __name__ == "__main__":
    sys.exit(main())
