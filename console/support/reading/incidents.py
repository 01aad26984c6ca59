"""The list of incidents: filtered, searched, a page at a time, without their charts and evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Row, exists, func, or_, select

from console.support.paging import PAGE_ROWS, Page, beyond, page_of
from detectors.finding import Cohort
from incidents.ledger.casework import cases, expected_incidents
from incidents.ledger.schema import incidents
from incidents.model import Cause, Severity
from telemetry.contract import Signal

REVIEWED_WITHIN = timedelta(days=14)
"""For so long an incident stays in the review queue: what nobody looked at by then, nobody remembers."""
LONGEST_SEARCH = 100


class State(StrEnum):
    """Which incidents a list shows."""

    OPEN = "open"
    OVER = "over"
    UNREVIEWED = "unreviewed"


class Order(StrEnum):
    """In which order."""

    LATEST = "latest"
    PEOPLE = "people"


@dataclass(frozen=True)
class Wanted:
    """What a list is filtered by; None is anything.

    Parameters
    ----------
    state, signal, cause, severity
        As they are now.
    text
        A part of the id or of a value of the group, in any case.
    since, until
        When they were detected.
    order
        Latest first, or most people first.
    """

    state: State | None = None
    signal: Signal | None = None
    cause: Cause | None = None
    severity: Severity | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    order: Order = Order.LATEST


@dataclass(frozen=True)
class Listed:
    """One incident in a list."""

    incident_id: str
    signal: Signal
    cohort: Cohort
    onset_time: datetime
    detected_time: datetime
    resolved_time: datetime | None
    severity: Severity
    affected_subscribers: int
    cause: Cause
    verdict: str | None
    owner: str | None

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.resolved_time is None


_WHOLE = func.coalesce(incidents.c.merged_into, "") == ""
"""Part of no other. Nearly all are: written so, SQLite does not think that the index of parts would find them."""
_WITHOUT_A_WORD = (
    ~exists().where(cases.c.incident_id == incidents.c.incident_id, cases.c.verdict.is_not(None)),
    ~exists().where(expected_incidents.c.incident_id == incidents.c.incident_id),
)
_COLUMNS = (
    *(incidents.c[name] for name in ("incident_id", "signal", "cohort", "onset_time", "detected_time")),
    *(incidents.c[name] for name in ("resolved_time", "severity", "affected_subscribers", "cause")),
    cases.c.verdict,
    cases.c.owner,
)


def listed(connection: Connection, wanted: Wanted, after: str = "", limit: int = PAGE_ROWS) -> Page[Listed]:
    """Return a page of the incidents that are wanted; those that are part of another are left out.

    Parameters
    ----------
    connection
        The ledger's.
    wanted
        Which, and in which order.
    after
        Where the page before ended, as `Page.after` says.
    limit
        Most rows.
    """
    latest = wanted.order is Order.LATEST
    key = ("detected_time", "incident_id") if latest else ("affected_subscribers", "incident_id")
    columns = [incidents.c[name] for name in key]
    falling = [column.desc() for column in columns]
    found = (
        select(incidents.c.incident_id)
        .where(*_conditions(connection, wanted), beyond(after, columns, falling=True))
        .order_by(*falling)
        .limit(limit + 1)
        .subquery()
    )
    query = (
        select(*_COLUMNS)
        .join(found, found.c.incident_id == incidents.c.incident_id)
        .outerjoin(cases, cases.c.incident_id == incidents.c.incident_id)
        .order_by(*falling)
    )
    rows = [_listed(row) for row in connection.execute(query)]
    return page_of(rows, limit, *key)


def open_count(connection: Connection) -> int:
    """Return how many incidents go on."""
    going = incidents.c.resolved_time.is_(None) & _WHOLE
    return connection.scalar(select(func.count()).select_from(incidents).where(going)) or 0


def unreviewed_count(connection: Connection, now: datetime) -> int:
    """Return how many incidents wait for a lead's word."""
    query = select(func.count()).select_from(incidents).where(*_unreviewed(now), _WHOLE)
    return connection.scalar(query) or 0


def parts(connection: Connection, incident_id: str) -> list[Listed]:
    """Return the incidents that turned out to be part of another."""
    query = (
        select(*_COLUMNS)
        .outerjoin(cases, cases.c.incident_id == incidents.c.incident_id)
        .where(incidents.c.merged_into == incident_id)
        .order_by(incidents.c.detected_time)
    )
    return [_listed(row) for row in connection.execute(query)]


def _unreviewed(now: datetime) -> Sequence[ColumnElement[bool]]:
    return (incidents.c.detected_time >= now - REVIEWED_WITHIN, *_WITHOUT_A_WORD)


def _conditions(connection: Connection, wanted: Wanted) -> list[ColumnElement[bool]]:
    table = incidents.c
    conditions: list[ColumnElement[bool]] = []
    if wanted.state is State.OPEN:
        conditions.append(table.resolved_time.is_(None))
    elif wanted.state is State.OVER:
        conditions.append(table.resolved_time.is_not(None))
    elif wanted.state is State.UNREVIEWED:
        conditions += _WITHOUT_A_WORD
    for column, value in ((table.signal, wanted.signal), (table.severity, wanted.severity)):
        if value is not None:
            conditions.append(column == value.value)
    if wanted.cause is not None:
        conditions.append(table.cause == wanted.cause.value)
    if wanted.since is not None:
        conditions.append(table.detected_time >= wanted.since)
    if wanted.until is not None:
        conditions.append(table.detected_time < wanted.until)
    return [*conditions, *_matching(connection, wanted.text), _WHOLE]


def _matching(connection: Connection, text: str) -> list[ColumnElement[bool]]:
    """Return the condition for each word that it is part of the id or of the group."""
    place = func.strpos if connection.dialect.name == "postgresql" else func.instr
    key, group = func.lower(incidents.c.incident_id), incidents.c.words
    words = text[:LONGEST_SEARCH].replace("\x00", "").lower().split()
    return [or_(place(group, word) > 0, place(key, word) > 0) for word in words]


def _listed(row: Row[tuple[object, ...]]) -> Listed:
    found = row._mapping
    return Listed(
        incident_id=found["incident_id"],
        signal=Signal(found["signal"]),
        cohort=Cohort.of(found["cohort"]),
        onset_time=found["onset_time"],
        detected_time=found["detected_time"],
        resolved_time=found["resolved_time"],
        severity=Severity(found["severity"]),
        affected_subscribers=found["affected_subscribers"],
        cause=Cause(found["cause"]),
        verdict=found["verdict"],
        owner=found["owner"],
    )
