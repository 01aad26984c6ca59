"""Decide whom to tell about one window, and send what is due."""

from __future__ import annotations

from prefect import flow, task

from flows.due import run_name, window_of
from flows.opening import RETRIES, RETRY_DELAY_S, opened, settings_of
from telemetry.time import Window


@task(name="decide in a window", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["notices"])
def decide_window(window: Window, config: str | None) -> dict[str, int]:
    """Decide on everybody in trouble; return notices by reason, now or when it was run before."""
    with opened(config) as pipeline:
        return dict(pipeline.notify(window).counts)


@task(name="send what is due", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["notices"])
def send_due(config: str | None) -> dict[str, int]:
    """Send from the outbox; return messages by the state that they ended in."""
    with opened(config) as pipeline:
        return {state.value: count for state, count in pipeline.deliver().states.items()}


@flow(name="notify", flow_run_name=run_name("notify"))
def notify(window: str | None = None, config: str | None = None) -> dict[str, int]:
    """Tell the people in trouble, as far as they are to be told.

    Parameters
    ----------
    window
        ``START/END``; the due one if absent.
    config
        A settings file; the default one if absent.
    """
    decided = decide_window(window_of(window, settings_of(config).schedules), config)
    send_due(config)
    return decided
