"""How well odd points of plain series are found: ``python -m benchmarks.kpis DIR [DIR ...]``.

Each DIR holds labelled series, see `benchmarks.kpi_series.read_folder`. Every detector scores every series from its
first point to its last, causally and with one setting for all; labels choose thresholds, on the first half of each
series' rows, and nothing else. What is told is told of the second halves.

An *event* is a run of labelled rows. A row raises an *alarm* if its score is above the threshold. An event is *found*
if an alarm is raised within it; no row is marked as found because another one was. Alarms outside events are merged
into runs, across at most 5 rows, and each run is one *false alarm*, and one more for every full 60 rows that it spans:
without this, a detector that always alarms would raise one false alarm. An alarm that outlasts its event is false.
Precision is events found / (events found + false alarms), recall is events found / events, F1 their harmonic mean, over
all series together. The *delay* is the rows from an event's start to its first alarm, over events found. *False alarms
a series-day* are false alarms / days of the second halves.

*One threshold* has the best F1 over all first halves. A *threshold for each series* has the best F1 of that series'
own first half, where the events and false alarms of the others count a fifth each, as few series have many events. A
*threshold alone* forgets the others, where a series has events. Thresholds tried are quantiles of first-half scores; F1
is averaged over five neighbouring thresholds before the best is taken. Where nothing is labelled, the threshold is the
lowest with at most 0.1 false alarms a series-day.

Speeds are of scoring alone, by processor time, which other work on the machine does not change much; the best of three
runs unless they take long. For Numenta's folders there is also
the benchmark's own score, see `benchmarks.nab_score`: with one threshold chosen over all rows, as the benchmark does,
and with one chosen on first halves and told of second halves.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.kpi_baselines import BASELINES, Scorer
from benchmarks.kpi_judging import Outcome, choose, halves, tell
from benchmarks.kpi_series import WINDOWS, Array, Series, SideBySide, by_series, read_folder, side_by_side
from benchmarks.nab_score import best_threshold, nab_scores, probation
from benchmarks.report import report, table
from detectors.kpi.detector import KpiDetector

OURS = "kpi"
LIVE_SERIES, LIVE_STEPS = 2_000, 20
ENOUGH_S = 3.0


@dataclass(frozen=True)
class Result:
    """What one detector came to on one folder."""

    name: str
    each: Outcome
    one: Outcome
    alone: Outcome
    seconds: float
    nab: tuple[float, float] | None


def kpi_scores(series: Sequence[Series], blocks: Sequence[SideBySide]) -> list[Array]:
    """Score by our detector, series of one step side by side."""
    scored = []
    for block in blocks:
        detector = KpiDetector(len(block.members), block.step_s)
        scored.append((block, detector.update(block.times_s, block.values).surprise))
    return by_series(series, scored)


def judge(name: str, scorer: Scorer, series: list[Series], *, numenta: bool) -> Result:
    """Score, choose thresholds on first halves, and tell of second halves."""
    scores, seconds = _timed(scorer, series)
    first, second = halves(series, scores)
    choice = choose(first)
    return Result(
        name,
        tell(second, choice.each),
        tell(second, [choice.one] * len(second)),
        tell(second, choice.alone),
        seconds,
        _nab(series, scores) if numenta else None,
    )


def _timed(scorer: Scorer, series: list[Series]) -> tuple[list[Array], float]:
    """Return the scores and the processor seconds that they took; the best of three runs where they are quick."""
    blocks = side_by_side(series)
    best, spent = math.inf, 0.0
    for _ in range(3):
        begun = time.process_time()
        scores = scorer(series, blocks)
        seconds = time.process_time() - begun
        best, spent = min(best, seconds), spent + seconds
        if spent > ENOUGH_S:
            break
    return scores, best


def _nab(series: list[Series], scores: list[Array]) -> tuple[float, float]:
    """Return Numenta's score by its own procedure, and with the threshold of first halves on second halves."""
    labels = [s.labels for s in series]
    best = np.array([best_threshold(scores, labels)])
    firsts = [z[: s.half] for s, z in zip(series, scores, strict=True)]
    chosen = np.array([best_threshold(firsts, [s.labels[: s.half] for s in series])])
    later = nab_scores(scores, labels, chosen, [max(s.half, probation(len(s.labels))) for s in series])
    return float(nab_scores(scores, labels, best)[0]), float(later[0])


