"""Whether it helps: the service's measures, told against held out, and who is served worse."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.support.access import Viewer
from console.support.showing import framed, show
from console.support.state import SupportOf
from notifiers.effect.measures import service

router = APIRouter()
SPANS = (7, 28, 90, 365)


@router.get("/effect")
def effect(
    request: Request, support: SupportOf, visitor: Viewer, days: Annotated[int, Query(ge=1, le=730)] = 28
) -> Response:
    """Show the measures of the last days."""
    last = support.clock().date()
    first = last - timedelta(days=days - 1)
    with support.ledger.read() as connection:
        frame = framed(support, connection)
    measured = support.counts.of(("effect", first, last), lambda connection: service(connection, first, last))
    return show(
        request, support, visitor, "effect.html.jinja", frame, measured=measured, days=days, spans=SPANS, first=first
    )
