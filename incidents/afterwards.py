"""What people hear afterwards because a lead said so: that we had named the wrong cause, or that there was no fault.

Each becomes a trouble of its own kind, so that it passes the gates, is written in the reader's words and is sent once,
as everything else.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    exists,
    false,
    func,
    literal,
    select,
    update,
)

from incidents.ledger import audit
from incidents.ledger.casework import corrections
from incidents.ledger.schema import notices, rollouts, troubles
from incidents.model import Cause, Incident, TroubleKind

CORRECTION_PREFIX = "correction:"
"""Begins the key under which a correction waits for approval, before the incident's id."""
_SURE = 1.0
_found = troubles.alias("found")
"""The trouble that somebody was told of."""


def propose_correction(
    connection: Connection, incident: Incident, right: Cause | None, author: str, now: datetime
) -> int:
    """Ask for approval to write to those who were told the wrong thing; return to how many that would be.

    Parameters
    ----------
    connection
        In a transaction that may write.
    incident
        As it was when they were told.
    right
        The true cause; None if there was no fault at all.
    author, now
        Who says so, and when (aware UTC).
    """
    people = connection.scalar(select(func.count()).select_from(notices).where(_misled(incident.incident_id, right)))
    if not people:
        return 0
    known = _proposed(connection, incident.incident_id)
    if known is not None and known["sent_time"] is not None and (right is not None or known["right_cause"] is None):
        return 0  # each person hears each kind of correction once
    row = {
        "incident_id": incident.incident_id,
        # What people read first is what is to be put right.
        "wrong_cause": incident.verdict.cause.value if known is None else known["wrong_cause"],
        "right_cause": None if right is None else right.value,
        "people": people,
        "proposed_by": author,
        "proposed_time": now,
        "sent_time": None,
    }
    connection.execute(delete(corrections).where(corrections.c.incident_id == incident.incident_id))
    connection.execute(corrections.insert().values(row))
    episode = CORRECTION_PREFIX + incident.incident_id
    connection.execute(delete(rollouts).where(rollouts.c.episode == episode))
    asked = {"episode": episode, "audience": people, "allowed_share": 0.0, "state": "waiting", "asked_time": now}
    connection.execute(rollouts.insert().values(asked))
    return people


def withdraw_retraction(connection: Connection, incident: Incident, author: str, now: datetime) -> None:
    """Take back what was to be said of a false alarm that was none, if nobody was told so yet."""
    known = _proposed(connection, incident.incident_id)
    if known is None or known["right_cause"] is not None or known["sent_time"] is not None:
        return
    episode = CORRECTION_PREFIX + incident.incident_id
    connection.execute(delete(corrections).where(corrections.c.incident_id == incident.incident_id))
    connection.execute(delete(rollouts).where(rollouts.c.episode == episode))
    audit.record(connection, author, "correction.withdrawn", f"incident:{incident.incident_id}", {}, now)


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
        right = None if row["right_cause"] is None else Cause(row["right_cause"])
        kind = TroubleKind.RETRACTION if right is None else TroubleKind.CORRECTION
        cause = right or Cause(row["wrong_cause"])
        people += _hand_over(connection, kind, cause, _misled(row["incident_id"], right), now)
        of = corrections.c.incident_id == row["incident_id"]
        connection.execute(update(corrections).where(of).values(sent_time=now))
    return people


def _hand_over(
    connection: Connection,
    kind: TroubleKind,
    cause: Cause,
    which: ColumnElement[bool],
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
        "since": notices.c.decided_time,
        "last_bad_time": func.coalesce(_found.c.last_bad_time, notices.c.decided_time),
        "impaired": func.coalesce(_found.c.impaired, 1),
        "sessions": func.coalesce(_found.c.sessions, 1),
        "device_type": _found.c.device_type,
        "decided": false(),
    }
    rows = select(*(value.label(name) for name, value in values.items())).select_from(notices.outerjoin(_found, same))
    statement = troubles.insert().from_select(list(values), rows.where(which, ~there))
    return connection.execute(statement.execution_options(preserve_rowcount=True)).rowcount


def _misled(incident_id: str, right: Cause | None) -> ColumnElement[bool]:
    """Return the condition that a notice told somebody what was not so."""
    told = (notices.c.kind == TroubleKind.PROBLEM.value) & notices.c.withheld_reason.is_(None)
    mine = told & (notices.c.incident_id == incident_id)
    return mine if right is None else mine & (notices.c.cause != right.value)


def _proposed(connection: Connection, incident_id: str) -> RowMapping | None:
    query = select(corrections).where(corrections.c.incident_id == incident_id)
    return connection.execute(query).mappings().first()
