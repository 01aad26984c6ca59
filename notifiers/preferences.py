"""What people chose to hear, by category of notice and by channel.

A choice is one row of `preferences`. Where there is none, the opt-in of the subscriber list holds. Where there is one,
it holds, whichever way it goes: somebody who says yes on our page has said so later, and more exactly, than the list
knows. Of two choices about the same thing the later one holds, in whatever order they arrive.

A choice about mail does not lift a suppression: an address that bounced or complained stays one that no mail goes to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, delete, select

from incidents.ledger import audit
from incidents.ledger.among import among
from incidents.ledger.schema import preferences
from incidents.model import Cause
from notifiers.insert import upsert
from notifiers.model import Category, ChannelName, Choices, Recipient, Topic


class Source(StrEnum):
    """Where a choice was made."""

    PAGE = "page"
    ONE_CLICK = "one_click"
    INBOX = "inbox"
    PROVIDER = "provider"
    SUPPORT = "support"


SHARED_CAUSES = frozenset({Cause.SERVICE, Cause.ISP, Cause.APP})
"""Causes that many people share: nobody has to do anything about them at home."""


def category_of(cause: Cause) -> Category:
    """Return the category of notices about a cause; an all-clear has its problem's."""
    return Category.SHARED if cause in SHARED_CAUSES else Category.OWN


def wants(recipient: Recipient, choices: Choices, topic: Topic) -> bool:
    """Whether a person wants a category by a channel: what they chose, else what the subscriber list says."""
    by_list = recipient.email_opt_in if topic[1] is ChannelName.EMAIL else recipient.in_app_opt_in
    return choices.get(topic, by_list)


def choices_of(connection: Connection, people: Sequence[str]) -> dict[str, dict[Topic, bool]]:
    """Read what people chose; who never chose anything is left out."""
    found: dict[str, dict[Topic, bool]] = {}
    for row in connection.execute(select(preferences).where(among(preferences.c.subscriber_id, people))):
        topic = Category(row.category), ChannelName(row.channel)
        found.setdefault(row.subscriber_id, {})[topic] = row.allowed
    return found


def choose(
    connection: Connection,
    subscriber_id: str,
    allowed: bool,
    source: Source,
    now: datetime,
    *,
    channels: Iterable[ChannelName] = tuple(ChannelName),
    categories: Iterable[Category] = tuple(Category),
    actor: str = "subscriber",
) -> int:
    """Store what a person chose, and record it; return how many choices it changed or confirmed.

    Parameters
    ----------
    connection
        In a transaction that may write.
    subscriber_id
        Whose choice it is.
    allowed
        Whether they want it.
    source
        Where they said so.
    now
        When they said so; a choice made later than this, about the same thing, stands.
    channels, categories
        What it is about; everything, unless said. A one-click unsubscribe is about mail and all categories.
    actor
        Who did it: somebody of the support team may do it for a person.
    """
    topics = [(category, channel) for category in categories for channel in channels]
    rows = [
        {
            "subscriber_id": subscriber_id,
            "category": category.value,
            "channel": channel.value,
            "allowed": allowed,
            "changed_time": now,
            "source": source.value,
        }
        for category, channel in topics
    ]
    written = upsert(connection, preferences, rows, lambda new: preferences.c.changed_time <= new.changed_time)
    if written:
        chosen = {f"{category}/{channel}": allowed for category, channel in topics}
        detail = {"source": source.value, "choices": chosen}
        audit.record(connection, actor, "preference.chosen", f"subscriber:{subscriber_id}", detail, now)
    return written


def unchoose(
    connection: Connection,
    subscriber_id: str,
    topics: Iterable[Topic],
    source: Source,
    now: datetime,
    *,
    actor: str = "subscriber",
) -> None:
    """Take choices back, so that the opt-in of the subscriber list holds again, and record it; parameters as above."""
    named = [f"{category}/{channel}" for category, channel in topics]
    of_them = preferences.c.category + "/" + preferences.c.channel
    connection.execute(delete(preferences).where(preferences.c.subscriber_id == subscriber_id, of_them.in_(named)))
    detail = {"source": source.value, "topics": named}
    audit.record(connection, actor, "preference.taken_back", f"subscriber:{subscriber_id}", detail, now)
