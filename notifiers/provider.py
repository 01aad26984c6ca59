"""How much a provider takes just now, as its latest answers said: in the ledger, for all senders alike."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, case, select, update

from incidents.ledger.schema import provider_limits
from notifiers.insert import upsert
from notifiers.model import ChannelName


@dataclass(frozen=True)
class Allowance:
    """How many more requests the provider takes before it counts anew.

    Parameters
    ----------
    remaining
        Requests.
    resets_in
        From its answer on.
    """

    remaining: int
    resets_in: timedelta


def within_limit(connection: Connection, channels: Collection[ChannelName], now: datetime) -> list[ChannelName]:
    """Return the channels whose provider takes something now."""
    spent = select(provider_limits.c.channel).where(
        provider_limits.c.remaining <= 0, provider_limits.c.reset_time > now
    )
    waiting = set(connection.scalars(spent))
    return [channel for channel in channels if channel.value not in waiting]


def reserve(connection: Connection, channel: ChannelName, requests: int, now: datetime) -> int:
    """Take requests out of what the provider allows, and return how many there were to take.

    Where nothing is known of a limit, or its time is over, all are granted.
    """
    limit = provider_limits.c
    row = connection.execute(
        select(limit.remaining).where(limit.channel == channel.value, limit.reset_time > now).with_for_update()
    ).one_or_none()
    if row is None or row.remaining is None:
        return requests
    granted = max(0, min(requests, int(row.remaining)))
    connection.execute(
        update(provider_limits)
        .where(limit.channel == channel.value)
        .values(remaining=case((limit.remaining > granted, limit.remaining - granted), else_=0))
    )
    return granted


def note(connection: Connection, channel: ChannelName, allowance: Allowance, now: datetime) -> None:
    """Remember what the provider's latest answer said of its limit."""
    row = {
        "channel": channel.value,
        "remaining": allowance.remaining,
        "reset_time": now + allowance.resets_in,
        "updated_time": now,
    }
    upsert(connection, provider_limits, [row])
