"""What people hear afterwards because a lead said so: that it is over, or that we had named the wrong cause.

Each becomes a trouble of its own kind, so that it passes the gates, is written in the reader's words and is sent once,
as everything else.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, ColumnElement, Connection, and_, exists, false, func, literal, select, update

from incidents.ledger.casework import corrections
from incidents.ledger.schema import notices, rollouts, troubles
from incidents.model import Cause, Incident, TroubleKind

CORRECTION_PREFIX = "correction:"
"""Begins the key under which a correction waits for approval, before the incident's id."""
_SURE = 1.0
_found = troubles.alias("found")
"""The trouble that somebody was told of."""


def tell_it_is_over(connection: Connection, incident: Incident, now: datetime) -> int:
    """Let everybody who was told of an incident hear that it is over; return how many."""
    told = notices.c.incident_id == incident.incident_id
    since = func.coalesce(_found.c.since, notices.c.decided_time)
    return _hand_over(connection, TroubleKind.ALL_CLEAR, incident.verdict.cause, told, since, now)


def send_approved(connection: Connection, now: datetime) -> int:
    """Hand the corrections that were approved to the gates, each once; return to how many people they go.

    Parameters
    ----------
    connection
        In a transaction that may write.
    now
        Aware UTC; the end of the window.
    """
    approved = rollouts.c.state == "approved"
    asked = rollouts.c.episode == literal(CORRECTION_PREFIX) + corrections.c.incident_id
    query = select(corrections).join(rollouts, asked).where(approved, corrections.c.sent_time.is_(None))
    people = 0
    for row in connection.execute(query).mappings().all():
        right = Cause(row["right_cause"])
        wrong = (notices.c.incident_id == row["incident_id"]) & (notices.c.cause != right.value)
        people += _hand_over(connection, TroubleKind.CORRECTION, right, wrong, notices.c.decided_time, now)
        of = corrections.c.incident_id == row["incident_id"]
        connection.execute(update(corrections).where(of).values(sent_time=now))
    return people


def _hand_over(
    connection: Connection,
    kind: TroubleKind,
    cause: Cause,
    which: ColumnElement[bool],
    since: ColumnElement[datetime],
    now: datetime,
) -> int:
    """Insert a trouble of a kind for each person who was told, unless there is one."""
    same = and_(*(_found.c[name] == notices.c[name] for name in ("subscriber_id", "episode", "kind")))
    there = exists().where(
        troubles.c.subscriber_id == notices.c.subscriber_id,
        troubles.c.episode == notices.c.episode,
        troubles.c.kind == kind.value,
    )
    values = {
        "subscriber_id": notices.c.subscriber_id,
        "episode": notices.c.episode,
        "kind": literal(kind.value),
        "found_time": literal(now, troubles.c.found_time.type),
        "problem": notices.c.problem,
        "cause": literal(cause.value),
        "cause_probability": literal(_SURE),
        "evidence": literal([], JSON()),
        "incident_id": notices.c.incident_id,
        "severity": func.coalesce(_found.c.severity, "minor"),
        "since": since,
        "last_bad_time": func.coalesce(_found.c.last_bad_time, notices.c.decided_time),
        "impaired": func.coalesce(_found.c.impaired, 1),
        "sessions": func.coalesce(_found.c.sessions, 1),
        "device_type": _found.c.device_type,
        "decided": false(),
    }
    told = (notices.c.kind == TroubleKind.PROBLEM.value) & notices.c.withheld_reason.is_(None)
    rows = select(*(value.label(name) for name, value in values.items())).select_from(notices.outerjoin(_found, same))
    statement = troubles.insert().from_select(list(values), rows.where(told, which, ~there))
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount
