"""Contacts with support as the report counts them: by people whom an incident hit, while it mattered."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

AFTERMATH = timedelta(hours=24)
"""A contact this long after the end of an incident may still be about it."""


@dataclass(frozen=True)
class Contact:
    """One contact with support: who, when (aware UTC) and about what."""

    subscriber_id: str
    contacted_at: datetime
    reason: str | None = None


@dataclass(frozen=True)
class ContactCounts:
    """How many of the people whom an incident hit contacted support, of those told and of those not told.

    Parameters
    ----------
    told, told_contacting
        People told, and how many of them contacted support after that.
    untold, untold_contacting
        People troubled and not told, and how many of them contacted support.
    before_notice
        People who contacted support before they were told.
    """

    told: int
    told_contacting: int
    untold: int
    untold_contacting: int
    before_notice: int


def counts_of(
    contacts: Iterable[Contact],
    told: dict[str, datetime],
    troubled: Collection[str],
    start: datetime,
    end: datetime | None,
) -> ContactCounts:
    """Count the people who contacted support from an incident's onset until a day after its end.

    Parameters
    ----------
    contacts
        Contacts of anybody at any time.
    told
        When each person told was told.
    troubled
        Everybody whom the incident hit, told or not.
    start, end
        Onset, and resolution if there was one.
    """
    until = None if end is None else end + AFTERMATH
    near = [it for it in contacts if it.contacted_at >= start and (until is None or it.contacted_at < until)]
    first: dict[str, datetime] = {}
    for contact in sorted(near, key=lambda it: it.contacted_at):
        first.setdefault(contact.subscriber_id, contact.contacted_at)
    untold = set(troubled) - set(told)
    before = {who for who, when in told.items() if who in first and first[who] < when}
    after = {who for who in told if who in first} - before
    return ContactCounts(len(told), len(after), len(untold), len(untold & set(first)), len(before))
