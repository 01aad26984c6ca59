"""Show incidents: as a table in Prefect, and as pages by the command line's own report."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta

from prefect import flow, task
from prefect.artifacts import create_table_artifact

from config.bootstrap import open_ledger
from flows.due import run_name, window_of
from flows.opening import RETRIES, RETRY_DELAY_S, settings_of
from incidents.model import Incident
from telemetry.time import Window

SHOWN = timedelta(days=7)
"""How far back the table of incidents goes."""


def incident_rows(incidents: Sequence[Incident]) -> list[dict[str, str | int]]:
    """Return incidents as rows of a table, latest first."""
    return [
        {
            "detected": f"{incident.detected_time:%Y-%m-%d %H:%M} UTC",
            "signal": incident.signal.value,
            "cohort": str(incident.cohort),
            "cause": incident.verdict.cause.value,
            "severity": incident.severity.value,
            "people": incident.affected_subscribers,
            "state": "open" if incident.is_open else f"resolved {incident.resolved_time:%Y-%m-%d %H:%M} UTC",
        }
        for incident in reversed(incidents)
    ]


@task(name="show incidents", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def show_incidents(window: Window, config: str | None) -> int:
    """Put the incidents of the last week into a table artifact; return how many there are."""
    with open_ledger(settings_of(config)) as ledger:
        incidents = ledger.incidents(since=window.end - SHOWN)
    create_table_artifact(
        key="incidents",
        table=incident_rows(incidents),
        description=f"Incidents up to {window.end:%Y-%m-%d %H:%M} UTC",
    )
    return len(incidents)


@task(name="write reports", retries=RETRIES, retry_delay_seconds=RETRY_DELAY_S, tags=["incidents"])
def write_reports(config: str | None) -> None:
    """Write a page for each incident with the command line, which owns the pages."""
    options = [] if config is None else ["--config", config]
    command = [sys.executable, "-m", "console.main", "report", *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own command


@flow(name="report", flow_run_name=run_name("report"))
def report(window: str | None = None, config: str | None = None) -> int:
    """Show the incidents of the last week; return how many there are.

    Parameters
    ----------
    window
        ``START/END``, up to whose end; the due one if absent.
    config
        A settings file; the default one if absent.
    """
    shown = show_incidents(window_of(window, settings_of(config).schedules), config)
    write_reports(config)
    return shown
