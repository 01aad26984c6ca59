"""Who is signed in: rows of `console_sessions`, so that signing out ends a session wherever its cookie went."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from incidents.ledger.casework import console_sessions

TOKEN_BYTES = 32
SEEN_EVERY = timedelta(minutes=1)
"""How exactly we know when somebody was last here: a page view must not cost a write."""


class Role(StrEnum):
    """What somebody may do, from least to most: look, decide, see to access."""

    VIEWER = "viewer"
    LEAD = "lead"
    ADMIN = "admin"

    def includes(self, other: Role) -> bool:
        """Whether this role may do all that another may."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


@dataclass(frozen=True)
class Session:
    """One person's stay.

    Parameters
    ----------
    session_key
        A hash of the token that their browser holds.
    name, role
        Who they are, as the audit trail names them, and what they may do.
    began_time, seen_time, until_time
        When they came, when they were last here, and when they have to sign in again.
    """

    session_key: str
    name: str
    role: Role
    began_time: datetime
    seen_time: datetime
    until_time: datetime


def begin(connection: Connection, name: str, role: Role, now: datetime, lasts: timedelta) -> str:
    """Begin a session and return its token, which goes to the browser and is kept nowhere else.

    Sessions that are over are swept out by the way.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session = Session(key_of(token), name, role, now, now, now + lasts)
    connection.execute(delete(console_sessions).where(console_sessions.c.until_time < now))
    connection.execute(console_sessions.insert().values(**{**vars(session), "role": role.value}))
    return token


def find(connection: Connection, token: str, now: datetime, idle: timedelta) -> Session | None:
    """Return the session of a token, or None if there is none or it is over."""
    query = select(console_sessions).where(console_sessions.c.session_key == key_of(token))
    row = connection.execute(query).first()
    if row is None or row.until_time <= now or row.seen_time + idle <= now:
        return None
    return _session(row)


def seen(connection: Connection, session: Session, now: datetime) -> None:
    """Note that somebody is still here."""
    of = console_sessions.c.session_key == session.session_key
    connection.execute(update(console_sessions).where(of).values(seen_time=now))


def end(connection: Connection, session: Session, *, everywhere: bool = False) -> int:
    """End a session, or all of its person's; return how many ended."""
    of: Any = console_sessions.c.session_key == session.session_key
    if everywhere:
        of = console_sessions.c.name == session.name
    return connection.execute(delete(console_sessions).where(of)).rowcount


def end_all_of(connection: Connection, name: str) -> int:
    """End every session of somebody; return how many."""
    return connection.execute(delete(console_sessions).where(console_sessions.c.name == name)).rowcount


def going(connection: Connection, now: datetime, idle: timedelta) -> list[Session]:
    """Return the sessions that go on, latest seen first."""
    table = console_sessions.c
    alive = (table.until_time > now) & (table.seen_time > now - idle)
    query = select(console_sessions).where(alive).order_by(table.seen_time.desc(), table.session_key)
    return [_session(row) for row in connection.execute(query)]


def key_of(token: str) -> str:
    """Return the key under which a token's session is kept; from the key nobody finds the token."""
    return hashlib.sha256(token.encode()).hexdigest()


def form_token(token: str) -> str:
    """Return what forms of a session carry, so that no other site can post them: no secret of the session itself."""
    return hashlib.sha256(b"form\x1f" + token.encode()).hexdigest()[:TOKEN_BYTES]


def _session(row: Row[Any]) -> Session:
    return Session(**(dict(row._mapping) | {"role": Role(row.role)}))
