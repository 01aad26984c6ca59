"""What staff should hear of: an incident opens, sending halts, a person is asked, or we are behind.

Everything is read from the ledger as it is now, so what is over before anybody heard of it is not told. Nothing names a
person, and what comes from telemetry, a provider or a form is cleaned: it cannot pose as a mention, a link or markup.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from urllib.parse import quote

from sqlalchemy import Connection, func, select

from incidents.description import WHAT
from incidents.ledger import leases
from incidents.ledger.rows import incident_from, quality_from
from incidents.ledger.schema import incidents, outbox, quality_notices
from incidents.model import Incident, Severity
from incidents.silences import expected
from notifiers import rollout, stops
from notifiers.names import one_line
from notifiers.stops import EVERYTHING, Stop, StopKind

LONGEST = 160
"""Characters of any text from outside in an alert."""
LATELY = timedelta(hours=24)
"""An incident found longer ago is no news, though it goes on: where alerts were just switched on, old ones are many."""
SETTLED_BY = timedelta(hours=2)
"""A provider's events have settled nearly every message by then."""
HALTS = (StopKind.PERSON, StopKind.FLOOD, StopKind.REFUSED)
"""A rate limit ends by itself and is nobody's business."""
_RANK = list(Severity)
_HARMLESS = frozenset(" .,;:!?'’()/+-_%&")
_ADDRESS_LIKE = re.compile(r"\S*@\S*")
_NUMBER_LIKE = re.compile(r"\+?\d(?:[ ./()-]{0,2}\d){6,}")
_LINK_LIKE = re.compile(r"(?<=\w)\.(?=[^\W\d_])|:(?=//)")


class AlertError(ValueError):
    """Staff cannot be told as asked; the message is a sentence without secrets."""


class AlertKind(StrEnum):
    """What an alert is about."""

    INCIDENT = "incident"
    STOP = "stop"
    APPROVAL = "approval"
    TELEMETRY = "telemetry"
    LATE = "late"
    UNSETTLED = "unsettled"


@dataclass(frozen=True)
class Alert:
    """One thing that staff should hear of, once.

    Parameters
    ----------
    kind, key
        What it is about; told under a key, it is never told again.
    title, text
        A line, and a sentence or two.
    path
        Of the page in the console that shows it.
    unless
        The key of an alert that says more: told already, it makes this one no news.
    """

    kind: AlertKind
    key: str
    title: str
    text: str
    path: str = "/"
    unless: str | None = None


@dataclass(frozen=True)
class AlertRule:
    """What is worth an alert.

    Parameters
    ----------
    about
        The kinds that are told.
    from_severity
        Incidents below it are not.
    late_after
        From the end of the window that was decided last, how long all is well.
    """

    about: tuple[AlertKind, ...] = tuple(AlertKind)
    from_severity: Severity = Severity.MAJOR
    late_after: timedelta = timedelta(minutes=46)


def standing(connection: Connection, rule: AlertRule, now: datetime) -> list[Alert]:
    """Return what staff should know of now, whether or not they were told, in the order of `AlertKind`.

    Parameters
    ----------
    connection
        May only read.
    rule, now
        What is worth it, and the time.
    """
    found = [*_incidents(connection, rule, now), *_stops(connection, now), *_approvals(connection)]
    found += [*_telemetry(connection), *_late(connection, rule, now), *_unsettled(connection, now)]
    return [alert for alert in found if alert.kind in rule.about]


def cleaned(text: str, longest: int = LONGEST) -> str:
    """Return text from outside as plain words: no markup, mention, link, address or telephone number."""
    text = _NUMBER_LIKE.sub("[number]", _ADDRESS_LIKE.sub("[address]", one_line(text)))
    plain = "".join(c if _is_plain(c) else " " for c in _LINK_LIKE.sub("·", text))
    return one_line(plain)[:longest]


def _is_plain(character: str) -> bool:
    return character in _HARMLESS or character in "[]·" or unicodedata.category(character)[0] in "LMN"


def _incidents(connection: Connection, rule: AlertRule, now: datetime) -> Iterator[Alert]:
    severe = _RANK[_RANK.index(rule.from_severity) :]
    going = incidents.c.resolved_time.is_(None) & incidents.c.merged_into.is_(None)
    query = select(incidents).where(going, incidents.c.detected_time > now - LATELY, incidents.c.severity.in_(severe))
    rows = connection.execute(query.order_by(incidents.c.detected_time, incidents.c.incident_id)).mappings()
    found = [incident_from(row) for row in rows]
    planned = expected(connection, [incident.incident_id for incident in found])
    return (_opened(incident) for incident in found if incident.incident_id not in planned)


