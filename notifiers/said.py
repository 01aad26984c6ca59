"""What people were told and when: from the ledger alone, by notice, by reference or by person."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, func, select

from incidents.ledger.schema import deliveries, notices, outbox
from incidents.model import TroubleKind
from notifiers.model import ChannelName, WithheldReason
from notifiers.outbox import Outcome, Stage, State

REACHED = frozenset({State.SENT, State.UNKNOWN})
"""The states of a message that its reader has, or may have."""
_REFERENCE = re.compile(r"[A-Z2-7]{12}")
_NO_KEY = "0" * 12
"""No key has a nought."""
_LAST = "zzzz"
"""No key's end comes after it, in whatever order a database has its letters."""


@dataclass(frozen=True)
class Said:
    """One message to one person, or a notice that was not sent.

    Parameters
    ----------
    notice_id, subscriber_id, episode, kind
        Of which notice.
    channel
        How it went, or would have gone.
    decided_time, sent_time
        When it was decided, and when it left; None where it has not.
    state
        How far the message is; None where there is none.
    stage
        Which message of the notice; None where there is none.
    withheld_reason
        Why not, or not yet; None where it was to be sent.
    timezone
        The reader's, as far as it is known.
    """

    notice_id: str
    subscriber_id: str
    episode: str
    kind: TroubleKind
    channel: ChannelName
    decided_time: datetime
    sent_time: datetime | None
    state: State | None
    stage: Stage | None
    withheld_reason: WithheldReason | None
    timezone: str | None = None

    @property
    def reached(self) -> bool:
        """Whether its reader has it, or may have it."""
        return self.state in REACHED


def said_to(connection: Connection, subscriber_id: str, since: datetime) -> list[Said]:
    """Return what was decided about a person from a moment on, earliest first."""
    return _read(connection, (notices.c.subscriber_id == subscriber_id) & (notices.c.decided_time >= since))


def said_in(connection: Connection, notice_id: str) -> list[Said]:
    """Return the messages of one notice, earliest first; nothing where there is no such notice."""
    return _read(connection, notices.c.notice_id == notice_id)


def said_under(connection: Connection, reference: str) -> list[Said]:
    """Return the messages of the notice that has a reference, as people type it; see `notifiers.model.reference`.

    What no reference looks like is asked for all the same, so that the answer takes as long.
    """
    typed = re.sub(r"[\s\u2010-\u2015-]", "", reference[:64]).upper()
    start = typed.lower() if _REFERENCE.fullmatch(typed) else _NO_KEY
    near = notices.c.notice_id.between(start, start + _LAST)
    return _read(connection, near & (func.substr(notices.c.notice_id, 1, len(start)) == start))


def _read(connection: Connection, which: ColumnElement[bool]) -> list[Said]:
    sent = func.max(deliveries.c.attempted_time).filter(deliveries.c.outcome == Outcome.SENT.value)
    query = (
        select(notices, outbox.c.state, outbox.c.stage, outbox.c.channel.label("went"), outbox.c.queued_time)
        .add_columns(sent.label("sent_time"))
        .select_from(notices)
        .outerjoin(outbox, (outbox.c.notice_id == notices.c.notice_id) & outbox.c.stage.in_(list(Stage)))
        .outerjoin(deliveries, deliveries.c.message_number == outbox.c.message_number)
        .where(which)
        .group_by(notices.c.notice_id, outbox.c.message_number)
        .order_by(notices.c.decided_time, notices.c.notice_id, outbox.c.stage)
    )
    return [_said(row) for row in connection.execute(query).mappings()]


def _said(row: RowMapping) -> Said:
    state, reason = row["state"], row["withheld_reason"]
    return Said(
        notice_id=row["notice_id"],
        subscriber_id=row["subscriber_id"],
        episode=row["episode"],
        kind=TroubleKind(row["kind"]),
        channel=ChannelName(row["went"] or row["channel"]),
        decided_time=row["decided_time"],
        sent_time=row["sent_time"] or (row["queued_time"] if state in REACHED else None),
        state=state and State(state),
        stage=row["stage"] and Stage(row["stage"]),
        withheld_reason=reason and WithheldReason(reason),
        timezone=row["timezone"],
    )


def reached(messages: Iterable[Said]) -> list[Said]:
    """Return those that their reader has, or may have."""
    return [it for it in messages if it.reached]
