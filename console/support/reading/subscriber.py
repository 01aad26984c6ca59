"""What happened to one person, what we said, and why: for an agent who has them on the telephone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Table, select

from console.report import words
from console.support.paging import Page, beyond, page_of
from incidents.ledger.schema import (
    contacts,
    deliveries,
    feedback,
    inbox,
    incidents,
    notices,
    outbox,
    preferences,
    provider_events,
    troubles,
)
from incidents.model import TroubleKind
from notifiers import outbox as messages
from notifiers.model import reference

Plain = Mapping[str, Any]
"""A row by the names of its columns."""
REFERENCE = re.compile(r"[A-Z2-7]{4}-?[A-Z2-7]{4}-?[A-Z2-7]{4}", re.IGNORECASE)
"""What a person reads out: the first twelve signs of a notice's key."""
HIGHEST_REST = "zzzz"
"""After any rest of a key in the order of every collation: the letters that keys are made of end there."""
LONGEST_ID = 128
MOST_ROWS = 25


@dataclass(frozen=True)
class Said:
    """One notice: whether it went out, or why not, and what became of it.

    Parameters
    ----------
    notice
        Its row, with the incident's signal and group.
    messages
        What was on its way, each with its attempts and what the provider reported.
    card
        The card in the app, if there is one.
    feedback
        What the person answered.
    """

    notice: Plain
    messages: tuple[Plain, ...]
    card: Plain | None
    feedback: tuple[Plain, ...]

    @property
    def decided_time(self) -> datetime:
        """When it was decided on."""
        moment: datetime = self.notice["decided_time"]
        return moment

    @property
    def notice_id(self) -> str:
        """Its key."""
        return str(self.notice["notice_id"])

    @property
    def reference(self) -> str:
        """What the person reads out."""
        return reference(self.notice_id)


@dataclass(frozen=True)
class Person:
    """One person's story.

    Parameters
    ----------
    subscriber_id
        Who.
    said
        Notices, latest first, a page of them.
    troubles
        What detection found, latest first.
    contacts
        When they contacted support, latest first.
    preferences
        What they chose.
    """

    subscriber_id: str
    said: Page[Said]
    troubles: tuple[Plain, ...]
    contacts: tuple[Plain, ...]
    preferences: tuple[Plain, ...]

    @property
    def is_known(self) -> bool:
        """Whether the ledger has anything on them."""
        return bool(self.said.rows or self.troubles or self.contacts or self.preferences)


def looked_up(connection: Connection, text: str) -> str | None:
    """Return whom somebody means: by a notice's reference, else by their id; None if the ledger knows neither."""
    wanted = text.strip()[:LONGEST_ID]
    return _by_id(connection, wanted) or _by_reference(connection, wanted)


def person(connection: Connection, subscriber_id: str, after: str = "") -> Person:
    """Return one person's story; `after` is where an earlier page of notices ended."""
    return Person(
        subscriber_id,
        _said(connection, subscriber_id, after),
        _troubles(connection, subscriber_id),
        _contacts(connection, subscriber_id),
        _rows(connection, select(preferences).where(preferences.c.subscriber_id == subscriber_id)),
    )


def message(connection: Connection, notice_id: str) -> messages.Message | None:
    """Return the first message of a notice as its reader sees it, or None if there is none."""
    key = select(outbox.c.message_id).where(outbox.c.notice_id == notice_id).order_by(outbox.c.stage).limit(1)
    message_id = connection.scalar(key)
    return None if message_id is None else messages.load(connection, message_id)


def case_packet(connection: Connection, subscriber_id: str, now: datetime) -> dict[str, Any]:
    """Return what an agent needs, as JSON: no address and no name, so that it can be handed on."""
    story = person(connection, subscriber_id)
    return {
        "subscriber_id": subscriber_id,
        "made_time": now.isoformat(),
        "troubles": [_plain(row) for row in story.troubles],
        "notices": [_packed(connection, said) for said in story.said.rows],
        "contacts": [_plain(row) for row in story.contacts],
        "preferences": [_plain(row) for row in story.preferences],
    }


def _packed(connection: Connection, said: Said) -> dict[str, Any]:
    reason = said.notice["withheld_reason"]
    words_of = message(connection, said.notice_id)
    return {
        "reference": said.reference,
        **_plain(said.notice),
        "told": reason is None,
        "why_not": None if reason is None else " ".join(words.reason(reason)),
        "subject": None if words_of is None else words_of.subject,
        "text": None if words_of is None else words_of.text,
        "messages": [_plain(row) for row in said.messages],
        "feedback": [_plain(row) for row in said.feedback],
    }


