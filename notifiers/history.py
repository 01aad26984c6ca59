"""Reads from the ledger what `decide` must know about the past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select

from incidents.ledger.among import among
from incidents.ledger.schema import contacts, incidents, notices, outbox, suppressions
from incidents.model import Cause, Trouble, TroubleKind
from incidents.silences import silenced
from notifiers import rollout
from notifiers.address import normalised
from notifiers.budget import spent_today
from notifiers.model import (
    HOLDING,
    ChannelName,
    History,
    PastNotice,
    Policy,
    Recipient,
    SupportContact,
    WithheldReason,
)
from notifiers.outbox import Stage, State
from notifiers.preferences import choices_of
from telemetry.contract import Signal

LOOK_BACK = timedelta(days=9)
"""A calendar week in any zone and then some: the longest that a cap or a gap reaches back."""
LOST = frozenset({State.FAILED, State.CANCELLED})


def load_history(
    connection: Connection,
    troubles: Sequence[Trouble],
    recipients: Mapping[str, Recipient],
    now: datetime,
    policy: Policy | None = None,
) -> History:
    """Load earlier decisions about the people in `troubles`, what they chose and asked, and what limits all.

    Rows older than `LOOK_BACK` are left out unless they belong to an episode of `troubles`, so the cost
    does not grow with the age of the ledger.

    Parameters
    ----------
    connection
        To the ledger; only read.
    troubles, recipients, now, policy
        As for `notifiers.decide.decide`; what was sent today is counted only where the policy has a budget.
    """
    if not troubles:
        return History()
    episodes = {trouble.episode for trouble in troubles}
    people = sorted({trouble.subscriber_id for trouble in troubles})
    rows = past_rows(connection, people, now, episodes)
    emails = (recipients[who].email for who in people if who in recipients)
    return History(
        notices={who: tuple(map(past_notice, past)) for who, past in rows.items()},
        suppressed=suppressed_among(connection, {normalised(email) for email in emails if email}),
        choices=choices_of(connection, people),
        contacts=contacts_of(connection, people, min((trouble.since for trouble in troubles), default=now)),
        spent=spent_today(connection, now) if policy is not None and policy.has_budget else {},
        rollouts=rollout.in_charge(connection, episodes),
        silenced=silenced(connection, troubles, {who: it.country for who, it in recipients.items()}, now),
    )


def past_rows(
    connection: Connection, people: Sequence[str], now: datetime, episodes: Iterable[str] = ()
) -> dict[str, list[Row[Any]]]:
    """Return the lately decided rows of `notices` of some people, and those of some episodes, with their `state`."""
    rows: defaultdict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(_past_notices(people, episodes, now)) if people else ():
        rows[row.subscriber_id].append(row)
    return rows


def _past_notices(people: Sequence[str], episodes: Iterable[str], now: datetime) -> Select[Any]:
    recent = notices.c.decided_time >= now - LOOK_BACK
    first = (notices.c.notice_id == outbox.c.notice_id) & (outbox.c.stage == Stage.FIRST.value)
    joined = notices.outerjoin(outbox, first).outerjoin(incidents, incidents.c.incident_id == notices.c.incident_id)
    return (
        select(notices, outbox.c.state, outbox.c.settled_time, incidents.c.merged_into)
        .select_from(joined)
        .where(and_(among(notices.c.subscriber_id, people), or_(recent, among(notices.c.episode, list(episodes)))))
        .order_by(notices.c.decided_time, notices.c.notice_id)
    )


def past_notice(row: Row[Any]) -> PastNotice:
    """Return the notice of a row of `past_rows`."""
    return PastNotice(
        episode=row.episode,
        kind=TroubleKind(row.kind),
        problem=Signal(row.problem),
        cause=Cause(row.cause),
        incident_id=row.incident_id,
        channel=ChannelName(row.channel),
        decided_time=row.decided_time,
        withheld_reason=row.withheld_reason and WithheldReason(row.withheld_reason),
        lost=row.state in LOST or _outwaited(row),
        whole=row.merged_into,
        told_time=row.settled_time if row.state in (State.SENT, State.UNKNOWN) else None,
    )


def _outwaited(row: Row[Any]) -> bool:
    """Whether it was held until it was too late: such a row keeps its reason, not its release time."""
    return row.withheld_reason in HOLDING and row.release_time is None


def suppressed_among(connection: Connection, addresses: Collection[str]) -> frozenset[str]:
    """Return which of some addresses, in the form of `notifiers.address.normalised`, no mail goes to."""
    query = select(suppressions.c.address).where(among(suppressions.c.address, addresses))
    return frozenset(connection.scalars(query)) if addresses else frozenset()


def contacts_of(
    connection: Connection, people: Collection[str], since: datetime
) -> dict[str, tuple[SupportContact, ...]]:
    """Return what people asked support since a moment; who asked nothing is left out."""
    found: defaultdict[str, list[SupportContact]] = defaultdict(list)
    mine = among(contacts.c.subscriber_id, people) & (contacts.c.contacted_time >= since)
    for row in connection.execute(select(contacts).where(mine)):
        contact = SupportContact(row.contacted_time, row.reason, row.resolved_first_contact)
        found[row.subscriber_id].append(contact)
    return {who: tuple(asked) for who, asked in found.items()}
