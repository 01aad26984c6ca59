"""A person's own clock: their zone, their days and weeks, and when they want quiet."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

ZONES_KEPT = 1024
"""More than there are zones; a bound, because names come from outside."""


@lru_cache(maxsize=ZONES_KEPT)
def known_zone(name: str | None) -> tzinfo | None:
    """Return the IANA zone called `name`, or None if there is none."""
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


def zone(name: str | None) -> tzinfo:
    """Return the IANA zone called `name`, or UTC where it is absent or unknown."""
    return known_zone(name) or UTC


def week_start(day: date) -> date:
    """Return the Monday of the week that holds `day`."""
    return day - timedelta(days=day.weekday())


def is_quiet(local: datetime, quiet_from: time, quiet_until: time) -> bool:
    """Whether a local time lies in the half-open quiet hours, which may span midnight."""
    moment = local.time()
    if quiet_from <= quiet_until:
        return quiet_from <= moment < quiet_until
    return moment >= quiet_from or moment < quiet_until


def quiet_end(local: datetime, quiet_until: time) -> datetime:
    """Return, in UTC, when the quiet hours that hold `local` end: the next `quiet_until` on that clock."""
    day = local.date() if local.time() < quiet_until else local.date() + timedelta(days=1)
    return datetime.combine(day, quiet_until, local.tzinfo).astimezone(UTC)
