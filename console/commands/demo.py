"""``prebuffer demo``: see the whole loop work."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from console.arguments import ConfigOption, JsonOption
from console.opening import settings_of
from console.output import outcome_document, outcome_tables, print_json, progress, say

if TYPE_CHECKING:
    from console.demo import DemoReport

DEMO_FOLDER = Path("data/var/demo")
FolderOption = Annotated[Path, typer.Option("--folder", help="Where it lives; an earlier demo there is replaced.")]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", help="Another seed is another population, same faults.", show_default=False),
]


def demo(
    *,
    folder: FolderOption = DEMO_FOLDER,
    seed: SeedOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an invented service's bad days and run the whole loop on them; mails go into a folder.

    Examples:
        prebuffer demo

        prebuffer demo --folder /tmp/demo --seed 7 --json
    """
    # Only this command waits for what makes worlds to load.
    from console.demo import demo as run_demo  # noqa: PLC0415
    from data.demo import SEED, make_world  # noqa: PLC0415

    make = partial(make_world, seed=SEED if seed is None else seed)
    with progress("Two bad days") as bar:
        report = run_demo(folder, settings_of(config), make, bar)
    if as_json:
        print_json(_document(report))
    else:
        _show(report)
        if folder == DEMO_FOLDER:
            say("Console: prebuffer web --demo (links in the mails lead there, too)")


def _document(report: DemoReport) -> dict[str, object]:
    return {
        **outcome_document(report.incidents, report.notices, report.quality),
        "report": str(report.report),
        "mailbox": str(report.mailbox),
        "config": str(report.config),
    }


def _show(report: DemoReport) -> None:
    outcome_tables(report.incidents, report.notices, report.quality)
    say(f"Report:  {report.report}")
    say(f"Mailbox: {report.mailbox}")
    days = (report.shown.end - report.shown.start).days
    say(f"Others:  prebuffer measures --days {days} --until {report.shown.end:%Y-%m-%d} --config {report.config}")
