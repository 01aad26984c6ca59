"""``prebuffer ingest``: read telemetry into the warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from config.bootstrap import open_pipeline
from console.arguments import ConfigOption, JsonOption
from console.opening import now, settings_of
from console.output import print_json, progress, say, table
from telemetry.ingest import IngestReport, Progress

Source = Annotated[Path, typer.Argument(help="A file, a folder of files, or a world.", show_default=False)]
TableOption = Annotated[
    str | None,
    typer.Option(
        "--table",
        help="playback, subscribers or contacts; told by the file's name if absent.",
        show_default=False,
    ),
]
FormatOption = Annotated[
    str | None,
    typer.Option("--format", help="Name of an adapter; told by the file's name if absent.", show_default=False),
]


def ingest(
    source: Source,
    *,
    table_name: TableOption = None,
    file_format: FormatOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Read playback events, subscribers and contacts into the warehouse.

    Rows that break the contract go to quarantine with their reason. A file read before changes nothing.

    Examples:
        prebuffer ingest data/var/incoming

        prebuffer ingest today.ndjson.gz --table playback --json
    """
    with open_pipeline(settings_of(config), now) as pipeline, progress("Ingesting") as step:

        def show(at: Progress) -> None:
            step(at.done, at.total)

        found = pipeline.ingest(source, table=table_name, file_format=file_format, progress=show)
    if as_json:
        print_json(_document(found))
    else:
        _show(found)


def _document(found: IngestReport) -> dict[str, object]:
    return {
        "files": len(found.files),
        "skipped": sum(file.skipped for file in found.files),
        "rows": found.rows,
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "quarantined": {reason.value: count for reason, count in found.quarantined.items()},
    }


def _show(found: IngestReport) -> None:
    skipped = sum(file.skipped for file in found.files)
    say(
        f"{len(found.files)} files, {skipped} of them read before; "
        f"{found.rows:,} rows, {found.accepted:,} new, {found.duplicates:,} duplicates."
    )
    if found.quarantined:
        table("Quarantine", ("reason", "rows"), [(r.value, n) for r, n in sorted(found.quarantined.items())])
