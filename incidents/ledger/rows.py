"""Incidents and troubles as rows of the ledger, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from detectors.finding import Alternative, Cohort
from incidents.model import Cause, ChartPoint, Incident, Severity, Trouble, TroubleKind, Verdict
from incidents.quality import Measure, QualityKind, QualityNotice
from telemetry.contract import Signal
from telemetry.time import utc

Row = Mapping[str, Any] | RowMapping
MOST_LETTERS = 400
"""Of a group that a search looks at: PostgreSQL's indexes take rows of up to 2,700 bytes."""


def incident_row(incident: Incident) -> dict[str, Any]:
    """Return the row of `incidents` that holds `incident`."""
    return {
        "incident_id": incident.incident_id,
        "signal": incident.signal.value,
        "cohort": dict(incident.cohort.values),
        "onset_time": incident.onset_time,
        "detected_time": incident.detected_time,
        "resolved_time": incident.resolved_time,
        "severity": incident.severity.value,
        "affected_subscribers": incident.affected_subscribers,
        **_verdict_columns(incident.verdict),
        "observed": incident.observed,
        "expected": incident.expected,
        "sessions": incident.sessions,
        "surprise": incident.surprise,
        "alternatives": [_alternative_document(alternative) for alternative in incident.alternatives],
        "chart": [_point_document(point) for point in incident.chart],
        "merged_into": incident.merged_into,
        "updated_time": incident.updated_time,
        "settled": incident.settled,
        "words": words_of(incident.cohort),
    }


def words_of(cohort: Cohort) -> str:
    """Return a group's names and values in small letters, for a search: no more than an index takes."""
    words = " ".join(f"{name} {value}" for name, value in cohort.values).lower().replace("\x00", "")
    return words.encode(errors="ignore").decode()[:MOST_LETTERS]


def incident_from(row: Row) -> Incident:
    """Return the incident that a row of `incidents` holds."""
    return Incident(
        incident_id=row["incident_id"],
        signal=Signal(row["signal"]),
        cohort=Cohort.of(row["cohort"]),
        onset_time=row["onset_time"],
        detected_time=row["detected_time"],
        resolved_time=row["resolved_time"],
        severity=Severity(row["severity"]),
        affected_subscribers=row["affected_subscribers"],
        verdict=_verdict_from(row),
        observed=row["observed"],
        expected=row["expected"],
        sessions=row["sessions"],
        surprise=row["surprise"],
        updated_time=row["updated_time"],
        alternatives=tuple(_alternative_from(document) for document in row["alternatives"]),
        chart=tuple(_point_from(document) for document in row["chart"]),
        merged_into=row["merged_into"],
        settled=row["settled"],
    )


def trouble_row(trouble: Trouble, found_time: datetime) -> dict[str, Any]:
    """Return the undecided row of `troubles` that holds `trouble`, found at `found_time`."""
    return {
        "subscriber_id": trouble.subscriber_id,
        "episode": trouble.episode,
        "kind": trouble.kind.value,
        "found_time": found_time,
        "problem": trouble.problem.value,
        **_verdict_columns(trouble.verdict),
        "incident_id": trouble.incident_id,
        "severity": trouble.severity.value,
        "since": trouble.since,
        "last_bad_time": trouble.last_bad_time,
        "last_good_time": trouble.last_good_time,
        "impaired": trouble.impaired,
        "sessions": trouble.sessions,
        "device_type": trouble.device_type,
        "error_class": trouble.error_class,
        "decided": False,
    }


def trouble_from(row: Row) -> Trouble:
    """Return the trouble of a row of `troubles` joined with its incident's `resolved_time`."""
    return Trouble(
        subscriber_id=row["subscriber_id"],
        problem=Signal(row["problem"]),
        verdict=_verdict_from(row),
        incident_id=row["incident_id"],
        since=row["since"],
        last_bad_time=row["last_bad_time"],
        impaired=row["impaired"],
        sessions=row["sessions"],
        severity=Severity(row["severity"]),
        kind=TroubleKind(row["kind"]),
        device_type=row["device_type"],
        error_class=row["error_class"],
        last_good_time=row["last_good_time"],
        incident_resolved=row["resolved_time"] is not None,
    )


def quality_row(notice: QualityNotice) -> dict[str, Any]:
    """Return the row of `quality_notices` that holds `notice`."""
    kept = ("notice_id", "since", "detected_time", "until", "expected", "observed", "late", "surprise", "updated_time")
    return {
        **{name: getattr(notice, name) for name in kept},
        "kind": notice.kind.value,
        "cohort": dict(notice.cohort.values),
        "measure": notice.measure.value,
        "reasons": list(notice.reasons),
    }


def quality_from(row: Row) -> QualityNotice:
    """Return the notice that a row of `quality_notices` holds."""
    return QualityNotice(
        notice_id=row["notice_id"],
        kind=QualityKind(row["kind"]),
        cohort=Cohort.of(row["cohort"]),
        measure=Measure(row["measure"]),
        since=row["since"],
        detected_time=row["detected_time"],
        until=row["until"],
        expected=row["expected"],
        observed=row["observed"],
        late=row["late"],
        surprise=row["surprise"],
        reasons=tuple(row["reasons"]),
        updated_time=row["updated_time"],
    )


def _verdict_columns(verdict: Verdict) -> dict[str, Any]:
    return {
        "cause": verdict.cause.value,
        "cause_probability": verdict.probability,
        "evidence": list(verdict.evidence),
    }


def _verdict_from(row: Row) -> Verdict:
    return Verdict(Cause(row["cause"]), row["cause_probability"], tuple(row["evidence"]))


def _alternative_document(alternative: Alternative) -> dict[str, Any]:
    return {
        "cohort": dict(alternative.cohort.values),
        "surprise": alternative.surprise,
        "share": alternative.share,
    }


def _alternative_from(document: Row) -> Alternative:
    return Alternative(Cohort.of(document["cohort"]), document["surprise"], document["share"])


def _point_document(point: ChartPoint) -> list[Any]:
    return [utc(point.slot).isoformat(), point.sessions, point.impaired, point.expected]


def _point_from(document: list[Any]) -> ChartPoint:
    slot, sessions, impaired, expected = document
    return ChartPoint(datetime.fromisoformat(slot), sessions, impaired, expected)
