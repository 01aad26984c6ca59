"""The whole loop for one window, and for those before it that were missed."""

from __future__ import annotations

from prefect import flow

from flows.alerts import tell_without_fail
from flows.detect import detect_window, show_quality
from flows.due import run_name, window_of
from flows.ingest import ingest_incoming
from flows.notify import decide_window, send_due
from flows.opening import opened, settings_of
from flows.report import show_incidents, write_reports
from telemetry.time import Window


def windows_to_run(window: Window, config: str | None) -> list[Window]:
    """Return the missed windows and `window`, in order."""
    with opened(config) as pipeline:
        return pipeline.backlog(window, settings_of(config).schedules.max_backlog)


@flow(name="pipeline", flow_run_name=run_name("pipeline"))
def pipeline(window: str | None = None, config: str | None = None) -> int:
    """Read, detect, tell and report; return how many windows were run.

    Parameters
    ----------
    window
        ``START/END``; the due one if absent.
    config
        A settings file; the default one if absent.
    """
    due = window_of(window, settings_of(config).schedules)
    ingest_incoming(config)
    windows = windows_to_run(due, config)
    for missed in windows:
        detect_window(missed, config)
        decide_window(missed, config)
    show_quality(due, config)
    send_due(config)
    tell_without_fail(config)
    show_incidents(due, config)
    write_reports(config)
    return len(windows)
