"""Reviews: what a support lead says of an incident, and what comes of it.

Every word is kept. The latest that settles something changes what comes next:

- a false alarm is closed, its hours count as normal again, and who was told is to hear that there was no fault;
- an expected event silences its group for the rest of the event;
- a wrong cause is replaced, for those found later too, and who read the wrong one is to be put right;
- a wrong severity is replaced;
- an incident that is part of another is merged into it, or parted from it again.

What would be sent because of a review waits for a person's approval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from incidents import cases
from incidents.afterwards import propose_correction, withdraw_retraction
from incidents.cases import Case, ReviewError, text_of
from incidents.ledger import audit
from incidents.ledger.casework import cases as case_rows
from incidents.ledger.casework import expected_incidents, reviews
from incidents.ledger.rows import incident_from, incident_row
from incidents.ledger.rulings import ruled, rulings
from incidents.ledger.schema import feedback, incidents, notices, troubles
from incidents.model import Cause, Incident, Severity
from incidents.silences import LONGEST, SilenceKind, plan

REST = timedelta(hours=24)
"""How long an expected event is taken to go on where nobody says until when."""


class ReviewVerdict(StrEnum):
    """What a lead says of an incident."""

    CONFIRM = "confirm"
    FALSE_ALARM = "false_alarm"
    EXPECTED_EVENT = "expected_event"
    WRONG_CAUSE = "wrong_cause"
    WRONG_SEVERITY = "wrong_severity"
    SPLIT = "split"
    MERGE = "merge"
    NOTE = "note"


SETTLING = (ReviewVerdict.CONFIRM, ReviewVerdict.FALSE_ALARM, ReviewVerdict.EXPECTED_EVENT)
"""Verdicts on whether it was an incident at all; the latest stands."""


@dataclass(frozen=True)
class Review:
    """One word of a lead: what, on which incident, by whom and when, with its particulars."""

    review_id: str
    incident_id: str
    verdict: ReviewVerdict
    author: str
    reviewed_time: datetime
    revision: int
    detail: Mapping[str, Any]
    note: str | None = None


@dataclass(frozen=True)
class Particulars:
    """What a verdict needs beside itself.

    Parameters
    ----------
    note
        In the lead's own words; a `note` needs it.
    cause
        The right one, for `wrong_cause`.
    severity
        The right one, for `wrong_severity`.
    other
        The incident that it is part of, for `merge`; the one to part from it, for `split`, if it was merged.
    cohorts
        The groups that were struck separately, for `split`.
    until
        How long an expected event goes on, for `expected_event`; `REST` from now if nobody knows.
    kind
        What was planned, for `expected_event`.
    """

    note: str | None = None
    cause: Cause | None = None
    severity: Severity | None = None
    other: str | None = None
    cohorts: tuple[Mapping[str, str], ...] = ()
    until: datetime | None = None
    kind: SilenceKind = SilenceKind.OTHER


NOTHING = Particulars()


def review(
    connection: Connection,
    incident_id: str,
    verdict: ReviewVerdict,
    author: str,
    now: datetime,
    *,
    seen: int,
    particulars: Particulars = NOTHING,
) -> Review:
    """Record what a lead says of an incident, and let it have its effect, in one transaction.

    Parameters
    ----------
    connection
        In a transaction that may write.
    incident_id, verdict, particulars
        What is said of which incident.
    author, now
        Who says so, and when (aware UTC).
    seen
        The revision of the case as the author saw it; see `incidents.cases`.

    Raises
    ------
    UnknownIncidentError
        If there is no such incident.
    EditedMeanwhileError
        If somebody else changed the case since; nothing is written.
    ReviewError
        If a particular is missing or makes no sense; nothing is written.
    """
    cases.case_of(connection, incident_id)
    note = text_of(particulars.note, "The note", needed=verdict is ReviewVerdict.NOTE)
    incident = _incident(connection, incident_id)
    columns, detail = _EFFECTS[verdict](connection, incident, particulars, now)
    changed = cases.change(connection, incident_id, author, now, seen=seen, **columns)
    said = Review(
        audit.new_id(), incident_id, verdict, changed.changed_by or author, now, changed.revision, detail, note
    )
    connection.execute(reviews.insert().values(**{**vars(said), "verdict": verdict.value}))
    audit.record(
        connection, author, "case.reviewed", f"incident:{incident_id}", {"verdict": verdict.value, **detail}, now
    )
    _apply(connection, incident)
    _follow(connection, incident, said, particulars)
    return said


def reviews_of(connection: Connection, incident_id: str) -> list[Review]:
    """Return all that leads said of an incident, earliest first."""
    query = select(reviews).where(reviews.c.incident_id == incident_id)
    rows = connection.execute(query.order_by(reviews.c.reviewed_time, reviews.c.revision)).mappings()
    return [_review(row) for row in rows]


def unreviewed(connection: Connection, since: datetime, *, limit: int = 100) -> list[str]:
    """Return the incidents that nobody settled and that are nobody's duplicate, most people first: the review queue."""
    settled = select(case_rows.c.incident_id).where(case_rows.c.verdict.is_not(None))
    expected = select(expected_incidents.c.incident_id)
    query = (
        select(incidents.c.incident_id)
        .where(
            incidents.c.detected_time >= since,
            incidents.c.merged_into.is_(None),
            incidents.c.incident_id.not_in(settled),
            incidents.c.incident_id.not_in(expected),
        )
        .order_by(incidents.c.affected_subscribers.desc(), incidents.c.detected_time.desc(), incidents.c.incident_id)
        .limit(limit)
    )
    return list(connection.scalars(query))


