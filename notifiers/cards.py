"""Cards in the subscriber's inbox: every change to one raises the subscriber's count of changes in its transaction.

A reader who has seen everything up to change n asks for what came after n and misses nothing: the count's row is
locked first, so that the changes of one subscriber become visible in their order, whoever makes them. That it is the
first statement also lets SQLite's writers wait for each other: do not read in the same transaction before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, case, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents.ledger.among import among
from incidents.ledger.schema import inbox, inbox_heads
from notifiers.insert import insert_new


class Mark(StrEnum):
    """What a subscriber does with a card: `restored` takes it out of the archive again."""

    SEEN = "seen"
    READ = "read"
    ARCHIVED = "archived"
    RESTORED = "restored"


class BadCursorError(ValueError):
    """A cursor is not one that we gave."""


@dataclass(frozen=True)
class Counts:
    """Of the cards that are not archived: how many were never read, or not since they last changed; likewise seen."""

    unread: int = 0
    unseen: int = 0


@dataclass(frozen=True)
class CardPage:
    """Some cards, newest first.

    Parameters
    ----------
    cards
        Rows of `inbox`.
    next_cursor
        Where the next page begins; None after the last.
    """

    cards: Sequence[Row[Any]]
    next_cursor: str | None


def put_card(
    connection: Connection, subscriber_id: str, card_id: str, card: Mapping[str, Any], created_time: datetime
) -> bool:
    """Put a card into an inbox unless it is there; return whether it is new.

    Parameters
    ----------
    connection
        In a transaction.
    subscriber_id
        Whose inbox.
    card_id
        The notice's id.
    card
        What it says, as `notifiers.compose` made it.
    created_time
        Cards are listed by it.
    """
    _lock_head(connection, subscriber_id)
    row = {
        "card_id": card_id,
        "subscriber_id": subscriber_id,
        "card": dict(card),
        "version": 1,
        "change": 0,
        "created_time": created_time,
    }
    if insert_new(connection, inbox, [row]) == 0:
        return False
    _change(connection, subscriber_id, inbox.c.card_id == card_id)
    return True


def update_card(
    connection: Connection, subscriber_id: str, card_id: str, card: Mapping[str, Any], now: datetime
) -> bool:
    """Let a card say something else, e.g. that the problem is over; return whether it did.

    The same words again change nothing. A card that says something new counts as unread and unseen until it is seen
    again, however long its words were on their way; what is in `seen_time` stays, so that a follow-up mail can go by
    it.
    """
    return bool(update_cards(connection, [(subscriber_id, card_id, card)], now))


def update_cards(
    connection: Connection, cards: Sequence[tuple[str, str, Mapping[str, Any]]], now: datetime
) -> dict[str, int]:
    """Let many cards say something else, by a few statements for all of them.

    Parameters
    ----------
    connection
        In a transaction.
    cards
        For each the subscriber, its id, and what it says; see `update_card`.
    now
        When it was to be said, aware UTC. A card that was looked at since changes just after that look.

    Returns
    -------
    dict
        The versions of those that changed, by id.
    """
    _lock_heads(connection, {subscriber_id for subscriber_id, _, _ in cards})
    query = select(inbox).where(among(inbox.c.card_id, [card_id for _, card_id, _ in cards]))
    known = {(row.subscriber_id, row.card_id): row for row in connection.execute(query)} if cards else {}
    new = [
        (known[whose, card_id], dict(card))
        for whose, card_id, card in cards
        if (whose, card_id) in known and known[whose, card_id].card != dict(card)
    ]
    if new:
        connection.execute(_RAISE_HEAD, [{"whose": whose} for whose in sorted({row.subscriber_id for row, _ in new})])
        connection.execute(
            _SAY, [{"of_card": row.card_id, "says": card, "at": _after_looks(row, now)} for row, card in new]
        )
    return {row.card_id: row.version + 1 for row, _ in new}


def _after_looks(card: Row[Any], now: datetime) -> datetime:
    looks: tuple[datetime | None, ...] = (card.seen_time, card.read_time)
    return max([now, *(look + datetime.resolution for look in looks if look is not None)])


_RAISE_HEAD = (
    update(inbox_heads).where(inbox_heads.c.subscriber_id == bindparam("whose")).values(change=inbox_heads.c.change + 1)
)
_SAY = (
    update(inbox)
    .where(inbox.c.card_id == bindparam("of_card"))
    .values(
        card=bindparam("says", type_=inbox.c.card.type),
        version=inbox.c.version + 1,
        updated_time=bindparam("at", type_=inbox.c.updated_time.type),
        change=select(inbox_heads.c.change)
        .where(inbox_heads.c.subscriber_id == inbox.c.subscriber_id)
        .correlate(inbox)
        .scalar_subquery(),
    )
)


def mark_cards(connection: Connection, subscriber_id: str, card_ids: Collection[str], mark: Mark, now: datetime) -> int:
    """Mark some of a subscriber's cards; return how many that changed. Marked twice is marked once.

    Cards that are unknown, or somebody else's, are left alone.
    """
    _lock_head(connection, subscriber_id)
    wanted = and_(inbox.c.subscriber_id == subscriber_id, inbox.c.card_id.in_(card_ids), _lacks(mark))
    if connection.scalar(select(inbox.c.card_id).where(wanted).limit(1)) is None:
        return 0
    return _change(connection, subscriber_id, wanted, **_marked(mark, now))


def _lock_head(connection: Connection, subscriber_id: str) -> None:
    """Let nobody else change this subscriber's cards until the transaction ends."""
    _lock_heads(connection, {subscriber_id})


