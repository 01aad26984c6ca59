"""One person: what happened to them, what we said in which words, and why or why not."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from console.support.access import Viewer
from console.support.diagnosing import diagnosed
from console.support.reading import subscriber as reading
from console.support.showing import SEE_OTHER, framed, show
from console.support.state import SupportOf
from console.web.errors import NotFoundError
from incidents.ledger import audit

router = APIRouter()
MAIL_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox"
)
"""A mail as it looks, which can run nothing, load nothing and lead nowhere."""
NOT_FOUND = 404
FILE = "json"


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
        diagnosis = [] if after else diagnosed(support, connection, subscriber_id)
    if not person.is_known and not after:
        return show(request, support, visitor, "look_up.html.jinja", frame, NOT_FOUND, who=subscriber_id)
    return show(
        request,
        support,
        visitor,
        "subscriber.html.jinja",
        frame,
        person=person,
        diagnosis=diagnosis,
        is_first=not after,
    )


@router.post("/subscribers/{subscriber_id}/case")
def case_packet(
    request: Request,
    support: SupportOf,
    visitor: Viewer,
    subscriber_id: str,
    form: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Show or hand out what an agent on the telephone needs; that somebody looked is written down first."""
    now = support.clock()
    with support.ledger.write() as connection:
        person = reading.person(connection, subscriber_id)
        if not person.is_known:
            raise NotFoundError("Nothing was ever found or decided about such a subscriber.")
        action = "case.handed_out" if form == FILE else "case.looked_at"
        audit.record(connection, visitor.name, action, f"subscriber:{subscriber_id}", {}, now)
    with support.ledger.read() as connection:
        packet = reading.case_packet(connection, subscriber_id, now)
        frame = framed(support, connection)
        diagnosis = diagnosed(support, connection, subscriber_id)
    packet["problems"] = [it.document for it in diagnosis]
    if form == FILE:
        return JSONResponse(packet, headers={"Content-Disposition": "attachment; filename=case.json"})
    text = json.dumps(packet, indent=2, ensure_ascii=False)
    return show(
        request,
        support,
        visitor,
        "case_packet.html.jinja",
        frame,
        packet=packet,
        diagnosis=diagnosis,
        text=text,
    )


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
