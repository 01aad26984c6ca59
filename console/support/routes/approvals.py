"""What waits for a person's word: the message as it will be read, whom it reaches, and yes or no."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.support.access import Lead, Viewer
from console.support.previews import Previewed, preview
from console.support.reading import approvals as reading
from console.support.routes.subscribers import MAIL_POLICY
from console.support.showing import back, framed, show
from console.support.state import Support, SupportOf
from console.web.errors import NotFoundError, WrongInputError
from incidents.cases import LONGEST_TEXT
from notifiers import rollout
from notifiers.rollout import RolloutError

router = APIRouter()
YES, NO = "approve", "refuse"
NO_SUCH = "Nothing waits for approval there."
NO_WORDS = "No message can be shown for this."


@router.get("/approvals")
def approvals(request: Request, support: SupportOf, visitor: Viewer) -> Response:
    """Show what waits, and what was decided last."""
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        asked, decided = reading.asked(connection), reading.decided(connection)
    return show(request, support, visitor, "approvals.html.jinja", frame, asked=asked, decided=decided)


@router.get("/approvals/{episode}")
def approval(request: Request, support: SupportOf, visitor: Viewer, episode: str) -> Response:
    """Show one audience, and the message that it would get."""
    asked, previewed = _read(support, episode)
    with support.ledger.read() as connection:
        frame = framed(support, connection)
    next_share = rollout.next_share(asked.rollout, support.settings.notices.stages)
    found = asked.incident
    ids = [found.incident_id] if found else []
    where = support.counts.of(("regions", *ids), lambda connection: reading.audience(connection, ids))
    values: dict[str, Any] = {"asked": asked, "preview": previewed, "where": where, "next_share": next_share}
    return show(request, support, visitor, "approval.html.jinja", frame, **values)


@router.get("/approvals/{episode}/mail")
def mail(support: SupportOf, _visitor: Viewer, episode: str) -> Response:
    """Show the mail as it looks, for a frame that can do nothing."""
    _, previewed = _read(support, episode)
    if previewed is None:
        raise NotFoundError(NO_WORDS)
    return Response(previewed.html, media_type="text/html", headers={"Content-Security-Policy": MAIL_POLICY})


@router.post("/approvals/{episode}")
def decide(
    support: SupportOf,
    visitor: Lead,
    episode: str,
    answer: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
) -> Response:
    """Say yes or no."""
    words = note.replace("\x00", "").strip()[:LONGEST_TEXT] or None
    if answer not in (YES, NO):
        raise WrongInputError("Say yes or no.")
    try:
        with support.ledger.write() as connection:
            now, stages = support.clock(), support.settings.notices.stages
            if answer == YES:
                rollout.approve(connection, episode, visitor.name, now, stages=stages, note=words)
            else:
                rollout.refuse(connection, episode, visitor.name, now, note=words)
    except RolloutError as error:
        raise WrongInputError(f"{error} Somebody else may have decided meanwhile: look at the list again.") from None
    return back(support, "approvals", done="approved" if answer == YES else "refused")


def _read(support: Support, episode: str) -> tuple[reading.Asked, Previewed | None]:
    with support.ledger.read() as connection:
        asked = reading.asked_about(connection, episode)
        if asked is None:
            raise NotFoundError(NO_SUCH)
        return asked, preview(support, connection, asked)