def live_points_per_s() -> float:
    """Time, by processor time, minutes that come one by one for many series at once, after two days of history."""
    rng = np.random.default_rng(0)
    detector = KpiDetector(LIVE_SERIES, 60.0)
    past = 2 * 1_440
    detector.update(np.arange(past, dtype=float) * 60.0, rng.standard_normal((LIVE_SERIES, past)))
    begun = time.process_time()
    for minute in range(past, past + LIVE_STEPS):
        detector.update(np.full(1, minute * 60.0), rng.standard_normal((LIVE_SERIES, 1)))
    return LIVE_SERIES * LIVE_STEPS / (time.process_time() - begun)


def measure(folder: Path, skip: Sequence[str]) -> dict[str, float]:
    """Judge every detector on one folder, print the tables, and return the numbers by name."""
    series = read_folder(folder)
    numenta = (folder / WINDOWS).is_file()
    scorers: dict[str, Scorer] = {OURS: kpi_scores, **{n: s for n, s in BASELINES.items() if n not in skip}}
    results = [judge(name, scorer, series, numenta=numenta) for name, scorer in scorers.items()]
    points = sum(len(s.values) for s in series)
    _print_results(folder.name, len(series), points, results)
    _print_series(series, results[0])
    facts: dict[str, float] = {}
    for result in results:
        prefix = "" if result.name == OURS else f"{result.name}_"
        facts |= {prefix + name: value for name, value in _facts(result, points, len(series)).items()}
    return facts | {"series": len(series), "points": points}


def _facts(result: Result, points: int, series: int) -> dict[str, float]:
    each, one = result.each, result.one
    facts = {
        "event_f1": each.f1,
        "precision": each.precision,
        "recall": each.recall,
        "delay_points": each.delay_points,
        "false_alarms_per_series_day": each.false_a_day,
        "event_f1_one_threshold": one.f1,
        "precision_one_threshold": one.precision,
        "recall_one_threshold": one.recall,
        "delay_points_one_threshold": one.delay_points,
        "false_alarms_per_series_day_one_threshold": one.false_a_day,
        "event_f1_threshold_alone": result.alone.f1,
        "points_per_s": points / result.seconds,
        "series_per_s": series / result.seconds,
    }
    if result.nab is not None:
        facts |= {"nab_standard": result.nab[0], "nab_standard_second_half": result.nab[1]}
    return facts


def _print_results(folder: str, series: int, points: int, results: list[Result]) -> None:
    columns = ["detector", "F1", "precision", "recall", "delay", "false a day", "F1, one", "precision", "recall"]
    columns += ["false a day", "F1, alone", "points/s"]
    numenta = any(result.nab is not None for result in results)
    columns += ["NAB", "NAB, held"] if numenta else []
    rows = []
    for result in results:
        each, one = result.each, result.one
        numbers = [each.f1, each.precision, each.recall, each.delay_points, each.false_a_day]
        numbers += [one.f1, one.precision, one.recall, one.false_a_day, result.alone.f1]
        nab = [f"{value:.1f}" for value in result.nab or ()]
        rows.append([result.name, *(f"{n:.3f}" for n in numbers), f"{points / result.seconds:,.0f}", *nab])
    title = f"{folder}: {series} series, {points:,} points; second halves, a threshold each and one for all"
    table(title, columns, rows)


def _print_series(series: list[Series], result: Result) -> None:
    rows = [
        [s.name, *(f"{n:.0f}" for n in each), *(f"{n:.0f}" for n in one)]
        for s, each, one in zip(series, result.each.by_series, result.one.by_series, strict=True)
        if each.sum() or one.sum()
    ]
    columns = ["series", "found", "false", "missed", "found, one", "false, one", "missed, one"]
    table("Ours by series, those with events or alarms", columns, rows)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kpis", description="Find odd points of plain series.")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="labelled series, see the module")
    parser.add_argument("--skip", nargs="*", default=[], choices=sorted(BASELINES), help="baselines to leave out")
    options = parser.parse_args(arguments)
    facts: dict[str, float] = {}
    for number, folder in enumerate(options.folders):
        found = measure(folder, options.skip)
        facts |= found if number == 0 else {}
        if len(options.folders) > 1:
            facts |= {f"{folder.name}_{name}": value for name, value in found.items()}
    facts["live_points_per_s"] = live_points_per_s()
    live = [f"{LIVE_SERIES:,} series, minute by minute", f"{facts['live_points_per_s']:,.0f}"]
    report("Live", ["what", "points/s"], [live], facts)


if __name__ == "__main__":
    main(sys.argv[1:])
