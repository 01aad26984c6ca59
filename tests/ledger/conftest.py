"""A ledger on either database, and makers of what it keeps."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from detectors.finding import Alternative, Cohort
from incidents.ledger.store import Ledger
from incidents.model import Cause, ChartPoint, Incident, Severity, Trouble, Verdict
from incidents.quality import Measure, QualityKind, QualityNotice
from telemetry.contract import Signal

T0 = datetime(2026, 3, 9, tzinfo=UTC)

INCIDENT = Incident(
    incident_id="inc-1",
    signal=Signal.BUFFERING,
    cohort=Cohort.of({"cdn": "cdn-b", "region": "US-TX"}),
    onset_time=T0 - timedelta(minutes=20),
    detected_time=T0,
    resolved_time=None,
    severity=Severity.MAJOR,
    affected_subscribers=41,
    verdict=Verdict(Cause.SERVICE, 0.93, ("Four networks share it.", "Only <cdn-b> does.")),
    observed=41.0,
    expected=3.5,
    sessions=120,
    surprise=22.25,
    updated_time=T0,
    alternatives=(Alternative(Cohort(), 3.0, 0.4),),
    chart=(ChartPoint(T0 - timedelta(minutes=5), 60, 22, 1.75),),
)

TROUBLE = Trouble(
    subscriber_id="sub-1",
    problem=Signal.BUFFERING,
    verdict=INCIDENT.verdict,
    incident_id="inc-1",
    since=T0 - timedelta(minutes=15),
    last_bad_time=T0 - timedelta(minutes=2),
    impaired=2,
    sessions=3,
    severity=Severity.MAJOR,
    device_type="smart_tv",
)

OWN_TROUBLE = replace(TROUBLE, subscriber_id="sub-2", incident_id=None, last_good_time=T0)


QUALITY = QualityNotice(
    notice_id="dq-1",
    kind=QualityKind.MISSING_VIEWERS,
    cohort=Cohort.of({"isp": "Harborlight Fiber"}),
    measure=Measure.PRESENCE,
    since=T0 - timedelta(minutes=25),
    detected_time=T0,
    until=None,
    expected=120.5,
    observed=2.0,
    late=0.0,
    surprise=14.25,
    reasons=("The rest of the service goes on.", "Suspected <outage>."),
    updated_time=T0,
)


@pytest.fixture
def quality():
    return QUALITY


@pytest.fixture
def incident():
    return INCIDENT


@pytest.fixture
def trouble():
    return TROUBLE


@pytest.fixture
def own_trouble():
    return OWN_TROUBLE


@pytest.fixture
def t0():
    return T0


@pytest.fixture
def ledger(ledger_url):
    with Ledger(ledger_url) as ledger:
        yield ledger
