"""What the public status page says of an incident: publish it, post an update, take it off."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.support.access import Lead, Visitor
from console.support.fields import chosen
from console.support.routes.incident import page
from console.support.routes.reviewing import CONFLICT, REFUSED
from console.support.showing import back
from console.support.state import Support, SupportOf
from console.web.errors import NotFoundError
from incidents import publications
from incidents.cases import CaseError, EditedMeanwhileError, ReviewError, UnknownIncidentError
from incidents.publications import PublicState

router = APIRouter()
Text = Annotated[str, Form()]
Seen = Annotated[int, Form()]


@router.post("/incidents/{incident_id}/public")
def publish(
    request: Request,
    support: SupportOf,
    visitor: Lead,
    incident_id: str,
    title: Text = "",
    scope: Text = "",
    words: Text = "",
) -> Response:
    """Publish an incident."""
    try:
        with support.ledger.write() as connection:
            now = support.clock()
            publications.publish(connection, incident_id, visitor.name, now, title=title, scope=scope, words=words)
    except CaseError as error:
        typed = {"title": title, "scope": scope, "words": words}
        return _refused(request, support, visitor, incident_id, error, typed)
    return back(support, "incidents", incident_id, done="published")


@router.post("/incidents/{incident_id}/public/update")
def update(
    request: Request,
    support: SupportOf,
    visitor: Lead,
    incident_id: str,
    seen: Seen,
    state: Text = "",
    words: Text = "",
) -> Response:
    """Post an update."""
    how_far = chosen(PublicState, state, "The state") or PublicState.INVESTIGATING
    try:
        with support.ledger.write() as connection:
            known = publications.of_incident(connection, incident_id)
            if known is None:
                raise ReviewError("This incident is not published.")
            key, now = known.publication_id, support.clock()
            publications.post(connection, key, visitor.name, now, seen=seen, state=how_far, words=words)
    except CaseError as error:
        return _refused(request, support, visitor, incident_id, error, {"state": state, "words": words})
    return back(support, "incidents", incident_id, done="updated")


@router.post("/incidents/{incident_id}/public/withdraw")
def withdraw(request: Request, support: SupportOf, visitor: Lead, incident_id: str, seen: Seen) -> Response:
    """Take an incident off the status page."""
    try:
        with support.ledger.write() as connection:
            known = publications.of_incident(connection, incident_id)
            if known is None:
                raise ReviewError("This incident is not published.")
            publications.withdraw(connection, known.publication_id, visitor.name, support.clock(), seen=seen)
    except CaseError as error:
        return _refused(request, support, visitor, incident_id, error, {})
    return back(support, "incidents", incident_id, done="withdrawn")


def _refused(
    request: Request, support: Support, visitor: Visitor, incident_id: str, error: CaseError, typed: dict[str, str]
) -> Response:
    if isinstance(error, UnknownIncidentError):
        raise NotFoundError(str(error)) from None
    status = CONFLICT if isinstance(error, EditedMeanwhileError) else REFUSED
    return page(request, support, visitor, incident_id, status, problem=str(error), typed=typed)
