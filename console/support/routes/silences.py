"""Silences and planned events: what is planned, plan another, end one."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from console.support.access import Lead, Viewer, Visitor
from console.support.fields import chosen, cohort_of, moment
from console.support.showing import back, framed, show
from console.support.state import Support, SupportOf
from console.web.errors import Problem, WrongInputError
from incidents.cases import EditedMeanwhileError, ReviewError
from incidents.silences import SilenceKind, acts_on, end, plan, planned

router = APIRouter()
CONFLICT, REFUSED = 409, 422
STILL_SHOWN = timedelta(days=7)
"""How long after its end a silence is still listed."""
Text = Annotated[str, Form()]


@router.get("/silences")
def silences(request: Request, support: SupportOf, visitor: Viewer) -> Response:
    """Show what is planned, and what was."""
    return _page(request, support, visitor)


@router.post("/silences")
def add(
    request: Request,
    support: SupportOf,
    visitor: Lead,
    kind: Text = "",
    group: Text = "",
    begins: Text = "",
    ends: Text = "",
    reason: Text = "",
) -> Response:
    """Plan a silence."""
    typed = {"kind": kind, "group": group, "begins": begins, "ends": ends, "reason": reason}
    try:
        now = support.clock()
        chosen_kind = chosen(SilenceKind, kind, "The kind") or SilenceKind.OTHER
        until = moment(ends, "The end")
        if until is None:
            raise WrongInputError("Say when it ends: a silence that nobody ends is worse than none.")
        begin = moment(begins, "The beginning") or now
        with support.ledger.write() as connection:
            plan(connection, chosen_kind, cohort_of(group), begin, until, visitor.name, reason, now)
    except (ReviewError, Problem) as error:
        sentence = error.sentence if isinstance(error, Problem) else str(error)
        return _page(request, support, visitor, REFUSED, problem=sentence, typed=typed)
    return back(support, "silences", done="planned")


@router.post("/silences/{silence_id}/end")
def stop(
    request: Request, support: SupportOf, visitor: Lead, silence_id: str, seen: Annotated[int, Form()]
) -> Response:
    """End a silence at once."""
    try:
        with support.ledger.write() as connection:
            end(connection, silence_id, visitor.name, support.clock(), seen=seen)
    except EditedMeanwhileError as error:
        return _page(request, support, visitor, CONFLICT, problem=str(error))
    except ReviewError as error:
        return _page(request, support, visitor, REFUSED, problem=str(error))
    return back(support, "silences", done="ended")


def _page(
    request: Request,
    support: Support,
    visitor: Visitor,
    status: int = 200,
    *,
    problem: str = "",
    typed: dict[str, str] | None = None,
) -> Response:
    now = support.clock()
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        known = [(it, acts_on(connection, it.silence_id)) for it in planned(connection, now - STILL_SHOWN)]
    return show(
        request,
        support,
        visitor,
        "silences.html.jinja",
        frame,
        status,
        known=known,
        problem=problem,
        typed=typed or {},
    )
