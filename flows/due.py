"""Which window a run is for: by when it was scheduled, never by when it happens to run."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from prefect.runtime import flow_run

from config.settings import ScheduleSettings
from config.times import parse_window
from flows.opening import settings_of
from telemetry.time import Window, utc

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def due_window(scheduled: datetime, schedules: ScheduleSettings) -> Window:
    """Return the latest window that has ended and settled by the time a run was scheduled.

    Parameters
    ----------
    scheduled
        The scheduled start, aware; a run that is late keeps it.
    schedules
        The step, counted from midnight UTC, and how long events take to arrive.
    """
    steps = (utc(scheduled) - schedules.settle - EPOCH) // schedules.step
    end = EPOCH + steps * schedules.step
    return Window(end - schedules.step, end)


def window_of(window: str | None, schedules: ScheduleSettings) -> Window:
    """Return the window that a run was asked for, or else the one that is due."""
    if window is not None:
        return parse_window(window)
    scheduled = flow_run.scheduled_start_time  # a pendulum DateTime, which plain ones do not mix with
    return due_window(datetime.fromtimestamp(scheduled.timestamp(), UTC), schedules)


def run_name(verb: str) -> Callable[[], str]:
    """Return what names the runs of a flow: the verb and the window, e.g. ``detect 20260309T0000Z-...``."""

    def name() -> str:
        parameters = flow_run.parameters
        settings = settings_of(parameters.get("config"))
        return f"{verb} {window_of(parameters.get('window'), settings.schedules).key}"

    return name


def anchor(schedules: ScheduleSettings) -> datetime:
    """Return a moment from which runs every step start just after their window has settled."""
    return EPOCH + timedelta(days=1) + schedules.settle
