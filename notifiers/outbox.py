"""The outbox: rendered notices on their way, stored in the same transaction as the decision.

States::

    queued -> sending -> sent
                      -> queued     (to be tried again)
                      -> failed     (given up)
                      -> unknown    (may have been accepted; settled by a webhook or a person)
                      -> cancelled  (no longer wanted: the notice's `withheld_reason` says why)
    queued -> cancelled

Every function takes a `Connection` and leaves the transaction to its caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, not_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from incidents.ledger.schema import deliveries, notices, outbox
from notifiers.compose import Rendered
from notifiers.insert import insert_new
from notifiers.model import ChannelName, Decision, WithheldReason


class State(StrEnum):
    """Where a message is on its way."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


class Stage(StrEnum):
    """Which message of a notice: the first, or a mail that follows a card that was not seen."""

    FIRST = "first"
    FOLLOW_UP = "follow_up"


class Outcome(StrEnum):
    """How one attempt to send ended: a row of `deliveries`."""

    SENT = "sent"
    RETRY = "retry"
    PAUSED = "paused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LOST = "lost"


SETTLED = {Outcome.SENT: State.SENT, Outcome.FAILED: State.FAILED, Outcome.UNKNOWN: State.UNKNOWN}
"""The outcomes after which nothing more is tried."""
MAX_DETAIL_LENGTH = 500
INTERRUPTED = "The sender stopped while sending."


@dataclass(frozen=True)
class Message:
    """One rendered notice as a channel gets it.

    Parameters
    ----------
    message_id
        Opaque; the key by which a repeatable channel tells a repetition.
    notice_id
        The notice that it carries.
    subscriber_id, channel, address
        Whom, how and where to; `address` is None for a card.
    subject, html, text, card
        What was composed.
    queued_time
        When it was stored. Channels that need a date use this, so that a repetition is identical.
    expires_time
        From when on it must not be sent.
    attempt
        1 for the first.
    """

    message_id: str
    notice_id: str
    subscriber_id: str
    channel: ChannelName
    address: str | None
    subject: str
    html: str
    text: str
    card: Mapping[str, Any]
    queued_time: datetime
    expires_time: datetime | None
    attempt: int


@dataclass(frozen=True)
class Lease:
    """Who works on a message and for how long; after that it counts as lost."""

    owner: str = "deliver"
    duration: timedelta = timedelta(minutes=2)


DEFAULT_LEASE = Lease()


def record_decisions(connection: Connection, decisions: Sequence[Decision]) -> int:
    """Insert one `notices` row per decision, ignoring those that are there; return how many were new.

    Enough for a replay, which composes and delivers nothing. Live runs call `enqueue`.
    """
    return insert_new(connection, notices, [_notice_row(decision) for decision in decisions])


def enqueue(
    connection: Connection,
    decisions: Sequence[Decision],
    rendered: Mapping[str, Rendered],
    addresses: Mapping[str, str],
    now: datetime,
) -> int:
    """Insert `notices` and `outbox` rows in the caller's transaction; return how many notices were new.

    Parameters
    ----------
    decisions
        From `decide`; withheld ones get a `notices` row only, except those that wait for quiet hours to
        end, which are queued too and not claimed before `notifiers.release.release_due` lets them go.
    rendered
        By notice_id, for every decision with `needs_words`.
    addresses
        E-mail addresses by subscriber_id.
    now
        When it is queued.

    Raises
    ------
    KeyError
        If a decision that needs words has none, or one that goes by mail has no address.
    """
    rows = [_outbox_row(d, rendered[d.notice_id], addresses, now) for d in decisions if d.needs_words]
    inserted = record_decisions(connection, decisions)
    insert_new(connection, outbox, rows)
    return inserted


def _notice_row(decision: Decision) -> dict[str, Any]:
    trouble = decision.trouble
    return {
        "notice_id": decision.notice_id,
        "subscriber_id": trouble.subscriber_id,
        "episode": trouble.episode,
        "kind": trouble.kind.value,
        "decided_time": decision.decided_time,
        "problem": trouble.problem.value,
        "cause": trouble.verdict.cause.value,
        "incident_id": trouble.incident_id,
        "channel": decision.channel.value,
        "withheld_reason": decision.withheld_reason and decision.withheld_reason.value,
        "release_time": decision.release_time,
        "expires_time": decision.expires_time,
    }


def _outbox_row(decision: Decision, words: Rendered, addresses: Mapping[str, str], now: datetime) -> dict[str, Any]:
    by_mail = decision.channel is ChannelName.EMAIL
    return {
        "message_id": decision.notice_id,
        "notice_id": decision.notice_id,
        "stage": Stage.FIRST.value,
        "channel": decision.channel.value,
        "address": addresses[decision.trouble.subscriber_id] if by_mail else None,
        "subject": words.subject,
        "html": words.html,
        "text": words.text,
        "card": dict(words.card),
        "state": State.QUEUED.value,
        "attempts": 0,
        "queued_time": now,
        "next_attempt_time": decision.release_time or now,
        "expires_time": decision.expires_time,
    }


def claim(connection: Connection, now: datetime, lease: Lease, channels: Collection[ChannelName]) -> Message | None:
    """Take the next due message of these channels, if there is one: it becomes `sending` under the lease.

    The first statement writes, so that two senders never take the same message, on SQLite by its write lock
    and on PostgreSQL by skipping rows that are locked.
    """
    taken = connection.execute(
        _CLAIM,
        {
            "channels": [channel.value for channel in channels],
            "now": now,
            "owner": lease.owner,
            "until": now + lease.duration,
        },
    ).one_or_none()
    return None if taken is None else _message(taken)