def _opened(incident: Incident) -> Alert:
    """One alert an incident, and another if it becomes critical later."""
    gravest = f"critical:{incident.incident_id}"
    is_critical = incident.severity is Severity.CRITICAL
    cause = f"{incident.verdict.cause.value}, probability {incident.verdict.probability:.0%}"
    return Alert(
        AlertKind.INCIDENT,
        gravest if is_critical else f"incident:{incident.incident_id}",
        f"{incident.severity.value.capitalize()} incident: {cleaned(str(incident.cohort))}",
        f"{incident.affected_subscribers:,} people {WHAT[incident.signal]}, the first at {_at(incident.onset_time)}. "
        f"Likely cause: {cause}.",
        f"/incidents/{quote(incident.incident_id, safe='')}",
        None if is_critical else gravest,
    )


def _at(moment: datetime) -> str:
    return f"{moment:%d %B %H:%M} UTC"


def _stops(connection: Connection, now: datetime) -> Iterator[Alert]:
    return (_halted(stop) for stop in stops.in_force(connection, now) if stop.kind in HALTS)


def _halted(stop: Stop) -> Alert:
    who = {
        StopKind.PERSON: "A person stopped it",
        StopKind.FLOOD: "Too many notices at once",
        StopKind.REFUSED: "The provider refuses us",
    }[stop.kind]
    what = "All sending" if stop.scope == EVERYTHING else f"Sending of {cleaned(stop.scope)}"
    # A refusal ends and begins again at every try: once a day is enough.
    again = f"{stop.scope}:{stop.started_time:%Y-%m-%d}" if stop.kind is StopKind.REFUSED else stop.stop_id
    return Alert(
        AlertKind.STOP,
        f"stop:{again}",
        f"{what} is stopped",
        f"{who}: {cleaned(stop.reason)} Messages wait since {_at(stop.started_time)}; none is lost.",
    )


def _approvals(connection: Connection) -> Iterator[Alert]:
    for it in rollout.waiting(connection):
        yield Alert(
            AlertKind.APPROVAL,
            f"approval:{it.episode}:{it.allowed_share:g}",
            f"An approval is waiting: {it.audience:,} people",
            f"{cleaned(it.episode)}: {it.allowed_share:.0%} may be told so far. The rest waits for a yes or a no.",
            f"/approvals/{quote(it.episode, safe='')}",
        )


def _telemetry(connection: Connection) -> Iterator[Alert]:
    query = select(quality_notices).where(quality_notices.c.until.is_(None)).order_by(quality_notices.c.detected_time)
    for notice in (quality_from(row) for row in connection.execute(query).mappings()):
        what = notice.kind.value.replace("_", " ").capitalize()
        yield Alert(
            AlertKind.TELEMETRY,
            f"telemetry:{notice.notice_id}",
            f"{what}: {cleaned(str(notice.cohort))}",
            f"{notice.observed:,.0f} of about {notice.expected:,.0f} came since {_at(notice.since)}.",
        )


def _late(connection: Connection, rule: AlertRule, now: datetime) -> Iterator[Alert]:
    decided = leases.latest_end(connection, "notify")
    if decided is not None and now - decided > rule.late_after:
        yield Alert(
            AlertKind.LATE,
            f"late:{decided:%Y%m%dT%H%MZ}",
            "Windows are late",
            f"Nothing that came after {_at(decided)} was decided on: the schedules do not run, or fail.",
        )


def _unsettled(connection: Connection, now: datetime) -> Iterator[Alert]:
    """Once a day: nobody but a person can tell what became of these."""
    old = (outbox.c.state == "unknown") & (outbox.c.queued_time <= now - SETTLED_BY)
    count = connection.scalar(select(func.count()).select_from(outbox).where(old)) or 0
    if count:
        yield Alert(
            AlertKind.UNSETTLED,
            f"unsettled:{now:%Y-%m-%d}",
            "1 message is unknown" if count == 1 else f"{count:,} messages are unknown",
            "Whether it arrived, the provider did not say. It is never sent again blindly: see prebuffer outbox list.",
        )
