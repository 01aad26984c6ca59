"""The audit trail: every change that a person made, in the transaction that makes it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from incidents.ledger.schema import audit

LONGEST_ACTOR, LONGEST_SUBJECT = 128, 160
"""As long as their columns: a longer text is cut, for an audit must not be what refuses a change."""


@dataclass(frozen=True)
class Entry:
    """One change: who did what to what, when, and the particulars."""

    audit_id: str
    time: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, Any]


def new_id() -> str:
    """Return a fresh key of 96 bits: for rows that a person makes, which nothing ever makes twice."""
    return secrets.token_hex(12)


def record(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
    now: datetime,
) -> str:
    """Record a change by a person and return the entry's id.

    Parameters
    ----------
    connection
        In the transaction that makes the change: both stand, or neither.
    actor
        Who: the name that they signed in with.
    action
        What, as noun and verb: ``case.reviewed``, ``silence.ended``.
    subject
        To what: ``incident:ID``, ``silence:ID``, ``channel:email``.
    detail
        Particulars as JSON; never an address or a subscriber's name.
    now
        Aware UTC.
    """
    entry = new_id()
    connection.execute(
        audit.insert().values(
            audit_id=entry,
            time=now,
            actor=actor[:LONGEST_ACTOR],
            action=action,
            subject=subject[:LONGEST_SUBJECT],
            detail=dict(detail),
        )
    )
    return entry


def history(connection: Connection, subject: str | None = None, *, limit: int = 200) -> list[Entry]:
    """Return the latest changes, newest first: all of them, or those to one subject."""
    query = select(audit).order_by(audit.c.time.desc(), audit.c.audit_id).limit(limit)
    if subject is not None:
        query = query.where(audit.c.subject == subject[:LONGEST_SUBJECT])
    return [Entry(**row) for row in connection.execute(query).mappings()]
