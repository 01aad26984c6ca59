"""Attempts to send: find what is due, begin, write down how each ended, settle what was left behind.

Every function takes a `Connection` and leaves the transaction to its caller. What is begun is `sending`, and a sender
that dies then leaves it to `sweep`. What has to wait for a free hand is leased while `queued`: who dies then leaves
nothing behind but a lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, func, literal, not_, or_, select, update
from sqlalchemy.sql.dml import Update

from incidents.ledger.among import among, unindexed
from incidents.ledger.schema import WAITING, deliveries, notices, outbox
from notifiers.crowd import FOUND, Crowd, gather
from notifiers.insert import copy_new, insert_new
from notifiers.model import ChannelName
from notifiers.outbox import UNLEASED, Lease, Message, Outcome, State, Words
from notifiers.stops import unstopped

SETTLED = {Outcome.SENT: State.SENT, Outcome.FAILED: State.FAILED, Outcome.UNKNOWN: State.UNKNOWN}
"""The outcomes after which nothing more is tried."""
MAX_DETAIL_LENGTH = 500
INTERRUPTED = "The sender stopped while sending."


@dataclass(frozen=True)
class Result:
    """How one attempt ended, for all that one request carried.

    Parameters
    ----------
    bundle, outcome
        Of what, and how.
    detail
        Why it was not sent, without personal data.
    provider_message_id
        The provider's name for it.
    next_attempt_time
        When to try again, for an outcome that does not settle the message.
    """

    bundle: Sequence[Message]
    outcome: Outcome
    detail: str | None = None
    provider_message_id: str | None = None
    next_attempt_time: datetime | None = None

    @property
    def state(self) -> State:
        """The state that it leads to."""
        return SETTLED.get(self.outcome, State.QUEUED)


def due(
    connection: Connection,
    now: datetime,
    channels: Collection[ChannelName],
    limit: int = 1,
    known: dict[str, Words] | None = None,
) -> Crowd:
    """Return the next due messages of these channels, those of one body beside each other, for their next attempt.

    Nobody else gets them until the transaction ends, by when they are begun, leased, or left to others: on SQLite by
    its write lock, on PostgreSQL by skipping rows that are locked.

    Parameters
    ----------
    connection
        In a transaction that writes from its beginning; see `incidents.ledger.store.transaction`.
    limit
        Most messages to return.
    known
        Bodies that were read before; see `notifiers.outbox.messages`.
    """
    values = {"channels": [channel.value for channel in channels], "most": limit}
    return gather(connection, _DUE, values, now, known)


_DUE = (
    FOUND.where(
        WAITING,
        outbox.c.next_attempt_time <= bindparam("now"),
        or_(outbox.c.lease_until.is_(None), outbox.c.lease_until <= bindparam("now")),
        outbox.c.channel.in_(bindparam("channels", expanding=True)),
        notices.c.withheld_reason.is_(None),
        unstopped("now"),
    )
    .order_by(outbox.c.next_attempt_time, outbox.c.body_key, outbox.c.message_number)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=outbox)
)


def begin(connection: Connection, found: Sequence[Message], now: datetime, lease: Lease) -> None:
    """Mark messages that `due` found in this transaction as `sending`, under a lease.

    Commit before any request leaves: whoever finds a message `queued` may trust that nobody was sent it.
    """
    if found:
        connection.execute(_BEGIN, _leased(found, now, lease))


def keep(connection: Connection, found: Sequence[Message], now: datetime, lease: Lease) -> None:
    """Lease messages that `due` found in this transaction, to be begun by `begin_kept` or given back by `let_go`."""
    if found:
        connection.execute(_KEEP, _leased(found, now, lease))


def begin_kept(connection: Connection, kept: Sequence[Message], now: datetime, lease: Lease) -> list[Message]:
    """Mark leased messages as `sending` and renew their lease; return those that are still ours and wanted.

    What was stopped or withheld since it was leased stays behind. Commit before any request leaves, too.
    """
    begun = set(connection.scalars(_BEGIN_KEPT, _leased(kept, now, lease) | {"now": now}))
    return [message for message in kept if message.message_number in begun]


def _leased(these: Sequence[Message], now: datetime, lease: Lease) -> dict[str, Any]:
    return {"numbers": _numbers(these), "owner": lease.owner, "until": now + lease.duration}


def _numbers(these: Iterable[Message]) -> list[int]:
    return [message.message_number for message in these]


_THESE = among(outbox.c.message_number, "numbers")
_OURS = (unindexed(outbox.c.state) == State.QUEUED.value) & (outbox.c.lease_owner == bindparam("owner"))
_LEASE: dict[str, Any] = {"lease_owner": bindparam("owner"), "lease_until": bindparam("until")}
_BEGUN: dict[str, Any] = {"state": State.SENDING.value, "attempts": outbox.c.attempts + 1, **_LEASE}
_BEGIN = update(outbox).where(_THESE).values(_BEGUN)
_KEEP = update(outbox).where(_THESE).values(_LEASE)
_BEGIN_KEPT = (
    update(outbox)
    .where(
        _THESE,
        _OURS,
        select(literal(1))
        .where(notices.c.notice_id == outbox.c.notice_id, notices.c.withheld_reason.is_(None), unstopped("now"))
        .correlate(outbox)
        .exists(),
    )
    .values(_BEGUN)
    .returning(outbox.c.message_number)
)


def let_go(connection: Connection, kept: Sequence[Message], lease: Lease) -> int:
    """Give back what was leased and not begun, for others to take; return how many."""
    return connection.execute(_LET_GO, {"numbers": _numbers(kept), "owner": lease.owner}).rowcount if kept else 0


_LET_GO = update(outbox).where(_THESE, _OURS).values(UNLEASED)


def record(connection: Connection, results: Sequence[Result], now: datetime) -> None:
    """Write down how attempts ended: a `deliveries` row for each, and each message's new state.

    A message that somebody else settled or began anew meanwhile stays as it is.
    """
    alone = [_alone(result, now) for result in results if len(result.bundle) == 1]
    insert_new(connection, deliveries, alone)
    for result in results:
        if len(result.bundle) > 1:
            _record_together(connection, result, now)
    for state, alike in _alike(results, now):
        connection.execute(_RECORD[state], alike)


def _alone(result: Result, now: datetime) -> dict[str, Any]:
    (message,) = result.bundle
    row = _delivery_row(message.message_number, message.attempt, result.outcome, now, result.detail)
    return row | {"provider_message_id": result.provider_message_id}


def _record_together(connection: Connection, result: Result, now: datetime) -> None:
    """Insert the rows of many messages that fared alike, by a statement for each number of attempts."""
    common = _delivery_row(0, 0, result.outcome, now, result.detail)
    common |= {"provider_message_id": result.provider_message_id, "numbers": _numbers(result.bundle)}
    for attempt in {message.attempt for message in result.bundle}:
        copy_new(connection, deliveries, _TOGETHER, common | {"attempt": attempt})


_TOGETHER = select(
    outbox.c.message_number,
    outbox.c.attempts.label("attempt"),
    *(
        bindparam(column.name, type_=column.type).label(column.name)
        for column in (
            deliveries.c.attempted_time,
            deliveries.c.outcome,
            deliveries.c.detail,
            deliveries.c.provider_message_id,
        )
    ),
).where(
    _THESE,
    outbox.c.attempts == bindparam("attempt"),
)


def _alike(results: Iterable[Result], now: datetime) -> Iterator[tuple[State, dict[str, Any]]]:
    """Gather results into as few statements as there are states, next moments and numbers of attempts."""
    groups: dict[tuple[State, datetime | None, int], list[int]] = {}
    for result in results:
        again = (result.next_attempt_time or now) if result.state is State.QUEUED else None
        for message in result.bundle:
            groups.setdefault((result.state, again, message.attempt), []).append(message.message_number)
    for (state, again, attempt), numbers in groups.items():
        when = {"settled": now} if again is None else {"again": again}
        yield state, {"numbers": numbers, "attempt": attempt} | when


def _record(state: State) -> Update:
    when: dict[str, Any] = (
        {"settled_time": None, "next_attempt_time": bindparam("again")}
        if state is State.QUEUED
        else {"settled_time": bindparam("settled")}
    )
    return (
        update(outbox)
        .where(
            _THESE,
            unindexed(outbox.c.state).in_([State.SENDING.value, State.UNKNOWN.value]),
            outbox.c.attempts == bindparam("attempt"),
        )
        .values(state=state.value, **UNLEASED, **when)
    )


_RECORD = {state: _record(state) for state in (State.QUEUED, *SETTLED.values())}


def retries(connection: Connection, bundle: Sequence[Message]) -> dict[int, int]:
    """Return by number how many attempts at messages are worth another try; a channel's pauses do not count."""
    numbers = _numbers(bundle)
    tried = (
        select(deliveries.c.message_number, func.count())
        .where(
            among(deliveries.c.message_number, numbers),
            deliveries.c.outcome.in_([Outcome.RETRY.value, Outcome.LOST.value]),
        )
        .group_by(deliveries.c.message_number)
    )
    return dict.fromkeys(numbers, 0) | {row[0]: row[1] for row in connection.execute(tried)}


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
    left = (outbox.c.state == State.SENDING.value) & (outbox.c.lease_until <= now) & which
    found = select(outbox.c.message_number, outbox.c.attempts, outbox.c.lease_until).where(left)
    lost = connection.execute(found.with_for_update(skip_locked=True)).all()
    if not lost:
        return 0
    settled = None if state is State.QUEUED else now
    free = {"state": state.value, **UNLEASED, "settled_time": settled}
    connection.execute(update(outbox).where(_THESE).values(free), {"numbers": [row.message_number for row in lost]})
    rows = [_delivery_row(row.message_number, row.attempts, outcome, row.lease_until, INTERRUPTED) for row in lost]
    insert_new(connection, deliveries, rows)
    return len(lost)


def _delivery_row(number: int, attempt: int, outcome: Outcome, now: datetime, detail: str | None) -> dict[str, Any]:
    return {
        "message_number": number,
        "attempt": attempt,
        "attempted_time": now,
        "outcome": outcome.value,
        "detail": detail and detail[:MAX_DETAIL_LENGTH],
    }
