"""``prebuffer labels``: what leads and readers say was true, for tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer

from config.bootstrap import open_ledger
from console.arguments import ConfigOption, JsonOption
from console.opening import settings_of
from console.output import print_json, say
from incidents.reviews import labels
from notifiers import feedback

app = typer.Typer(help="Export what reviews and readers say was true.", no_args_is_help=True)

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
        ("answered", pa.int64()),
        ("no_problem", pa.int64()),
    ]
)
ANSWERS = pa.schema(
    [
        ("notice_id", pa.string()),
        ("subscriber_id", pa.string()),
        ("episode", pa.string()),
        ("incident_id", pa.string()),
        ("kind", pa.string()),
        ("problem", pa.string()),
        ("cause", pa.string()),
        ("decided_time", pa.timestamp("us", tz="UTC")),
        ("device_type", pa.string()),
        ("since", pa.timestamp("us", tz="UTC")),
        ("last_bad_time", pa.timestamp("us", tz="UTC")),
        ("was_problem", pa.bool_()),
        ("helped", pa.bool_()),
        ("answered_time", pa.timestamp("us", tz="UTC")),
    ]
)


@app.callback()
def group() -> None:
    """Export what reviews and readers say was true."""


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
    _write(rows, SCHEMA, out, as_json=as_json)


@app.command()
def answers(
    *,
    out: Annotated[Path, typer.Option("--out", help="The Parquet file to write.")] = Path("data/var/answers.parquet"),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a row for each notice that its reader answered: whether they had a problem at all, and whether it helped.

    Examples:
        prebuffer labels answers --out data/var/answers.parquet
    """
    with open_ledger(settings_of(config)) as ledger, ledger.read() as connection:
        rows = list(feedback.labels(connection))
    _write(rows, ANSWERS, out, as_json=as_json)


def _write(rows: list[dict[str, Any]], schema: pa.Schema, out: Path, *, as_json: bool) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), out)
    if as_json:
        print_json({"labels": str(out), "count": len(rows)})
    else:
        say(f"{len(rows)} labels in {out}")
