"""``prebuffer alerts``: what staff hear of, telling them, and trying it out."""

from __future__ import annotations

from typing import Annotated

import typer

from config.alerting import alert_places, alerts_now, console_address, tell_staff
from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say, table
from notifiers import staff
from notifiers.alerts import Alert, AlertKind
from notifiers.staff import AlertReport, untold

app = typer.Typer(help="Tell staff what they must hear of, in Slack, Teams or elsewhere.", no_args_is_help=True)
NOWHERE = "Nobody is told: PREBUFFER_ALERT_URLS is not set."
TRIAL = Alert(AlertKind.INCIDENT, "trial", "this is a test", "Nothing is wrong. Real alerts will come here.")
SendOption = Annotated[bool, typer.Option("--send", help="Say it, instead of only printing what would be said.")]


@app.command(name="list")
def list_(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show what staff should know of now, whether or not they were told.

    Examples:
        prebuffer alerts list
    """
    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        found = alerts_now(settings, ledger, now())
        with ledger.read() as connection:
            waiting = untold(connection)
    if as_json:
        shown = [{"kind": it.kind.value, "key": it.key, "title": it.title, "text": it.text} for it in found]
        print_json({"alerts": shown, "untold": waiting})
        return
    table(
        "Alerts" if found else "No alerts",
        ("kind", "title", "what"),
        [(it.kind.value, it.title, it.text) for it in found],
    )


@app.command()
def tell(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Tell staff what they have not heard, as the flows do; from cron on another machine it tells that none runs.

    Examples:
        prebuffer alerts tell
    """
    settings = settings_of(config)
    with open_ledger(settings) as ledger:
        report = tell_staff(settings, ledger, now())
    if as_json:
        print_json(vars(report))
    else:
        say(_sentence(report) if settings.alerts.urls else NOWHERE)
    raise typer.Exit(1 if report.failed else 0)


@app.command(name="test")
def try_out(send: SendOption = False, config: ConfigOption = None) -> None:
    """Print a test alert and where it would go, or send it; the ledger is not touched.

    Examples:
        prebuffer alerts test

        prebuffer alerts test --send
    """
    settings = settings_of(config)
    where, console = alert_places(settings), console_address(settings)
    if not where:
        say(NOWHERE)
        raise typer.Exit(1 if send else 0)
    for line in staff.words([TRIAL], console):
        say(line)
    if not send:
        table("It would go to", ("place",), [(place.shown,) for place in where])
        return
    taken = staff.send(where, TRIAL, console)
    table("It went to", ("place", "taken"), [(name, "yes" if yes else "no") for name, yes in taken.items()])
    raise typer.Exit(0 if all(taken.values()) else 1)


def _sentence(report: AlertReport) -> str:
    if not (report.told or report.failed):
        return "Staff have heard everything that may be tried now."
    return f"Alerts: {report.told} told, {report.failed} not taken, to be tried again."
