"""``prebuffer run``: the loop for a window, without Prefect."""

from __future__ import annotations

from config.bootstrap import open_pipeline
from config.pipeline import StageReport
from console.arguments import ConfigOption, JsonOption, StepOption, WindowOption
from console.opening import now, settings_of
from console.output import print_json, progress, quality_document, quality_table, say, table


def run(
    window: WindowOption,
    step: StepOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Merge, detect, decide and deliver for a window of received time, step by step.

    Steps that were run before are skipped, so a run that was cut off is simply run again.

    Examples:
        prebuffer run --window 2026-03-09T00:00/2026-03-09T00:10

        prebuffer run --window 2026-03-09/2026-03-10 --step 15m --json
    """
    settings = settings_of(config)
    windows = window.split(step or settings.schedules.step)
    stages: list[StageReport] = []
    with open_pipeline(settings, now) as pipeline:
        with progress("Running", len(windows)) as bar:
            for part in windows:
                stages.extend(pipeline.run(part))
                bar()
        delivered = {state.value: count for state, count in pipeline.deliver().states.items()}
        quality = pipeline.ledger.open_quality(closed_since=window.start)
    if as_json:
        print_json(
            {
                "stages": [_document(stage) for stage in stages],
                "delivered": delivered,
                "quality_notices": [quality_document(notice) for notice in quality],
            }
        )
    else:
        _show(stages, delivered)
        quality_table(quality)


def _document(stage: StageReport) -> dict[str, object]:
    return {
        "window": stage.window.key,
        "stage": stage.stage.value,
        "ran": stage.ran,
        "state": stage.lease.value,
        "counts": dict(stage.counts),
    }


def _show(stages: list[StageReport], delivered: dict[str, int]) -> None:
    table(
        "Stages",
        ("window", "stage", "", "found"),
        [
            (
                stage.window.key,
                stage.stage.value,
                "ran" if stage.ran else stage.lease.value,
                _counts(stage.counts),
            )
            for stage in stages
        ],
    )
    say(f"Outbox: {_counts(delivered)}.")


def _counts(counts: object) -> str:
    found = dict(counts) if isinstance(counts, dict) else {}
    return ", ".join(f"{count} {name}" for name, count in found.items() if count) or "nothing"
