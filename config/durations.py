"""Durations as people write them: ``90s``, ``15m``, ``2h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_FORM = re.compile(r"(\d+)\s*([smhd])")


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
