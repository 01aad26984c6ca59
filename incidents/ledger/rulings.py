"""What leads decided about incidents, held against what detection writes: their word stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from incidents.ledger.casework import cases
from incidents.model import Cause, Incident, Severity, Trouble, Verdict

FALSE_ALARM = "false_alarm"
CORRECTED = "A support lead corrected the cause."
_SURE = 1.0


@dataclass(frozen=True)
class Ruling:
    """What leads decided about one incident; None where they left it to detection."""

    verdict: str | None = None
    cause: Cause | None = None
    severity: Severity | None = None
    merged_into: str | None = None
    closed_time: datetime | None = None


NO_RULING = Ruling()


def rulings(connection: Connection, incident_ids: Iterable[str]) -> dict[str, Ruling]:
    """Return the rulings on some incidents, by id; those that nobody ruled on are left out."""
    wanted = set(incident_ids)
    if not wanted:
        return {}
    query = select(cases).where(cases.c.incident_id.in_(wanted))
    rows = connection.execute(query).mappings()
    return {
        row["incident_id"]: Ruling(
            row["verdict"],
            row["cause"] and Cause(row["cause"]),
            row["severity"] and Severity(row["severity"]),
            row["merged_into"],
            row["closed_time"],
        )
        for row in rows
    }


def ruled(incident: Incident, ruling: Ruling) -> Incident:
    """Return an incident as leads see it: their cause and severity, merged and closed where they said so.

    A false alarm is closed as settled: what was an excess is the level from then on, and nobody hears an all-clear.
    """
    severity, merged = ruling.severity or incident.severity, ruling.merged_into or incident.merged_into
    changed = replace(incident, verdict=corrected(incident.verdict, ruling), severity=severity, merged_into=merged)
    if ruling.verdict == FALSE_ALARM and ruling.closed_time is not None:
        return replace(changed, resolved_time=incident.resolved_time or ruling.closed_time, settled=True)
    return changed


def corrected(verdict: Verdict, ruling: Ruling) -> Verdict:
    """Return a verdict with the cause that a lead gave it, and says so first."""
    if ruling.cause is None or verdict.cause is ruling.cause:
        return verdict
    kept = (sentence for sentence in verdict.evidence if sentence != CORRECTED)
    return Verdict(ruling.cause, _SURE, (CORRECTED, *kept))


def ruled_troubles(troubles: Iterable[Trouble], known: Mapping[str, Ruling]) -> list[Trouble]:
    """Return troubles with their incident's ruling, so that who is found later reads the right cause."""
    return [_ruled_trouble(trouble, known.get(trouble.incident_id or "", NO_RULING)) for trouble in troubles]


def _ruled_trouble(trouble: Trouble, ruling: Ruling) -> Trouble:
    return replace(
        trouble,
        verdict=corrected(trouble.verdict, ruling),
        severity=ruling.severity or trouble.severity,
    )
