"""The flows on a real Prefect server: named by their window, with an artifact, and safely run twice."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterKey,
    DeploymentFilter,
    DeploymentFilterId,
)
from prefect.client.schemas.objects import ConcurrencyLimitStrategy

from config.settings import ScheduleSettings
from flows.alerts import alerts
from flows.detect import detect
from flows.due import due_window
from flows.ingest import ingest
from flows.notify import notify
from flows.pipeline import pipeline
from flows.reconcile import reconcile
from flows.report import incident_rows, report
from flows.serve import deployments

pytestmark = [pytest.mark.usefixtures("prefect"), pytest.mark.slow]
KEY = "20260309T1400Z-20260309T1415Z"


def ask(question):
    async def answer():
        async with get_client() as client:
            return await question(client)

    return asyncio.run(answer())


def run_names():
    return [run.name for run in ask(lambda client: client.read_flow_runs())]


def test_the_pipeline_runs_the_loop_twice_without_effect_and_catches_up(config, incoming, window, tmp_path):
    assert pipeline(window=window, config=config) == 1
    assert pipeline(window=window, config=config) == 1
    assert pipeline(window="2026-03-09T14:45/2026-03-09T15:00", config=config) == 3
    assert (tmp_path / "reports" / "index.html").exists()
    assert run_names().count(f"pipeline {KEY}") == 2
    assert detect(window=window, config=config) == {"slices": 1, "incidents": 0, "troubles": 0}
    wanted = ArtifactFilter(key=ArtifactFilterKey(any_=["incidents"]))
    artifacts = ask(lambda client: client.read_artifacts(artifact_filter=wanted))
    assert {artifact.type for artifact in artifacts} == {"table"}


def test_each_part_runs_alone_under_the_name_of_its_window(config, incoming, window):
    assert ingest(window=window, config=config)["accepted"] == 2
    assert detect(window=window, config=config) == {"slices": 1, "incidents": 0, "troubles": 0}
    assert notify(window=window, config=config) == {"released": 0}
    assert report(window=window, config=config) == 0
    assert reconcile(config=config) == {}
    assert alerts(config=config) == {}
    assert {f"{verb} {KEY}" for verb in ("ingest", "detect", "notify", "report")} <= set(run_names())


def test_without_an_incoming_folder_nothing_is_ingested_and_the_run_is_named_by_the_window_that_is_due(
    config,
):
    before = due_window(datetime.now(UTC), ScheduleSettings())
    assert ingest(config=config) == {}
    after = due_window(datetime.now(UTC), ScheduleSettings())
    assert {f"ingest {before.key}", f"ingest {after.key}"} & set(run_names())


def test_whole_jobs_have_a_schedule_and_none_overlaps_with_itself():
    schedules = ScheduleSettings(step=timedelta(minutes=15), settle=timedelta(minutes=2))
    served = {deployment.name: deployment for deployment in deployments(schedules, "my.yaml")}
    assert set(served) == {"pipeline", "alerts", "reconcile", "digest", "ingest", "detect", "notify", "report"}
    for name, deployment in served.items():
        assert deployment.concurrency_limit == 1
        assert deployment.concurrency_options.collision_strategy is ConcurrencyLimitStrategy.CANCEL_NEW
        assert deployment.parameters == {"config": "my.yaml"}
        assert deployment.entrypoint == f"flows.{name}.{name}"
    (schedule,) = served["pipeline"].schedules
    assert schedule.schedule.interval == timedelta(minutes=15)
    assert schedule.schedule.anchor_date.astimezone(UTC) == datetime(1970, 1, 2, 0, 2, tzinfo=UTC)
    crons = [served[name].schedules[0].schedule.cron for name in ("alerts", "reconcile", "digest")]
    assert crons == ["*/5 * * * *", "20 3 * * *", "0 7 * * 1"]
    assert not any(served[name].schedules for name in ("ingest", "detect", "notify", "report"))


def test_the_server_schedules_a_run_just_after_each_window_has_settled():
    schedules = ScheduleSettings(step=timedelta(minutes=15), settle=timedelta(minutes=2))
    served = next(found for found in deployments(schedules, None) if found.name == "pipeline")
    served.apply()

    async def schedule(client):
        deployment = await client.read_deployment_by_name("pipeline/pipeline")
        answer = await client._client.post(f"/deployments/{deployment.id}/schedule", json={"min_runs": 3})
        answer.raise_for_status()
        wanted = DeploymentFilter(id=DeploymentFilterId(any_=[deployment.id]))
        return await client.read_flow_runs(deployment_filter=wanted)

    runs = ask(schedule)
    assert len(runs) >= 3
    assert {(run.expected_start_time.minute % 15, run.expected_start_time.second) for run in runs} == {(2, 0)}


def test_incidents_are_shown_latest_first(make_incident):
    first, second = make_incident("a", hour=1), make_incident("b", hour=2, resolved=3)
    shown, earlier = incident_rows([first, second])
    assert shown["state"] == "resolved 2026-03-09 03:00 UTC"
    assert earlier["state"] == "open"
    assert earlier["cohort"] == "CDN cdn-b"