def labels(connection: Connection, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Return what leads say was true, a row an incident: for tuning detection on what really happened.

    An incident that a lead confirmed, or put right, is a fault with its cohort, cause and times; a false alarm or an
    expected event is one of the kind that must stay silent. `answered` and `no_problem` count the readers of its
    notices who answered, and those who say that they had no problem: evidence of needless notices.
    """
    query = select(incidents).order_by(incidents.c.onset_time, incidents.c.incident_id)
    if since is not None:
        query = query.where(incidents.c.onset_time >= since)
    latest = {row.incident_id: Case(**row._mapping) for row in connection.execute(select(case_rows))}
    heard = _heard(connection)
    for row in connection.execute(query).mappings():
        case = latest.get(row["incident_id"])
        if case is not None and (case.verdict or case.cause or case.severity or case.merged_into):
            answered, no_problem = heard.get(row["incident_id"], (0, 0))
            yield _label(incident_from(row), case) | {"answered": answered, "no_problem": no_problem}


def _heard(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return how many readers answered by incident, and how many of them say that they had no problem."""
    query = (
        select(notices.c.incident_id, func.count(), func.sum(feedback.c.answer))
        .join(feedback, feedback.c.notice_id == notices.c.notice_id)
        .where(feedback.c.question == "no_problem", feedback.c.answer.is_not(None), notices.c.incident_id.is_not(None))
        .group_by(notices.c.incident_id)
    )
    return {incident_id: (count, int(needless)) for incident_id, count, needless in connection.execute(query)}


def _label(incident: Incident, case: Case) -> dict[str, Any]:
    is_fault = case.verdict in (None, ReviewVerdict.CONFIRM.value)
    return {
        "incident_id": incident.incident_id,
        "is_fault": is_fault,
        "verdict": case.verdict or ReviewVerdict.CONFIRM.value,
        "signal": incident.signal.value,
        "cohort": incident.cohort.json,
        "cause": incident.verdict.cause.value if is_fault else None,
        "severity": incident.severity.value,
        "start": incident.onset_time,
        "end": incident.resolved_time,
        "merged_into": incident.merged_into,
        "reviewed_by": case.changed_by,
        "reviewed_time": case.changed_time,
    }


Effect = tuple[dict[str, Any], dict[str, Any]]
"""Columns of the case to write, and the particulars to keep with the review."""


def _confirmed(_c: Connection, _i: Incident, _p: Particulars, _now: datetime) -> Effect:
    return {"verdict": ReviewVerdict.CONFIRM.value, "closed_time": None}, {}


def _mistaken(_c: Connection, _i: Incident, _p: Particulars, now: datetime) -> Effect:
    return {"verdict": ReviewVerdict.FALSE_ALARM.value, "closed_time": now}, {}


def _expected(_c: Connection, _i: Incident, particulars: Particulars, now: datetime) -> Effect:
    until = particulars.until or now + REST
    if until <= now:
        raise ReviewError("An event that is over needs no silence: name a time to come.")
    return {"verdict": ReviewVerdict.EXPECTED_EVENT.value}, {"until": until.isoformat(), "kind": particulars.kind.value}


def _blamed(_c: Connection, incident: Incident, particulars: Particulars, _now: datetime) -> Effect:
    cause = particulars.cause
    if cause is None:
        raise ReviewError("A wrong cause needs the right one beside it.")
    if cause is incident.verdict.cause:
        raise ReviewError(f"The cause is {cause.value} already.")
    return {"cause": cause.value}, {"from": incident.verdict.cause.value, "to": cause.value}


def _weighed(_c: Connection, incident: Incident, particulars: Particulars, _now: datetime) -> Effect:
    severity = particulars.severity
    if severity is None:
        raise ReviewError("A wrong severity needs the right one beside it.")
    return {"severity": severity.value}, {"from": incident.severity.value, "to": severity.value}


def _merged(connection: Connection, incident: Incident, particulars: Particulars, _now: datetime) -> Effect:
    other = _incident(connection, particulars.other or "")
    if other.incident_id == incident.incident_id:
        raise ReviewError("An incident cannot be part of itself.")
    if other.merged_into is not None:
        raise ReviewError(f"{other.incident_id} is itself part of {other.merged_into}: merge into that one.")
    if connection.scalar(select(incidents.c.incident_id).where(incidents.c.merged_into == incident.incident_id)):
        raise ReviewError("Others are part of this incident: part them first, or merge the other into this one.")
    return {"merged_into": other.incident_id}, {"into": other.incident_id}


def _parted(connection: Connection, incident: Incident, particulars: Particulars, _now: datetime) -> Effect:
    if particulars.other is not None:
        part = _incident(connection, particulars.other)
        if part.merged_into != incident.incident_id:
            raise ReviewError(f"{part.incident_id} is not part of this incident.")
        return {}, {"parted": part.incident_id}
    groups = [dict(cohort) for cohort in particulars.cohorts]
    if len(groups) < 2:
        raise ReviewError("A split names the incident to part from this one, or two groups or more.")
    return {}, {"cohorts": groups}


def _noted(_c: Connection, _i: Incident, _p: Particulars, _now: datetime) -> Effect:
    return {}, {}


_EFFECTS = {
    ReviewVerdict.CONFIRM: _confirmed,
    ReviewVerdict.FALSE_ALARM: _mistaken,
    ReviewVerdict.EXPECTED_EVENT: _expected,
    ReviewVerdict.WRONG_CAUSE: _blamed,
    ReviewVerdict.WRONG_SEVERITY: _weighed,
    ReviewVerdict.SPLIT: _parted,
    ReviewVerdict.MERGE: _merged,
    ReviewVerdict.NOTE: _noted,
}


def _apply(connection: Connection, incident: Incident) -> None:
    """Bring the incident's row to what its case says now."""
    found = rulings(connection, [incident.incident_id]).get(incident.incident_id)
    changed = incident if found is None else ruled(incident, found)
    if changed != incident:
        of = incidents.c.incident_id == incident.incident_id
        connection.execute(update(incidents).where(of).values(incident_row(changed)))
    if changed.verdict != incident.verdict:
        undecided = (troubles.c.incident_id == incident.incident_id) & troubles.c.decided.is_(False)
        verdict = changed.verdict
        words = {
            "cause": verdict.cause.value,
            "cause_probability": verdict.probability,
            "evidence": list(verdict.evidence),
        }
        connection.execute(update(troubles).where(undecided).values(words))


def _follow(connection: Connection, incident: Incident, said: Review, particulars: Particulars) -> None:
    """Do what comes of a review outside the incident's own row."""
    now, detail = said.reviewed_time, said.detail
    if said.verdict is ReviewVerdict.EXPECTED_EVENT:
        _silence_the_rest(connection, incident, said, particulars)
        withdraw_retraction(connection, incident, said.author, now)
    elif said.verdict is ReviewVerdict.CONFIRM:
        withdraw_retraction(connection, incident, said.author, now)
    elif said.verdict is ReviewVerdict.FALSE_ALARM:
        propose_correction(connection, incident, None, said.author, now)
    elif said.verdict is ReviewVerdict.WRONG_CAUSE and particulars.cause is not None:
        propose_correction(connection, incident, particulars.cause, said.author, now)
    elif said.verdict is ReviewVerdict.SPLIT and "parted" in detail:
        part = detail["parted"]
        cases.change(
            connection, part, said.author, now, seen=cases.case_of(connection, part).revision, merged_into=None
        )
        connection.execute(update(incidents).where(incidents.c.incident_id == part).values(merged_into=None))


def _silence_the_rest(connection: Connection, incident: Incident, said: Review, particulars: Particulars) -> None:
    now = said.reviewed_time
    begin = max(incident.onset_time, now - LONGEST / 2)
    until = min(particulars.until or now + REST, begin + LONGEST)
    reason = said.note or "A lead called the incident an expected event."
    silence = plan(
        connection,
        particulars.kind,
        dict(incident.cohort.values),
        begin,
        until,
        said.author,
        reason,
        now,
        signals=(incident.signal,),
    )
    marked = connection.scalar(
        select(expected_incidents.c.silence_id).where(expected_incidents.c.incident_id == incident.incident_id)
    )
    if marked is None:
        row = {"incident_id": incident.incident_id, "silence_id": silence.silence_id, "marked_time": now}
        connection.execute(expected_incidents.insert().values(row))


def _incident(connection: Connection, incident_id: str) -> Incident:
    row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
    if row is None:
        raise cases.UnknownIncidentError(f"The ledger has no incident {incident_id[:64]}.")
    return incident_from(row)


def _review(row: RowMapping) -> Review:
    return Review(**{**row, "verdict": ReviewVerdict(row["verdict"])})
