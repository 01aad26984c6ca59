"""One incident: what happened, whom we told and whom not, what came of it, and what leads say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from console.report.chart import NARROW, WIDE, chart_of, spread_of
from console.report.files import ReportFile, reports_of
from console.status.draft import Draft, draft_of
from console.support.access import Viewer, Visitor
from console.support.reading import people as reading
from console.support.reading.course import course
from console.support.reading.incidents import Listed, parts
from console.support.reading.overview import Frame
from console.support.showing import framed, show
from console.support.state import Support, SupportOf
from console.support.timeline import timeline
from console.web.errors import NotFoundError
from incidents import cases, publications, reviews, silences
from incidents.cases import Case
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents
from incidents.lessons import lessons_of
from incidents.model import Incident, TroubleKind
from incidents.publications import Publication
from incidents.reviews import Review
from incidents.silences import Silence
from notifiers.model import Rollout
from notifiers.rollout import read

router = APIRouter()


@dataclass(frozen=True)
class Known:
    """All that a page about one incident says, but for the counts."""

    incident: Incident
    case: Case
    said: list[Review]
    parts: list[Listed]
    silence: Silence | None
    rollout: Rollout | None
    publication: Publication | None
    draft: Draft
    files: list[ReportFile]
    lessons: int
    frame: Frame

    @property
    def ids(self) -> list[str]:
        """The incident and its parts."""
        return [self.incident.incident_id, *(it.incident_id for it in self.parts)]


@router.get("/incidents/{incident_id}")
def incident(request: Request, support: SupportOf, visitor: Viewer, incident_id: str) -> Response:
    """Show one incident."""
    return page(request, support, visitor, incident_id)


@router.get("/incidents/{incident_id}/people/{reason}")
def people(
    request: Request,
    support: SupportOf,
    visitor: Viewer,
    incident_id: str,
    reason: str,
    after: str = "",
    kind: str = TroubleKind.PROBLEM.value,
) -> Response:
    """Show the people behind a count."""
    with support.ledger.read() as connection:
        found = incident_of(connection, incident_id)
        frame = framed(support, connection)
        listed = reading.people(connection, incident_id, reason, after, kind=kind)
    return show(
        request,
        support,
        visitor,
        "people.html.jinja",
        frame,
        incident=found,
        reason=reason,
        kind=kind,
        page=listed,
        is_first=not after,
    )


def page(
    request: Request,
    support: Support,
    visitor: Visitor,
    incident_id: str,
    status: int = 200,
    *,
    problem: str = "",
    typed: Mapping[str, str] | None = None,
) -> Response:
    """Return an incident's page; after a refused change with what was wrong, and what the lead had typed.

    Raises
    ------
    NotFoundError
        If there is no such incident.
    """
    now = support.clock()
    with support.ledger.read() as connection:
        known = _known(support, connection, incident_id)
    found = known.incident
    ids = known.ids
    tally, came, after = support.counts.each(
        {
            ("tally", *ids): lambda connection: reading.tally(connection, ids),
            ("course", *ids): lambda connection: course(connection, ids, found.onset_time, found.resolved_time),
            ("after", *ids): lambda connection: reading.aftermath(
                connection, ids, found.onset_time, found.resolved_time, now
            ),
        }
    )
    return show(
        request,
        support,
        visitor,
        "incident.html.jinja",
        known.frame,
        status,
        known=known,
        incident=found,
        case=known.case,
        charts=[it for size in (WIDE, NARROW) if (it := chart_of(found, size))],
        tally=tally,
        course=came,
        spread=spread_of(came.value.arrivals) if came.value else None,
        timeline=timeline(found, known.said, known.publication, tally.value, came.value),
        regions_by=request.query_params.get("regions", "people"),
        after=after,
        problem=problem,
        typed=typed or {},
    )


def _known(support: Support, connection: Connection, incident_id: str) -> Known:
    found = incident_of(connection, incident_id)
    return Known(
        found,
        cases.case_of(connection, incident_id),
        reviews.reviews_of(connection, incident_id),
        parts(connection, incident_id),
        silences.expected(connection, [incident_id]).get(incident_id),
        read(connection, [incident_id]).get(incident_id),
        publications.of_incident(connection, incident_id),
        draft_of(found),
        reports_of(connection, incident_id),
        len(lessons_of(connection, incident_id)),
        framed(support, connection),
    )


def incident_of(connection: Connection, incident_id: str) -> Incident:
    """Return an incident, or raise `NotFoundError`."""
    row = connection.execute(incidents.select().where(incidents.c.incident_id == incident_id)).mappings().first()
    if row is None:
        raise NotFoundError("The ledger has no such incident.")
    return incident_from(row)
