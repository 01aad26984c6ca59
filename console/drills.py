"""Starts and ends drills: an invented world, the whole loop on it, and nothing that can reach anybody.

What a drill may use is listed, not what it may not: it has stores, a mailbox and a brand of its own, and takes from
the settings only how to detect, when to tell and who may sign in. No key, no sender and no alert is among that. Its
people's addresses are in domains that are kept for examples.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from config.bootstrap import open_ledger, open_pipeline
from config.settings import Settings
from config.writing import write_settings
from console.practice import MARK, score_so_far, settings_in
from console.walk import Progress, WorldClock, walk
from data.drill import FAULTS, make_practice
from incidents import drills
from incidents.drills import Drill, Score
from telemetry.time import Window

LONGEST_STEP = timedelta(minutes=15)
"""A drill's own step where the schedule's is longer: it would be over before it is seen."""
CONFIG = "drill.yaml"
_NAME = "%Y%m%d-%H%M%S"


def start(
    settings: Settings,
    root: Path,
    scenario: str | None,
    author: str,
    clock: Callable[[], datetime],
    progress: Progress | None = None,
    seed: int | None = None,
) -> Drill:
    """Make a world with a fault in it, run the loop until now, and begin to count the time.

    Parameters
    ----------
    settings
        Of the real service; see `settings_in` for what a drill takes from them.
    root
        Where drills live, each in a folder of its own.
    scenario
        One of `data.drill.FAULTS`; any, if None.
    author
        Who starts it.
    clock
        Now, aware UTC.
    progress
        Called with the steps done and all steps after each one.
    seed
        Of the invented world: the same gives the same; any, if None.
    """
    begun = clock()
    drill_id = f"drill-{begun:{_NAME}}"
    folder = root / drill_id
    chosen = scenario or secrets.choice(sorted(FAULTS))
    inside = settings_in(settings, folder)
    seed = secrets.randbelow(2**31) if seed is None else seed
    step = min(settings.schedules.step, LONGEST_STEP)
    practice = make_practice(folder / "world", chosen, _floor(begun, step), seed=seed)
    world_clock = WorldClock(practice.now)
    with open_pipeline(inside, world_clock) as pipeline:
        pipeline.exclusive = True
        pipeline.ingest(practice.world.path)
        windows = Window(_floor(practice.begin, step), practice.now).split(step)
        walk(pipeline, world_clock, windows, progress, deliver=True)
        drill = Drill(drill_id, chosen, drills.HERE, clock(), author)
        with pipeline.ledger.write() as connection:
            drills.begin(connection, drill)
    write_settings(inside, folder / CONFIG, f"{MARK}: everything in here is invented.")
    listed = replace(drill, folder=str(folder))
    with open_ledger(settings) as ledger, ledger.write() as connection:
        drills.begin(connection, listed)
    return listed


def status(settings: Settings, drill_id: str, now: datetime) -> tuple[Drill, Score]:
    """Return a drill and its score so far."""
    with open_ledger(settings) as ledger, ledger.read() as connection:
        drill = drills.drill_of(connection, drill_id)
    return drill, score_so_far(settings, drill, drill.ended_time or now, over=drill.ended_time is not None)


def end(settings: Settings, drill_id: str, author: str, now: datetime) -> tuple[Drill, Score]:
    """End a drill and keep its score; its folder stays, to be looked at."""
    with open_ledger(settings) as ledger, ledger.write() as connection:
        score = score_so_far(settings, drills.drill_of(connection, drill_id), now, over=True)
        return drills.end(connection, drill_id, author, now, score), score


def _floor(moment: datetime, step: timedelta) -> datetime:
    """Return the beginning of the window that a moment is in: windows are counted from midnight."""
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // step * step
