"""A mail after a card that nobody saw, while its person is still in trouble: a second message of the same notice.

It says what the card's notice says, in the words that were stored with it. Who got such a mail gets a mail as well when
the all-clear comes, for the card alone was not seen. It is queued at most once, and asked again before it is sent,
whether the card was seen meanwhile, too; see `notifiers.recheck`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, or_, select

from incidents.ledger.schema import TROUBLE_OF_NOTICE, inbox, notices, outbox, suppressions, troubles
from incidents.model import Cause, TroubleKind
from notifiers.address import is_deliverable, normalised
from notifiers.insert import insert_new
from notifiers.model import ChannelName, Policy, Recipient
from notifiers.outbox import Stage, State, follow_up_id
from notifiers.preferences import category_of, choices_of, wants
from notifiers.rollout import ended_incidents

TOLD = (State.SENT.value, State.SENDING.value, State.UNKNOWN.value)


def unseen(connection: Connection, policy: Policy, now: datetime) -> list[Row[Any]]:
    """Return the messages, with their `subscriber_id` and `cause`, whose cards a mail should follow.

    Parameters
    ----------
    connection
        To the ledger; only read.
    policy, now
        How long a card may go unseen, and the time. Where it may for ever, no mail follows any.
    """
    return [] if policy.follow_up_after is None else list(connection.execute(_unseen(policy, now)))


def follow_up(
    connection: Connection, cards: Sequence[Row[Any]], recipients: Mapping[str, Recipient], now: datetime
) -> int:
    """Queue a mail after each of these cards whose person may be written to; return how many are new.

    Parameters
    ----------
    connection
        In a transaction that may write.
    cards
        From `unseen`.
    recipients
        Their people, by subscriber_id.
    now
        When it is queued.
    """
    choices = choices_of(connection, sorted({card.subscriber_id for card in cards}))
    rows = []
    for card in cards:
        recipient = recipients.get(card.subscriber_id)
        topic = category_of(Cause(card.cause)), ChannelName.EMAIL
        if recipient is None or not wants(recipient, choices.get(card.subscriber_id, {}), topic):
            continue
        if is_deliverable(recipient.email) and not _is_suppressed(connection, str(recipient.email)):
            rows.append(_mail_after(card, str(recipient.email), now))
    return insert_new(connection, outbox, rows)


def _unseen(policy: Policy, now: datetime) -> Select[Any]:
    second, problem = outbox.alias("second"), outbox.alias("problem_mail")
    whole = notices.alias("problem")
    lately = notices.c.decided_time >= now - max(policy.problem_lifetime, policy.all_clear_lifetime)
    followed = select(second.c.message_id).where(
        second.c.notice_id == notices.c.notice_id, second.c.stage == Stage.FOLLOW_UP.value
    )
    mailed = (
        select(problem.c.message_id)
        .join(whole, whole.c.notice_id == problem.c.notice_id)
        .where(
            whole.c.subscriber_id == notices.c.subscriber_id,
            whole.c.episode == notices.c.episode,
            whole.c.kind == TroubleKind.PROBLEM.value,
            problem.c.stage == Stage.FOLLOW_UP.value,
            problem.c.state.in_(TOLD),
        )
    )
    in_trouble = or_(
        and_(notices.c.incident_id.is_not(None), notices.c.incident_id.not_in(ended_incidents())),
        and_(
            notices.c.incident_id.is_(None),
            troubles.c.last_bad_time >= now - policy.recovered_after,
            or_(troubles.c.last_good_time.is_(None), troubles.c.last_good_time <= troubles.c.last_bad_time),
        ),
    )
    patience = now - (policy.follow_up_after or policy.recovered_after)
    unseen_problem = and_(
        notices.c.kind == TroubleKind.PROBLEM.value,
        outbox.c.settled_time <= patience,
        inbox.c.seen_time.is_(None),
        in_trouble,
    )
    joined = (
        notices.join(outbox, outbox.c.notice_id == notices.c.notice_id)
        .outerjoin(inbox, inbox.c.card_id == notices.c.notice_id)
        .outerjoin(troubles, TROUBLE_OF_NOTICE)
    )
    return (
        select(outbox, notices.c.subscriber_id, notices.c.cause)
        .select_from(joined)
        .where(
            lately,
            notices.c.withheld_reason.is_(None),
            notices.c.expires_time > now,
            outbox.c.stage == Stage.FIRST.value,
            outbox.c.channel == ChannelName.IN_APP.value,
            outbox.c.state == State.SENT.value,
            or_(unseen_problem, and_(notices.c.kind != TroubleKind.PROBLEM.value, mailed.exists())),
            ~followed.exists(),
        )
        .order_by(outbox.c.message_id)
    )


def _is_suppressed(connection: Connection, address: str) -> bool:
    query = select(suppressions.c.address).where(suppressions.c.address == normalised(address))
    return connection.scalar(query) is not None


def _mail_after(card: Row[Any], address: str, now: datetime) -> dict[str, Any]:
    kept = ("notice_id", "subject", "html", "text", "card", "body_key", "personal", "expires_time")
    return {name: card._mapping[name] for name in kept} | {
        "message_id": follow_up_id(card.notice_id),
        "stage": Stage.FOLLOW_UP.value,
        "channel": ChannelName.EMAIL.value,
        "address": address,
        "state": State.QUEUED.value,
        "attempts": 0,
        "queued_time": now,
        "next_attempt_time": now,
    }
