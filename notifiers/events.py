"""What the provider reports afterwards: applied to the ledger, each event once, in any order.

An event names a message by its key alone. A message that was `unknown` is settled by the first event about it; one that
bounced or was dropped has `failed`, whatever else is heard of it. Who cannot or does not want to get mail is
suppressed: the address is the one that we wrote to, never one that an event names. Source: "Event Webhook Reference",
Twilio SendGrid, 2026.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select, update

from incidents.ledger.among import among, unindexed
from incidents.ledger.schema import deliveries, notices, outbox, provider_events, suppressions
from incidents.ledger.store import Turn, take_turns
from notifiers.address import normalised
from notifiers.insert import insert_new
from notifiers.model import ChannelName
from notifiers.outbox import Outcome, State
from notifiers.preferences import Source, choose
from notifiers.provider_time import provider_time

OPTED_OUT = {"spamreport": "spam_report", "unsubscribe": "unsubscribe", "group_unsubscribe": "unsubscribe"}
"""Events by which a person says no, and the reason why their address is suppressed."""
NOT_DELIVERED = ("bounce", "dropped")
DEAD_ADDRESS = re.compile(r"bounced address|spam reporting address|unsubscribed address|invalid", re.IGNORECASE)
"""Why SendGrid drops a mail for good; its other reasons, such as a quota, are not the address's fault."""
LONGEST_ID, LONGEST_EVENT, LONGEST_DETAIL = 128, 32, 200
NEIGHBOURHOOD = timedelta(minutes=15)
"""Around an attempt: the provider must have spoken of every other mail sent then, before its silence means a thing."""
_ADDRESS_LIKE = re.compile(r"\S*@\S*")
UNHEARD = "The provider spoke of all others sent then, and never of this one."


@dataclass(frozen=True)
class Event:
    """One event, as far as we keep it."""

    event_id: str
    message_id: str
    event: str
    occurred_time: datetime
    detail: str | None
    suppress: str | None


@dataclass(frozen=True)
class EventReport:
    """What a batch of events came to.

    Parameters
    ----------
    new
        Events that were not known.
    repeated
        Those that were.
    strangers
        About no message of ours: ignored.
    malformed
        Not an event at all: ignored.
    settled
        Messages by the state that they were brought to.
    suppressed
        Addresses that are not written to from now on.
    """

    new: int = 0
    repeated: int = 0
    strangers: int = 0
    malformed: int = 0
    settled: Mapping[State, int] | None = None
    suppressed: int = 0


def apply_events(connection: Connection, events: Sequence[object], now: datetime) -> EventReport:
    """Apply a webhook's events, whose signature was verified.

    Parameters
    ----------
    connection
        In a transaction that may write.
    events
        As parsed from JSON; what is no event is counted, never an error.
    now
        When they came, aware UTC.
    """
    take_turns(connection, Turn.HEARING)
    read = [_read(event, now) for event in events]
    found = {event.event_id: event for event in read if event is not None}
    known = _known(connection, {event.message_id for event in found.values()})
    ours = [event for event in found.values() if event.message_id in known]
    new = insert_new(connection, provider_events, [_row(event, now) for event in ours])
    return EventReport(
        new=new,
        repeated=sum(event is not None for event in read) - len(found) + len(ours) - new,
        strangers=len(found) - len(ours),
        malformed=sum(event is None for event in read),
        settled=_settle(connection, list({event.message_id for event in ours}), now) if new else {},
        suppressed=_suppress(connection, ours, known) if new else 0,
    )


def _read(event: object, now: datetime) -> Event | None:
    if not isinstance(event, Mapping):
        return None
    event_id, name, message_id = event.get("sg_event_id"), event.get("event"), event.get("message_id")
    if not (_is_text(event_id, LONGEST_ID) and _is_text(name, LONGEST_EVENT)):
        return None
    said = event.get("reason")
    reason = _ADDRESS_LIKE.sub("[address]", said)[:LONGEST_DETAIL] if isinstance(said, str) else None
    return Event(
        event_id=str(event_id),
        message_id=str(message_id) if _is_text(message_id, LONGEST_ID) else "",
        event=str(name),
        occurred_time=provider_time(event.get("timestamp"), now) or now,
        detail=reason,
        suppress=_suppression(str(name), event.get("type"), reason or ""),
    )


