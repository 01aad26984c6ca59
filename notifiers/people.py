"""How to speak to a person: language, place and what they agreed to, copied into the ledger; no name, no address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from incidents.ledger.schema import subscribers
from notifiers.insert import upsert
from notifiers.language import MAX_LOCALE_LENGTH
from notifiers.model import ChannelName, Recipient

MAX_ZONE_LENGTH = 64


@dataclass(frozen=True)
class Person:
    """One row of `subscribers`: a `Recipient` without name and address; what is untrusted there is untrusted here."""

    subscriber_id: str
    locale: str | None = None
    country: str | None = None
    timezone: str | None = None
    no_phone: bool = False
    email_opt_in: bool = False
    in_app_opt_in: bool = False

    def agreed(self, channel: ChannelName) -> bool:
        """Whether their account says yes to a channel."""
        return self.email_opt_in if channel is ChannelName.EMAIL else self.in_app_opt_in


def keep_people(connection: Connection, people: Iterable[Recipient], now: datetime) -> int:
    """Copy people into the ledger, or bring them up to date; return how many.

    Parameters
    ----------
    connection
        In a transaction that may write.
    people
        As the warehouse has them.
    now
        When it was read there, aware UTC.
    """
    return upsert(connection, subscribers, [_row(person, now) for person in people])


def person_of(connection: Connection, subscriber_id: str) -> Person | None:
    """Return how to speak to somebody, or None where no decision was ever about them."""
    columns = [subscribers.c[name] for name in Person.__dataclass_fields__]
    row = connection.execute(select(*columns).where(subscribers.c.subscriber_id == subscriber_id)).one_or_none()
    return None if row is None else Person(*row)


def _row(person: Recipient, now: datetime) -> dict[str, object]:
    return {
        "subscriber_id": person.subscriber_id,
        "locale": _within(person.locale, MAX_LOCALE_LENGTH),
        "country": _within(person.country, 2),
        "timezone": _within(person.timezone, MAX_ZONE_LENGTH),
        "no_phone": person.no_phone,
        "email_opt_in": person.email_opt_in,
        "in_app_opt_in": person.in_app_opt_in,
        "updated_time": now,
    }


def _within(text: str | None, most: int) -> str | None:
    """Return a text that fits its column, or None: half a language tag says nothing."""
    return text if text and len(text) <= most and "\0" not in text else None
