"""The pictures of docs/detection.md: ``python -m benchmarks.detection_plots [--out docs/plots]``.

All of it is drawn from invented data with the product's own code; running it twice writes the same bytes. It prints
what it wrote, and then one line of JSON with a few numbers that the pictures show.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.calibration import FRONT, PLAIN, TRUE, harvest
from benchmarks.pit import Cells, ks_distance, pit
from benchmarks.report import report
from benchmarks.svg import BLUE, GREEN, GREY, ORANGE, Axis, Picture
from benchmarks.synthetic import FIRST_SLOT, SLICE_MS, Market
from config.settings import Settings
from console.replay import replay
from data.scenarios import recipe_of
from data.world import make_world
from detectors.cohort_scan import HORIZONS, SLOTS_PER_BUCKET, CohortScan
from detectors.cohorts import CohortIndex
from detectors.evidence import Evidence
from detectors.observations import MISSING, PLAYBACK_SIGNALS, SIGNALS, SLOT_US, ImpairmentRule, Observations
from detectors.observations import Vocabularies as Words
from detectors.own_sessions import UsualShares, own_sessions
from detectors.subscriber_run import SubscriberRun
from incidents.model import Incident
from incidents.own import OwnRule
from incidents.prices import Prices
from incidents.watch import WatchRule
from telemetry.contract import DIMENSIONS, Signal

QUARTER = timedelta(minutes=15)
SHOWN_AFTER = timedelta(minutes=30)
CALM_STEP = timedelta(hours=1)
"""Long steps do for what is read off once a day."""
CHART_SPAN = timedelta(hours=16)
"""As much of the first day with faults as is replayed for the picture."""
CHART_SEED, CALM_SEED, LUCK = 3, 31, 5
Numbers = Mapping[str, float]


def main(arguments: Sequence[str] | None = None) -> int:
    """Draw all pictures."""
    it = argparse.ArgumentParser(prog="python -m benchmarks.detection_plots", description=__doc__)
    it.add_argument("--out", type=Path, default=Path("docs/plots"), help="folder to write to (docs/plots)")
    it.add_argument("--subscribers", type=int, default=2_000, help="people in the worlds (2,000)")
    it.add_argument("--step", type=int, default=15, help="minutes of a step (15)")
    options = it.parse_args(arguments)
    drawn = {**quick_pictures(), **slow_pictures(options.subscribers, timedelta(minutes=options.step))}
    options.out.mkdir(parents=True, exist_ok=True)
    facts: dict[str, float] = {}
    for name, (picture, numbers) in drawn.items():
        (options.out / f"{name}.svg").write_text(picture.render(), encoding="utf-8")
        facts |= numbers
    rows = [(f"{name}.svg", picture.title) for name, (picture, _) in drawn.items()]
    report("Pictures of detection", ("file", "shows"), rows, facts)
    return 0


def quick_pictures() -> dict[str, tuple[Picture, Numbers]]:
    """Return the pictures that need no world, each with its numbers."""
    return {"horizons": horizons_picture(), "log-odds": log_odds_picture()}


def slow_pictures(subscribers: int, step: timedelta) -> dict[str, tuple[Picture, Numbers]]:
    """Return the pictures that need a world replayed, each with its numbers."""
    with tempfile.TemporaryDirectory(prefix="prebuffer-plots-") as name:
        found = incidents_of(Path(name), subscribers, step)
        cells = calm_cells(Path(name), subscribers, max(step, CALM_STEP))
    return {"incident": incident_picture(most_telling(found)), "calibration": calibration_picture(cells)}


# -- one incident


def incidents_of(folder: Path, subscribers: int, step: timedelta) -> list[Incident]:
    """Replay the first hours with faults of an everyday world and return what was found."""
    recipe = recipe_of("everyday", seed=CHART_SEED, subscribers=subscribers)
    world = make_world(folder / "everyday", recipe, seed=CHART_SEED)
    start, now = world.evaluate_from, max(datetime.now(UTC), world.end)
    end = start + CHART_SPAN
    return replay(world.path, folder / "found", Settings(), now=now, step=step, start=start, end=end).incidents


def most_telling(found: Sequence[Incident]) -> Incident:
    """Return the incident that shows most: over, and the most people above what is usual."""
    over = [one for one in found if one.resolved_time is not None and not one.settled and one.chart]
    return max(over, key=lambda one: (one.observed - one.expected, one.incident_id))


def incident_picture(incident: Incident) -> tuple[Picture, Numbers]:
    """Draw what came and what was due of an incident's cohort, by quarter-hour."""
    resolved = incident.resolved_time or incident.updated_time
    points = [point for point in incident.chart if point.slot < resolved + SHOWN_AFTER]
    midnight = points[0].slot.replace(hour=0, minute=0)

    def hours(moment: datetime) -> float:
        return (moment - midnight) / timedelta(hours=1)

    top = _nice(max(point.impaired for point in points) * 1.35)
    low, high = hours(points[0].slot), hours(points[-1].slot + QUARTER)
    every = next(gap for gap in (1, 2, 3, 6, 12, 24) if (high - low) / gap <= 12)
    ticks = [
        (float(hour), f"{hour % 24:02d}:00") for hour in range(int(-(-low // every) * every), int(high) + 1, every)
    ]
    delay = (incident.detected_time - incident.onset_time) / timedelta(minutes=1)
    picture = Picture(
        f"An incident found in a replay: {incident.signal.value} on {incident.cohort}",
        f"Bars: impaired sessions of the cohort in each quarter-hour. Line: how many were expected. The incident was "
        f"opened {delay:.0f} minutes after its estimated onset and closed when playback was as usual again.",
        Axis("hour of the day, UTC", low, high, ticks),
        Axis("impaired sessions in a quarter-hour", 0, top, _quarters(top)),
    )
    bars = [(hours(p.slot), hours(p.slot + QUARTER), float(p.impaired)) for p in points]
    picture.bars(bars, "observed", BLUE)
    due = [(hours(p.slot), p.expected) for p in points]
    picture.steps([*due, (high, due[-1][1])], "expected", ORANGE)
    middle = (low + high) / 2
    for row, (word, moment) in enumerate(
        (("onset", incident.onset_time), ("detected", incident.detected_time), ("resolved", resolved))
    ):
        picture.mark(hours(moment), f"{word} {moment:%H:%M}", row, at_left=hours(moment) > middle)
    return picture, {"incident_observed_people": incident.observed, "incident_expected_people": incident.expected}


# -- calibration


def calm_cells(folder: Path, subscribers: int, step: timedelta) -> Mapping[str, Cells]:
    """Replay a world without a fault and return what was expected and what came."""
    recipe = replace(recipe_of("calm", seed=CALM_SEED, subscribers=subscribers, days=9), faults=())
    folder = folder / "calm"
    folder.mkdir()
    world = make_world(folder / "world", recipe, seed=CALM_SEED)
    return harvest(world, folder, step, CALM_SEED).cells


def calibration_picture(cells: Mapping[str, Cells]) -> tuple[Picture, Numbers]:
    """Draw the distributions of p-values: the model, the same if it were exactly right, and plain Poisson."""
    rng = np.random.default_rng(LUCK)
    values = {name: 1 - pit(cells[name], rng) for name in (FRONT, TRUE, PLAIN)}
    share = [(k / 10, f"{k / 10:g}") for k in range(0, 11, 2)]
    picture = Picture(
        "P-values where nothing is wrong",
        "Share of cohort-hours with a p-value of at most x, in a world without faults. Honest p-values lie on the "
        "diagonal. The model lies near it; a plain Poisson count with the mean of the hour of the week does not.",
        Axis("p-value of what came, against what was expected", 0, 1, share),
        Axis("share of cells with a p-value of at most so much", 0, 1, share),
    )
    picture.line([(0, 0), (1, 1)], "honest", GREY, dash="2 4")
    style = (
        (FRONT, "the model", BLUE, ""),
        (TRUE, "a model exactly right", GREEN, "8 4"),
        (PLAIN, "plain Poisson", ORANGE, "3 3"),
    )
    grid = np.linspace(0, 1, 101)
    for name, label, colour, dash in style:
        below = np.searchsorted(np.sort(values[name]), grid, side="right") / max(len(values[name]), 1)
        picture.line(list(zip(grid.tolist(), below.tolist(), strict=True)), label, colour, dash=dash)
    keys = {FRONT: "ks_distance", TRUE: "ks_distance_if_right", PLAIN: "ks_distance_plain_poisson"}
    return picture, {key: ks_distance(values[name]) for name, key in keys.items()}


# -- one subscriber

SESSIONS, BEGINS = 30, 18
FAULTY, PRONE, HEALTHY = "a household fault begins", "always prone to stalls", "a good viewer"
STALLED = {  # share of the time that each session stalled, by number of the session
    FAULTY: {6: 0.03, 18: 0.06, 20: 0.10, 21: 0.04, 23: 0.20, 24: 0.07, 26: 0.09, 27: 0.03, 29: 0.12},
    PRONE: {2: 0.03, 7: 0.04, 9: 0.03, 15: 0.06, 19: 0.03, 22: 0.03, 28: 0.04},
    HEALTHY: {12: 0.03},
}
PRONENESS = {FAULTY: 1.0, PRONE: 5.0, HEALTHY: 1.0}


def log_odds_picture() -> tuple[Picture, Numbers]:
    """Draw the log odds of a fault of one's own over the sessions of three people."""
    odds = dict(zip(STALLED, followed(), strict=True))
    least = OwnRule().least_probability
    picture = Picture(
        "Three viewers, session by session",
        f"Log odds that a fault of one's own has begun. Bad sessions lift them, good ones lower them, never below the "
        f"chance that a fault has just begun. From a probability of {least} on somebody is told.",
        Axis("session", 0, SESSIONS + 1, [(float(k), str(k)) for k in range(0, SESSIONS + 1, 5)]),
        Axis(
            "log odds of a fault of one's own",
            -8,
            12,
            [(float(k), f"{k:g}".replace("-", "−")) for k in range(-8, 13, 4)],
        ),
    )
    picture.level(float(np.log(least / (1 - least))), f"told: a probability of {least} or more")
    style = {FAULTY: (ORANGE, ""), PRONE: (GREY, "8 4"), HEALTHY: (BLUE, "3 3")}
    for name, (colour, dash) in style.items():
        picture.line([(k + 1.0, float(it)) for k, it in enumerate(odds[name])], name, colour, dash=dash, dots=True)
    picture.mark(BEGINS + 1.0, "the fault begins")
    told = np.flatnonzero(odds[FAULTY][BEGINS:] >= np.log(least / (1 - least)))
    return picture, {"sessions_until_told": float(told[0] + 1), "highest_log_odds_prone": float(odds[PRONE].max())}


def followed() -> list[NDArray[np.float64]]:
    """Return the log odds of each person of `STALLED` after each of their sessions, judged as detection does."""
    run, words, number = SubscriberRun(), Words(), SIGNALS.index(Signal.BUFFERING)
    judged = own_sessions(_slices(), words, ImpairmentRule(), UsualShares.learnt(), run.impaired_share, 0)
    people = np.arange(len(STALLED), dtype=np.int32)
    after = []
    for session in range(SESSIONS):
        now = judged.started_us // SLOT_US == FIRST_SLOT + session
        run.learn(judged.evidence(number, people, now), len(people), 0)
        after.append(run.state_.log_odds.copy())
    return list(np.array(after).T)


def _slices() -> Observations:
    """One slice a session of each person, stalled as `STALLED` says."""
    n, none = len(STALLED) * SESSIONS, Observations.empty()
    who, session = np.divmod(np.arange(n), SESSIONS)
    share = np.array([STALLED[name].get(k, 0.0) for name in STALLED for k in range(SESSIONS)])
    stalled = (share * SLICE_MS).astype(np.int64)
    blank = {f.name: np.zeros((n, *getattr(none, f.name).shape[1:]), getattr(none, f.name).dtype) for f in fields(none)}
    slot = FIRST_SLOT + session
    return Observations(
        **blank
        | {
            "session": np.arange(n, dtype=np.int32),
            "subscriber": who.astype(np.int32),
            "slot": slot,
            "exposed": np.ones((n, len(SIGNALS)), bool),
            "stalled_ms": stalled,
            "playing_ms": SLICE_MS - stalled,
            "stalling_factor": np.array(list(PRONENESS.values()))[who],
            "first_us": slot * SLOT_US,
            "last_us": slot * SLOT_US,
            "error_class": np.full(n, MISSING, np.int32),
        }
    )


# -- surprise by horizon

DUE = 2.0
"""Impairments due in a quarter-hour."""
SHARP, SLOW = (2, 5.0), (48, 1.7)
"""Quarter-hours that a fault has lasted, and how many times the usual it brings."""
LEAVES = 400


def horizons_picture() -> tuple[Picture, Numbers]:
    """Draw how surprising two faults are over each trailing stretch of time."""
    surprise = scanned()
    one, three = prices()
    hours = [horizon / 4 for horizon in HORIZONS]
    ticks = [(0.25, "15 min"), (0.5, "30 min"), (1.0, "1 h"), (2.0, "2 h"), (4.0, "4 h"), (8.0, "8 h"), (24.0, "24 h")]
    picture = Picture(
        "Why every stretch up to a day is looked at",
        "Surprise over each trailing stretch of time, for a fault of five times the usual for 30 minutes and one of "
        "1.7 times the usual for twelve hours. Each stands out over its own length and not over the other's.",
        Axis("trailing stretch of time", 0.25, 24, ticks, is_log=True),
        Axis("surprise, nats", 0, 20, [(float(k), str(k)) for k in range(0, 21, 5)]),
    )
    picture.level(one, "price of a delivery network", 2.0)
    picture.level(three, "price of a cohort of three dimensions", 2.0)
    picture.line(list(zip(hours, surprise[0].tolist(), strict=True)), "5 times the usual, 30 min", ORANGE, dots=True)
    picture.line(
        list(zip(hours, surprise[1].tolist(), strict=True)), "1.7 times the usual, 12 h", BLUE, dash="8 4", dots=True
    )
    numbers = {"sharp_nats": surprise[0].max(), "slow_nats": surprise[1].max()}
    return picture, {**numbers, "price_cdn_nats": one, "price_three_dimensions_nats": three}


def scanned() -> NDArray[np.float64]:
    """Return the surprise of a sharp fault and of a slow burn over each horizon, in nats, shape (2, horizons)."""
    longest, scan = max(HORIZONS), CohortScan()
    bucket = np.arange(longest)
    first = FIRST_SLOT // SLOTS_PER_BUCKET
    for unit, (length, times) in enumerate((SHARP, SLOW)):
        seen = np.where(bucket >= longest - length, times, 1.0) * DUE
        slot = (first + bucket) * SLOTS_PER_BUCKET
        rows = Evidence(np.full(longest, unit), slot, seen, np.full(longest, DUE), np.full(longest, 100.0))
        scan.learn(rows, 2, int(slot[-1]))
    return scan.surprise(np.arange(2))


def prices() -> tuple[float, float]:
    """Return the nats that a delivery network must show, and the dearest cohort of three dimensions."""
    index = CohortIndex()
    index.units(Market.draw(LEAVES, np.random.default_rng(LUCK)).leaves)
    found = Prices.of(index, np.ones(len(index)), WatchRule().margin_nats, len(PLAYBACK_SIGNALS), np.zeros(0))
    return found.price((DIMENSIONS.index("cdn"),)), found.dearest[3]


def _nice(least: float) -> float:
    """Return a round number, of which a quarter is whole, that is not below `least`."""
    tens = 4.0 * 10.0 ** np.floor(np.log10(max(least, 4.0) / 4.0))
    return float(next(tens * times for times in (1, 2, 3, 5, 7.5, 10) if tens * times >= least))


def _quarters(top: float) -> list[tuple[float, str]]:
    return [(top * part / 4, f"{top * part / 4:g}") for part in range(5)]


if __name__ == "__main__":
    sys.exit(main())
