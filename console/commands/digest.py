"""``prebuffer digest``: the week, for leads."""

from __future__ import annotations

from typing import Annotated

import typer

from config.bootstrap import open_channels, open_ledger, template_folder
from console.arguments import ConfigOption, JsonOption
from console.digest import compose, week_before
from console.digest import send as send_digest
from console.opening import now, settings_of
from console.output import print_json, say

SendOption = Annotated[bool, typer.Option("--send", help="Mail it to the leads in the settings, once a week.")]


def digest(*, send: SendOption = False, config: ConfigOption = None, as_json: JsonOption = False) -> None:
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
            return
        with open_channels(settings, ledger) as channels:
            count = send_digest(ledger, channels, week, written, settings.digest.leads, moment)
    if as_json:
        print_json({"sent": count})
    else:
        say(f"Sent to {count} leads." if count else "Nothing to send: no leads are set, or this week's was sent.")
