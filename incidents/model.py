"""Incidents, verdicts and troubled subscribers: the words that support people use."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from detectors.finding import Alternative, Cohort
from telemetry.contract import Signal


class Cause(StrEnum):
    """Whose side the problem is on."""

    SERVICE = "service"
    ISP = "isp"
    APP = "app"
    HOUSEHOLD = "household"
    ACCOUNT = "account"


class Severity(StrEnum):
    """How many people an incident reaches."""

    MINOR = "minor"
    MAJOR = "major"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Verdict:
    """Whose fault it is, how sure we are (0 to 1), and the sentences that show why."""

    cause: Cause
    probability: float
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChartPoint:
    """One slot of an incident's chart: sessions in its cohort, how many were impaired, how many would be normal."""

    slot: datetime
    sessions: int
    impaired: int
    expected: float


@dataclass(frozen=True)
class Incident:
    """One fault of one cohort, from onset to resolution.

    `incident_id` is derived from the signal, the first cohort and the window of detection, so a window that is
    run twice opens the same incident. `resolved_time` is None while it is open. `settled` says that it was resolved
    because it is slight and goes on: what was an excess is taken to be the new level.
    """

    incident_id: str
    signal: Signal
    cohort: Cohort
    onset_time: datetime
    detected_time: datetime
    resolved_time: datetime | None
    severity: Severity
    affected_subscribers: int
    verdict: Verdict
    observed: float
    expected: float
    sessions: int
    surprise: float
    updated_time: datetime
    alternatives: tuple[Alternative, ...] = ()
    chart: tuple[ChartPoint, ...] = ()
    merged_into: str | None = None
    settled: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the fault is believed to go on."""
        return self.resolved_time is None


OWN_PREFIX = "own:"
"""Begins the key of troubles of one's own, before the signal."""


class TroubleKind(StrEnum):
    """What a subscriber should hear: of a problem, that it is over, of a wrong cause, or that there was no fault."""

    PROBLEM = "problem"
    ALL_CLEAR = "all_clear"
    CORRECTION = "correction"
    RETRACTION = "retraction"


TAKES_BACK = frozenset({TroubleKind.CORRECTION, TroubleKind.RETRACTION})
"""Kinds that take back what an earlier notice said."""


@dataclass(frozen=True)
class Trouble:
    """One subscriber's problem, ready to be decided on.

    Parameters
    ----------
    subscriber_id, problem, verdict
        Who, what and whose side it is on.
    incident_id
        The incident it belongs to, or None for a trouble of their own.
    since, last_bad_time
        First and latest impaired session.
    impaired, sessions
        Impaired sessions and all sessions in that time.
    device_type, error_class
        The device class it was seen on and the player's error class, if one stands out.
    """

    subscriber_id: str
    problem: Signal
    verdict: Verdict
    incident_id: str | None
    since: datetime
    last_bad_time: datetime
    impaired: int
    sessions: int
    severity: Severity = Severity.MINOR
    kind: TroubleKind = TroubleKind.PROBLEM
    device_type: str | None = None
    error_class: str | None = None
    last_good_time: datetime | None = None
    incident_resolved: bool = field(default=False)

    @property
    def episode(self) -> str:
        """What one person hears once about: the incident, or their own trouble by signal and first bad session."""
        return self.incident_id or f"{OWN_PREFIX}{self.problem}:{self.since:%Y%m%dT%H%M%S}"
