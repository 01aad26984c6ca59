"""The case of an incident: who owns it, what leads decided, and that two of them do not undo each other.

Whoever changes a case says which revision they saw. If somebody else changed it meanwhile, nothing is written and
they are told who did: what they typed is theirs still, and they decide again on what is there now.

::

    CaseError
    ├── UnknownIncidentError    the ledger has no such incident
    ├── EditedMeanwhileError    somebody else changed it since it was read
    └── ReviewError             what was asked makes no sense; the message says why
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, select, update
from sqlalchemy.dialects import postgresql, sqlite

from incidents.ledger import audit
from incidents.ledger.casework import cases
from incidents.ledger.schema import incidents

LONGEST_NAME = 128
LONGEST_TEXT = 4_000
"""Of a note or a reason, in characters: two pages, which nobody reads."""


class CaseError(Exception):
    """A change to a case cannot be made; the message is a sentence."""


class UnknownIncidentError(CaseError):
    """The ledger has no such incident."""


class ReviewError(CaseError):
    """What was asked makes no sense."""


class EditedMeanwhileError(CaseError):
    """Somebody else changed it since it was read.

    Parameters
    ----------
    what
        What was to be changed, in words.
    by, at
        Who changed it last, and when; None where that is not known.
    revision
        What it is now.
    """

    def __init__(self, what: str, by: str | None, at: datetime | None, revision: int) -> None:
        who = f"{by or 'Somebody else'} changed {what}"
        when = f" at {at:%H:%M} UTC" if at else ""
        super().__init__(f"{who}{when}, after you had opened it. Nothing of yours was saved: look again, and decide.")
        self.by, self.at, self.revision = by, at, revision


@dataclass(frozen=True)
class Case:
    """What leads decided about an incident, as it stands.

    Parameters
    ----------
    incident_id
        Which incident.
    revision
        How often it was changed; 0 if never.
    owner
        Who looks after it.
    verdict
        The latest that settles it: `confirm`, `false_alarm` or `expected_event`.
    cause, severity, merged_into
        What a lead put in the place of detection's.
    closed_time
        When it was declared a false alarm.
    changed_time, changed_by
        The latest change.
    """

    incident_id: str
    revision: int = 0
    owner: str | None = None
    verdict: str | None = None
    cause: str | None = None
    severity: str | None = None
    merged_into: str | None = None
    closed_time: datetime | None = None
    changed_time: datetime | None = None
    changed_by: str | None = None


def case_of(connection: Connection, incident_id: str) -> Case:
    """Return an incident's case; one that nobody touched has revision 0.

    Raises
    ------
    UnknownIncidentError
        If there is no such incident.
    """
    row = connection.execute(select(cases).where(cases.c.incident_id == incident_id)).mappings().first()
    if row is not None:
        return Case(**row)
    if connection.scalar(select(incidents.c.incident_id).where(incidents.c.incident_id == incident_id)) is None:
        raise UnknownIncidentError(f"The ledger has no incident {incident_id[:64]}.")
    return Case(incident_id)


def hand_over(
    connection: Connection, incident_id: str, owner: str | None, author: str, now: datetime, *, seen: int
) -> Case:
    """Make somebody the owner of an incident, or nobody.

    Parameters
    ----------
    connection
        In a transaction that may write.
    incident_id, owner
        Which incident is whose; None gives it back.
    author, now
        Who says so, and when.
    seen
        The case's revision as the author saw it.

    Raises
    ------
    UnknownIncidentError, EditedMeanwhileError
        As they say; nothing is written.
    """
    name = _name(owner) if owner is not None else None
    before = case_of(connection, incident_id)
    case = change(connection, incident_id, author, now, seen=seen, owner=name)
    audit.record(
        connection, author, "case.handed_over", f"incident:{incident_id}", {"from": before.owner, "to": name}, now
    )
    return case


def change(connection: Connection, incident_id: str, author: str, now: datetime, *, seen: int, **values: Any) -> Case:  # noqa: ANN401
    """Write columns of a case if it is still as the author saw it; the caller records what it was for.

    Raises
    ------
    UnknownIncidentError, EditedMeanwhileError
        As they say; nothing is written.
    """
    before = case_of(connection, incident_id)
    row = {**values, "revision": seen + 1, "changed_time": now, "changed_by": _name(author)}
    if seen == 0 and before.revision == 0:
        written = _insert(connection, cases, {"incident_id": incident_id, **row})
    else:
        of = cases.c.incident_id == incident_id
        written = connection.execute(update(cases).where(of, cases.c.revision == seen).values(row)).rowcount
    if not written:
        latest = case_of(connection, incident_id)
        raise EditedMeanwhileError("this incident", latest.changed_by, latest.changed_time, latest.revision)
    return case_of(connection, incident_id)


def _insert(connection: Connection, table: Table, row: dict[str, Any]) -> int:
    """Insert a row unless its key is there; return how many were written."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    return connection.execute(insert(table).values(row).on_conflict_do_nothing()).rowcount


def _name(text: str) -> str:
    name = " ".join(text.split())[:LONGEST_NAME]
    if not name:
        raise ReviewError("Somebody must be named.")
    return name


def text_of(text: str | None, what: str, *, needed: bool = False) -> str | None:
    """Return what a person wrote, without blanks around it; None if it is nothing.

    Raises
    ------
    ReviewError
        If it is needed and missing, or too long to be kept whole.
    """
    words = (text or "").replace("\x00", "").strip()
    if needed and not words:
        raise ReviewError(f"{what} is missing.")
    if len(words) > LONGEST_TEXT:
        raise ReviewError(f"{what} is longer than {LONGEST_TEXT} characters: shorten it, so that nothing is lost.")
    return words or None
