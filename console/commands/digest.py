"""``prebuffer digest``: the week, for leads."""

from __future__ import annotations

from typing import Annotated

import typer

from config.bootstrap import open_channels, open_ledger, template_folder
from console.arguments import ConfigOption, JsonOption
from console.digest import Mailed, compose, week_before
from console.digest import send as send_digest
from console.opening import now, settings_of
from console.output import complain, print_json, say

AgainOption = Annotated[
    bool, typer.Option("--again", help="Also to leads of whom a crash left unknown whether they had it.")
]
NOBODY = "Nobody gets it by mail: no lead is named in the setting digest.leads."
SendOption = Annotated[bool, typer.Option("--send", help="Mail it to the leads in the settings, once a week.")]


def digest(
    *,
    send: SendOption = False,
    again: AgainOption = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show last week's digest, or mail it to the leads.

    Examples:
        prebuffer digest

        prebuffer digest --send
    """
    settings, moment = settings_of(config), now()
    with open_ledger(settings) as ledger:
        week = week_before(ledger, moment)
        written = compose(week, settings.brand.service_name, template_folder(settings))
        if not send:
            say(written.text)
            if not settings.digest.leads:
                complain(NOBODY)
            return
        with open_channels(settings, ledger) as channels:
            mailed = send_digest(ledger, channels, week, written, settings.digest.leads, moment, again=again)
    if as_json:
        print_json({"sent": mailed.sent, "unknown": mailed.unknown, "failed": list(mailed.failed)})
    elif settings.digest.leads:
        _say(mailed)
    else:
        say(NOBODY)
    if mailed.failed:
        raise typer.Exit(1)


def _say(mailed: Mailed) -> None:
    if mailed.sent:
        say(f"Sent to {mailed.sent} {'lead' if mailed.sent == 1 else 'leads'}.")
    elif not (mailed.unknown or mailed.failed):
        say("Nothing to send: every lead has had it.")
    if mailed.unknown:
        say(f"Of {mailed.unknown} nobody knows whether it arrived. Ask them; if not: prebuffer digest --send --again")
    for sentence in mailed.failed:
        complain(sentence)
