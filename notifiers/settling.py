"""The outbox as a person sees it: what is on its way, and what became of a message that nobody else can tell of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from incidents.ledger import audit
from incidents.ledger.schema import deliveries, notices, outbox
from notifiers.outbox import State

BY_HAND = (State.SENT, State.FAILED)


class SettlingError(ValueError):
    """A message cannot be settled as asked; the text is a sentence."""


def counts(connection: Connection) -> dict[State, int]:
    """Return how many messages are in each state."""
    found = {row.state: row[1] for row in connection.execute(_COUNTS)}
    return {state: found.get(state.value, 0) for state in State}


_COUNTS = select(outbox.c.state, func.count()).group_by(outbox.c.state)


def listed(connection: Connection, state: State, limit: int) -> Sequence[Row[Any]]:
    """Return the oldest messages in a state: keys, times and the last word on each; nothing personal."""
    last = (
        select(deliveries.c.detail)
        .where(deliveries.c.message_number == outbox.c.message_number)
        .order_by(deliveries.c.attempt.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(
            outbox.c.message_id,
            outbox.c.channel,
            outbox.c.attempts,
            outbox.c.queued_time,
            notices.c.incident_id,
            last.label("detail"),
        )
        .join(notices, notices.c.notice_id == outbox.c.notice_id)
        .where(outbox.c.state == state.value)
        .order_by(outbox.c.queued_time, outbox.c.message_id)
        .limit(limit)
    )
    return connection.execute(query).all()


def settle_by_hand(connection: Connection, message_id: str, state: State, actor: str, now: datetime) -> None:
    """Write down what a person found out about an `unknown` message.

    Parameters
    ----------
    connection
        In a transaction that may write.
    state
        `State.SENT` or `State.FAILED`.
    actor
        Who says so; it is in the audit trail.

    Raises
    ------
    SettlingError
        If it is not unknown, or there is no such message.
    """
    if state not in BY_HAND:
        raise SettlingError("A message is settled as sent or as failed.")
    mine = (outbox.c.message_id == message_id) & (outbox.c.state == State.UNKNOWN.value)
    if connection.execute(update(outbox).where(mine).values(state=state.value, settled_time=now)).rowcount == 0:
        raise SettlingError(f"There is no unknown message {message_id!r}.")
    audit.record(connection, actor, "message.settled", f"message:{message_id}", {"state": state.value}, now)
