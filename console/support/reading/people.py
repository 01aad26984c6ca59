"""Whom we told of an incident, whom not and why, and what they did after: counts, and the people behind a count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, func, select

from console.report.contacts import AFTERMATH, Arm
from console.report.contacts import Aftermath as Compared
from console.support.paging import PAGE_ROWS, Page, beyond, page_of
from incidents.ledger.casework import notice_traits
from incidents.ledger.schema import contacts, feedback, notices, outbox, troubles
from incidents.model import TroubleKind

TOLD = "told"
"""Stands where a reason would, for who was told."""
MOST_REGIONS = 12


@dataclass(frozen=True)
class Group:
    """How many people were told, or not told for one reason, through one channel."""

    kind: str
    reason: str | None
    channel: str
    people: int
    first_time: datetime | None


@dataclass(frozen=True)
class Tally:
    """The decisions about one incident, counted.

    Parameters
    ----------
    groups
        By kind of notice, reason and channel.
    waiting
        People troubled by it on whom nobody has decided yet.
    """

    groups: tuple[Group, ...]
    waiting: int

    def told(self, kind: str = TroubleKind.PROBLEM) -> list[Group]:
        """Return who was told, by channel."""
        return [it for it in self.groups if it.kind == kind and it.reason is None]

    def withheld(self, kind: str = TroubleKind.PROBLEM) -> list[tuple[str, int]]:
        """Return how many were not told, by reason, most first."""
        counts: dict[str, int] = {}
        for it in self.groups:
            if it.kind == kind and it.reason is not None:
                counts[it.reason] = counts.get(it.reason, 0) + it.people
        return sorted(counts.items(), key=lambda item: (-item[1], item[0]))

    def told_people(self, kind: str = TroubleKind.PROBLEM) -> int:
        """Return how many people were told."""
        return sum(it.people for it in self.told(kind))

    def first_time(self, kind: str = TroubleKind.PROBLEM) -> datetime | None:
        """Return when the first notice was decided on."""
        return min((it.first_time for it in self.told(kind) if it.first_time), default=None)


@dataclass(frozen=True)
class Aftermath:
    """What happened after: messages by state, and contacts and answers of those told and those held out.

    Parameters
    ----------
    states
        How many first messages are in each state, by channel.
    contacts
        By arm (``told``, ``holdout``): people, and how many of them contacted support from the onset until a day
        after the end.
    answers
        What readers answered: question, how many, and the mean.
    regions
        Whom was told where, most first.
    """

    states: dict[str, dict[str, int]]
    contacts: dict[str, tuple[int, int]]
    answers: tuple[tuple[str, int, float | None], ...]
    regions: tuple[tuple[str, int], ...]

    @property
    def compared(self) -> Compared:
        """Those told and those held out, as the report compares them."""
        told, held_out = (Arm(*self.contacts[arm]) for arm in (TOLD, "holdout"))
        return Compared(told, held_out, Arm(0, 0), 0)


@dataclass(frozen=True)
class Person:
    """One person behind a count."""

    incident_id: str
    channel: str
    decided_time: datetime
    subscriber_id: str
    notice_id: str
    state: str | None


def tally(connection: Connection, incident_ids: Sequence[str]) -> Tally:
    """Count the decisions about an incident and its parts, by an index alone."""
    table = notices.c
    key = (table.kind, table.withheld_reason, table.channel)
    query = select(*key, func.count(), func.min(table.decided_time)).where(table.incident_id.in_(incident_ids))
    groups = tuple(Group(*row) for row in connection.execute(query.group_by(*key)))
    undecided = (
        select(func.count())
        .select_from(troubles)
        .where(
            func.coalesce(troubles.c.incident_id, "").in_(
                incident_ids
            ),  # by the index of who is undecided: they are few
            troubles.c.kind == TroubleKind.PROBLEM.value,
            troubles.c.decided.is_(False),
        )
    )
    return Tally(groups, connection.scalar(undecided) or 0)


def aftermath(
    connection: Connection, incident_ids: Sequence[str], onset: datetime, resolved: datetime | None, now: datetime
) -> Aftermath:
    """Count what became of an incident's notices, and what its people did after."""
    until = now if resolved is None else resolved + AFTERMATH
    return Aftermath(
        _states(connection, incident_ids),
        _contacts(connection, incident_ids, onset, until),
        _answers(connection, incident_ids),
        regions(connection, incident_ids),
    )


