"""``prebuffer report``: incidents as pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say
from console.reporting import write

IncidentArgument = Annotated[
    str | None, typer.Argument(help="One incident's id; all of them if absent.", show_default=False)
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder; that of the settings if absent.", show_default=False)
]


def report(
    incident: IncidentArgument = None,
    out: OutOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page for one incident, or for each of them with an index.

    Examples:
        prebuffer report

        prebuffer report inc-0123456789ab --out data/var/reports
    """
    settings = settings_of(config)
    page = write(settings, incident, out or settings.paths.reports, now())
    if as_json:
        print_json({"report": str(page)})
    else:
        say(str(page))
