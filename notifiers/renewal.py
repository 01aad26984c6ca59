"""What people still read, or are about to read, names the cause that we believe now.

An incident's verdict may change after people were told: what looked like the delivery network was one internet
provider. A card in the inbox is changed where it stands, silently but for being unread again; a mail that waits for the
morning or for a person's word is written anew before it goes. Mails that went out are left to a lead's correction, and
so is every notice of an incident that a lead is about to correct. That an incident grows changes nothing that its cards
say, so they stay as they are; that it is over, or was a false alarm, is a notice of its own kind on the same card.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, select, update

from incidents.ledger.casework import corrections
from incidents.ledger.rows import trouble_from
from incidents.ledger.schema import bodies, inbox, incidents, notices, outbox, troubles
from incidents.model import Cause, TroubleKind, Verdict
from notifiers.cards import update_card
from notifiers.compose import Rendered
from notifiers.model import ChannelName, Decision
from notifiers.outbox import Stage, State, filled_card, reword
from notifiers.preferences import SHARED_CAUSES

SURE = 0.8
"""From this probability on a new verdict is worth saying: one that is less sure may change again."""
MOST_TIMES = 4
"""What a card has said by then it goes on saying: nobody follows a fifth version."""
MOST_AT_ONCE = 20_000
"""Notices that one window renews; more follow in the next."""


def outdated(connection: Connection) -> list[Decision]:
    """Return the notices whose card or waiting message names another cause than their incident has now.

    Each comes as the decision that it was, about its trouble with the verdict of now.
    """
    rows = [*connection.execute(_CARDS), *connection.execute(_WAITING)]
    return list({row.notice_id: _decision(row) for row in rows}.values())


def renew(connection: Connection, found: Sequence[Decision], rendered: Mapping[str, Rendered], now: datetime) -> int:
    """Let cards and waiting messages say it; return how many notices were renewed.

    Parameters
    ----------
    connection
        In a transaction that may write.
    found
        From `outdated`.
    rendered
        Their words, by notice_id; what has none stays as it is.
    now
        The end of the window.
    """
    renewed = 0
    for decision in found:
        words = rendered.get(decision.notice_id)
        if words is None:
            continue
        whose, by_card = decision.trouble.subscriber_id, decision.channel is ChannelName.IN_APP
        changed = by_card and update_card(connection, whose, decision.notice_id, filled_card(words), now)
        waits = reword(connection, decision.notice_id, words)
        if waits:
            _blame(connection, decision)
        renewed += changed or waits
    return renewed


def _blame(connection: Connection, decision: Decision) -> None:
    """Note the new cause of a notice that nobody has heard yet."""
    first = select(outbox.c.message_id).where(
        outbox.c.notice_id == decision.notice_id,
        outbox.c.stage == Stage.FIRST.value,
        outbox.c.state == State.QUEUED.value,
    )
    unheard = (notices.c.notice_id == decision.notice_id) & first.exists()
    connection.execute(update(notices).where(unheard).values(cause=decision.trouble.verdict.cause.value))


def _outdated(said: ColumnElement[Any]) -> Select[Any]:
    shared = [cause.value for cause in SHARED_CAUSES]
    same = and_(*(troubles.c[name] == notices.c[name] for name in ("subscriber_id", "episode", "kind")))
    corrected = select(corrections.c.incident_id).where(corrections.c.incident_id == incidents.c.incident_id)
    joined = (
        incidents.join(notices, notices.c.incident_id == incidents.c.incident_id)
        .join(troubles, same)
        .outerjoin(inbox, inbox.c.card_id == notices.c.notice_id)
        .outerjoin(outbox, (outbox.c.notice_id == notices.c.notice_id) & (outbox.c.state == State.QUEUED.value))
        .outerjoin(bodies, bodies.c.body_key == outbox.c.body_key)
    )
    return (
        select(
            troubles,
            incidents.c.resolved_time,
            incidents.c.cause.label("cause_now"),
            incidents.c.cause_probability.label("probability_now"),
            *(notices.c[name] for name in ("notice_id", "channel", "decided_time", "expires_time", "timezone")),
        )
        .select_from(joined)
        .where(
            incidents.c.resolved_time.is_(None),
            incidents.c.merged_into.is_(None),
            incidents.c.cause_probability >= SURE,
            incidents.c.cause.in_(shared),
            notices.c.cause.in_(shared),
            notices.c.kind == TroubleKind.PROBLEM.value,
            said != incidents.c.cause,
            ~corrected.exists(),
        )
        .order_by(notices.c.notice_id)
        .limit(MOST_AT_ONCE)
    )


_CARDS = _outdated(inbox.c.card["cause"].as_string()).where(
    inbox.c.version < MOST_TIMES, inbox.c.archived_time.is_(None)
)
_WAITING = _outdated(func.coalesce(outbox.c.card["cause"].as_string(), bodies.c.card["cause"].as_string()))


def _decision(row: Row[Any]) -> Decision:
    trouble = trouble_from(row._mapping)
    return Decision(
        notice_id=row.notice_id,
        trouble=replace(trouble, verdict=Verdict(Cause(row.cause_now), row.probability_now)),
        channel=ChannelName(row.channel),
        decided_time=row.decided_time,
        expires_time=row.expires_time,
        timezone=row.timezone,
    )
