"""Stops: while one is in force, what it covers waits in the outbox. Nothing is lost, nothing is sent.

A stop covers everything, a channel or an incident. A person's stop and a flood's are in force until a person ends them;
a provider's refusal and its rate limit may end by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, literal, or_, select, update

from incidents.ledger import audit
from incidents.ledger.schema import notices, outbox, sending_stops
from notifiers.insert import insert_new
from notifiers.model import ChannelName

EVERYTHING = "all"
_SCOPE = re.compile(r"all|channel:(email|in_app)|incident:\S{1,64}")
PREBUFFER = "prebuffer"
"""Who starts the stops that no person starts."""


class StopError(ValueError):
    """A stop cannot be started or ended as asked; the message is a sentence."""


class StopKind(StrEnum):
    """Why sending was stopped: by a person, a flood of notices, a provider that refuses us, or one that is too busy."""

    PERSON = "person"
    FLOOD = "flood"
    REFUSED = "refused"
    RATE = "rate"


@dataclass(frozen=True)
class Stop:
    """One row of `sending_stops`."""

    stop_id: str
    scope: str
    kind: StopKind
    reason: str
    started_time: datetime
    started_by: str
    until_time: datetime | None = None
    ended_time: datetime | None = None
    ended_by: str | None = None

    def covers(self, channel: ChannelName, incident_id: str | None) -> bool:
        """Whether a notice of this channel and incident has to wait."""
        return self.scope in (EVERYTHING, channel_scope(channel)) or (
            incident_id is not None and self.scope == incident_scope(incident_id)
        )


def channel_scope(channel: ChannelName) -> str:
    """Return the scope of one channel."""
    return f"channel:{channel.value}"


def incident_scope(incident_id: str) -> str:
    """Return the scope of one incident."""
    return f"incident:{incident_id}"


def start(
    connection: Connection,
    scope: str,
    kind: StopKind,
    reason: str,
    now: datetime,
    *,
    by: str = PREBUFFER,
    until: datetime | None = None,
) -> Stop:
    """Stop sending; return the stop in force. One of the same scope and kind that is in force already stands.

    Parameters
    ----------
    connection
        In a transaction that may write.
    scope
        ``all``, ``channel:email``, ``channel:in_app`` or ``incident:ID``.
    kind, reason
        Why, as a code and as a sentence for people.
    now
        From when on.
    by
        Who stopped it.
    until
        When it ends by itself; None is when a person ends it.

    Raises
    ------
    StopError
        If there is no such scope.
    """
    if not _SCOPE.fullmatch(scope):
        raise StopError(f"There is no scope {scope!r}: it is all, channel:email, channel:in_app or incident:ID.")
    for known in in_force(connection, now):
        if known.scope == scope and known.kind is kind:
            return _prolonged(connection, known, until)
    stop = Stop(audit.new_id(), scope, kind, reason, now, by, until)
    insert_new(connection, sending_stops, [{**vars(stop), "kind": kind.value}])
    audit.record(connection, by, "sending.stopped", scope, {"kind": kind.value, "reason": reason}, now)
    return stop


def _prolonged(connection: Connection, stop: Stop, until: datetime | None) -> Stop:
    if stop.until_time is None or (until is not None and until <= stop.until_time):
        return stop
    connection.execute(update(sending_stops).where(sending_stops.c.stop_id == stop.stop_id).values(until_time=until))
    return Stop(**(vars(stop) | {"until_time": until}))


def end(
    connection: Connection,
    now: datetime,
    *,
    by: str = PREBUFFER,
    scope: str | None = None,
    kinds: Collection[StopKind] = tuple(StopKind),
) -> list[Stop]:
    """End the stops that are in force, all of them or those of one scope or kind; return those that ended."""
    ended = [stop for stop in in_force(connection, now) if stop.kind in kinds and scope in (None, stop.scope)]
    for stop in ended:
        connection.execute(
            update(sending_stops).where(sending_stops.c.stop_id == stop.stop_id).values(ended_time=now, ended_by=by)
        )
        audit.record(connection, by, "sending.resumed", stop.scope, {"kind": stop.kind.value}, now)
    return ended


def in_force(connection: Connection, now: datetime) -> list[Stop]:
    """Return the stops in force, earliest first."""
    going = sending_stops.c.ended_time.is_(None) & (sending_stops.c.started_time <= now)
    lasting = or_(sending_stops.c.until_time.is_(None), sending_stops.c.until_time > now)
    query = select(sending_stops).where(going & lasting).order_by(sending_stops.c.started_time, sending_stops.c.stop_id)
    return [_stop(row) for row in connection.execute(query)]


def _stop(row: Row[Any]) -> Stop:
    return Stop(**(dict(row._mapping) | {"kind": StopKind(row.kind)}))


def unstopped(now: str = "now") -> ColumnElement[bool]:
    """Return the condition on `outbox` joined with `notices` that no stop covers a message.

    Parameters
    ----------
    now
        The name of the bound value that holds the time.
    """
    moment = bindparam(now, type_=sending_stops.c.started_time.type)
    covering = sending_stops.c.scope.in_([EVERYTHING]) | or_(
        sending_stops.c.scope == literal("channel:") + outbox.c.channel,
        sending_stops.c.scope == literal("incident:") + notices.c.incident_id,
    )
    going = sending_stops.c.ended_time.is_(None) & or_(
        sending_stops.c.until_time.is_(None), sending_stops.c.until_time > moment
    )
    return ~select(sending_stops.c.stop_id).where(going & covering).correlate(outbox, notices).exists()
