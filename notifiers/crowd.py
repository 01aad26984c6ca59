"""Many messages that are about to go, asked about together.

Of a thousand people hardly anybody chose, asked or heard anything since the decision. So the ledger is asked who did,
and those are looked at one by one, by `notifiers.recheck`. What can be said against the others holds for a whole `Lot`
of them, or is in the message itself. Whoever is not plainly in the clear is looked at: a waste of time at the worst.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, bindparam, func, or_, select

from incidents.ledger.among import among
from incidents.ledger.schema import contacts, notices, outbox, preferences, troubles
from incidents.model import TroubleKind
from notifiers.address import is_deliverable, normalised
from notifiers.gates.patience import is_held_out
from notifiers.history import LOOK_BACK, suppressed_among
from notifiers.model import History, Policy
from notifiers.outbox import Message, Stage
from notifiers.recheck import OF_TROUBLE, affairs_of, standings_of
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

    def is_free(self, message: Message, standing: Standing) -> bool:
        """Whether nothing of a person's own speaks against one message of a lot, but for what the ledger knows."""
        who = message.subscriber_id
        if message.address is not None and not is_deliverable(message.address):
            return False
        if self.consents is not None and not self.consents(who, message.channel):
            return False
        if self.policy is None:
            return True
        held_out = is_held_out(who, standing.severity, self.policy)
        return not held_out and (standing.rollout is None or standing.rollout.allows(who))


def in_question(connection: Connection, messages: Sequence[Message], asking: Asking) -> list[Standing]:
    """Return how those of some messages stand that something may speak against; nothing does against the others."""
    lots = _lots(connection, messages, asking.now)
    passing = _passing(connection, [Lot(*lot) for lot in set(lots.values())], asking)
    standing = {message_id: passing[lot] for message_id, lot in lots.items() if lot in passing}
    crowd = [message for message in messages if message.message_id in standing]
    suppressed = suppressed_among(connection, {normalised(it.address) for it in crowd if it.address is not None})
    for message in crowd:
        is_suppressed = message.address is not None and normalised(message.address) in suppressed
        if is_suppressed or not asking.is_free(message, standing[message.message_id]):
            del standing[message.message_id]
    asked = [message.message_id for message in messages if message.message_id not in standing]
    return standings_of(connection, asked, None if asking.policy is None else asking.now) if asked else []


def _lots(connection: Connection, messages: Sequence[Message], now: datetime) -> dict[str, tuple[Any, ...]]:
    """Return as what `Lot` goes each message whose person has done, and been told, nothing that matters."""
    values = {"ids": [message.message_id for message in messages], "now": now, "since": now - LOOK_BACK}
    return {message_id: tuple(lot) for message_id, *lot in connection.execute(_PLAIN, values)}


def _passing(connection: Connection, lots: Sequence[Lot], asking: Asking) -> Mapping[tuple[Any, ...], Standing]:
    """Return how the lots stand against which nothing speaks."""
    affairs = affairs_of(connection, {lot.incident_id for lot in lots if lot.incident_id is not None})
    rollouts = in_charge(connection, {lot.episode for lot in lots})
    known = Known(affairs, History(rollouts=rollouts), {}, frozenset(), {})
    found = ((lot, Standing(lot, known)) for lot in lots)
    return {lot: standing for lot, standing in found if asking.passes(standing)}


def _plain() -> Select[tuple[str, ...]]:
    person = notices.c.subscriber_id
    asked = select(contacts.c.contact_id).where(
        contacts.c.subscriber_id == person, contacts.c.contacted_time >= troubles.c.since
    )
    chose = select(preferences.c.subscriber_id).where(preferences.c.subscriber_id == person)
    other = notices.alias("other")
    heard = select(func.count()).where(other.c.subscriber_id == person, other.c.decided_time >= bindparam("since"))
    joined = outbox.join(notices, notices.c.notice_id == outbox.c.notice_id).outerjoin(troubles, OF_TROUBLE)
    return (
        select(
            outbox.c.message_id,
            notices.c.incident_id,
            notices.c.episode,
            troubles.c.severity,
            troubles.c.error_class,
            notices.c.timezone,
            outbox.c.channel,
        )
        .select_from(joined)
        .where(
            among(outbox.c.message_id, "ids"),
            notices.c.kind == TroubleKind.PROBLEM.value,
            outbox.c.stage == Stage.FIRST.value,
            or_(notices.c.expires_time.is_(None), notices.c.expires_time > bindparam("now")),
            ~asked.exists(),
            ~chose.exists(),
            heard.scalar_subquery() <= 1,
        )
    )


_PLAIN = _plain()