def _lock_heads(connection: Connection, subscriber_ids: Collection[str]) -> None:
    """Likewise of many, always in the same order, so that two who do so do not wait for each other."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    as_it_is = {"change": inbox_heads.c.change}
    statement = insert(inbox_heads).on_conflict_do_update(index_elements=["subscriber_id"], set_=as_it_is)
    rows = [{"subscriber_id": subscriber_id, "change": 0} for subscriber_id in sorted(subscriber_ids)]
    if rows:
        connection.execute(statement, rows)


def _change(connection: Connection, subscriber_id: str, cards: ColumnElement[bool], **values: Any) -> int:  # noqa: ANN401
    """Change cards as the subscriber's next change; return how many."""
    raised = update(inbox_heads).where(inbox_heads.c.subscriber_id == subscriber_id)
    number = connection.scalar(raised.values(change=inbox_heads.c.change + 1).returning(inbox_heads.c.change))
    return connection.execute(update(inbox).where(cards).values(change=number, **values)).rowcount


def heads(connection: Connection, subscriber_ids: Collection[str]) -> dict[str, int]:
    """Return the number of the latest change of each of these subscribers; who has none is left out."""
    query = select(inbox_heads.c.subscriber_id, inbox_heads.c.change).where(
        inbox_heads.c.subscriber_id.in_(subscriber_ids)
    )
    return {row.subscriber_id: row.change for row in connection.execute(query)} if subscriber_ids else {}


def changed_cards(connection: Connection, after: Mapping[str, int]) -> list[Row[Any]]:
    """Return the cards of some subscribers that changed after the change named for each, in their order.

    Parameters
    ----------
    connection
        May only read.
    after
        By subscriber, the latest change that they know of.
    """
    if not after:
        return []
    since = or_(*(and_(inbox.c.subscriber_id == it, inbox.c.change > change) for it, change in after.items()))
    return list(connection.execute(select(inbox).where(since).order_by(inbox.c.change, inbox.c.card_id)))


def counts(connection: Connection, subscriber_ids: Collection[str]) -> dict[str, Counts]:
    """Count the unread and unseen cards of some subscribers; who has no cards is left out."""
    unread, unseen = (func.sum(case((_stale(column), 1), else_=0)) for column in (inbox.c.read_time, inbox.c.seen_time))
    query = (
        select(inbox.c.subscriber_id, unread.label("unread"), unseen.label("unseen"))
        .where(inbox.c.subscriber_id.in_(subscriber_ids), inbox.c.archived_time.is_(None))
        .group_by(inbox.c.subscriber_id)
    )
    return {row.subscriber_id: Counts(int(row.unread), int(row.unseen)) for row in connection.execute(query)}


def list_cards(
    connection: Connection, subscriber_id: str, limit: int, cursor: str | None = None, *, archived: bool = False
) -> CardPage:
    """Return a page of a subscriber's cards, newest first; what is put in meanwhile moves no later page.

    Raises
    ------
    BadCursorError
        If `cursor` is not one that we gave.
    """
    of_them = and_(inbox.c.subscriber_id == subscriber_id, inbox.c.archived_time.is_not(None) == archived)
    query = select(inbox).where(of_them).order_by(inbox.c.created_time.desc(), inbox.c.card_id.desc())
    if cursor is not None:
        created_time, card_id = _read_cursor(cursor)
        same = and_(inbox.c.created_time == created_time, inbox.c.card_id < card_id)
        query = query.where(or_(inbox.c.created_time < created_time, same))
    found = connection.execute(query.limit(limit + 1)).all()
    more = len(found) > limit
    return CardPage(found[:limit], _cursor(found[limit - 1]) if more else None)


def is_unread(card: Row[Any]) -> bool:
    """Tell whether a card was not read since it last said something new."""
    return card.read_time is None or (card.updated_time is not None and card.read_time < card.updated_time)


def _stale(column: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether something never happened to a card, or not since it last said something new."""
    return or_(column.is_(None), column < inbox.c.updated_time)


def _lacks(mark: Mark) -> ColumnElement[bool]:
    """Whether a card is not marked so yet."""
    match mark:
        case Mark.SEEN:
            return _stale(inbox.c.seen_time)
        case Mark.READ:
            return _stale(inbox.c.read_time)
        case Mark.ARCHIVED:
            return inbox.c.archived_time.is_(None)
        case Mark.RESTORED:
            return inbox.c.archived_time.is_not(None)


def _marked(mark: Mark, now: datetime) -> dict[str, Any]:
    """Return what a mark sets; who reads a card or puts it away has seen it."""
    seen = case((_stale(inbox.c.seen_time), now), else_=inbox.c.seen_time)
    match mark:
        case Mark.SEEN:
            return {"seen_time": now}
        case Mark.READ:
            return {"read_time": now, "seen_time": seen}
        case Mark.ARCHIVED:
            return {"archived_time": now, "seen_time": seen}
        case Mark.RESTORED:
            return {"archived_time": None}


def _cursor(card: Row[Any]) -> str:
    return base64.urlsafe_b64encode(f"{card.created_time.isoformat()} {card.card_id}".encode()).decode()


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        moment, _, card_id = base64.urlsafe_b64decode(cursor).decode().partition(" ")
        created_time = datetime.fromisoformat(moment)
    except (ValueError, binascii.Error):
        raise BadCursorError("The cursor is not one of ours") from None
    if created_time.tzinfo is None:
        raise BadCursorError("The cursor is not one of ours")
    return created_time, card_id
