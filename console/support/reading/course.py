"""What became of an incident's people: their complaints as they came in, what readers answered, and where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select

from console.report.arrivals import Arrivals, arrivals
from console.report.contacts import AFTERMATH
from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, notices
from incidents.model import TroubleKind
from notifiers import feedback
from notifiers.feedback import Question

TOLD, HELD_OUT = "told", "holdout"
MOST_REGIONS = 60
MOST_NOTES = 10


@dataclass(frozen=True)
class Complaints:
    """Contacts with support by people whom an incident hit, from its onset until a day after its end.

    Parameters
    ----------
    first_time, last_time
        When the first and the latest came; None if there were none.
    early, late
        How many people contacted support before they were decided on, and after.
    """

    first_time: datetime | None
    last_time: datetime | None
    early: int
    late: int


@dataclass(frozen=True)
class Place:
    """How many people of a region were decided on, and how many of them were told."""

    region: str
    people: int
    told: int


@dataclass(frozen=True)
class Course:
    """What became of it.

    Parameters
    ----------
    complaints
        As they came in.
    answers
        What readers answered: how often each answer was given, by question.
    notes
        What they wrote, the latest first; untrusted.
    places
        Where they are, most first.
    arrivals
        When each region was reached.
    satisfaction
        How content those were who contacted support, told and held out, 1 to 5; None if nobody said.
    """

    complaints: Complaints
    answers: dict[Question, dict[int, int]]
    notes: tuple[str, ...]
    places: tuple[Place, ...]
    arrivals: Arrivals
    satisfaction: dict[str, float | None]

    def sorted_by(self, order: str) -> list[Place]:
        """Return the regions by ``people`` (most first), ``told`` (the smallest share first) or ``name``."""
        keys: dict[str, Callable[[Place], tuple[Any, ...]]] = {
            "told": lambda it: (it.told / it.people, -it.people, it.region),
            "name": lambda it: (it.region,),
        }
        return sorted(self.places, key=keys.get(order, lambda it: (-it.people, it.region)))

    @property
    def mean_of(self) -> dict[Question, float]:
        """The mean answer to each question that is answered on a scale."""
        asked = {question: it for question, it in self.answers.items() if question is not Question.NOTE}
        return {question: sum(k * n for k, n in it.items()) / sum(it.values()) for question, it in asked.items()}


def course(connection: Connection, incident_ids: Sequence[str], onset: datetime, resolved: datetime | None) -> Course:
    """Read what became of an incident and its parts.

    Parameters
    ----------
    connection
        The ledger's.
    incident_ids
        The incident and its parts.
    onset, resolved
        When it began, and when it was over; None while it goes on.
    """
    places = _places(connection, incident_ids)
    return Course(
        _complaints(connection, incident_ids, onset, resolved),
        feedback.counts(connection, incident_ids),
        tuple(feedback.notes(connection, incident_ids, limit=MOST_NOTES)),
        places,
        arrivals(connection, incident_ids, [it.region for it in places]),
        _satisfaction(connection, incident_ids, onset, resolved),
    )


def _complaints(
    connection: Connection, incident_ids: Sequence[str], onset: datetime, resolved: datetime | None
) -> Complaints:
    at, near = contacts.c.contacted_time, _near(onset, resolved)
    decided = func.min(notices.c.decided_time).label("decided")
    first = (
        select(func.min(at).label("first"), func.max(at).label("last"), decided)
        .select_from(notices.join(contacts, contacts.c.subscriber_id == notices.c.subscriber_id))
        .where(notices.c.incident_id.in_(incident_ids), notices.c.kind == TroubleKind.PROBLEM.value, near)
        .group_by(notices.c.subscriber_id)
        .subquery()
    )
    early = func.coalesce(func.sum(case((first.c.first < first.c.decided, 1), else_=0)), 0)
    row = connection.execute(select(func.min(first.c.first), func.max(first.c.last), early, func.count())).one()
    return Complaints(row[0], row[1], int(row[2]), int(row[3]) - int(row[2]))


def _places(connection: Connection, incident_ids: Sequence[str]) -> tuple[Place, ...]:
    told = func.sum(case((notices.c.withheld_reason.is_(None), 1), else_=0))
    query = (
        select(notice_traits.c.region, func.count(), told)
        .join(notices, notices.c.notice_id == notice_traits.c.notice_id)
        .where(
            notices.c.incident_id.in_(incident_ids),
            notices.c.kind == TroubleKind.PROBLEM.value,
            notice_traits.c.region.is_not(None),
        )
        .group_by(notice_traits.c.region)
        .order_by(func.count().desc(), notice_traits.c.region)
        .limit(MOST_REGIONS)
    )
    return tuple(Place(row[0], row[1], int(row[2])) for row in connection.execute(query))


def _satisfaction(
    connection: Connection, incident_ids: Sequence[str], onset: datetime, resolved: datetime | None
) -> dict[str, float | None]:
    arm = case((notices.c.withheld_reason.is_(None), TOLD), else_=HELD_OUT)
    compared = notices.c.withheld_reason.is_(None) | (notices.c.withheld_reason == HELD_OUT)
    mine = notices.c.incident_id.in_(incident_ids) & (notices.c.kind == TroubleKind.PROBLEM.value)
    query = (
        select(arm, func.avg(contacts.c.csat))
        .select_from(notices.join(contacts, contacts.c.subscriber_id == notices.c.subscriber_id))
        .where(mine, compared, _near(onset, resolved))
        .group_by(arm)
    )
    means = {row[0]: None if row[1] is None else float(row[1]) for row in connection.execute(query)}
    return {TOLD: means.get(TOLD), HELD_OUT: means.get(HELD_OUT)}


def _near(onset: datetime, resolved: datetime | None) -> ColumnElement[bool]:
    at = contacts.c.contacted_time
    return at >= onset if resolved is None else (at >= onset) & (at < resolved + AFTERMATH)
