"""Merge one window's events and find what is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from config.bootstrap import open_ledger
from flows.due import run_name, window_of
from flows.opening import RETRIES, RETRY_DELAY_S, opened, settings_of
from incidents.quality import LATE_FOR, QualityNotice
from telemetry.time import Window


@task(name="detect in a window", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def detect_window(window: Window, config: str | None) -> dict[str, int]:
    """Merge and detect one window; return what was counted, now or when it was run before."""
    with opened(config) as pipeline:
        merged, detected = pipeline.merge(window), pipeline.detect(window)
        return {**merged.counts, **detected.counts}


def quality_rows(notices: Sequence[QualityNotice]) -> list[dict[str, str]]:
    """Return quality notices as rows of a table, latest first."""
    return [
        {
            "detected": f"{notice.detected_time:%Y-%m-%d %H:%M} UTC",
            "kind": notice.kind.value,
            "cohort": str(notice.cohort),
            "state": "open" if notice.until is None else f"until {notice.until:%Y-%m-%d %H:%M} UTC",
            "what": " ".join(notice.sentences),
        }
        for notice in reversed(notices)
    ]


@task(name="show data quality", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def show_quality(window: Window, config: str | None) -> int:
    """Put the silences that go on, or ended a few hours ago, into a table artifact; return how many there are."""
    with open_ledger(settings_of(config)) as ledger:
        notices = ledger.open_quality(closed_since=window.end - LATE_FOR)
    create_table_artifact(
        key="data-quality",
        table=quality_rows(notices),
        description=f"Missing telemetry and viewers at {window.end:%Y-%m-%d %H:%M} UTC, for ops",
    )
    return len(notices)


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
    due = window_of(window, settings_of(config).schedules)
    counts = detect_window(due, config)
    show_quality(due, config)
    return counts
