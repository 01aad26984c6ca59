"""Contacts with support as the report counts them: by people whom an incident hit, while it mattered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from incidents.ledger.schema import contacts, notices, troubles
from incidents.model import Incident, TroubleKind
from notifiers.effect.intervals import Share, normal_z, share_difference
from notifiers.model import WithheldReason

AFTERMATH = timedelta(hours=24)
"""A contact this long after the end of an incident may still be about it."""
Call = tuple[str, str | None, datetime, datetime, int | None]
"""A contact of somebody: who, why they were not told if so, when it was decided, when they called, how content."""
_WAITING = "waiting"
LEAST_PEOPLE = 10
"""Held-out people of one incident below which no difference is worth a sentence."""


@dataclass(frozen=True)
class Arm:
    """People of one kind: how many, how many of them contacted support, and how content those were (1 to 5)."""

    people: int
    contacting: int
    csat: float | None = None


@dataclass(frozen=True)
class Aftermath:
    """What people did after an incident.

    Parameters
    ----------
    told
        People told; contacts after the notice.
    held_out
        People held out, who make a fair comparison.
    others
        People troubled and not told for any other reason, or not decided on yet.
    before_notice
        People who contacted support before they were told.
    """

    told: Arm
    held_out: Arm
    others: Arm
    before_notice: int

    @property
    def limits(self) -> tuple[float, float] | None:
        """95 % limits of the share that contacted support, told less held out; None where too few are held out."""
        if min(self.told.people, self.held_out.people) < LEAST_PEOPLE:
            return None
        told, held = (Share(it.contacting, it.people) for it in (self.told, self.held_out))
        return share_difference(told, held, normal_z())


def aftermath(
    connection: Connection, incident: Incident, ids: Sequence[str], people: dict[str, int]
) -> Aftermath | None:
    """Count the people who contacted support from an incident's onset until a day after its end.

    Parameters
    ----------
    connection
        The ledger's.
    incident, ids
        The incident, and the ids of all that are part of it.
    people
        How many people there are, by ``told``, ``held_out`` and ``others``.

    Returns
    -------
    Aftermath | None
        None if the ledger knows of no contact at all: then nothing is known, not that nobody called.
    """
    if connection.scalar(select(contacts.c.contact_id).limit(1)) is None:
        return None
    rows = _rows(connection, incident, ids)
    calls: dict[str, list[float]] = {"told": [], "held_out": [], "others": []}
    before = 0
    for arm, is_before, csat in _first_calls(rows):
        if is_before:
            before += 1
        else:
            calls[arm].append(csat)
    arms = {name: Arm(people[name], len(found), _mean([it for it in found if it])) for name, found in calls.items()}
    return Aftermath(arms["told"], arms["held_out"], arms["others"], before)


def _first_calls(rows: Sequence[Call]) -> list[tuple[str, bool, float]]:
    """Return each person's first contact: their arm, whether it came before the notice, and how content they were."""
    first: dict[str, tuple[str, bool, float]] = {}
    for who, reason, decided, contacted, csat in sorted(rows, key=lambda row: (row[1] is not None, row[3])):
        arm = {None: "told", WithheldReason.HOLDOUT.value: "held_out"}.get(reason, "others")
        first.setdefault(who, (arm, arm == "told" and contacted < decided, float(csat or 0)))
    return list(first.values())


def _rows(connection: Connection, incident: Incident, ids: Sequence[str]) -> list[Call]:
    until = None if incident.resolved_time is None else incident.resolved_time + AFTERMATH
    near = contacts.c.contacted_time >= incident.onset_time
    near = near if until is None else near & (contacts.c.contacted_time < until)
    decided = (
        select(
            contacts.c.subscriber_id,
            notices.c.withheld_reason,
            notices.c.decided_time,
            contacts.c.contacted_time,
            contacts.c.csat,
        )
        .join(notices, notices.c.subscriber_id == contacts.c.subscriber_id)
        .where(near, notices.c.incident_id.in_(ids), notices.c.kind == TroubleKind.PROBLEM.value)
    )
    waiting = (
        select(contacts.c.subscriber_id, troubles.c.since, contacts.c.contacted_time, contacts.c.csat)
        .join(troubles, troubles.c.subscriber_id == contacts.c.subscriber_id)
        .where(near, troubles.c.incident_id.in_(ids), troubles.c.decided.is_(False))
    )
    undecided = [(who, _WAITING, since, at, csat) for who, since, at, csat in connection.execute(waiting)]
    return [*(row._tuple() for row in connection.execute(decided)), *undecided]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
