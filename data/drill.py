"""Worlds to practise on: a quiet week, then one fault that is going on now."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from data.recipe import Dirt, Effect, Fault, Recipe
from data.world import World, make_world
from incidents.model import Cause
from telemetry.contract import Signal

START = datetime(2026, 5, 4, tzinfo=UTC)
BAD_DAY = START + timedelta(days=7)
FAULT_START, WORLD_NOW = BAD_DAY + timedelta(hours=18), BAD_DAY + timedelta(hours=20, minutes=30)
"""An evening, when many watch; the world's evening is moved to whenever the drill is."""
BEFORE = timedelta(hours=2)
"""Of quiet before the fault, which is run too."""

FAULTS = {
    "delivery": Fault(
        "cdn_region",
        Signal.BUFFERING,
        {"cdn": "cdn-amber", "country": "US"},
        FAULT_START,
        BAD_DAY + timedelta(hours=24),
        Effect(stall_x=12, stalls_per_hour=26, stall_length_x=2, startup_x=2.3, error_class="cdn"),
    ),
    "network": Fault(
        "isp_outage",
        Signal.FAILURE,
        {"isp": "Fibre Bleuet"},
        FAULT_START,
        BAD_DAY + timedelta(hours=24),
        Effect(fail_p=0.6, failures_per_hour=1.8, error_class="network"),
        Cause.ISP,
    ),
    "rights": Fault(
        "drm_outage",
        Signal.ACCESS,
        {"device_type": "smart_tv"},
        FAULT_START,
        BAD_DAY + timedelta(hours=24),
        Effect(deny_p=0.85, error_class="drm"),
    ),
}
"""By the name of the drill."""


@dataclass(frozen=True)
class Practice:
    """A world whose fault is going on now.

    Parameters
    ----------
    world
        In its own time.
    begin, now
        From when until when it is to be run, in real time.
    """

    world: World
    begin: datetime
    now: datetime


def make_practice(path: Path, scenario: str, now: datetime, *, seed: int) -> Practice:
    """Write the world of a drill to a folder, moved so that its fault began two and a half hours ago.

    Parameters
    ----------
    path
        The folder.
    scenario
        One of `FAULTS`.
    now
        Aware UTC, at the end of a step.
    seed
        Picks the population.
    """
    recipe = Recipe(
        f"drill-{scenario}",
        START,
        days=8,
        subscribers=2000,
        faults=(FAULTS[scenario],),
        dirt=Dirt(broken_rows=0, hostile_name_share=0.0),
    )
    world = make_world(path, recipe, seed=seed)
    gap = now - WORLD_NOW
    for file in (*path.glob("*.parquet"), *path.glob("playback/*.parquet")):
        pq.write_table(_moved(pq.read_table(file), gap), file)
    return Practice(world, FAULT_START - BEFORE + gap, now)


def _moved(table: pa.Table, gap: timedelta) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            later = pc.add(table[field.name], pa.scalar(gap, pa.duration("us")))
            table = table.set_column(index, field, later.cast(field.type))
    return table
