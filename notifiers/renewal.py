"""What people still read, or are about to read, names the cause that we believe now.

An incident's verdict may change after people were told: what looked like the delivery network was one internet
provider. A card is changed where it stands, silently but for being unread again, or posted anew where cards go by
webhook; a mail that waits for the morning or for a person's word is written anew before it goes. Mails that went out
are left to a lead's correction, and so is every notice of an incident that a lead is about to correct. That an incident
grows changes nothing that its cards say, so they stay as they are; that it is over, or was a false alarm, is a notice
of its own kind on the same card.

A million people may have been told of one incident. So `renewals` keeps what the readers of each are being told by now,
and their cards are looked at only after a change: until a look finds nothing more, and once again, for what a sender
held in its hands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Row, Select, bindparam, func, select, update

from incidents.ledger.among import among, unindexed
from incidents.ledger.casework import corrections
from incidents.ledger.rows import trouble_from
from incidents.ledger.schema import TROUBLE_OF_NOTICE, bodies, inbox, incidents, notices, outbox, renewals, troubles
from incidents.model import Cause, TroubleKind, Verdict
from notifiers.cards import update_cards
from notifiers.compose import Rendered
from notifiers.insert import insert_new, upsert
from notifiers.model import ChannelName, Decision
from notifiers.outbox import Stage, State, filled_card, reword
from notifiers.preferences import SHARED_CAUSES

SURE = 0.8
"""From this probability on a new verdict is worth saying: one that is less sure may change again."""
MOST_TIMES = 4
"""What a card has said by then it goes on saying: nobody follows a fifth version."""
MOST_AT_ONCE = 5_000
"""Notices that are renewed in one transaction, beside which nobody else can write."""
MOST_IN_A_WINDOW = 200_000
"""Notices that one window renews; more follow in the next."""
ENOUGH = 2
"""Looks at all of an incident's readers that left nothing to renew."""
_SHARED = [cause.value for cause in SHARED_CAUSES]


def outdated(connection: Connection) -> list[str]:
    """Return the keys of notices whose card or waiting message names another cause than their incident has now."""
    due = [row.incident_id for row in connection.execute(_OPEN) if _is_due(row)]
    return _keys(connection, among(incidents.c.incident_id, due)) if due else []


def followed_now(connection: Connection, now: datetime) -> list[str]:
    """Return likewise notices whose mail after a card was queued at this moment: it repeats what was said first."""
    this = (outbox.c.stage == Stage.FOLLOW_UP.value) & (outbox.c.next_attempt_time == now)
    queued = this & (outbox.c.state == State.QUEUED.value)
    return list(connection.scalars(_WAITING.with_only_columns(notices.c.notice_id).where(queued)))


def to_renew(connection: Connection, keys: Collection[str]) -> list[Decision]:
    """Return some of these notices as the decisions that they were, about their troubles with the verdict of now."""
    which = among(notices.c.notice_id, keys)
    rows = [row for query in (_CARDS, _WAITING) for row in connection.execute(query.where(which))] if keys else []
    return list({row.notice_id: _decision(row) for row in rows}.values())


def renew(
    connection: Connection,
    found: Sequence[Decision],
    rendered: Mapping[str, Rendered],
    now: datetime,
    *,
    by_webhook: bool = False,
) -> int:
    """Let cards and waiting messages say it; return how many notices were renewed.

    Parameters
    ----------
    connection
        In a transaction that may write.
    found
        From `to_renew`.
    rendered
        Their words, by notice_id.
    now
        The end of the window.
    by_webhook
        Whether cards are posted: each that changed is queued to be posted anew.
    """
    by_card = [it for it in found if it.channel is ChannelName.IN_APP]
    cards = [(it.trouble.subscriber_id, it.notice_id, filled_card(rendered[it.notice_id])) for it in by_card]
    versions = update_cards(connection, cards, now)
    if by_webhook:
        insert_new(
            connection, outbox, [_post(it, versions[it.notice_id], now) for it in by_card if it.notice_id in versions]
        )
    waiting = reword(connection, {it.notice_id: rendered[it.notice_id] for it in found})
    _blame(connection, [it for it in found if it.notice_id in waiting])
    return len(versions.keys() | waiting)


