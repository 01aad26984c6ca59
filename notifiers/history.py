"""Reads from the ledger what `decide` must know about the past."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select

from incidents.ledger.schema import notices, outbox, suppressions
from incidents.model import Cause, Trouble, TroubleKind
from notifiers.address import normalised
from notifiers.model import ChannelName, History, PastNotice, Recipient, WithheldReason
from notifiers.outbox import State
from telemetry.contract import Signal

LOOK_BACK = timedelta(days=9)
"""A calendar week in any zone and then some: the longest that a cap or a gap reaches back."""
IDS_PER_QUERY = 500
"""Well below the smallest limit on bound values among the databases used."""
LOST = frozenset({State.FAILED, State.CANCELLED})


def load_history(
    connection: Connection, troubles: Sequence[Trouble], recipients: Mapping[str, Recipient], now: datetime
) -> History:
    """Load earlier decisions about the people in `troubles`, and which of their addresses are suppressed.

    Rows older than `LOOK_BACK` are left out unless they belong to an episode of `troubles`, so the cost
    does not grow with the age of the ledger.

    Parameters
    ----------
    connection
        To the ledger; only read.
    troubles, recipients, now
        As for `notifiers.decide.decide`.
    """
    rows: defaultdict[str, list[PastNotice]] = defaultdict(list)
    episodes = {trouble.episode for trouble in troubles}
    people = sorted({trouble.subscriber_id for trouble in troubles})
    for some in _chunks(people):
        for row in connection.execute(_past_notices(some, episodes, now)):
            rows[row.subscriber_id].append(_past_notice(row))
    emails = (recipients[who].email for who in people if who in recipients)
    return History(
        {who: tuple(past) for who, past in rows.items()},
        _suppressed(connection, sorted({normalised(email) for email in emails if email})),
    )


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[at : at + IDS_PER_QUERY] for at in range(0, len(items), IDS_PER_QUERY))


def _past_notices(people: Sequence[str], episodes: Iterable[str], now: datetime) -> Select[Any]:
    recent = notices.c.decided_time >= now - LOOK_BACK
    return (
        select(notices, outbox.c.state)
        .select_from(notices.outerjoin(outbox, notices.c.notice_id == outbox.c.notice_id))
        .where(and_(notices.c.subscriber_id.in_(people), or_(recent, notices.c.episode.in_(episodes))))
        .order_by(notices.c.decided_time, notices.c.notice_id)
    )


def _past_notice(row: Row[Any]) -> PastNotice:
    return PastNotice(
        episode=row.episode,
        kind=TroubleKind(row.kind),
        problem=Signal(row.problem),
        cause=Cause(row.cause),
        incident_id=row.incident_id,
        channel=ChannelName(row.channel),
        decided_time=row.decided_time,
        withheld_reason=row.withheld_reason and WithheldReason(row.withheld_reason),
        lost=row.state in LOST or _slept_through(row),
    )


def _slept_through(row: Row[Any]) -> bool:
    """Whether quiet hours outlasted the problem: such a row keeps its reason, not its release time."""
    return row.withheld_reason == WithheldReason.QUIET_HOURS and row.release_time is None


def _suppressed(connection: Connection, addresses: Sequence[str]) -> frozenset[str]:
    found: set[str] = set()
    for some in _chunks(addresses):
        found.update(connection.scalars(select(suppressions.c.address).where(suppressions.c.address.in_(some))))
    return frozenset(found)
