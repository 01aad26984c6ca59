"""The outbox: rendered notices on their way, stored in the same transaction as the decision.

States::

    queued -> sending -> sent
                      -> queued     (to be tried again)
                      -> failed     (given up)
                      -> unknown    (may have been accepted; settled by the provider's events or a person)
    queued -> cancelled             (no longer wanted: the notice's `withheld_reason` says why)

A message becomes `sending` just before its request leaves, under a lease, and `notifiers.attempts` writes down how that
ended. What a sender took and cannot begin at once stays queued, leased to it.

Every function takes a `Connection` and leaves the transaction to its caller.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Row, bindparam, case, select, update

from incidents.ledger.among import among, unindexed
from incidents.ledger.schema import bodies, deliveries, notices, outbox
from incidents.model import TroubleKind
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


UNSETTLED = (State.QUEUED.value, State.SENDING.value)
UNLEASED: Mapping[str, Any] = {"lease_owner": None, "lease_until": None}
"""The columns of a message that nobody has taken."""


class Stage(StrEnum):
    """Which message of a notice: the first, or a mail that follows a card that was not seen."""

    FIRST = "first"
    FOLLOW_UP = "follow_up"


class Outcome(StrEnum):
    """How one attempt to send ended: a row of `deliveries`. `cancelled` is attempt 0: there was none."""

    SENT = "sent"
    RETRY = "retry"
    PAUSED = "paused"
    FAILED = "failed"
    UNKNOWN = "unknown"
    LOST = "lost"
    CANCELLED = "cancelled"


_NOTHING: Mapping[str, str] = {}


class Message(NamedTuple):
    """One rendered notice as a channel gets it. A tuple: thousands are made a second.

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
    body_key
        Messages with the same key say the same but for what is personal; None where this one stands alone.
    personal
        What stand-ins in a shared body become for this person.
    card_id
        The card that it is about and changes, where it is not one of its own: an all-clear changes its problem's.
    message_number
        Of its row in the outbox.
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
    body_key: str | None = None
    personal: Mapping[str, str] = _NOTHING
    card_id: str | None = None
    message_number: int = 0

    def filled(self) -> Message:
        """Return the message as its reader sees it: no stand-in is left."""
        if not self.personal:
            return self
        return self._replace(
            subject=fill(self.subject, self.personal),
            html=fill(self.html, self.personal),
            text=fill(self.text, self.personal),
            card=orjson.loads(fill(orjson.dumps(self.card).decode(), self.personal)),
            personal={},
        )


def fill(text: str, personal: Mapping[str, str]) -> str:
    """Put what is personal in the place of its stand-ins."""
    for stand_in, value in personal.items():
        text = text.replace(stand_in, value)
    return text


@dataclass(frozen=True)
class Lease:
    """Who works on messages and for how long; what was being sent for longer counts as lost."""

    owner: str = field(default_factory=lambda: f"sender-{secrets.token_hex(6)}")
    duration: timedelta = timedelta(minutes=2)


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
        From `decide`; withheld ones get a `notices` row only, except those that only wait, which are
        queued too and not claimed before `notifiers.release.release_due` lets them go.
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
    _keep_bodies(connection, rows)
    insert_new(connection, outbox, rows)
    return inserted


def reword(connection: Connection, rendered: Mapping[str, Rendered]) -> set[str]:
    """Let the queued messages of some notices, by notice_id, say something else; return the notices that have any.

    Whoever has leased one with its old words can no longer begin it.
    """
    waiting = among(outbox.c.notice_id, rendered.keys()) & (unindexed(outbox.c.state) == State.QUEUED.value)
    theirs = select(outbox.c.notice_id).where(waiting).order_by(outbox.c.message_number)
    found = set(connection.scalars(theirs.with_for_update(key_share=True)))
    rows = [{**said_by(rendered[notice_id]), **UNLEASED, "of_notice": notice_id} for notice_id in sorted(found)]
    _keep_bodies(connection, rows)
    if rows:
        connection.execute(_REWORD, rows)
    return found


_REWORD = update(outbox).where(
    outbox.c.notice_id == bindparam("of_notice"), unindexed(outbox.c.state) == State.QUEUED.value
)


def said_by(words: Rendered) -> dict[str, Any]:
    """Return the columns of `outbox` that hold some words."""
    return {
        "subject": words.subject,
        "html": words.html,
        "text": words.text,
        "card": dict(words.card),
        "body_key": words.body_key,
        "personal": dict(words.personal) or None,
    }


def filled_card(words: Rendered) -> dict[str, Any]:
    """Return the card of some words as its reader sees it."""
    card: dict[str, Any] = orjson.loads(fill(orjson.dumps(words.card).decode(), words.personal))
    return card


def _keep_bodies(connection: Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Move what is shared out of the rows into `bodies`, each once."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        key = row["body_key"]
        if key is not None:
            found.setdefault(key, {"body_key": key, **{name: row[name] for name in _WORDS}})
            row.update(_NO_WORDS)
    insert_new(connection, bodies, list(found.values()))


_WORDS = ("subject", "html", "text", "card")
Words = Sequence[Any]
"""A subject, a page, a text and a card."""
_NO_WORDS: Mapping[str, Any] = {"subject": "", "html": "", "text": "", "card": {}}


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
        "timezone": decision.timezone,
    }