def _plain(row: Plain) -> dict[str, Any]:
    return {name: it.isoformat() if isinstance(it, datetime) else it for name, it in row.items() if name != "address"}


def _by_id(connection: Connection, wanted: str) -> str | None:
    for table in (notices, troubles, contacts, preferences):
        known = select(table.c.subscriber_id).where(table.c.subscriber_id == wanted).limit(1)
        if connection.scalar(known) is not None:
            return wanted
    return None


def _by_reference(connection: Connection, wanted: str) -> str | None:
    if not REFERENCE.fullmatch(wanted):
        return None
    start = wanted.replace("-", "").lower()
    key = notices.c.notice_id
    of = (key >= start) & (key <= start + HIGHEST_REST)
    return connection.scalar(select(notices.c.subscriber_id).where(of).order_by(key).limit(1))


def _troubles(connection: Connection, subscriber_id: str) -> tuple[Plain, ...]:
    of = (troubles.c.subscriber_id == subscriber_id) & (troubles.c.kind == TroubleKind.PROBLEM.value)
    query = select(troubles).where(of).order_by(troubles.c.last_bad_time.desc())
    return _rows(connection, query.limit(MOST_ROWS))


def _contacts(connection: Connection, subscriber_id: str) -> tuple[Plain, ...]:
    query = select(contacts).where(contacts.c.subscriber_id == subscriber_id)
    return _rows(connection, query.order_by(contacts.c.contacted_time.desc()).limit(MOST_ROWS))


def _rows(connection: Connection, query: Select[Any]) -> tuple[Plain, ...]:
    return tuple(dict(row._mapping) for row in connection.execute(query))


def _said(connection: Connection, subscriber_id: str, after: str) -> Page[Said]:
    columns = [notices.c.decided_time, notices.c.notice_id]
    query = (
        select(notices, incidents.c.signal, incidents.c.cohort, incidents.c.resolved_time)
        .outerjoin(incidents, incidents.c.incident_id == notices.c.incident_id)
        .where(notices.c.subscriber_id == subscriber_id, beyond(after, columns, falling=True))
        .order_by(*(column.desc() for column in columns))
        .limit(MOST_ROWS + 1)
    )
    rows = _rows(connection, query)
    keys = [row["notice_id"] for row in rows]
    sent, cards, answers = _messages(connection, keys), _cards(connection, keys), _by_notice(connection, feedback, keys)
    said = [
        Said(row, sent.get(key, ()), cards.get(key), answers.get(key, ())) for key, row in zip(keys, rows, strict=True)
    ]
    return page_of(said, MOST_ROWS, "decided_time", "notice_id")


_OUTBOX = tuple(
    outbox.c[name]
    for name in ("message_number", "message_id", "notice_id", "stage", "channel", "address", "state", "queued_time")
)


def _messages(connection: Connection, keys: Sequence[str]) -> dict[str, tuple[Plain, ...]]:
    query = select(*_OUTBOX, outbox.c.settled_time).where(outbox.c.notice_id.in_(keys)).order_by(outbox.c.stage)
    rows = _rows(connection, query) if keys else ()
    numbers = [row["message_number"] for row in rows]
    tried = _grouped(connection, deliveries, "message_number", numbers, "attempted_time")
    told = _grouped(connection, provider_events, "message_id", [row["message_id"] for row in rows], "occurred_time")
    found: dict[str, tuple[Plain, ...]] = {}
    for row in rows:
        attempts, events = tried.get(row["message_number"], ()), told.get(row["message_id"], ())
        whole = {**row, "attempts": _plain_all(attempts), "events": _plain_all(events)}
        found[row["notice_id"]] = (*found.get(row["notice_id"], ()), whole)
    return found


def _plain_all(rows: Sequence[Plain]) -> list[dict[str, Any]]:
    return [_plain(row) for row in rows]


def _cards(connection: Connection, keys: Sequence[str]) -> dict[str, Plain]:
    query = select(inbox).where(inbox.c.card_id.in_(keys))
    return {row["card_id"]: row for row in _rows(connection, query)} if keys else {}


def _by_notice(connection: Connection, table: Table, keys: Sequence[str]) -> dict[str, tuple[Plain, ...]]:
    return _grouped(connection, table, "notice_id", keys, "given_time")


def _grouped(
    connection: Connection, table: Table, column: str, keys: Sequence[str], by: str
) -> dict[str, tuple[Plain, ...]]:
    query = select(table).where(table.c[column].in_(keys)).order_by(table.c[by])
    found: dict[str, tuple[Plain, ...]] = {}
    for row in _rows(connection, query) if keys else ():
        found[row[column]] = (*found.get(row[column], ()), row)
    return found
