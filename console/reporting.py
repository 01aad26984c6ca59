"""Writes incident reports with what support was asked meanwhile, where the warehouse can tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from config.bootstrap import open_ledger, template_folder
from config.pipeline import PipelineError
from config.settings import Settings
from console.report import Contact, write_report, write_reports
from telemetry.errors import WarehouseBusyError
from telemetry.time import naive_utc, utc
from telemetry.warehouse import Warehouse

_CONTACTS = "SELECT subscriber_id, contacted_at, reason FROM contacts WHERE contacted_at <= $now ORDER BY ALL"


def write(settings: Settings, incident_id: str | None, folder: Path, now: datetime) -> Path:
    """Write one incident's page, or everyone's with an index, and return the page to open.

    Parameters
    ----------
    settings
        Whose ledger and warehouse.
    incident_id
        One incident; None for all.
    folder
        Where to write.
    now
        The time that the pages say they were written at; later contacts are left out.

    Raises
    ------
    PipelineError
        If there is no such incident.
    """
    contacts = _contacts(settings.warehouse.path, now)
    templates = template_folder(settings)
    with open_ledger(settings) as ledger:
        if incident_id is None:
            return write_reports(ledger.engine, folder, now=now, contacts=contacts, templates=templates).index
        if ledger.incident(incident_id) is None:
            raise PipelineError(f"The ledger has no incident {incident_id}.")
        return write_report(ledger.engine, incident_id, folder, now=now, contacts=contacts, templates=templates)


def _contacts(path: Path, now: datetime) -> list[Contact] | None:
    """Return the contacts in the warehouse, or None if it is not there or in another process's hands."""
    if not path.exists():
        return None
    try:
        with Warehouse(path) as warehouse:
            rows = warehouse.connection.execute(_CONTACTS, {"now": naive_utc(now)}).fetchall()
    except WarehouseBusyError:
        return None
    return [Contact(subscriber_id, utc(contacted_at), reason) for subscriber_id, contacted_at, reason in rows]
