"""``prebuffer outbox``: what is on its way, and settling what nobody else can tell of."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say, table
from incidents.ledger.store import writing
from notifiers.outbox import State
from notifiers.settling import SettlingError, counts, listed, settle_by_hand

app = typer.Typer(help="See what is on its way, and settle what is unknown.", no_args_is_help=True)


@app.command(name="list")
def list_(
    state: Annotated[State | None, typer.Option(help="Only messages in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Most messages to list.")] = 100,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Count messages by state, or list those in one state, the oldest first.

    Examples:
        prebuffer outbox list

        prebuffer outbox list --state unknown --json
    """
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        totals = counts(connection)
        rows = [] if state is None else [row._asdict() for row in listed(connection, state, limit)]
    if as_json:
        print_json({"states": {name.value: count for name, count in totals.items()}, "messages": rows})
        return
    if state is None:
        table("Outbox", ("state", "messages"), [(name.value, str(count)) for name, count in totals.items()])
        return
    columns = ("message_id", "channel", "attempts", "queued_time", "incident_id", "detail")
    shown = [tuple("" if row[name] is None else str(row[name]) for name in columns) for row in rows]
    table(f"{totals[state]} {state.value}", columns, shown)


@app.command()
def settle(
    message: Annotated[str, typer.Argument(help="The message's key, as `outbox list` shows it.")],
    state: Annotated[State, typer.Argument(help="What became of it: sent or failed.")],
    config: ConfigOption = None,
) -> None:
    """Say what became of an unknown message; who said so is recorded.

    Examples:
        prebuffer outbox settle abcdefghijkl2345 failed
    """
    with open_ledger(settings_of(config)) as ledger:
        try:
            with writing(ledger.engine).begin() as connection:
                settle_by_hand(connection, message, state, getpass.getuser(), now())
        except SettlingError as error:
            raise typer.BadParameter(str(error)) from None
    say(f"Message {message} is {state.value}.")
