"""``prebuffer approvals``: what waits for a person's word."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say, table
from notifiers import rollout

app = typer.Typer(help="What waits for a person's word, and saying it.", no_args_is_help=True)
EpisodeArgument = Annotated[str, typer.Argument(help="The incident's id.", show_default=False)]
NoteOption = Annotated[str | None, typer.Option("--note", help="Why, in a sentence.", show_default=False)]


@app.command("list")
def list_waiting(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show the large audiences that wait for approval, longest first."""
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        waiting = rollout.waiting(connection)
    if as_json:
        print_json({"waiting": [{**vars(it), "asked_time": it.asked_time.isoformat()} for it in waiting]})
    elif waiting:
        rows = [
            (it.episode, it.audience, f"{it.allowed_share:.0%}", f"{it.asked_time:%Y-%m-%d %H:%M}") for it in waiting
        ]
        table("Waiting for approval", ("incident", "people", "told so far", "since (UTC)"), rows)
    else:
        say("Nothing waits for approval.")


@app.command()
def approve(episode: EpisodeArgument, note: NoteOption = None, config: ConfigOption = None) -> None:
    """Say yes to the next stage; the pipeline's next run tells it."""
    settings = settings_of(config)
    with open_ledger(settings) as ledger, ledger.write() as connection:
        stages = settings.notices.stages
        decided = rollout.approve(connection, episode, getpass.getuser(), now(), stages=stages, note=note)
    say(f"{decided.allowed_share:.0%} of the audience of {episode} may be told now.")


@app.command()
def refuse(episode: EpisodeArgument, note: NoteOption = None, config: ConfigOption = None) -> None:
    """Say no: whoever was not told by now is not told."""
    with open_ledger(settings_of(config)) as ledger, ledger.write() as connection:
        rollout.refuse(connection, episode, getpass.getuser(), now(), note=note)
    say(f"The rest of the audience of {episode} is not told.")
