"""The list of incidents, with filters and search; and the queue of those that nobody has reviewed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from console.support.access import Viewer
from console.support.fields import chosen, moment
from console.support.reading.incidents import REVIEWED_WITHIN, Order, State, Wanted, listed
from console.support.showing import framed, show
from console.support.state import SupportOf
from incidents.model import Cause, Severity
from telemetry.contract import Signal

router = APIRouter()
FILTERS = ("state", "signal", "cause", "severity", "text", "since", "until", "order")
Text = Annotated[str, Query(max_length=200)]


@router.get("/incidents")
def incidents(
    request: Request,
    support: SupportOf,
    visitor: Viewer,
    state: Text = "",
    signal: Text = "",
    cause: Text = "",
    severity: Text = "",
    text: Text = "",
    since: Text = "",
    until: Text = "",
    order: Text = "",
    after: Text = "",
) -> Response:
    """Show the incidents that are wanted."""
    wanted = Wanted(
        chosen(State, state, "The state"),
        chosen(Signal, signal, "The signal"),
        chosen(Cause, cause, "The cause"),
        chosen(Severity, severity, "The severity"),
        text,
        moment(since, "The first day"),
        moment(until, "The last day"),
        chosen(Order, order, "The order") or Order.LATEST,
    )
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        page = listed(connection, wanted, after)
    given = {name: request.query_params.get(name, "") for name in FILTERS}
    return show(request, support, visitor, "incidents.html.jinja", frame, page=page, given=given, is_first=not after)


@router.get("/review")
def queue(request: Request, support: SupportOf, visitor: Viewer, after: Text = "") -> Response:
    """Show the incidents that nobody has reviewed, most people first."""
    wanted = Wanted(state=State.UNREVIEWED, since=support.clock() - REVIEWED_WITHIN, order=Order.PEOPLE)
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        page = listed(connection, wanted, after)
    days = REVIEWED_WITHIN.days
    return show(request, support, visitor, "queue.html.jinja", frame, page=page, is_first=not after, days=days)
