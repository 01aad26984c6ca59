"""Register the schedules on a Prefect server and run them: ``python -m flows.serve [--config FILE]``.

A run that is still going when the next is due keeps it away: the deployment's concurrency limit cancels the
newcomer, and should that fail, the ledger's lease does. Its window is not lost: the next run catches up.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from prefect import Flow, serve
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron, Interval, Schedule
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.types.entrypoint import EntrypointType

from config.settings import ScheduleSettings
from flows.alerts import alerts
from flows.detect import detect
from flows.digest import digest
from flows.due import anchor
from flows.ingest import ingest
from flows.notify import notify
from flows.opening import settings_of
from flows.pipeline import pipeline
from flows.reconcile import reconcile
from flows.report import report
from flows.server import server_where_none_is_configured

ON_DEMAND: tuple[Flow[Any, Any], ...] = (ingest, detect, notify, report)
"""Parts of the loop, to be started by hand; the pipeline runs them all."""
ONE_AT_A_TIME = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
TAGS = ["prebuffer"]
MONDAY_MORNING = "0 7 * * 1"
"""When the weekly digest goes out, in UTC."""
EVERY_FIVE_MINUTES = "*/5 * * * *"
"""When staff are told what is due even if no pipeline runs."""
NIGHTLY = "20 3 * * *"
"""When suppressions are compared with SendGrid's lists, in UTC."""


def deployments(schedules: ScheduleSettings, config: str | None) -> list[RunnerDeployment]:
    """Return what is served: the pipeline every step, other jobs by the clock, and parts without a schedule."""
    every_step = Interval(schedules.step, anchor_date=anchor(schedules), timezone="UTC")
    return [
        _deployment(pipeline, config, schedule=every_step),
        _deployment(alerts, config, schedule=Cron(EVERY_FIVE_MINUTES, timezone="UTC")),
        _deployment(reconcile, config, schedule=Cron(NIGHTLY, timezone="UTC")),
        _deployment(digest, config, schedule=Cron(MONDAY_MORNING, timezone="UTC")),
        *(_deployment(part, config) for part in ON_DEMAND),
    ]


def _deployment(part: Flow[Any, Any], config: str | None, schedule: Schedule | None = None) -> RunnerDeployment:
    return RunnerDeployment.from_flow(
        part,
        name=part.name,
        schedule=schedule,
        parameters={"config": config},
        concurrency_limit=ONE_AT_A_TIME,
        tags=TAGS,
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


def main() -> None:
    """Serve until interrupted; then Prefect pauses the schedules, and the next start resumes them."""
    parser = argparse.ArgumentParser(prog="python -m flows.serve")
    parser.add_argument("--config", type=Path)
    chosen = parser.parse_args().config
    config = None if chosen is None else str(chosen.resolve())
    schedules = settings_of(config).schedules
    with server_where_none_is_configured() as address, temporary_settings({PREFECT_API_URL: address}):
        serve(*deployments(schedules, config))


if __name__ == "__main__":
    main()
