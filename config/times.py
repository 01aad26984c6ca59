"""Times as people write them: durations such as ``15m``, moments and windows in ISO 8601."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from telemetry.time import Window, utc

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FORM = re.compile(r"([0-9]{1,8})\s*([smhd])")


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` names.

    Raises
    ------
    ValueError
        If it is not a whole number followed by s, m, h or d.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"a duration is a number and a unit, such as 90s, 15m, 2h or 7d, not {text!r}")
    number, unit = match.groups()
    return timedelta(**{_UNITS[unit]: int(number)})


def duration_text(duration: timedelta) -> str:
    """Return `duration`, in whole seconds, as `parse_duration` reads it, in the largest exact unit."""
    seconds = round(duration.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def parse_moment(text: str) -> datetime:
    """Return the aware UTC time that `text` names in ISO 8601; without a zone it is UTC.

    Raises
    ------
    ValueError
        If it names none.
    """
    try:
        return utc(datetime.fromisoformat(text.strip()))
    except ValueError:
        raise ValueError(f"a time is written like 2026-03-09T14:15, in UTC, not {text!r}") from None


def parse_window(text: str) -> Window:
    """Return the window that ``START/END`` names.

    Raises
    ------
    ValueError
        If it names none.
    """
    start, slash, end = text.partition("/")
    if not slash:
        raise ValueError(f"a window is written like 2026-03-09T14:00/2026-03-09T14:15, not {text!r}")
    return Window(parse_moment(start), parse_moment(end))
