"""``prebuffer labels``: what leads say was true, for tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import settings_of
from console.output import print_json, say
from incidents.reviews import labels

app = typer.Typer(help="Export what reviews say was true.", no_args_is_help=True)

SCHEMA = pa.schema(
    [
        ("incident_id", pa.string()),
        ("is_fault", pa.bool_()),
        ("verdict", pa.string()),
        ("signal", pa.string()),
        ("cohort", pa.string()),
        ("cause", pa.string()),
        ("severity", pa.string()),
        ("start", pa.timestamp("us", tz="UTC")),
        ("end", pa.timestamp("us", tz="UTC")),
        ("merged_into", pa.string()),
        ("reviewed_by", pa.string()),
        ("reviewed_time", pa.timestamp("us", tz="UTC")),
    ]
)


@app.callback()
def group() -> None:
    """Export what reviews say was true."""


@app.command()
def export(
    *,
    out: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")] = Path("data/var/labels.parquet"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a row for each reviewed incident: its group, cause and times, and whether it was a fault at all.

    Examples:
        prebuffer labels export --out data/var/labels.parquet
    """
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        rows = list(labels(connection))
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out)
    if as_json:
        print_json({"labels": str(out), "count": len(rows)})
    else:
        say(f"{len(rows)} labels in {out}")