def people(
    connection: Connection,
    incident_id: str,
    reason: str,
    after: str = "",
    *,
    kind: str = TroubleKind.PROBLEM,
    limit: int = PAGE_ROWS,
) -> Page[Person]:
    """Return a page of the people behind a count.

    Parameters
    ----------
    connection
        The ledger's.
    incident_id
        Which incident; people of its parts are under the parts.
    reason
        `TOLD`, or why they were not.
    after
        Where the page before ended.
    kind, limit
        Of which notices; most rows.
    """
    table = notices.c
    columns = [table.channel, table.decided_time, table.subscriber_id]
    query = (
        select(table.incident_id, *columns, table.notice_id)
        .where(
            table.incident_id == incident_id,
            table.kind == kind,
            table.withheld_reason.is_(None) if reason == TOLD else table.withheld_reason == reason,
            beyond(after, columns),
        )
        .order_by(table.withheld_reason, *columns)  # as the index stands
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    states = _states_of(connection, [row.notice_id for row in rows])
    found = [Person(**row._mapping, state=states.get(row.notice_id)) for row in rows]
    return page_of(found, limit, "channel", "decided_time", "subscriber_id")


def regions(connection: Connection, incident_ids: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """Return where an incident's people are, most first."""
    query = (
        select(notice_traits.c.region, func.count())
        .join(notices, notices.c.notice_id == notice_traits.c.notice_id)
        .where(_about(incident_ids), notice_traits.c.region.is_not(None))
        .group_by(notice_traits.c.region)
        .order_by(func.count().desc(), notice_traits.c.region)
        .limit(MOST_REGIONS)
    )
    return tuple((row[0], row[1]) for row in connection.execute(query))


def _states(connection: Connection, incident_ids: Sequence[str]) -> dict[str, dict[str, int]]:
    key = (notices.c.channel, outbox.c.state)
    query = (
        select(*key, func.count())
        .join(outbox, (outbox.c.notice_id == notices.c.notice_id) & (outbox.c.stage == "first"))
        .where(_about(incident_ids), notices.c.withheld_reason.is_(None))
        .group_by(*key)
    )
    states: dict[str, dict[str, int]] = {}
    for channel, state, count in connection.execute(query):
        states.setdefault(channel, {})[state] = count
    return states


def _contacts(
    connection: Connection, incident_ids: Sequence[str], onset: datetime, until: datetime
) -> dict[str, tuple[int, int]]:
    """Count who contacted support: those told, and those held out, who differ by the notice alone."""
    called = (
        select(notices.c.subscriber_id)
        .distinct()
        .join(contacts, contacts.c.subscriber_id == notices.c.subscriber_id)
        .where(_about(incident_ids), contacts.c.contacted_time >= onset, contacts.c.contacted_time < until)
    )
    arms = {TOLD: notices.c.withheld_reason.is_(None), "holdout": notices.c.withheld_reason == "holdout"}
    return {
        arm: (_count(connection, incident_ids, of), _rows(connection, called.where(of))) for arm, of in arms.items()
    }


def _answers(connection: Connection, incident_ids: Sequence[str]) -> tuple[tuple[str, int, float | None], ...]:
    query = (
        select(feedback.c.question, func.count(), func.avg(feedback.c.answer))
        .join(notices, notices.c.notice_id == feedback.c.notice_id)
        .where(_about(incident_ids))
        .group_by(feedback.c.question)
        .order_by(feedback.c.question)
    )
    return tuple((row[0], row[1], None if row[2] is None else float(row[2])) for row in connection.execute(query))


def _about(incident_ids: Sequence[str]) -> ColumnElement[bool]:
    return notices.c.incident_id.in_(incident_ids) & (notices.c.kind == TroubleKind.PROBLEM.value)


def _count(connection: Connection, incident_ids: Sequence[str], of: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).select_from(notices).where(_about(incident_ids), of)) or 0


def _rows(connection: Connection, query: Select[tuple[str]]) -> int:
    return connection.scalar(select(func.count()).select_from(query.subquery())) or 0


def _states_of(connection: Connection, notice_ids: Sequence[str]) -> dict[str, str]:
    query = select(outbox.c.notice_id, outbox.c.state).where(
        outbox.c.notice_id.in_(notice_ids), outbox.c.stage == "first"
    )
    return {row.notice_id: row.state for row in connection.execute(query)} if notice_ids else {}
