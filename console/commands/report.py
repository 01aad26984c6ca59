"""``prebuffer report``: incidents as pages, and as files to hand out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, say
from console.report.files import Format
from console.reporting import hand_out, write

IncidentArgument = Annotated[
    str | None, typer.Argument(help="One incident's id; all of them if absent.", show_default=False)
]
OutOption = Annotated[
    Path | None, typer.Option("--out", help="Folder; that of the settings if absent.", show_default=False)
]


FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Hand out one incident as a file that never changes.", show_default=False),
]
AuthorOption = Annotated[str, typer.Option("--author", help="Who asks for it: the audit trail keeps the name.")]


def report(
    *,
    incident: IncidentArgument = None,
    form: FormatOption = None,
    author: AuthorOption = "command line",
    out: OutOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a page for one incident, or for each of them with an index.

    Examples:
        prebuffer report

        prebuffer report inc-0123456789ab --out data/var/reports

        prebuffer report inc-0123456789ab --format pdf
    """
    settings = settings_of(config)
    folder = out or settings.paths.reports
    if form is None:
        _say(str(write(settings, incident, folder, now())), as_json=as_json)
        return
    if incident is None:
        raise typer.BadParameter("Name the incident that is to be handed out.", param_hint="INCIDENT")
    file = hand_out(settings, incident, form, folder, author, now())
    if as_json:
        print_json({"report": str(folder / file.name), "report_id": file.report_id, "sha256": file.sha256})
    else:
        say(str(folder / file.name))


def _say(page: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"report": page})
    else:
        say(page)
