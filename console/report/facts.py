"""What an incident's report says, read from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, RowMapping, select

from console.report.contacts import Contact, ContactCounts, counts_of
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents, notices, outbox, troubles
from incidents.model import Incident, TroubleKind


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
        Contacts with support around it, if contacts were given.
    """

    incident: Incident
    problem: Notices
    all_clear: Notices
    waiting: int
    merged: tuple[Incident, ...]
    contacts: ContactCounts | None


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


def facts_of(engine: Engine, incident_id: str, contacts: Sequence[Contact] | None = None) -> Facts | None:
    """Read one incident's facts.

    Parameters
    ----------
    engine
        The ledger's.
    incident_id
        Which incident.
    contacts
        Contacts with support, if known; the report then says how many people called.

    Returns
    -------
    Facts | None
        None if there is no such incident.
    """
    with engine.connect() as connection:
        row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
        if row is None:
            return None
        incident = incident_from(row)
        merged = _merged(connection, incident_id)
        ids = [incident_id, *(it.incident_id for it in merged)]
        decisions = _decisions(connection, ids)
        people = _people(decisions) | _troubled(connection, ids)
    counts = None if contacts is None else _contact_counts(incident, decisions, people, contacts)
    return Facts(
        incident,
        _notices(it for it in decisions if it["kind"] == TroubleKind.PROBLEM.value),
        _notices(it for it in decisions if it["kind"] == TroubleKind.ALL_CLEAR.value),
        sum(not decided for decided in people.values()),
        merged,
        counts,
    )


def _decisions(connection: Connection, ids: Sequence[str]) -> list[RowMapping]:
    columns = notices.c
    query = (
        select(
            columns.subscriber_id,
            columns.kind,
            columns.channel,
            columns.withheld_reason,
            columns.decided_time,
            outbox.c.state,
        )
        .outerjoin(outbox, outbox.c.notice_id == columns.notice_id)
        .where(columns.incident_id.in_(ids))
    )
    return list(connection.execute(query).mappings())


def _people(decisions: Iterable[RowMapping]) -> dict[str, bool]:
    """Return everybody on whose problem it was decided."""
    return {it["subscriber_id"]: True for it in decisions if it["kind"] == TroubleKind.PROBLEM.value}


def _troubled(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Return everybody whom the incident troubled, and whether it was decided what they hear."""
    columns = troubles.c
    query = select(columns.subscriber_id, columns.decided).where(
        columns.incident_id.in_(ids), columns.kind == TroubleKind.PROBLEM.value
    )
    return {row.subscriber_id: row.decided for row in connection.execute(query)}


def _merged(connection: Connection, incident_id: str) -> tuple[Incident, ...]:
    query = select(incidents).where(incidents.c.merged_into == incident_id).order_by(incidents.c.detected_time)
    return tuple(incident_from(row) for row in connection.execute(query).mappings())


def _notices(decisions: Iterable[RowMapping]) -> Notices:
    listed = list(decisions)
    sent = [it for it in listed if it["withheld_reason"] is None]
    channels = sorted({it["channel"] for it in sent})
    told = tuple(_told(name, [it["state"] for it in sent if it["channel"] == name]) for name in channels)
    reasons = Counter(it["withheld_reason"] for it in listed if it["withheld_reason"] is not None)
    withheld = tuple(Withheld(name, count) for name, count in reasons.most_common())
    return Notices(told, withheld, min((it["decided_time"] for it in sent), default=None))


def _told(channel: str, states: Sequence[str | None]) -> Told:
    known = Counter(state for state in states if state is not None)
    return Told(channel, len(states), dict(known.most_common()))


def _contact_counts(
    incident: Incident,
    decisions: Iterable[RowMapping],
    people: dict[str, bool],
    contacts: Sequence[Contact],
) -> ContactCounts:
    told = {
        it["subscriber_id"]: it["decided_time"]
        for it in decisions
        if it["kind"] == TroubleKind.PROBLEM.value and it["withheld_reason"] is None
    }
    return counts_of(contacts, told, people, incident.onset_time, incident.resolved_time)
