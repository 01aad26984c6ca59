"""Writes incident reports: self-contained HTML pages from the templates in ``templates/report``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Engine

from console.report import chart, words
from console.report.contacts import Contact
from console.report.facts import Facts, facts_of, incident_ids

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
UNSAFE_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]")
LONGEST_NAME = 100


@dataclass(frozen=True)
class Reports:
    """Where reports were written: the index, and each incident's page by its id, latest first."""

    index: Path
    pages: dict[str, Path]


def write_reports(
    engine: Engine,
    folder: Path,
    *,
    now: datetime,
    since: datetime | None = None,
    contacts: Sequence[Contact] | None = None,
    templates: Path = TEMPLATES,
) -> Reports:
    """Write a page for each incident, and an index of them.

    Parameters
    ----------
    engine
        The ledger's; nothing else is read.
    folder
        Where to write; created if it is missing.
    now
        The time that the pages say they were written at, aware.
    since
        Leave out incidents that were over before this.
    contacts
        Contacts with support, if known; the pages then say how many people called.
    templates
        The folder ``templates/`` or an edited copy of it.

    Returns
    -------
    Reports
        The paths written.
    """
    environment = environment_of(templates)
    known = [facts_of(engine, incident_id, contacts) for incident_id in incident_ids(engine, since)]
    listed = [facts for facts in known if facts is not None]
    pages = {facts.incident.incident_id: _write_page(environment, facts, folder, now) for facts in listed}
    entries = [_entry(it, pages[it.incident.incident_id].name) for it in listed]
    index = _write(folder / "index.html", environment, "index.html.jinja", {"entries": entries, "now": now})
    return Reports(index, pages)


def write_report(
    engine: Engine,
    incident_id: str,
    folder: Path,
    *,
    now: datetime,
    contacts: Sequence[Contact] | None = None,
    templates: Path = TEMPLATES,
) -> Path:
    """Write one incident's page and return its path; parameters as in `write_reports`.

    Raises
    ------
    LookupError
        If the ledger has no such incident.
    """
    facts = facts_of(engine, incident_id, contacts)
    if facts is None:
        raise LookupError(f"There is no incident {incident_id!r} in the ledger.")
    return _write_page(environment_of(templates), facts, folder, now)


def environment_of(templates: Path) -> Environment:
    """Return the templates' environment: everything is escaped, and a misspelt name is an error."""
    environment = Environment(
        loader=FileSystemLoader(templates / "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["words"] = words
    return environment


def page_name(incident_id: str) -> str:
    """Return the file name of an incident's page; ids are ours, yet a name must never leave its folder."""
    return f"incident-{UNSAFE_IN_A_NAME.sub('_', incident_id)[:LONGEST_NAME]}.html"


def _entry(facts: Facts, name: str) -> dict[str, Any]:
    return {"facts": facts, "name": name, "spark": chart.spark_of(facts.incident)}


def _write_page(environment: Environment, facts: Facts, folder: Path, now: datetime) -> Path:
    incident = facts.incident
    values = {
        "facts": facts,
        "incident": incident,
        "charts": [it for size in (chart.WIDE, chart.NARROW) if (it := chart.chart_of(incident, size))],
        "now": now,
    }
    return _write(folder / page_name(incident.incident_id), environment, "incident.html.jinja", values)


def _write(path: Path, environment: Environment, template: str, values: dict[str, Any]) -> Path:
    """Write a page beside its place and move it there: a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(environment.get_template(template).render(values), encoding="utf-8")
    draft.replace(path)
    return path
