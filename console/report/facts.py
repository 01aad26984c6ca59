"""What an incident's report says, read from the ledger in sums: a million people cost no more than a few rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine, RowMapping, and_, case, func, select

from console.report.arrivals import Arrivals, arrivals
from console.report.contacts import Aftermath, aftermath
from incidents.cases import Case, case_of
from incidents.drills import drill_here
from incidents.ledger.casework import notice_traits
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import feedback, incidents, notices, outbox, troubles
from incidents.lessons import Lesson, lessons_of
from incidents.model import Incident, TroubleKind
from incidents.reviews import Review, reviews_of
from incidents.silences import ONSET_SLACK, Silence, expected, planned
from notifiers.model import WithheldReason

FEWEST_IN_A_REGION = 5
"""Fewer people of one region are counted under `ELSEWHERE`: a number must not point at a person."""
ELSEWHERE = "elsewhere"
UNKNOWN = "unknown"
MOST_REGIONS = 40


@dataclass(frozen=True)
class Told:
    """How many people were told through one channel, and what became of the notices."""

    channel: str
    people: int
    states: dict[str, int]


@dataclass(frozen=True)
class Withheld:
    """How many people were not told, for one reason."""

    reason: str
    people: int


@dataclass(frozen=True)
class Notices:
    """Decisions of one kind (problem or all-clear): who was told, who was not, and when the first was."""

    told: tuple[Told, ...]
    withheld: tuple[Withheld, ...]
    first_time: datetime | None

    @property
    def told_people(self) -> int:
        """Everybody told, in any channel."""
        return sum(it.people for it in self.told)

    @property
    def withheld_people(self) -> int:
        """Everybody not told, for any reason."""
        return sum(it.people for it in self.withheld)

    def withheld_for(self, reason: str) -> int:
        """Everybody not told for one reason."""
        return sum(it.people for it in self.withheld if it.reason == reason)


@dataclass(frozen=True)
class Region:
    """How many people of a region were in trouble, and how many of them were told."""

    name: str
    people: int
    told: int


@dataclass(frozen=True)
class Answers:
    """What readers of the notices answered to one question: how many, and the mean."""

    question: str
    count: int
    mean: float


@dataclass(frozen=True)
class Facts:
    """One incident and what was done about it.

    Parameters
    ----------
    incident
        The incident as the ledger holds it.
    problem, all_clear
        What people heard of it, and of its end.
    waiting
        People troubled by it whom nobody has decided on yet.
    merged
        Incidents that turned out to be this one.
    contacts
        Contacts with support around it, where the ledger knows of contacts.
    regions
        Where people are, most first.
    arrivals
        When each of these regions was reached.
    answers
        What readers answered.
    case, reviews
        Who owns it, and what leads said of it.
    silence
        The planned event that it is part of.
    beside
        Planned events that it may have to do with, though they do not cover it.
    lessons
        What was learned of it.
    is_drill
        Whether all of it is invented.
    """

    incident: Incident
    problem: Notices
    all_clear: Notices
    waiting: int
    merged: tuple[Incident, ...]
    contacts: Aftermath | None
    regions: tuple[Region, ...]
    arrivals: Arrivals
    answers: tuple[Answers, ...]
    case: Case
    reviews: tuple[Review, ...]
    silence: Silence | None
    beside: tuple[Silence, ...]
    lessons: tuple[Lesson, ...] = ()
    is_drill: bool = False


def incident_ids(engine: Engine, since: datetime | None = None) -> list[str]:
    """Return the ids of incidents that stand for themselves, latest first.

    Parameters
    ----------
    engine
        The ledger's.
    since
        Leave out incidents that were over before this.
    """
    query = select(incidents.c.incident_id).where(incidents.c.merged_into.is_(None))
    if since is not None:
        query = query.where(incidents.c.resolved_time.is_(None) | (incidents.c.resolved_time >= since))
    with engine.connect() as connection:
        return list(connection.scalars(query.order_by(incidents.c.detected_time.desc(), incidents.c.incident_id)))


def facts_of(engine: Engine, incident_id: str) -> Facts | None:
    """Read one incident's facts; None if there is no such incident.

    Parameters
    ----------
    engine
        The ledger's; nothing else is read.
    incident_id
        Which incident.
    """
    with engine.connect() as connection:
        row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
        return None if row is None else _facts(connection, incident_from(row))


def _facts(connection: Connection, incident: Incident) -> Facts:
    merged = _merged(connection, incident.incident_id)
    ids = [incident.incident_id, *(it.incident_id for it in merged)]
    counts = _counts(connection, ids)
    problem = _notices(it for it in counts if it["kind"] == TroubleKind.PROBLEM.value)
    waiting = _waiting(connection, ids)
    held = problem.withheld_for(WithheldReason.HOLDOUT.value)
    people = {
        "told": problem.told_people,
        "held_out": held,
        "others": problem.withheld_people - held + waiting,
    }
    regions = _regions(connection, ids)
    silence = expected(connection, [incident.incident_id]).get(incident.incident_id)
    return Facts(
        incident,
        problem,
        _notices(it for it in counts if it["kind"] == TroubleKind.ALL_CLEAR.value),
        waiting,
        merged,
        aftermath(connection, incident, ids, people),
        regions,
        arrivals(connection, ids, [it.name for it in regions]),
        _answers(connection, ids),
        case_of(connection, incident.incident_id),
        tuple(reviews_of(connection, incident.incident_id)),
        silence,
        () if silence else _beside(connection, incident),
        tuple(lessons_of(connection, incident.incident_id)),
        drill_here(connection) is not None,
    )


def _counts(connection: Connection, ids: Sequence[str]) -> list[RowMapping]:
    """Count decisions by kind, channel, reason and what became of the first message."""
    columns = (notices.c.kind, notices.c.channel, notices.c.withheld_reason, outbox.c.state)
    first_message = and_(outbox.c.notice_id == notices.c.notice_id, outbox.c.stage == "first")
    query = (
        select(*columns, func.count().label("people"), func.min(notices.c.decided_time).label("first_time"))
        .outerjoin(outbox, first_message)
        .where(notices.c.incident_id.in_(ids))
        .group_by(*columns)
    )
    return list(connection.execute(query).mappings())


def _waiting(connection: Connection, ids: Sequence[str]) -> int:
    about = func.coalesce(troubles.c.incident_id, "").in_(ids)  # by the index of who is undecided: they are few
    undecided = about & troubles.c.decided.is_(False) & (troubles.c.kind == TroubleKind.PROBLEM.value)
    query = select(func.count(troubles.c.subscriber_id.distinct())).where(undecided)
    return connection.scalar(query) or 0


def _merged(connection: Connection, incident_id: str) -> tuple[Incident, ...]:
    query = select(incidents).where(incidents.c.merged_into == incident_id).order_by(incidents.c.detected_time)
    return tuple(incident_from(row) for row in connection.execute(query).mappings())


def _notices(counts: Iterable[RowMapping]) -> Notices:
    listed = list(counts)
    sent = [it for it in listed if it["withheld_reason"] is None]
    channels = sorted({it["channel"] for it in sent})
    told = tuple(_told(name, [it for it in sent if it["channel"] == name]) for name in channels)
    reasons: dict[str, int] = {}
    for it in listed:
        if it["withheld_reason"] is not None:
            reasons[it["withheld_reason"]] = reasons.get(it["withheld_reason"], 0) + it["people"]
    withheld = tuple(Withheld(*it) for it in sorted(reasons.items(), key=lambda it: (-it[1], it[0])))
    return Notices(told, withheld, min((it["first_time"] for it in sent), default=None))


def _told(channel: str, counts: Sequence[RowMapping]) -> Told:
    known = sorted((it for it in counts if it["state"] is not None), key=lambda it: -it["people"])
    return Told(channel, sum(it["people"] for it in counts), {it["state"]: it["people"] for it in known})


def _regions(connection: Connection, ids: Sequence[str]) -> tuple[Region, ...]:
    region = func.coalesce(notice_traits.c.region, UNKNOWN)
    told = func.sum(case((notices.c.withheld_reason.is_(None), 1), else_=0))
    query = (
        select(region, func.count(), told)
        .join(notice_traits, notice_traits.c.notice_id == notices.c.notice_id)
        .where(notices.c.incident_id.in_(ids), notices.c.kind == TroubleKind.PROBLEM.value)
        .group_by(region)
    )
    found = sorted((Region(*row) for row in connection.execute(query)), key=lambda it: (-it.people, it.name))
    shown = [it for it in found if it.people >= FEWEST_IN_A_REGION][:MOST_REGIONS]
    rest = [it for it in found if it not in shown]
    if rest:
        shown.append(Region(ELSEWHERE, sum(it.people for it in rest), sum(it.told for it in rest)))
    return tuple(shown)


def _answers(connection: Connection, ids: Sequence[str]) -> tuple[Answers, ...]:
    query = (
        select(feedback.c.question, func.count(), func.avg(feedback.c.answer))
        .join(notices, notices.c.notice_id == feedback.c.notice_id)
        .where(notices.c.incident_id.in_(ids), feedback.c.answer.is_not(None))
        .group_by(feedback.c.question)
        .order_by(feedback.c.question)
    )
    return tuple(Answers(question, count, float(mean)) for question, count, mean in connection.execute(query))


def _beside(connection: Connection, incident: Incident) -> tuple[Silence, ...]:
    known = planned(connection, incident.onset_time - ONSET_SLACK - timedelta(days=1))
    return tuple(silence for silence in known if silence.overlaps(incident))
