"""How many messages a channel may carry in a day of UTC, whoever sends them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, time

from sqlalchemy import ColumnElement, Connection, func, or_, select

from incidents.ledger.schema import notices, outbox
from incidents.ledger.store import Turn, take_turns
from notifiers.model import ChannelName, Policy
from notifiers.outbox import State

ON_THE_WAY = (State.QUEUED.value, State.SENDING.value)


def spent_today(connection: Connection, now: datetime) -> dict[ChannelName, int]:
    """Count the messages by channel that were sent on this day of UTC, or are let go and on their way."""
    going = outbox.c.state.in_(ON_THE_WAY) & notices.c.withheld_reason.is_(None)
    query = (
        select(outbox.c.channel, func.count())
        .join(notices, notices.c.notice_id == outbox.c.notice_id)
        .where(or_(_sent_since_midnight(now), going))
        .group_by(outbox.c.channel)
    )
    return {ChannelName(channel): count for channel, count in connection.execute(query)}


def within_budget(
    connection: Connection, channels: Collection[ChannelName], policy: Policy, most: int, now: datetime
) -> Iterator[tuple[list[ChannelName], int]]:
    """Give the channels to claim by, each with how many messages: what its budget of the day has left.

    Until the transaction ends nobody else may count, so that what is claimed in it is within the budget whoever sends.

    Parameters
    ----------
    connection
        In the transaction that claims.
    channels
        To send by.
    policy
        With the budgets.
    most
        Messages to claim at most, by all channels.
    now
        The day counts.
    """
    free = [name for name in channels if policy.budget(name) is None]
    if free:
        yield free, most
    for name in channels:
        budget = policy.budget(name)
        if budget is not None:
            yield [name], min(most, max(budget - _gone(connection, name, now), 0))


def _gone(connection: Connection, channel: ChannelName, now: datetime) -> int:
    """How many were sent today, may have been, or are in somebody's hands.

    Senders that count take turns, or each would take all that is left.
    """
    take_turns(connection, Turn.COUNTING)
    leased = (outbox.c.state == State.QUEUED.value) & (outbox.c.lease_until > now)
    under_way = outbox.c.state == State.SENDING.value
    gone = or_(_sent_since_midnight(now), under_way, leased)
    query = select(func.count()).select_from(outbox).where(outbox.c.channel == channel.value, gone)
    return int(connection.execute(query).scalar_one())


def _sent_since_midnight(now: datetime) -> ColumnElement[bool]:
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    today = or_(outbox.c.settled_time.is_(None), outbox.c.settled_time >= midnight)
    return outbox.c.state.in_([State.SENT.value, State.UNKNOWN.value]) & today
