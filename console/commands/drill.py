"""``prebuffer drill``: practise on a made-up incident."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, progress, say, table
from incidents.drills import Drill, Score, all_drills

app = typer.Typer(help="Practise on a made-up incident: everything but real sending.", no_args_is_help=True)


class Scenario(StrEnum):
    """What goes wrong in a drill."""

    DELIVERY = "delivery"
    NETWORK = "network"
    RIGHTS = "rights"


AuthorOption = Annotated[str, typer.Option("--author", help="Who says so: the audit trail keeps the name.")]
DrillArgument = Annotated[str, typer.Argument(help="The drill's id.")]


@app.command()
def start(
    *,
    author: AuthorOption,
    scenario: Annotated[
        Scenario | None, typer.Option("--scenario", help="What goes wrong; a surprise if absent.", show_default=False)
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="Where drills live.")] = Path("data/var/drills"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make an invented incident that goes on now, in stores of its own, and count the time.

    Examples:
        prebuffer drill start --author ann
    """
    # Only this command waits for what makes worlds to load.
    from console import drills  # noqa: PLC0415

    with progress("An evening goes wrong") as bar:
        drill = drills.start(settings_of(config), folder, scenario, author, now, bar)
    settings = Path(drill.folder) / drills.CONFIG
    if as_json:
        print_json({"drill_id": drill.drill_id, "config": str(settings)})
        return
    say(f"DRILL {drill.drill_id} goes on. Everything in it is invented, and nothing leaves this machine.")
    say(f"Open the console on it:  prebuffer web --config {settings}")
    say(f"End it:                  prebuffer drill end {drill.drill_id} --author {author}")


@app.command()
def status(drill_id: DrillArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what was done so far in a drill, and what is still to do.

    Examples:
        prebuffer drill status drill-20260309-184000
    """
    from console import drills  # noqa: PLC0415

    _show(*drills.status(settings_of(config), drill_id, now()), as_json=as_json)


@app.command()
def end(
    drill_id: DrillArgument, author: AuthorOption, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """End a drill, and show what was missed.

    Examples:
        prebuffer drill end drill-20260309-184000 --author ann
    """
    from console import drills  # noqa: PLC0415

    _show(*drills.end(settings_of(config), drill_id, author, now()), as_json=as_json)


@app.command(name="list")
def list_drills(config: ConfigOption = None) -> None:
    """List the drills there were, and what was missed in each.

    Examples:
        prebuffer drill list
    """
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        known = all_drills(connection)
    rows = [(it.drill_id, it.scenario, it.started_by, _missed(it)) for it in known]
    table("Drills" if rows else "No drills", ("drill", "scenario", "started by", "missed"), rows)


def _missed(drill: Drill) -> str:
    if drill.score is None:
        return "goes on"
    return ", ".join(drill.score["missed"]) or "nothing"


def _show(drill: Drill, score: Score, *, as_json: bool) -> None:
    if as_json:
        print_json({"drill_id": drill.drill_id, "ended": drill.ended_time is not None, **score.document})
        return
    minute = timedelta(minutes=1)
    rows = [
        (
            task.name,
            "not asked for" if not task.asked else "-" if task.took is None else f"{task.took / minute:.0f} min",
            f"{task.limit / minute:.0f} min",
            "missed" if task.missed else "",
        )
        for task in score.tasks
    ]
    table(f"DRILL {drill.drill_id} ({drill.scenario})", ("task", "done after", "limit", ""), rows)
    if score.right is not None:
        say("The verdict was right." if score.right else "The verdict was wrong: the fault was real.")
