"""Who can be told, from the warehouse, and who is about to be, from the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import duckdb
from sqlalchemy import Connection, bindparam, or_, select

from incidents.ledger.schema import notices, outbox
from notifiers.model import ChannelName, Recipient
from notifiers.outbox import State
from notifiers.release import MAY_BE_OVER
from notifiers.standing import Consents

_RECIPIENTS = """
SELECT subscriber_id, email, display_name, locale, timezone, country,
       coalesce(email_opt_in, false), coalesce(in_app_opt_in, false), coalesce(no_phone, false)
FROM subscribers
WHERE subscriber_id IN (SELECT unnest($people))
"""


def load_recipients(connection: duckdb.DuckDBPyConnection, people: Iterable[str]) -> dict[str, Recipient]:
    """Read subscribers from the warehouse.

    Parameters
    ----------
    connection
        The warehouse's.
    people
        Their ids; unknown ones are left out of the answer.
    """
    wanted = sorted(set(people))
    if not wanted:
        return {}
    rows = connection.execute(_RECIPIENTS, {"people": wanted}).fetchall()
    return {row[0]: Recipient(*row) for row in rows}


def count_subscribers(connection: duckdb.DuckDBPyConnection) -> int:
    """Return how many subscribers the warehouse knows."""
    return int(connection.execute("SELECT count(*) FROM subscribers").fetchall()[0][0])


def consents_of(asked: Iterable[str], recipients: Mapping[str, Recipient]) -> Consents:
    """Return whether each of the people `asked` about agrees to a channel, by what the warehouse says now.

    One who is not in the warehouse any more agrees to nothing. One who was not asked about was decided on a
    moment ago, and that answer stands.
    """
    known = frozenset(asked)

    def agrees(subscriber_id: str, channel: ChannelName) -> bool:
        if subscriber_id not in known:
            return True
        recipient = recipients.get(subscriber_id)
        if recipient is None:
            return False
        return recipient.email_opt_in if channel is ChannelName.EMAIL else recipient.in_app_opt_in

    return agrees


def waiting_people(connection: Connection, now: datetime) -> list[str]:
    """Return whose notices can move on by `now`: due to be sent, lost on their way, or no longer held back."""
    return sorted(connection.scalars(_WAITING, {"due_by": now}))


_QUEUED = (outbox.c.state == State.QUEUED.value) & (outbox.c.next_attempt_time <= bindparam("due_by"))
_LOST = (outbox.c.state == State.SENDING.value) & (outbox.c.lease_until <= bindparam("due_by"))
_WAITING = (
    select(notices.c.subscriber_id)
    .outerjoin(outbox, outbox.c.notice_id == notices.c.notice_id)
    .where(or_(MAY_BE_OVER, _QUEUED, _LOST))
    .distinct()
)