def note_told(connection: Connection, looked_at_all: bool, now: datetime) -> None:
    """Note what the readers of each open incident are told by now.

    Parameters
    ----------
    connection
        In a transaction that may write.
    looked_at_all
        Whether everything that was `outdated` was renewed.
    now
        The end of the window.
    """
    rows = []
    for row in connection.execute(_OPEN):
        looks = row.looks if row.told == row.cause else 0
        if row.told is None and not _was_told_before(connection, row.incident_id, now):
            looks = ENOUGH
        elif looked_at_all and _is_due(row):
            looks += 1
        if (row.told, row.looks) != (row.cause, looks):
            rows.append({"incident_id": row.incident_id, "cause": row.cause, "looks": looks})
    upsert(connection, renewals, rows)


def _is_due(row: Row[Any]) -> bool:
    """Whether an incident's readers may be told another cause than it has now, and are to be told that."""
    return not row.corrected and row.probability >= SURE and (row.told != row.cause or row.looks < ENOUGH)


def _was_told_before(connection: Connection, incident_id: str, now: datetime) -> bool:
    mine = (notices.c.incident_id == incident_id) & (notices.c.kind == TroubleKind.PROBLEM.value)
    return connection.scalar(select(notices.c.notice_id).where(mine, notices.c.decided_time < now).limit(1)) is not None


def _post(decision: Decision, version: int, now: datetime) -> dict[str, Any]:
    """Return the message that posts a version of a card, whose words are where the card is kept."""
    stage = f"v{version}"
    return {
        "message_id": f"{decision.notice_id}.{stage}",
        "notice_id": decision.notice_id,
        "stage": stage,
        "channel": ChannelName.IN_APP.value,
        "subject": "",
        "html": "",
        "text": "",
        "card": {},
        "state": State.QUEUED.value,
        "attempts": 0,
        "queued_time": now,
        "next_attempt_time": now,
        "expires_time": decision.expires_time,
    }


def _blame(connection: Connection, found: Sequence[Decision]) -> None:
    """Note the new cause of notices that nobody has heard yet."""
    if found:
        rows = [{"of_notice": it.notice_id, "blamed": it.trouble.verdict.cause.value} for it in found]
        connection.execute(_BLAME, rows)


_BLAME = (
    update(notices)
    .where(
        notices.c.notice_id == bindparam("of_notice"),
        select(outbox.c.message_id)
        .where(
            outbox.c.notice_id == notices.c.notice_id,
            outbox.c.stage == Stage.FIRST.value,
            unindexed(outbox.c.state) == State.QUEUED.value,
        )
        .correlate(notices)
        .exists(),
    )
    .values(cause=bindparam("blamed"))
)


def _open() -> Select[Any]:
    corrected = select(corrections.c.incident_id).where(corrections.c.incident_id == incidents.c.incident_id)
    return (
        select(
            incidents.c.incident_id,
            incidents.c.cause,
            incidents.c.cause_probability.label("probability"),
            corrected.exists().label("corrected"),
            renewals.c.cause.label("told"),
            func.coalesce(renewals.c.looks, 0).label("looks"),
        )
        .select_from(incidents.outerjoin(renewals, renewals.c.incident_id == incidents.c.incident_id))
        .where(incidents.c.resolved_time.is_(None), incidents.c.merged_into.is_(None), incidents.c.cause.in_(_SHARED))
    )


_OPEN = _open()


def _outdated(joined: FromClause, said: ColumnElement[Any]) -> Select[Any]:
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
            incidents.c.cause_probability >= SURE,
            incidents.c.cause.in_(_SHARED),
            notices.c.cause.in_(_SHARED),
            notices.c.kind == TroubleKind.PROBLEM.value,
            said != incidents.c.cause,
        )
    )


_TOLD = incidents.join(notices, notices.c.incident_id == incidents.c.incident_id).join(troubles, TROUBLE_OF_NOTICE)
_WAITS = (outbox.c.notice_id == notices.c.notice_id) & (unindexed(outbox.c.state) == State.QUEUED.value)
_CARDS = _outdated(_TOLD.join(inbox, inbox.c.card_id == notices.c.notice_id), inbox.c.card["cause"].as_string()).where(
    inbox.c.version < MOST_TIMES, inbox.c.archived_time.is_(None)
)
_WAITING = _outdated(
    _TOLD.join(outbox, _WAITS).outerjoin(bodies, bodies.c.body_key == outbox.c.body_key),
    func.coalesce(outbox.c.card["cause"].as_string(), bodies.c.card["cause"].as_string()),
)


def _keys(connection: Connection, which: ColumnElement[bool]) -> list[str]:
    """Return the keys of what is outdated among some, each once."""
    queries = (query.with_only_columns(notices.c.notice_id) for query in (_CARDS, _WAITING))
    found = (key for query in queries for key in connection.scalars(query.where(which).limit(MOST_IN_A_WINDOW)))
    return list(dict.fromkeys(found))


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
