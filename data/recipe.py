"""What a world is made from: its market, its people, what goes wrong in it, and what only looks wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from data.market import MERIDIAN, Market
from incidents.model import Cause
from telemetry.contract import Signal


class Profile(StrEnum):
    """How strong a fault is while it lasts: at full strength throughout, or growing from nothing."""

    FLAT = "flat"
    RAMP = "ramp"


@dataclass(frozen=True)
class Effect:
    """What a fault does to a session that is exposed to it; the defaults do nothing.

    Parameters
    ----------
    fail_p, deny_p
        Chance that an attempt fails or is refused before its first frame.
    failures_per_hour
        Failures in mid-stream per hour of play.
    stall_x, stalls_per_hour, stall_length_x
        Factor on the usual rate of stalls, stalls added per hour of play, factor on their length.
    startup_x, bitrate_x
        Factors on start-up time and on bitrate.
    subscriber_share
        Share of the cohort's subscribers who are hit at all.
    error_class
        The class of the failures and refusals.
    profile
        How the strength runs over the fault's time.
    """

    fail_p: float = 0.0
    deny_p: float = 0.0
    failures_per_hour: float = 0.0
    stall_x: float = 1.0
    stalls_per_hour: float = 0.0
    stall_length_x: float = 1.0
    startup_x: float = 1.0
    bitrate_x: float = 1.0
    subscriber_share: float = 1.0
    error_class: str = "network"
    profile: Profile = Profile.FLAT

    @property
    def signals(self) -> list[Signal]:
        """The signals that the effect raises."""
        raised = {
            Signal.FAILURE: self.fail_p > 0 or self.failures_per_hour > 0,
            Signal.BUFFERING: self.stall_x > 1 or self.stalls_per_hour > 0,
            Signal.STARTUP: self.startup_x > 1,
            Signal.ACCESS: self.deny_p > 0,
        }
        return [signal for signal, is_raised in raised.items() if is_raised]


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Parameters
    ----------
    kind, signal, cause
        What sort of fault it is, what it shows itself by first, and whose side it is on.
    cohort
        Whom it hits, as dimension to value; empty is everyone.
    start, end
        When, as aware UTC datetimes.
    effect
        What it does.
    households
        If not 0, so many single subscribers of the cohort are hit, each on their own, and not the cohort.
    """

    kind: str
    signal: Signal
    cohort: Mapping[str, str]
    start: datetime
    end: datetime
    effect: Effect
    cause: Cause = Cause.SERVICE
    households: int = 0


class Harmless(StrEnum):
    """Look-alikes: what a careless detector takes for a fault."""

    FLASH_CROWD = "flash_crowd"
    COLLECTOR_OUTAGE = "collector_outage"
    ROLLOUT_CLEAN = "rollout_clean"
    HOLIDAY = "holiday"
    NEW_ISP = "new_isp"
    CLOCK_SKEW = "clock_skew"
    HEAVY_HOUSEHOLD = "heavy_household"
    LEVEL_SHIFT = "level_shift"
    SMALL_REGION = "small_region"


@dataclass(frozen=True)
class LookAlike:
    """One harmless oddity.

    Parameters
    ----------
    kind
        What it is.
    cohort
        Where it shows. A flash crowd names its country and its title, a new network its country and name.
    start, end
        When, as aware UTC datetimes.
    amount
        How much, by kind: share of the country's subscribers who come (flash crowd), share of events lost
        (collector outage), factor on traffic (holiday, heavy household), share of subscribers who move (new
        network), hours of error (clock skew), factor on start-up time (level shift).
    """

    kind: Harmless
    cohort: Mapping[str, str]
    start: datetime
    end: datetime
    amount: float = 0.0


@dataclass(frozen=True)
class Release:
    """A new version of the app on one device type; half of its devices have it after `half_life`."""

    device_type: str
    app_version: str
    time: datetime
    half_life: timedelta = timedelta(hours=8)


@dataclass(frozen=True)
class Dirt:
    """How untidy the telemetry is: shares of events, clocks or sessions, and a count of broken rows."""

    late_share: float = 0.02
    duplicate_share: float = 0.005
    wrong_clock_share: float = 0.015
    missing_share: float = 0.003
    broken_rows: int = 200
    hostile_name_share: float = 0.02


@dataclass(frozen=True)
class Recipe:
    """A world's recipe. The first `quiet_days` hold no fault: history to learn what is normal.

    Parameters
    ----------
    name
        The world's name.
    start
        Its first moment, aware UTC.
    days, quiet_days
        Its length, and the length of its history.
    subscribers, sessions_per_day
        How many people there are, and how often one of them presses play on an average day.
    market, releases, faults, look_alikes, dirt
        Where it is set, what is released, what goes wrong, what only looks wrong, how untidy it is.
    """

    name: str
    start: datetime
    days: int = 9
    quiet_days: int = 7
    subscribers: int = 2500
    sessions_per_day: float = 1.0
    market: Market = MERIDIAN
    releases: tuple[Release, ...] = ()
    faults: tuple[Fault, ...] = ()
    look_alikes: tuple[LookAlike, ...] = ()
    dirt: Dirt = field(default_factory=Dirt)

    @property
    def evaluate_from(self) -> datetime:
        """The end of history."""
        return self.start + timedelta(days=self.quiet_days)

    @property
    def end(self) -> datetime:
        """The world's end."""
        return self.start + timedelta(days=self.days)

    def on(self, kind: Harmless) -> list[LookAlike]:
        """The look-alikes of one kind."""
        return [it for it in self.look_alikes if it.kind is kind]
