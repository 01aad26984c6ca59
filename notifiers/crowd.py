"""Many messages that are about to go, asked about together.

Of a thousand people hardly anybody chose, asked or heard anything since the decision. So the ledger says who did, and
those are looked at one by one, by `notifiers.recheck`. What can be said against the others holds for a whole `Lot` of
them, or is in the message itself. Whoever is not plainly in the clear is looked at: a waste of time at the worst.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, func, or_, select

from incidents.ledger.among import lowered
from incidents.ledger.schema import TROUBLE_OF_NOTICE, contacts, notices, outbox, preferences, suppressions, troubles
from incidents.model import TroubleKind
from notifiers.address import is_deliverable
from notifiers.gates.patience import is_held_out
from notifiers.history import LOOK_BACK
from notifiers.model import ChannelName, History, Policy
from notifiers.outbox import AS_STORED, Message, Stage, Words, messages
from notifiers.recheck import affairs_of, standings_of
from notifiers.rollout import in_charge
from notifiers.standing import Consents, Known, Standing


class Lot(NamedTuple):
    """What messages have in common: first news of a problem, to people of whom nothing is known that matters.

    Parameters
    ----------
    incident_id, episode, severity, error_class
        Of the trouble; the last two as far as the ledger still has it.
    timezone
        Where the people live.
    by
        How the messages go.
    """

    incident_id: str | None
    episode: str
    severity: str | None
    error_class: str | None
    timezone: str | None
    by: str

    @property
    def kind(self) -> str:
        """It is news of a problem."""
        return TroubleKind.PROBLEM.value

    @property
    def subscriber_id(self) -> str:
        """Nobody's in particular."""
        return ""


@dataclass(frozen=True)
class Crowd:
    """Messages, and of those that are alike the lot.

    Parameters
    ----------
    messages
        In the order in which they were found.
    lots
        The messages by what a `Lot` goes by; who did or was told something that matters is in none.
    """

    messages: Sequence[Message] = ()
    lots: Mapping[tuple[Any, ...], Sequence[Message]] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """What the gates are asked with.

    Parameters
    ----------
    now
        Aware UTC.
    consents
        What the subscriber list says now, where it is at hand.
    policy
        Where given, what may have changed since the decision is asked again, and what puts off.
    """

    now: datetime
    consents: Consents | None = None
    policy: Policy | None = None

    def passes(self, standing: Standing) -> bool:
        """Whether nothing speaks against a whole lot."""
        against = standing.affair.over or standing.is_refused
        return not against and (self.policy is None or standing.shut(self.now, self.policy) is None)

    def doubts(self, standing: Standing) -> Iterator[Callable[[Message], bool]]:
        """Give what else may speak against one message of a lot that passes."""
        consents, policy, rollout = self.consents, self.policy, standing.rollout
        if standing.channel is ChannelName.EMAIL:
            yield lambda message: not is_deliverable(message.address)
        if consents is not None:
            yield lambda message: not consents(message.subscriber_id, message.channel)
        if policy is not None and policy.holdout_share > 0:
            yield lambda message: is_held_out(message.subscriber_id, standing.severity, policy)
        if policy is not None and rollout is not None:
            yield lambda message: not rollout.allows(message.subscriber_id)


def in_question(connection: Connection, crowd: Crowd, asking: Asking) -> list[Standing]:
    """Return how those messages of a crowd stand that something may speak against; nothing does against the others."""
    clear: set[int] = set()
    for lot, doubts in _passing(connection, crowd.lots, asking).items():
        left: Sequence[Message] = crowd.lots[lot]
        for doubt in doubts:
            left = [message for message in left if not doubt(message)]
        clear.update(message.message_number for message in left)
    asked = [message.message_id for message in crowd.messages if message.message_number not in clear]
    return standings_of(connection, asked, None if asking.policy is None else asking.now) if asked else []


Doubts = Sequence[Callable[[Message], bool]]


def _passing(
    connection: Connection, found: Collection[tuple[Any, ...]], asking: Asking
) -> dict[tuple[Any, ...], Doubts]:
    """Return the lots against which nothing speaks, with what may speak against one in them."""
    lots = [Lot(*lot) for lot in found]
    affairs = affairs_of(connection, {lot.incident_id for lot in lots if lot.incident_id is not None})
    known = Known(affairs, History(rollouts=in_charge(connection, {it.episode for it in lots})), {}, frozenset(), {})
    standings = {lot: Standing(lot, known) for lot in lots}
    return {lot: list(asking.doubts(it)) for lot, it in standings.items() if asking.passes(it)}


def gather(
    connection: Connection,
    query: Select[Any],
    values: Mapping[str, Any],
    now: datetime,
    known: dict[str, Words] | None = None,
) -> Crowd:
    """Return what a query finds that begins as `FOUND`.

    Parameters
    ----------
    values
        Of the query's own parameters.
    known
        Bodies that were read before; see `notifiers.outbox.messages`.
    """
    rows = connection.execute(query, {"now": now, "since": now - LOOK_BACK, **values}).all()
    found = messages(connection, rows, {} if known is None else known)
    lots: defaultdict[tuple[Any, ...], list[Message]] = defaultdict(list)
    for row, message in zip(rows, found, strict=True):
        if row[_IS_PLAIN]:
            lots[tuple(row[_LOT_FROM:])].append(message)
    return Crowd(found, lots)


def _is_plain() -> ColumnElement[bool]:
    """Whether it is first news of a problem to somebody who has done, and been told, nothing that matters."""
    person = notices.c.subscriber_id
    asked = select(contacts.c.contact_id).where(
        contacts.c.subscriber_id == person, contacts.c.contacted_time >= troubles.c.since
    )
    chose = select(preferences.c.subscriber_id).where(preferences.c.subscriber_id == person)
    other = notices.alias("other")
    heard = select(func.count()).where(other.c.subscriber_id == person, other.c.decided_time >= bindparam("since"))
    suppressed = select(suppressions.c.address).where(suppressions.c.address == lowered(outbox.c.address))
    return and_(
        notices.c.kind == TroubleKind.PROBLEM.value,
        outbox.c.stage == Stage.FIRST.value,
        or_(notices.c.expires_time.is_(None), notices.c.expires_time > bindparam("now")),
        ~asked.exists(),
        ~chose.exists(),
        ~suppressed.exists(),
        heard.scalar_subquery() <= 1,
    )


_LOT = (
    notices.c.incident_id,
    notices.c.episode,
    troubles.c.severity,
    troubles.c.error_class,
    notices.c.timezone,
    outbox.c.channel.label("by"),
)
_LOT_FROM = -len(_LOT)
_IS_PLAIN = _LOT_FROM - 1
FOUND = select(*AS_STORED, (outbox.c.attempts + 1).label("attempt"), _is_plain().label("is_plain"), *_LOT).select_from(
    outbox.join(notices, notices.c.notice_id == outbox.c.notice_id).outerjoin(troubles, TROUBLE_OF_NOTICE)
)
"""Messages for their next attempt, and what their lots go by, to be narrowed down."""
