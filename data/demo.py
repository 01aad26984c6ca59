"""The demo world: nine days of an invented streaming service, of which the last two go wrong in many ways.

It is for showing and testing; nothing may be tuned to it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from data.recipe import Effect, Fault, Harmless, LookAlike, Recipe, Release
from data.world import World
from data.world import make_world as make
from incidents.model import Cause
from telemetry.contract import Signal

SEED = 20260511
START = datetime(2026, 5, 4, tzinfo=UTC)
FIRST_BAD_DAY = START + timedelta(days=7)
BAD_RELEASE = "11.9.0"


def at(clock: str, *, day: int = 1) -> datetime:
    """Return a UTC time such as ``18:40`` on the first or second bad day."""
    hours, minutes = clock.split(":")
    return FIRST_BAD_DAY + timedelta(days=day - 1, hours=int(hours), minutes=int(minutes))


FAULTS = (
    Fault(
        "app_bug",
        Signal.FAILURE,
        {"device_type": "android", "app_version": BAD_RELEASE},
        at("08:00"),
        at("20:00", day=2),
        Effect(fail_p=0.34, failures_per_hour=0.6, error_class="decoder"),
        Cause.APP,
    ),
    Fault(
        "drm_outage",
        Signal.ACCESS,
        {"device_type": "streaming_stick"},
        at("17:40"),
        at("19:25"),
        Effect(deny_p=0.87, error_class="drm"),
    ),
    Fault(
        "cdn_region",
        Signal.BUFFERING,
        {"cdn": "cdn-amber", "region": "US-IL"},
        at("00:40", day=2),
        at("04:10", day=2),
        Effect(
            stall_x=12,
            stalls_per_hour=26,
            stall_length_x=2,
            startup_x=2.3,
            failures_per_hour=0.2,
            error_class="cdn",
        ),
    ),
    Fault(
        "isp_outage",
        Signal.FAILURE,
        {"isp": "Fibre Bleuet"},
        at("18:20", day=2),
        at("20:45", day=2),
        Effect(
            fail_p=0.58,
            failures_per_hour=1.8,
            stall_x=5,
            stalls_per_hour=10,
            stall_length_x=1.8,
            startup_x=1.9,
            error_class="network",
        ),
        Cause.ISP,
    ),
    Fault(
        "bad_wifi",
        Signal.BUFFERING,
        {"connection_type": "wifi"},
        at("02:00"),
        at("23:59", day=2),
        Effect(stall_x=12, stalls_per_hour=55, stall_length_x=1.7, failures_per_hour=0.1, error_class="network"),
        Cause.HOUSEHOLD,
        households=3,
    ),
    Fault(
        "device_limit",
        Signal.ACCESS,
        {},
        at("06:00"),
        at("23:59", day=2),
        Effect(deny_p=0.8, error_class="device_limit"),
        Cause.ACCOUNT,
        households=1,
    ),
)
"""What goes wrong, in order of time."""

LOOK_ALIKES = (
    LookAlike(
        Harmless.FLASH_CROWD,
        {"country": "US", "title_id": "premiere-glass-harbour"},
        at("01:00"),
        at("03:30"),
        amount=0.3,
    ),
    LookAlike(Harmless.COLLECTOR_OUTAGE, {"country": "MX"}, at("01:30", day=2), at("03:30", day=2), amount=0.7),
)
"""What only looks wrong: a live premiere that everybody watches, and a collector that loses events."""

RECIPE = Recipe(
    name="demo",
    start=START,
    subscribers=2000,
    releases=(Release("android", BAD_RELEASE, at("08:00"), timedelta(hours=4)),),
    faults=FAULTS,
    look_alikes=LOOK_ALIKES,
)


def make_world(path: Path, *, seed: int = SEED) -> World:
    """Write the demo world to a folder, in a few seconds.

    Parameters
    ----------
    path
        The folder, in the contract's form with its truth beside it.
    seed
        Picks another population and other luck; the faults stay.
    """
    return make(path, RECIPE, seed=seed)
