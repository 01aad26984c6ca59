"""Writes incident reports: self-contained HTML pages from the templates in ``templates/report``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Engine

from console.report import chart, words
from console.report.facts import Facts, facts_of, incident_ids
from notifiers.language import COMPILED

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
    templates
        The folder ``templates/`` or an edited copy of it.

    Returns
    -------
    Reports
        The paths written.
    """
    environment = environment_of(templates)
    known = [facts_of(engine, incident_id) for incident_id in incident_ids(engine, since)]
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
    templates: Path = TEMPLATES,
) -> Path:
    """Write one incident's page and return its path; parameters as in `write_reports`.

    Raises
    ------
    LookupError
        If the ledger has no such incident.
    """
    return _write_page(environment_of(templates), known_facts(engine, incident_id), folder, now)


def known_facts(engine: Engine, incident_id: str) -> Facts:
    """Return an incident's facts, or raise `LookupError` if the ledger has no such incident."""
    facts = facts_of(engine, incident_id)
    if facts is None:
        raise LookupError(f"There is no incident {incident_id!r} in the ledger.")
    return facts


def page_of(facts: Facts, now: datetime, made: str = "", templates: Path = TEMPLATES) -> str:
    """Return one incident's page as text; `made` says what it was made with."""
    return _rendered(environment_of(templates), "incident.html.jinja", _values(facts, now, made))


def environment_of(templates: Path) -> Environment:
    """Return the templates' environment: everything is escaped, and a misspelt name is an error."""
    environment = Environment(
        loader=FileSystemLoader(templates / "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=COMPILED[True],
    )
    environment.globals["words"] = words
    return environment


def page_name(incident_id: str) -> str:
    """Return the file name of an incident's page; ids are ours, yet a name must never leave its folder."""
    return f"incident-{UNSAFE_IN_A_NAME.sub('_', incident_id)[:LONGEST_NAME]}.html"


def _entry(facts: Facts, name: str) -> dict[str, Any]:
    return {"facts": facts, "name": name, "spark": chart.spark_of(facts.incident)}


def _write_page(environment: Environment, facts: Facts, folder: Path, now: datetime) -> Path:
    path = folder / page_name(facts.incident.incident_id)
    return _write(path, environment, "incident.html.jinja", _values(facts, now))


def _values(facts: Facts, now: datetime, made: str = "") -> dict[str, Any]:
    incident = facts.incident
    return {
        "facts": facts,
        "incident": incident,
        "charts": [it for size in (chart.WIDE, chart.NARROW) if (it := chart.chart_of(incident, size))],
        "spread": chart.spread_of(facts.arrivals),
        "now": now,
        "made": made,
    }


def _rendered(environment: Environment, template: str, values: dict[str, Any]) -> str:
    return environment.get_template(template).render(values)


def _write(path: Path, environment: Environment, template: str, values: dict[str, Any]) -> Path:
    """Write a page beside its place and move it there: a reader never sees half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".part")
    draft.write_text(_rendered(environment, template, values), encoding="utf-8")
    draft.replace(path)
    return path