def _is_text(value: object, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _suppression(event: str, kind: object, reason: str) -> str | None:
    """Return why an event's address is not to be written to again, if so. A block or a delay passes."""
    if event == "bounce":
        return "bounce" if kind != "blocked" else None
    if event == "dropped":
        return "dropped" if DEAD_ADDRESS.search(reason) else None
    return OPTED_OUT.get(event)


def _known(connection: Connection, ids: Iterable[str]) -> dict[str, Row[Any]]:
    whose = outbox.join(notices, notices.c.notice_id == outbox.c.notice_id)
    query = select(outbox.c.message_id, outbox.c.address, notices.c.subscriber_id).select_from(whose)
    return {row.message_id: row for row in connection.execute(query.where(among(outbox.c.message_id, set(ids))))}


def _row(event: Event, now: datetime) -> dict[str, Any]:
    return {
        "event_id": event.event_id,
        "message_id": event.message_id,
        "event": event.event,
        "occurred_time": event.occurred_time,
        "received_time": now,
        "detail": event.detail,
    }


def _suppress(connection: Connection, events: Iterable[Event], known: Mapping[str, Row[Any]]) -> int:
    final = [event for event in events if event.suppress is not None and known[event.message_id].address]
    rows = [
        {
            "address": normalised(known[event.message_id].address),
            "reason": event.suppress,
            "since": event.occurred_time,
            "source": "webhook",
        }
        for event in final
    ]
    for event in final:
        if event.event in OPTED_OUT:
            who = known[event.message_id].subscriber_id
            choose(connection, who, False, Source.PROVIDER, event.occurred_time, channels=[ChannelName.EMAIL])
    return insert_new(connection, suppressions, rows)


def wait_to_hear(connection: Connection) -> None:
    """Let no event be applied from here to the end of the transaction, in which it is recorded how attempts ended.

    Either an event finds a message as it was recorded, or who records it finds the event, by `settle_heard`: a provider
    may speak of a message before it answers.
    """
    take_turns(connection, Turn.HEARING, shared=True)


def settle_heard(connection: Connection, now: datetime, recorded: Sequence[str] | None = None) -> dict[State, int]:
    """Settle messages of which the provider spoke before we recorded what we know.

    Parameters
    ----------
    connection
        In a transaction that began by `wait_to_hear`.
    recorded
        The keys of those just recorded as `sent` or `unknown`; all that are `unknown`, where not given.
    """
    if recorded is None:
        ids = select(outbox.c.message_id).where(outbox.c.state == State.UNKNOWN.value)
    else:
        ids = select(provider_events.c.message_id).where(among(provider_events.c.message_id, recorded)).distinct()
    return _settle(connection, list(connection.scalars(ids)), now)


def _settle(connection: Connection, ids: Sequence[str], now: datetime) -> dict[State, int]:
    if not ids:
        return {}
    mine, state = among(outbox.c.message_id, ids), unindexed(outbox.c.state)
    gone = mine & state.in_([State.UNKNOWN.value, State.SENT.value]) & _heard(NOT_DELIVERED)
    taken = mine & (state == State.UNKNOWN.value) & _heard()
    counts = Counter({State.FAILED: _bring(connection, gone, State.FAILED, now)})
    counts[State.SENT] = _bring(connection, taken, State.SENT, now)
    return dict(+counts)


def _heard(events: Sequence[str] | None = None) -> ColumnElement[bool]:
    spoken = provider_events.c.message_id == outbox.c.message_id
    return exists().where(spoken if events is None else spoken & provider_events.c.event.in_(events))


def _bring(connection: Connection, which: ColumnElement[bool], state: State, now: datetime) -> int:
    return connection.execute(update(outbox).where(which).values(state=state.value, settled_time=now)).rowcount


def release_unheard(connection: Connection, now: datetime, after: timedelta) -> int:
    """Queue again the `unknown` messages that the provider certainly never took; return how many.

    A provider reports on every message within seconds. One is taken not to have been accepted if, `after` so long,
    nothing was heard of it, although of every other mail sent within `NEIGHBOURHOOD` of it, and at least one, something
    was. Were events late or lost, those of its neighbours would be, too. Before it is sent, it passes the gates again.
    """
    candidates = connection.execute(
        select(outbox.c.message_number, outbox.c.channel, func.max(deliveries.c.attempted_time).label("attempted"))
        .join(deliveries, deliveries.c.message_number == outbox.c.message_number)
        .where(outbox.c.state == State.UNKNOWN.value, outbox.c.settled_time <= now - after, ~_heard())
        .group_by(outbox.c.message_number, outbox.c.channel)
    ).all()
    numbers = [row.message_number for row in candidates if _neighbours_all_heard(connection, row)]
    if numbers:
        still = among(outbox.c.message_number, numbers) & (unindexed(outbox.c.state) == State.UNKNOWN.value)
        again = {"state": State.QUEUED.value, "settled_time": None, "next_attempt_time": now}
        connection.execute(update(outbox).where(still).values(again))
        attempts = among(deliveries.c.message_number, numbers) & (deliveries.c.outcome == Outcome.UNKNOWN.value)
        lost = {"outcome": Outcome.LOST.value, "detail": UNHEARD}
        connection.execute(update(deliveries).where(attempts).values(lost))
    return len(numbers)


def _neighbours_all_heard(connection: Connection, row: Row[Any]) -> bool:
    near = deliveries.c.attempted_time.between(row.attempted - NEIGHBOURHOOD, row.attempted + NEIGHBOURHOOD)
    sent = or_(outbox.c.state == State.SENT.value, outbox.c.state == State.FAILED.value)
    neighbours = (
        select(func.count(), func.sum(func.coalesce(_heard().cast(_INTEGER), 0)))
        .select_from(deliveries.join(outbox, outbox.c.message_number == deliveries.c.message_number))
        .where(near, sent, deliveries.c.outcome == Outcome.SENT.value, outbox.c.channel == row.channel)
    )
    total, heard = connection.execute(neighbours).one()
    return bool(total) and total == heard


_INTEGER = outbox.c.attempts.type
