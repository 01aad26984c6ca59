"""What a report can meet: a large incident, an open one, a hostile one, a merged one, and decisions."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import Connection

from detectors.finding import Alternative, Cohort
from incidents.ledger.schema import notices, outbox
from incidents.model import Cause, ChartPoint, Incident, Severity, Trouble, Verdict
from telemetry.contract import Signal

ONSET = datetime(2026, 5, 12, 0, 40, tzinfo=UTC)
NOW = datetime(2026, 5, 13, 0, 0, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script>\"'>{{ 7*7 }}\u202e\nnext" + "W" * 200
numbers = count()


def chart(hours: float, height: int) -> tuple[ChartPoint, ...]:
    """A quiet evening, then trouble for `hours`, then quiet again; five minutes a point."""
    slots = range(-24, round(hours * 12) + 18)
    return tuple(_point(slot, hours * 12, height) for slot in slots)


def _point(slot: int, length: float, height: int) -> ChartPoint:
    is_bad = 0 <= slot < length
    impaired = round(height * (0.75 + 0.25 * math.sin(slot))) if is_bad else int(slot % 4 == 0)
    return ChartPoint(ONSET + slot * timedelta(minutes=5), 40 + 6 * (slot % 5), impaired, 0.9 + 0.02 * slot)


LARGE = Incident(
    incident_id="inc-20260512T0100-large",
    signal=Signal.BUFFERING,
    cohort=Cohort.of({"cdn": "cdn-amber", "region": "US-IL"}),
    onset_time=ONSET,
    detected_time=ONSET + timedelta(minutes=20),
    resolved_time=ONSET + timedelta(hours=3, minutes=50),
    severity=Severity.MAJOR,
    affected_subscribers=86,
    verdict=Verdict(
        Cause.SERVICE,
        0.962,
        (
            "The group names the delivery network cdn-amber; other delivery networks in US-IL play as usual.",
            "All 3 access networks of US-IL are hit alike.",
            "Of the failures, 88 % are of the class cdn.",
        ),
    ),
    observed=111,
    expected=9.3,
    sessions=412,
    surprise=148.2,
    updated_time=ONSET + timedelta(hours=3, minutes=50),
    alternatives=(
        Alternative(Cohort.of({"cdn": "cdn-amber", "region": "US-IL"}), 148.2, 0.98),
        Alternative(Cohort.of({"cdn": "cdn-amber"}), 96.4, 0.71),
        Alternative(Cohort.of({"region": "US-IL"}), 60.9, 0.64),
        Alternative(Cohort.of({"country": "US", "isp": "Quillwave Cable"}), 12.5, 0.22),
    ),
    chart=chart(3.5, 14),
)
OPEN = replace(
    LARGE,
    incident_id="inc-open",
    signal=Signal.FAILURE,
    cohort=Cohort.of({"device_type": "android", "app_version": "11.9.0"}),
    onset_time=ONSET + timedelta(hours=10),
    detected_time=ONSET + timedelta(hours=11),
    resolved_time=None,
    severity=Severity.MINOR,
    affected_subscribers=12,
    verdict=Verdict(Cause.APP, 0.9991),
    chart=(),
    alternatives=(),
)
HOSTILE_ONE = replace(
    LARGE,
    incident_id="../../hostile",
    signal=Signal.ACCESS,
    cohort=Cohort.of({"isp": HOSTILE, "title_id": "بيت القمر"}),
    detected_time=ONSET + timedelta(minutes=25),
    verdict=Verdict(Cause.ISP, 0.5, (HOSTILE,)),
    alternatives=(Alternative(Cohort.of({"isp": HOSTILE}), 3.2, 1.0),),
)
EVERYONE = replace(
    LARGE, incident_id="inc-everyone", cohort=Cohort(), signal=Signal.STARTUP, severity=Severity.CRITICAL
)
MERGED = replace(LARGE, incident_id="inc-merged", cohort=Cohort.of({"cdn": "cdn-amber"}), merged_into=LARGE.incident_id)


def decide(
    connection: Connection,
    people: int,
    *,
    incident: Incident = LARGE,
    kind: str = "problem",
    channel: str = "email",
    reason: str | None = None,
    state: str | None = None,
    decided: timedelta = timedelta(minutes=20),
) -> None:
    """Insert `people` decisions, with a message on its way where `state` says so."""
    for number in (next(numbers) for _ in range(people)):
        notice = {
            "notice_id": f"n{number}",
            "subscriber_id": f"sub-{number}",
            "episode": incident.incident_id,
            "kind": kind,
            "decided_time": incident.onset_time + decided,
            "problem": incident.signal.value,
            "cause": incident.verdict.cause.value,
            "incident_id": incident.incident_id,
            "channel": channel,
            "withheld_reason": reason,
        }
        connection.execute(notices.insert(), notice)
        if state is not None:
            connection.execute(outbox.insert(), _message(notice["notice_id"], channel, state))


def _message(notice_id: str, channel: str, state: str) -> dict[str, object]:
    words = {"address": None, "subject": "s", "html": "h", "text": "t", "card": {}}
    times = {"queued_time": ONSET, "next_attempt_time": ONSET}
    key = {"message_id": notice_id, "notice_id": notice_id, "stage": "first"}
    return {**key, "channel": channel, "state": state, **words, **times}


def trouble_of(who: str) -> Trouble:
    verdict = Verdict(Cause.SERVICE, 0.9)
    return Trouble(who, Signal.BUFFERING, verdict, LARGE.incident_id, ONSET, ONSET, 1, 1)
