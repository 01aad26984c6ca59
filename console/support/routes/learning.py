"""What was learned: of one incident after it, and of all of them in a list that is searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from starlette.responses import Response

from console.support.access import Lead, Viewer, Visitor
from console.support.fields import chosen
from console.support.reading import people
from console.support.reading.course import course
from console.support.reading.learned import KINDS, learned
from console.support.routes.incident import incident_of
from console.support.showing import back, framed, show
from console.support.state import Support, SupportOf
from console.web.errors import NotFoundError, Problem, WrongInputError
from incidents import reviews
from incidents.cases import CaseError, UnknownIncidentError, case_of
from incidents.lessons import Lesson, LessonKind, done, learn, lessons_of
from incidents.reviews import Review

router = APIRouter()
CONFLICT, REFUSED = 409, 422
Text = Annotated[str, Query(max_length=200)]
Typed = Annotated[str, Form()]


@dataclass(frozen=True)
class Looked:
    """What a lead looks back on: what was learned, and what was said in reviews."""

    lessons: list[Lesson]
    reviews: list[Review]

    def of(self, kind: LessonKind) -> list[Lesson]:
        """Return the lessons of a kind."""
        return [it for it in self.lessons if it.kind == kind]


@router.get("/lessons")
def lessons(
    request: Request, support: SupportOf, visitor: Viewer, text: Text = "", kind: Text = "", after: Text = ""
) -> Response:
    """Show what was learned, latest first."""
    if kind and kind not in KINDS:
        raise WrongInputError("The kind cannot be that: choose one of those offered.")
    with support.ledger.read() as connection:
        frame = framed(support, connection)
        page = learned(connection, text, kind, after)
    given = {"text": text, "kind": kind}
    return show(request, support, visitor, "lessons.html.jinja", frame, page=page, given=given, is_first=not after)


@router.get("/incidents/{incident_id}/lessons")
def look_back(request: Request, support: SupportOf, visitor: Viewer, incident_id: str) -> Response:
    """Show how one incident went, and what was learned of it."""
    return _page(request, support, visitor, incident_id)


@router.post("/incidents/{incident_id}/lessons")
def add(
    request: Request,
    support: SupportOf,
    visitor: Lead,
    incident_id: str,
    kind: Typed = "",
    words: Typed = "",
    owner: Typed = "",
) -> Response:
    """Keep what was learned."""
    try:
        what = chosen(LessonKind, kind, "The kind") or LessonKind.LEARNED
        with support.ledger.write() as connection:
            learn(connection, incident_id, what, words, visitor.name, support.clock(), owner=owner)
    except UnknownIncidentError as error:
        raise NotFoundError(str(error)) from None
    except (CaseError, Problem) as error:
        sentence = error.sentence if isinstance(error, Problem) else str(error)
        typed = {"kind": kind, "words": words, "owner": owner}
        return _page(request, support, visitor, incident_id, REFUSED, problem=sentence, typed=typed)
    return back(support, "incidents", incident_id, "lessons", done="learned")


@router.post("/incidents/{incident_id}/lessons/{lesson_id}/done")
def did(request: Request, support: SupportOf, visitor: Lead, incident_id: str, lesson_id: str) -> Response:
    """Record that an action was done."""
    try:
        with support.ledger.write() as connection:
            done(connection, lesson_id, visitor.name, support.clock())
    except CaseError as error:
        return _page(request, support, visitor, incident_id, CONFLICT, problem=str(error))
    return back(support, "incidents", incident_id, "lessons", done="done")


def _page(
    request: Request,
    support: Support,
    visitor: Visitor,
    incident_id: str,
    status: int = 200,
    *,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:
    with support.ledger.read() as connection:
        found = incident_of(connection, incident_id)
        frame, case = framed(support, connection), case_of(connection, incident_id)
        looked = Looked(lessons_of(connection, incident_id), reviews.reviews_of(connection, incident_id))
    ids = [incident_id]
    tally, came = support.counts.each(
        {
            ("tally", *ids): lambda connection: people.tally(connection, ids),
            ("course", *ids): lambda connection: course(connection, ids, found.onset_time, found.resolved_time),
        }
    )
    return show(
        request,
        support,
        visitor,
        "look_back.html.jinja",
        frame,
        status,
        incident=found,
        case=case,
        looked=looked,
        tally=tally,
        course=came,
        problem=problem,
        typed=typed or {},
    )