def _claim() -> ReturningUpdate[Any]:
    due = (
        select(outbox.c.message_id)
        .join(notices, notices.c.notice_id == outbox.c.notice_id)
        .where(
            outbox.c.state == State.QUEUED.value,
            outbox.c.next_attempt_time <= bindparam("now"),
            outbox.c.channel.in_(bindparam("channels", expanding=True)),
            notices.c.withheld_reason.is_(None),
        )
        .order_by(outbox.c.next_attempt_time)
        .limit(1)
        .with_for_update(skip_locked=True, of=outbox)
    )
    whose = select(notices.c.subscriber_id).where(notices.c.notice_id == outbox.c.notice_id)
    return (
        update(outbox)
        .where(outbox.c.message_id == due.scalar_subquery())
        .values(
            state=State.SENDING.value,
            attempts=outbox.c.attempts + 1,
            lease_owner=bindparam("owner"),
            lease_until=bindparam("until"),
        )
        .returning(outbox, whose.scalar_subquery().label("subscriber_id"))
    )


_CLAIM = _claim()


def _message(row: Row[Any]) -> Message:
    return Message(
        message_id=row.message_id,
        notice_id=row.notice_id,
        subscriber_id=row.subscriber_id,
        channel=ChannelName(row.channel),
        address=row.address,
        subject=row.subject,
        html=row.html,
        text=row.text,
        card=row.card,
        queued_time=row.queued_time,
        expires_time=row.expires_time,
        attempt=row.attempts,
    )


def record(
    connection: Connection,
    message: Message,
    outcome: Outcome,
    now: datetime,
    *,
    detail: str | None = None,
    provider_message_id: str | None = None,
    next_attempt_time: datetime | None = None,
) -> State:
    """Write down how an attempt ended: a `deliveries` row, and the message's new state, which is returned.

    Parameters
    ----------
    detail
        Why it was not sent, without personal data.
    next_attempt_time
        When to try again, for an outcome that does not settle the message.
    """
    row = _delivery_row(message.message_id, message.attempt, outcome, now, detail)
    insert_new(connection, deliveries, [row | {"provider_message_id": provider_message_id}])
    state = SETTLED.get(outcome, State.QUEUED)
    _set_state(connection, outbox.c.message_id == message.message_id, state, now, next_attempt_time)
    return state


def cancel(connection: Connection, notice_id: str, reason: WithheldReason, now: datetime) -> None:
    """Take a message that is no longer wanted off its way, and say why on its notice."""
    connection.execute(
        update(notices).where(notices.c.notice_id == notice_id).values(withheld_reason=reason.value, release_time=None)
    )
    _set_state(connection, outbox.c.notice_id == notice_id, State.CANCELLED, now)


def retries(connection: Connection, message_id: str) -> int:
    """Return how many attempts ended in something worth another try; a channel's pauses do not count."""
    tried = select(func.count()).where(
        deliveries.c.message_id == message_id,
        deliveries.c.outcome.in_([Outcome.RETRY.value, Outcome.LOST.value]),
    )
    return connection.execute(tried).scalar_one()


def sweep(connection: Connection, now: datetime, repeatable: Collection[ChannelName]) -> dict[State, int]:
    """Settle messages whose lease ran out while `sending`: queued where repeating is harmless, else unknown.

    Returns
    -------
    dict
        How many ended in each state.
    """
    repeats = outbox.c.channel.in_([channel.value for channel in repeatable])
    return {
        State.QUEUED: _settle_lost(connection, now, repeats, State.QUEUED, Outcome.LOST),
        State.UNKNOWN: _settle_lost(connection, now, not_(repeats), State.UNKNOWN, Outcome.UNKNOWN),
    }


def _settle_lost(
    connection: Connection, now: datetime, which: ColumnElement[bool], state: State, outcome: Outcome
) -> int:
    lost = connection.execute(
        update(outbox)
        .where(outbox.c.state == State.SENDING.value, outbox.c.lease_until <= now, which)
        .values(state=state.value, lease_owner=None, lease_until=None, settled_time=_settled(state, now))
        .returning(outbox.c.message_id, outbox.c.attempts)
    ).all()
    rows = [_delivery_row(row.message_id, row.attempts, outcome, now, INTERRUPTED) for row in lost]
    return insert_new(connection, deliveries, rows)


def _settled(state: State, now: datetime) -> datetime | None:
    return None if state is State.QUEUED else now


def _delivery_row(message_id: str, attempt: int, outcome: Outcome, now: datetime, detail: str | None) -> dict[str, Any]:
    return {
        "message_id": message_id,
        "attempt": attempt,
        "attempted_time": now,
        "outcome": outcome.value,
        "detail": detail and detail[:MAX_DETAIL_LENGTH],
    }


def _set_state(
    connection: Connection,
    which: ColumnElement[bool],
    state: State,
    now: datetime,
    next_attempt_time: datetime | None = None,
) -> None:
    values: dict[str, Any] = {"state": state.value, "lease_owner": None, "lease_until": None}
    values["settled_time"] = _settled(state, now)
    if next_attempt_time is not None:
        values["next_attempt_time"] = next_attempt_time
    connection.execute(update(outbox).where(which).values(values))
