"""One person: what happened to them, what we said in which words, and why or why not."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.support.access import Viewer
from console.support.reading import subscriber as reading
from console.support.showing import SEE_OTHER, framed, show
from console.support.state import SupportOf
from console.web.errors import NotFoundError

router = APIRouter()
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""A mail as it looks, which can run nothing, load nothing and lead nowhere."""
NOT_FOUND = 404


@router.get("/subscribers")
def look_up(
    request: Request, support: SupportOf, visitor: Viewer, who: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """Find somebody by their id, or by the reference of a notice that they read out."""
    with support.ledger.read() as connection:
        found = reading.looked_up(connection, who) if who.strip() else None
        frame = framed(support, connection)
    if found is not None:
        return RedirectResponse(support.templates.link("subscribers", found), SEE_OTHER)
    status = NOT_FOUND if who.strip() else 200
    return show(request, support, visitor, "look_up.html.jinja", frame, status, who=who)


@router.get("/subscribers/{subscriber_id}")
def subscriber(request: Request, support: SupportOf, visitor: Viewer, subscriber_id: str, after: str = "") -> Response:
    """Show one person's story."""
    with support.ledger.read() as connection:
        person = reading.person(connection, subscriber_id, after)
        frame = framed(support, connection)
    if not person.is_known and not after:
        return show(request, support, visitor, "look_up.html.jinja", frame, NOT_FOUND, who=subscriber_id)
    return show(request, support, visitor, "subscriber.html.jinja", frame, person=person, is_first=not after)


@router.get("/subscribers/{subscriber_id}/case.json")
def case_packet(support: SupportOf, _visitor: Viewer, subscriber_id: str) -> Response:
    """Hand out what an agent on the telephone needs."""
    with support.ledger.read() as connection:
        packet = reading.case_packet(connection, subscriber_id, support.clock())
    return JSONResponse(packet, headers={"Content-Disposition": "attachment; filename=case.json"})


@router.get("/notices/{notice_id}")
def notice(request: Request, support: SupportOf, visitor: Viewer, notice_id: str) -> Response:
    """Show what a notice says, word for word."""
    with support.ledger.read() as connection:
        message = reading.message(connection, notice_id)
        frame = framed(support, connection)
    if message is None:
        raise NotFoundError("No message was written for this notice.")
    return show(request, support, visitor, "notice.html.jinja", frame, message=message)


@router.get("/notices/{notice_id}/mail")
def mail(support: SupportOf, _visitor: Viewer, notice_id: str) -> Response:
    """Show a mail as it looks, for a frame that can do nothing."""
    with support.ledger.read() as connection:
        message = reading.message(connection, notice_id)
    if message is None:
        raise NotFoundError("No message was written for this notice.")
    return Response(message.html, media_type="text/html", headers={"Content-Security-Policy": MAIL_POLICY})
