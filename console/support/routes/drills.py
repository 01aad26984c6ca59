"""Drills: start one, see what is done and what is still to do, end it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.practice import score_so_far
from console.support.access import Lead, Viewer, Visitor
from console.support.fields import chosen
from console.support.rehearsals import RehearsalError
from console.support.showing import back, framed, show
from console.support.state import Support, SupportOf
from console.web.errors import NotFoundError, Problem
from incidents import drills as known
from incidents.cases import ReviewError
from incidents.drills import Drill

router = APIRouter()
REFUSED, CONFLICT = 422, 409
GONE = "The drill's folder is gone, so nobody can tell what was done in it."
IN_A_DRILL = "This is a drill's own console: drills are started in the real one."


class Scenario(StrEnum):
    """What goes wrong in a drill."""

    DELIVERY = "delivery"
    NETWORK = "network"
    RIGHTS = "rights"


@router.get("/drills")
def drills(request: Request, support: SupportOf, visitor: Viewer) -> Response:
    """Show the drills there were, and the one that is being made."""
    return _page(request, support, visitor)


@router.post("/drills")
def start(
    request: Request, support: SupportOf, visitor: Lead, scenario: Annotated[str, Form(max_length=32)] = ""
) -> Response:
    """Begin to make a drill."""
    try:
        what = chosen(Scenario, scenario, "What goes wrong")
        _only_one(support)
        support.rehearsals.begin(what.value if what else None, visitor.name, support.clock())
    except RehearsalError as error:
        return _page(request, support, visitor, CONFLICT, problem=str(error))
    except Problem as error:
        return _page(request, support, visitor, REFUSED, problem=error.sentence)
    return back(support, "drills", done="drill")


@router.get("/drills/{drill_id}")
def drill(request: Request, support: SupportOf, visitor: Viewer, drill_id: str) -> Response:
    """Show what was done in a drill, and what is still to do."""
    return _one(request, support, visitor, drill_id)


@router.post("/drills/{drill_id}/end")
def end(request: Request, support: SupportOf, visitor: Lead, drill_id: str) -> Response:
    """End a drill; what was missed is kept."""
    now = support.clock()
    found = _drill(support, drill_id)
    try:
        score = score_so_far(support.settings, found, now, over=True)
        with support.ledger.write() as connection:
            known.end(connection, drill_id, visitor.name, now, score)
    except FileNotFoundError:
        return _one(request, support, visitor, drill_id, CONFLICT, problem=GONE)
    except ReviewError as error:
        return _one(request, support, visitor, drill_id, CONFLICT, problem=str(error))
    return back(support, "drills", drill_id, done="drill-over")


def _only_one(support: Support) -> None:
    """Refuse to begin a drill inside a drill, or beside one that goes on."""
    with support.ledger.read() as connection:
        inside = known.drill_here(connection)
        going = next((it for it in known.all_drills(connection) if it.ended_time is None), None)
    if inside is not None:
        raise RehearsalError(IN_A_DRILL)
    if going is not None:
        raise RehearsalError(f"A drill goes on since {going.started_time:%Y-%m-%d %H:%M} UTC: end it first.")


def _page(request: Request, support: Support, visitor: Visitor, status: int = 200, *, problem: str = "") -> Response:
    with support.ledger.read() as connection:
        frame, listed = framed(support, connection), known.all_drills(connection)
    making = None if frame.drill else support.rehearsals.making
    values: dict[str, Any] = {"drills": listed, "making": making, "scenarios": list(Scenario), "problem": problem}
    return show(request, support, visitor, "drills.html.jinja", frame, status, **values)


def _one(
    request: Request, support: Support, visitor: Visitor, drill_id: str, status: int = 200, *, problem: str = ""
) -> Response:
    found = _drill(support, drill_id)
    with support.ledger.read() as connection:
        frame = framed(support, connection)
    values: dict[str, Any] = {"drill": found, "score": _score(support, found), "problem": problem}
    return show(request, support, visitor, "drill.html.jinja", frame, status, **values)


def _drill(support: Support, drill_id: str) -> Drill:
    with support.ledger.read() as connection:
        found = next((it for it in known.all_drills(connection) if it.drill_id == drill_id), None)
    if found is None:
        raise NotFoundError("There is no such drill.")
    return found


def _score(support: Support, drill: Drill) -> Mapping[str, Any] | None:
    """Return what a drill came to, or how far it is; None if its folder is gone."""
    if drill.score is not None:
        return drill.score
    try:
        return score_so_far(support.settings, drill, support.clock(), over=False).document
    except FileNotFoundError:
        return None
