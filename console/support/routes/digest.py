"""The weekly digest as it would be mailed now, and what became of the last one."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from config.bootstrap import template_folder
from console.digest import compose, last_mailed, week_as_known
from console.support.access import Lead
from console.support.showing import framed, show
from console.support.state import SupportOf

router = APIRouter()


@router.get("/digest")
def digest(request: Request, support: SupportOf, visitor: Lead) -> Response:
    """Show last week as leads read it."""
    now = support.clock()
    with support.ledger.read() as connection:
        frame, last = framed(support, connection), last_mailed(connection)
    week = support.counts.of(("digest", now.date()), lambda connection: week_as_known(connection, now))
    name, folder = support.settings.brand.service_name, template_folder(support.settings)
    written = None if week.value is None else compose(week.value, name, folder)
    leads = len(support.settings.digest.leads)
    return show(
        request, support, visitor, "weekly.html.jinja", frame, week=week, written=written, last=last, leads=leads
    )