def _outbox_row(decision: Decision, words: Rendered, addresses: Mapping[str, str], now: datetime) -> dict[str, Any]:
    by_mail = decision.channel is ChannelName.EMAIL
    return {
        "message_id": decision.notice_id,
        "notice_id": decision.notice_id,
        "stage": Stage.FIRST.value,
        "channel": decision.channel.value,
        "address": addresses[decision.trouble.subscriber_id] if by_mail else None,
        **said_by(words),
        "state": State.QUEUED.value,
        "attempts": 0,
        "queued_time": now,
        "next_attempt_time": decision.release_time or now,
        "expires_time": decision.expires_time,
    }


def follow_up_id(notice_id: str) -> str:
    """Return the key of the mail that follows a notice's card."""
    return f"{notice_id}.2"


def cancel(connection: Connection, message_id: str, reason: WithheldReason, now: datetime) -> None:
    """Take a message that is no longer wanted off its way, and say why.

    Of the first message of a notice the notice says it, whether or not there is a message, as in a replay. Of a mail
    that follows a card its deliveries do: its notice was told.
    """
    first = notices.c.notice_id == message_id
    withheld = {"withheld_reason": reason.value, "release_time": None}
    is_first = connection.execute(update(notices).where(first).values(withheld)).rowcount
    gone = {"state": State.CANCELLED.value, **UNLEASED, "settled_time": now}
    of_it = (outbox.c.message_id == message_id) & outbox.c.state.in_(UNSETTLED)
    number = connection.scalar(update(outbox).where(of_it).values(gone).returning(outbox.c.message_number))
    if number is not None and not is_first:
        outcome = {"outcome": Outcome.CANCELLED.value, "detail": reason.value}
        row = {"message_number": number, "attempt": 0, "attempted_time": now, **outcome}
        insert_new(connection, deliveries, [row])


def put_off(connection: Connection, message_ids: Sequence[str], until: datetime) -> None:
    """Give back messages that were leased and may not go before a moment."""
    waiting = {"next_attempt_time": until, **UNLEASED}
    connection.execute(update(outbox).where(outbox.c.message_id.in_(message_ids)).values(waiting))


def _card_id() -> ColumnElement[str | None]:
    problem = notices.alias("problem")
    its_card = select(problem.c.notice_id).where(
        problem.c.subscriber_id == notices.c.subscriber_id,
        problem.c.episode == notices.c.episode,
        problem.c.kind == TroubleKind.PROBLEM.value,
        problem.c.channel == ChannelName.IN_APP.value,
    )
    return case((notices.c.kind != TroubleKind.PROBLEM.value, its_card.scalar_subquery()))


AS_STORED: tuple[ColumnElement[Any], ...] = (
    outbox.c.message_id,
    outbox.c.notice_id,
    notices.c.subscriber_id,
    outbox.c.channel,
    outbox.c.address,
    outbox.c.queued_time,
    outbox.c.expires_time,
    outbox.c.body_key,
    outbox.c.personal,
    _card_id().label("card_id"),
    outbox.c.message_number,
)
"""With the number of an attempt, what `messages` makes messages of: columns of `outbox` joined with `notices`."""


def load(connection: Connection, message_id: str) -> Message | None:
    """Return one message as its reader sees it, or None if there is no such."""
    found = stored(connection, outbox.c.message_id == message_id)
    return found[0].filled() if found else None


def stored(connection: Connection, which: ColumnElement[bool]) -> list[Message]:
    """Return the messages that meet a condition on `outbox` and `notices`, with the number of their latest attempt."""
    whose = outbox.join(notices, notices.c.notice_id == outbox.c.notice_id)
    query = select(*AS_STORED, outbox.c.attempts).select_from(whose).where(which)
    return messages(connection, connection.execute(query).all(), {})


def messages(connection: Connection, rows: Sequence[Row[Any]], known: dict[str, Words]) -> list[Message]:
    """Return rows that begin with `AS_STORED` and the number of an attempt as messages.

    Parameters
    ----------
    known
        Bodies that were read before; those that were read now are added.
    """
    missing = {row.body_key for row in rows if row.body_key is not None} - known.keys()
    if missing:
        known.update(_words(connection, bodies.c.body_key, missing))
    alone = {row.message_id for row in rows if row.body_key is None}
    own = _words(connection, outbox.c.message_id, alone) if alone else {}
    return [_message(row, known, own) for row in rows]


def _words(connection: Connection, key: Column[str], keys: Collection[str]) -> dict[str, Words]:
    query = select(key, *(key.table.c[name] for name in _WORDS)).where(among(key, keys))
    return {name: words for name, *words in connection.execute(query)}


def _message(row: Row[Any], known: Mapping[str, Words], own: Mapping[str, Words]) -> Message:
    key, notice_id, who, channel, address, queued, expires, body_key, personal, card_id, number, attempt = row[:12]
    words = own[key] if body_key is None else known[body_key]
    whom = (key, notice_id, who, _CHANNELS[channel], address)
    return Message._make((*whom, *words, queued, expires, attempt, body_key, personal or {}, card_id, number))


_CHANNELS = {channel.value: channel for channel in ChannelName}
