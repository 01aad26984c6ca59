"""Windows of time. Every time is UTC and aware; every interval is half-open, ``[start, end)``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

SLOT = timedelta(minutes=5)
"""Width of a slice: fine enough that a ten-minute fault fills two, coarse enough that a session is few
rows."""


def utc(moment: datetime) -> datetime:
    """Return `moment` as an aware UTC datetime; a naive one is taken to be UTC already."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def naive_utc(moment: datetime) -> datetime:
    """Return `moment` as the naive UTC datetime that DuckDB's ``TIMESTAMP`` holds."""
    return utc(moment).replace(tzinfo=None)


@dataclass(frozen=True, order=True)
class Window:
    """A half-open interval of `received_time`: the key of a run.

    Parameters
    ----------
    start, end
        Aware UTC datetimes, ``start < end``.

    Raises
    ------
    ValueError
        If the window is empty or runs backwards.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", utc(self.start))
        object.__setattr__(self, "end", utc(self.end))
        if not self.start < self.end:
            raise ValueError(f"A window must end after it starts: {self.start} .. {self.end}.")

    @property
    def key(self) -> str:
        """The window's name in run names, leases and logs, e.g. ``20260309T0000Z-20260309T0015Z``."""
        return f"{self.start:%Y%m%dT%H%MZ}-{self.end:%Y%m%dT%H%MZ}"

    def split(self, step: timedelta) -> list[Window]:
        """Cut the window into consecutive windows of `step`; the last one may be shorter."""
        if step <= timedelta(0):
            raise ValueError("A step must be longer than nothing.")
        windows = []
        start = self.start
        while start < self.end:
            end = min(start + step, self.end)
            windows.append(Window(start, end))
            start = end
        return windows
