"""Writes incident reports from the ledger: pages to look at, and files that never change to hand out."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from config.bootstrap import open_ledger, template_folder
from config.pipeline import PipelineError
from config.settings import Settings
from console.report import write_report, write_reports
from console.report.files import Format, ReportFile, make


def write(settings: Settings, incident_id: str | None, folder: Path, now: datetime) -> Path:
    """Write one incident's page, or everyone's with an index, and return the page to open.

    Parameters
    ----------
    settings
        Whose ledger.
    incident_id
        One incident; None for all.
    folder
        Where to write.
    now
        The time that the pages say they were written at.

    Raises
    ------
    PipelineError
        If there is no such incident.
    """
    templates = template_folder(settings)
    with open_ledger(settings) as ledger:
        if incident_id is None:
            return write_reports(ledger.engine, folder, now=now, templates=templates).index
        if ledger.incident(incident_id) is None:
            raise PipelineError(f"The ledger has no incident {incident_id}.")
        return write_report(ledger.engine, incident_id, folder, now=now, templates=templates)


def hand_out(
    settings: Settings, incident_id: str, form: Format, folder: Path, author: str, now: datetime
) -> ReportFile:
    """Make a report of one incident that never changes, and return what the ledger keeps of it.

    Raises
    ------
    PipelineError
        If there is no such incident.
    """
    with open_ledger(settings) as ledger:
        try:
            return make(ledger, settings, incident_id, form, folder, author, now)
        except LookupError:
            raise PipelineError(f"The ledger has no incident {incident_id}.") from None
