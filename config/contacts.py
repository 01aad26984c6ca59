"""Copies support contacts from the warehouse into the ledger, where gates and people look at them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import duckdb
from sqlalchemy import Connection, func, select

from incidents.ledger.schema import contacts
from notifiers.insert import upsert
from telemetry.time import naive_utc, utc

LATE = timedelta(days=2)
"""How late a contact may be exported, or changed: so far back each copy looks again behind the newest one."""
_CONTACTS = """
SELECT contact_id, subscriber_id, contacted_at AS contacted_time, channel, reason, handle_seconds,
       resolved_first_contact, csat, nps
FROM contacts
WHERE contacted_at > $since AND contacted_at <= $until
ORDER BY contact_id
"""
_EARLIEST = datetime(1970, 1, 1)  # noqa: DTZ001 - as the warehouse stores times


def new_contacts(warehouse: duckdb.DuckDBPyConnection, ledger: Connection, until: datetime) -> list[dict[str, Any]]:
    """Read from the warehouse what the ledger's `contacts` may not have: rows for `save_contacts`.

    Parameters
    ----------
    warehouse
        Only read. A contact is visible from its `contacted_at` on, so later ones than `until` are left out.
    ledger
        Only read: its newest contact says from where on to look, so the cost does not grow with the past.
    until
        Aware UTC; the end of the window.
    """
    newest = ledger.scalar(select(func.max(contacts.c.contacted_time)))
    since = _EARLIEST if newest is None else naive_utc(newest - LATE)
    found = warehouse.execute(_CONTACTS, {"since": since, "until": naive_utc(until)})
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, values, strict=True)) for values in found.fetchall()]
    return [row | {"contacted_time": utc(row["contacted_time"])} for row in rows]


def save_contacts(ledger: Connection, rows: list[dict[str, Any]]) -> int:
    """Insert contacts or bring them up to date; return how many were written."""
    return upsert(ledger, contacts, rows)
