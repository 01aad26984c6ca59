"""The first page: what goes on, whether we send, whom we told today, and what waits for a person."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.support.access import Lead, Viewer
from console.support.reading import overview as reading
from console.support.showing import back, framed, show
from console.support.state import SupportOf
from console.web.errors import WrongInputError
from incidents.cases import LONGEST_TEXT
from notifiers import stops
from notifiers.stops import StopError, StopKind

router = APIRouter()


@router.get("/")
def overview(request: Request, support: SupportOf, visitor: Viewer) -> Response:
    """Show what is going on."""
    now = support.clock()
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        seen = reading.overview(connection, now)
    today = support.counts.of("today", lambda connection: reading.today(connection, now))
    return show(request, support, visitor, "overview.html.jinja", frame, seen=seen, today=today)


@router.post("/stop")
def stop(
    support: SupportOf,
    visitor: Lead,
    scope: Annotated[str, Form()] = stops.EVERYTHING,
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Stop sending: what waits stays in the outbox."""
    why = reason.replace("\x00", "").strip()[:LONGEST_TEXT]
    if not why:
        raise WrongInputError("Say why sending must stop: whoever finds it stopped needs to know.")
    try:
        with support.ledger.write() as connection:
            stops.start(connection, scope, StopKind.PERSON, why, support.clock(), by=visitor.name)
    except StopError as error:
        raise WrongInputError(str(error)) from None
    return back(support, "", done="stopped")


@router.post("/resume")
def resume(support: SupportOf, visitor: Lead, scope: Annotated[str, Form()]) -> Response:
    """End the stops of one scope."""
    with support.ledger.write() as connection:
        stops.end(connection, support.clock(), by=visitor.name, scope=scope)
    return back(support, "", done="resumed")
