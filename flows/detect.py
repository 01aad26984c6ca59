"""Merge one window's events and find what is wrong."""

from __future__ import annotations

from prefect import flow, task

from flows.due import run_name, window_of
from flows.opening import RETRIES, RETRY_DELAY_S, opened, settings_of
from telemetry.time import Window


@task(name="detect in a window", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def detect_window(window: Window, config: str | None) -> dict[str, int]:
    """Merge and detect one window; return what was counted, now or when it was run before."""
    with opened(config) as pipeline:
        merged, detected = pipeline.merge(window), pipeline.detect(window)
        return {**merged.counts, **detected.counts}


@flow(name="detect", flow_run_name=run_name("detect"))
def detect(window: str | None = None, config: str | None = None) -> dict[str, int]:
    """Find what is wrong in one window.

    Parameters
    ----------
    window
        ``START/END``; the due one if absent.
    config
        A settings file; the default one if absent.
    """
    return detect_window(window_of(window, settings_of(config).schedules), config)
