"""Reports to hand out: HTML, PDF, CSV and Parquet files that never change, each with what it was made of.

The ledger keeps the settings and the code that a report was made with, and its checksum: one that was altered
afterwards is known for it, and the same incident reported again later is another file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import Connection, select

from config.bootstrap import template_folder
from config.settings import Settings
from config.versions import code_version, settings_hash
from console.report import words
from console.report.facts import Facts
from console.report.pages import LONGEST_NAME, UNSAFE_IN_A_NAME, known_facts, page_of
from console.report.paper import pdf_of
from incidents.ledger import audit
from incidents.ledger.casework import report_files
from incidents.ledger.store import Ledger
from telemetry.time import utc

READ_ONLY = 0o444
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""


class Format(StrEnum):
    """What a report can be handed out as."""

    HTML = "html"
    PDF = "pdf"
    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class ReportFile:
    """A report that was handed out.

    Parameters
    ----------
    report_id, incident_id, format, name
        Which report of which incident, as what, under which file name.
    made_time, made_by
        When, and by whom.
    settings_hash, code_version
        Of the settings and the code that made it.
    sha256, bytes
        Of the file.
    """

    report_id: str
    incident_id: str
    format: Format
    name: str
    made_time: datetime
    made_by: str
    settings_hash: str
    code_version: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Made:
    """What a report says of how it was made."""

    report_id: str
    time: datetime
    settings: str
    code: str

    def __str__(self) -> str:
        return f"Report {self.report_id}, made with Prebuffer {self.code} and settings {self.settings[:12]}."


def make(
    ledger: Ledger, settings: Settings, incident_id: str, form: Format, folder: Path, author: str, now: datetime
) -> ReportFile:
    """Make a report of one incident and record it.

    Parameters
    ----------
    ledger
        Which also records it.
    settings
        Whose checksum it carries, and whose templates it uses.
    incident_id, form
        Of what, as what.
    folder
        Where its file goes: under a name that no other report has, and read-only.
    author, now
        Who asked for it, and when.

    Raises
    ------
    LookupError
        If the ledger has no such incident.
    """
    facts = known_facts(ledger.engine, incident_id)
    made = Made(audit.new_id(), now, settings_hash(settings), code_version())
    content = _WRITERS[form](facts, made, template_folder(settings))
    file = ReportFile(
        made.report_id,
        incident_id,
        form,
        f"report-{UNSAFE_IN_A_NAME.sub('_', incident_id)[:LONGEST_NAME]}-{made.report_id}.{form.value}",
        now,
        author,
        made.settings,
        made.code,
        hashlib.sha256(content).hexdigest(),
        len(content),
    )
    _keep(folder / file.name, content)
    with ledger.write() as connection:
        connection.execute(report_files.insert().values(**{**vars(file), "format": form.value}))
        detail = {"report_id": file.report_id, "format": form.value}
        audit.record(connection, author, "report.made", f"incident:{incident_id}", detail, now)
    return file


def reports_of(connection: Connection, incident_id: str) -> list[ReportFile]:
    """Return the reports of an incident that were handed out, latest first."""
    query = select(report_files).where(report_files.c.incident_id == incident_id)
    rows = connection.execute(query.order_by(report_files.c.made_time.desc(), report_files.c.report_id)).mappings()
    return [ReportFile(**{**row, "format": Format(row["format"])}) for row in rows]


def is_genuine(file: ReportFile, folder: Path) -> bool:
    """Whether the file in `folder` is, to the byte, what was handed out."""
    path = folder / file.name
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(path.suffix + ".part")
    draft.write_bytes(content)
    draft.chmod(READ_ONLY)
    draft.replace(path)


def numbers(facts: Facts) -> Iterator[dict[str, Any]]:
    """Return all numbers of a report, one a row: section, name, time where there is one, value."""
    incident = facts.incident

    def row(section: str, name: str, value: float, time: datetime | None = None) -> dict[str, Any]:
        return {
            "incident_id": incident.incident_id,
            "section": section,
            "name": name,
            "time": time,
            "value": float(value),
        }

    for name in ("affected_subscribers", "observed", "expected", "sessions", "surprise"):
        yield row("incident", name, getattr(incident, name))
    yield row("verdict", incident.verdict.cause.value, incident.verdict.probability)
    yield row("cohort", incident.cohort.json, 1.0)
    for it in incident.alternatives:
        yield row("alternative", it.cohort.json, it.share)
    for label, decided in (("problem", facts.problem), ("all_clear", facts.all_clear)):
        for told in decided.told:
            yield row(f"{label} told", told.channel, told.people)
        for held in decided.withheld:
            yield row(f"{label} withheld", held.reason, held.people)
    yield row("problem", "waiting", facts.waiting)
    for region in facts.regions:
        yield row("region people", region.name, region.people)
        yield row("region told", region.name, region.told)
    yield from _aftermath(facts, row)
    for point in incident.chart:
        for name in ("sessions", "impaired", "expected"):
            yield row("chart", name, getattr(point, name), utc(point.slot))


def _aftermath(facts: Facts, row: Callable[..., dict[str, Any]]) -> Iterator[dict[str, Any]]:
    if facts.contacts is None:
        return
    for name in ("told", "held_out", "others"):
        arm = getattr(facts.contacts, name)
        yield row("contacts", f"{name} people", arm.people)
        yield row("contacts", f"{name} contacting", arm.contacting)
        if arm.csat is not None:
            yield row("contacts", f"{name} csat", arm.csat)
    yield row("contacts", "told before notice", facts.contacts.before_notice)


def _html(facts: Facts, made: Made, templates: Path) -> bytes:
    return page_of(facts, made.time, str(made), templates).encode()


def _pdf(facts: Facts, made: Made, templates: Path) -> bytes:
    return pdf_of(facts, made.time, str(made), templates)


def _csv(facts: Facts, made: Made, _templates: Path) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ("incident_id", "section", "name", "time", "value"))
    writer.writeheader()
    for row in numbers(facts):
        time = row["time"]
        cells = {**row, "time": "" if time is None else time.isoformat()}
        writer.writerow({name: _harmless(value) for name, value in cells.items()})
    writer.writerow({"incident_id": _harmless(facts.incident.incident_id), "section": "made", "name": str(made)})
    return text.getvalue().encode("utf-8-sig")


def _harmless(value: object) -> object:
    """Return a cell that no spreadsheet runs."""
    if not isinstance(value, str):
        return value
    shown = words.clean(value, 2_000)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown


def _parquet(facts: Facts, made: Made, _templates: Path) -> bytes:
    schema = pa.schema(
        [
            ("incident_id", pa.string()),
            ("section", pa.string()),
            ("name", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("value", pa.float64()),
        ],
        metadata={"prebuffer": json.dumps({"report": made.report_id, "settings": made.settings, "code": made.code})},
    )
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(numbers(facts)), schema=schema), sink)
    return sink.getvalue()


_WRITERS: Mapping[Format, Callable[[Facts, Made, Path], bytes]] = {
    Format.HTML: _html,
    Format.PDF: _pdf,
    Format.CSV: _csv,
    Format.PARQUET: _parquet,
}
