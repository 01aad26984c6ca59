"""``prebuffer measures``: whether it helped."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.measuring import judged_row, rolled_up, served_row, summary
from console.opening import now, settings_of
from console.output import print_json, say, table
from notifiers.effect.measures import Service

UntilOption = Annotated[
    datetime | None,
    typer.Option("--until", formats=["%Y-%m-%d"], help="The day after the last; today if absent.", show_default=False),
]
DaysOption = Annotated[int, typer.Option("--days", min=1, max=366, help="How many days.")]


def measures(
    *, days: DaysOption = 28, until: UntilOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Show how people fared who were told against those held out, and whether anybody is served worse.

    Examples:
        prebuffer measures

        prebuffer measures --days 90 --json

        prebuffer measures --days 2 --until 2026-05-13
    """
    moment = now()
    last = (until or moment).date() - timedelta(days=1)
    with open_ledger(settings_of(config)) as ledger:
        found = rolled_up(ledger, last - timedelta(days=days - 1), last, moment)
    if as_json:
        print_json(_document(found))
        return
    columns = ("measure", "told", "held out", "difference", "95 % limits", "verdict")
    table(f"{found.first} to {found.last}", columns, [judged_row(it) for it in found.judged])
    for sentence in summary(found):
        say(sentence)
    if found.served:
        names = ("who", "people", "told", "contact support", "against others", "")
        table("By region, language and device", names, [served_row(it) for it in found.served])


def _document(found: Service) -> dict[str, Any]:
    document = asdict(found)
    return document | {"first": found.first.isoformat(), "last": found.last.isoformat()}
