"""The audit trail, a page at a time."""

from __future__ import annotations

from sqlalchemy import Connection, select

from console.support.paging import PAGE_ROWS, Page, beyond, page_of
from incidents.ledger.audit import Entry
from incidents.ledger.schema import audit


def trail(connection: Connection, after: str = "", *, actor: str = "", subject: str = "") -> Page[Entry]:
    """Return what people changed, latest first.

    Parameters
    ----------
    connection
        The ledger's.
    after
        Where the page before ended.
    actor, subject
        Only what one person did, or what was done to one thing.
    """
    columns = [audit.c.time, audit.c.audit_id]
    query = select(audit).where(beyond(after, columns, falling=True))
    if subject:
        query = query.where(audit.c.subject == subject)
    if actor:
        query = query.where(audit.c.actor == actor)
    ordered = query.order_by(*(column.desc() for column in columns)).limit(PAGE_ROWS + 1)
    entries = [Entry(**row) for row in connection.execute(ordered).mappings()]
    return page_of(entries, PAGE_ROWS, "time", "audit_id")
