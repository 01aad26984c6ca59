"""Reports that are handed out: made by one click, never changed, and checked before they are given out again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from sqlalchemy import select
from starlette.responses import FileResponse, Response

from console.report.files import Format, is_genuine, make, reports_of
from console.support.access import Lead, Viewer
from console.support.fields import chosen
from console.support.routes.subscribers import MAIL_POLICY
from console.support.showing import back
from console.support.state import SupportOf
from console.web.errors import NotFoundError, UnavailableError
from incidents.ledger.casework import report_files

router = APIRouter()
TYPES = {
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
    Format.CSV: "text/csv; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}
CHANGED = "The report's file is missing, or is not what was handed out: make it anew."


@router.post("/incidents/{incident_id}/reports")
def report(support: SupportOf, visitor: Lead, incident_id: str, form: Annotated[str, Form()] = "") -> Response:
    """Make a report of an incident."""
    kind = chosen(Format, form, "The form of the report") or Format.HTML
    folder = support.settings.paths.reports
    try:
        make(support.ledger, support.settings, incident_id, kind, folder, visitor.name, support.clock())
    except LookupError as error:
        raise NotFoundError("The ledger has no such incident.") from error
    return back(support, "incidents", incident_id, done="report")


@router.get("/reports/{report_id}")
def download(support: SupportOf, _visitor: Viewer, report_id: str) -> Response:
    """Hand out a report again."""
    with support.ledger.read() as connection:
        of = select(report_files.c.incident_id).where(report_files.c.report_id == report_id)
        incident_id = connection.scalar(of)
        known = reports_of(connection, incident_id) if incident_id is not None else []
    file = next((it for it in known if it.report_id == report_id), None)
    if file is None:
        raise NotFoundError("There is no such report.")
    folder = support.settings.paths.reports
    if not is_genuine(file, folder):
        raise UnavailableError(CHANGED)
    headers = {"Content-Security-Policy": MAIL_POLICY}
    return FileResponse(folder / file.name, media_type=TYPES[file.format], filename=file.name, headers=headers)
