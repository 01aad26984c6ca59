"""Walks a world's clock: the same pipeline as live, one step after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from config.pipeline import Pipeline, PipelineError
from telemetry.time import Window

HISTORIES = (timedelta(days=7), timedelta(days=1), timedelta(0))
"""What comes before a replay's first step, unless it is told: a week, so that each hour of it was seen; in a world that
is shorter a day, by which what is usual is learnt; in one of a day nothing."""
Progress = Callable[[int, int], None]
"""Called with the steps done and all steps."""


@dataclass
class WorldClock:
    """A clock that stands where the walk is."""

    time: datetime

    def __call__(self) -> datetime:
        """Return the time of the world."""
        return self.time


def span_of(received: Window | None, start: datetime | None, end: datetime | None, step: timedelta) -> Window:
    """Return from when to when to walk.

    Parameters
    ----------
    received
        From when to when the world's events were received; None if it has none.
    start
        Asked for; else a week after the first day begins, or what a shorter world has; see `HISTORIES`.
    end
        Asked for; else the end of the events, rounded up to a whole step.
    step
        Length of a step.

    Raises
    ------
    PipelineError
        If nothing is left to walk.
    """
    if received is None:
        raise PipelineError("The world holds no playback events that can be trusted.")
    begun = _midnight(received.start)
    first = start or next(begun + history for history in HISTORIES if begun + history < received.end)
    last = end or first + -(-(received.end - first) // step) * step
    if last <= first:
        raise PipelineError(f"Nothing is left to replay between {first:%Y-%m-%d %H:%M} and {last:%Y-%m-%d %H:%M} UTC.")
    return Window(first, last)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def walk(
    pipeline: Pipeline,
    clock: WorldClock,
    windows: list[Window],
    progress: Progress | None = None,
    *,
    deliver: bool = False,
) -> None:
    """Take in what was received before the first window, then run each window when the clock shows its end.

    Parameters
    ----------
    pipeline
        With `clock` as its clock.
    windows
        Consecutive.
    progress
        Called with the windows done and all windows after each one.
    deliver
        Whether to send after each window what is due then.
    """
    pipeline.take_history(windows[0].start)
    for done, window in enumerate(windows, 1):
        clock.time = window.end
        pipeline.run(window)
        if deliver:
            pipeline.deliver()
        if progress:
            progress(done, len(windows))
