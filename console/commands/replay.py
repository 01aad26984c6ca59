"""``prebuffer replay``: what would have been decided."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import ConfigOption, FromOption, JsonOption, StepOption, ToOption
from console.opening import now, settings_of
from console.output import outcome_document, outcome_tables, print_json, progress, say
from console.replay import ReplayReport
from console.replay import replay as replay_world

WorldOption = Annotated[Path, typer.Option("--world", help="A folder in the contract's form.", show_default=False)]
OutOption = Annotated[Path, typer.Option("--out", help="Folder for the two Parquet files.", show_default=False)]


def replay(
    *,
    world: WorldOption,
    out: OutOption,
    start: FromOption = None,
    end: ToOption = None,
    step: StepOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk a world's clock and write what would have been decided; nothing is delivered.

    At each step only what had been received by then is seen. Your own warehouse and ledger are not touched.

    Examples:
        prebuffer replay --world worlds/dev-small --out data/var/replay

        prebuffer replay --world DIR --from 2026-03-09T00:00 --to 2026-03-12T00:00 --step 10m --out DIR --json
    """
    settings = settings_of(config)
    with progress("Replaying") as bar:
        report = replay_world(
            world,
            out,
            settings,
            now=now(),
            step=step or settings.schedules.step,
            start=start,
            end=end,
            progress=bar,
        )
    if as_json:
        print_json(_document(report))
    else:
        _show(report)


def _document(report: ReplayReport) -> dict[str, object]:
    return {
        "from": report.span.start.isoformat(),
        "to": report.span.end.isoformat(),
        "steps": report.steps,
        **outcome_document(report.incidents, report.notices, report.quality),
        "files": [str(file) for file in report.files],
    }


def _show(report: ReplayReport) -> None:
    outcome_tables(report.incidents, report.notices, report.quality)
    start, end = report.span.start, report.span.end
    say(f"{report.steps} steps from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC.")
    for file in report.files:
        say(str(file))
