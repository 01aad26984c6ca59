"""The weekly digest for leads: what happened, whether it helped, and what waits for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Connection, func, select

from console.measuring import judged_row, served_row, summary
from console.report import words
from console.report.facts import Withheld
from incidents.ledger import audit
from incidents.ledger.casework import cases, corrections
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents, notices
from incidents.ledger.store import Ledger
from incidents.model import Incident, TroubleKind
from incidents.silences import Silence, planned
from notifiers.channels.contract import Channel
from notifiers.effect.measures import Service, service
from notifiers.effect.roll_up import roll_up
from notifiers.model import ChannelName
from notifiers.outbox import Message
from telemetry.time import utc

WEEK = timedelta(days=7)
MEASURED = timedelta(days=28)
"""A week holds too few people held out to say much; four hold more."""
MOST_INCIDENTS = 8


@dataclass(frozen=True)
class Week:
    """What happened in a week.

    Parameters
    ----------
    first, last
        Its days, both included.
    incidents
        Detected in it, most people first.
    unreviewed
        How many of them nobody settled.
    told, withheld
        People told of a problem, and those not told by reason.
    service
        The measures of the last four weeks.
    silences
        In force, or to come.
    corrections
        Waiting for approval.
    """

    first: date
    last: date
    incidents: tuple[Incident, ...]
    unreviewed: int
    told: int
    withheld: tuple[Withheld, ...]
    service: Service
    silences: tuple[Silence, ...]
    corrections: int

    @property
    def largest(self) -> tuple[Incident, ...]:
        """The incidents that are listed."""
        return self.incidents[:MOST_INCIDENTS]

    @property
    def key(self) -> str:
        """Names the week in the audit trail, e.g. ``digest:2026-W47``."""
        year, week, _ = self.first.isocalendar()
        return f"digest:{year}-W{week:02d}"


@dataclass(frozen=True)
class Digest:
    """The digest as a mail."""

    subject: str
    text: str
    html: str


def week_before(ledger: Ledger, now: datetime) -> Week:
    """Return what happened in the whole week, Monday to Sunday, before now."""
    monday = now.date() - timedelta(days=now.weekday()) - WEEK
    last = monday + timedelta(days=6)
    start, end = (utc(datetime(day.year, day.month, day.day)) for day in (monday, monday + WEEK))  # noqa: DTZ001
    with ledger.write() as connection:
        roll_up(connection, now)
    with ledger.read() as connection:
        found = _incidents(connection, start, end)
        counts = _counts(connection, start, end)
        settled = select(cases.c.incident_id).where(cases.c.verdict.is_not(None))
        known = set(connection.scalars(settled))
        return Week(
            monday,
            last,
            found,
            sum(it.incident_id not in known for it in found),
            counts.pop(None, 0),
            tuple(Withheld(str(reason), people) for reason, people in counts.items()),
            service(connection, (monday + WEEK - MEASURED), last),
            tuple(planned(connection, now)),
            connection.scalar(select(func.count()).select_from(corrections).where(corrections.c.sent_time.is_(None)))
            or 0,
        )


def _incidents(connection: Connection, start: datetime, end: datetime) -> tuple[Incident, ...]:
    query = select(incidents).where(
        incidents.c.detected_time >= start, incidents.c.detected_time < end, incidents.c.merged_into.is_(None)
    )
    ordered = query.order_by(incidents.c.affected_subscribers.desc(), incidents.c.incident_id)
    return tuple(incident_from(row) for row in connection.execute(ordered).mappings())


def _counts(connection: Connection, start: datetime, end: datetime) -> dict[str | None, int]:
    people = func.count()
    query = (
        select(notices.c.withheld_reason, people)
        .where(
            notices.c.decided_time >= start,
            notices.c.decided_time < end,
            notices.c.kind == TroubleKind.PROBLEM.value,
        )
        .group_by(notices.c.withheld_reason)
        .order_by(people.desc(), notices.c.withheld_reason)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def compose(week: Week, service_name: str, templates: Path) -> Digest:
    """Write the digest of a week."""
    loader = FileSystemLoader(templates / "digest")
    plain = Environment(loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - text
    escaped = Environment(
        loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    text = plain.get_template("digest.txt.jinja").render(
        service=service_name,
        week=week,
        words=words,
        rows=[judged_row(it) for it in week.service.judged],
        sentences=summary(week.service),
        worse=[served_row(it) for it in week.service.served if it.worse],
    )
    count = len(week.incidents)
    subject = f"{service_name}: {count} {'incident' if count == 1 else 'incidents'} in the week from {week.first}"
    lines = [line for line in text.splitlines() if line.strip()]
    return Digest(subject, text, escaped.get_template("digest.html.jinja").render(subject=subject, lines=lines))


def send(
    ledger: Ledger,
    channels: Mapping[ChannelName, Channel],
    week: Week,
    digest: Digest,
    leads: Sequence[str],
    now: datetime,
) -> int:
    """Mail a week's digest to each lead, once; return to how many.

    The audit trail remembers the week before anything is sent: a crash in between loses a digest, and sends none twice.

    Raises
    ------
    notifiers.errors.ChannelError
        If the channel does not take it.
    """
    with ledger.write() as connection:
        if not leads or audit.history(connection, week.key, limit=1):
            return 0
        audit.record(connection, "prebuffer", "digest.sent", week.key, {"leads": len(leads)}, now)
    mail = channels[ChannelName.EMAIL]
    messages = [_message(week, digest, lead, now) for lead in leads]
    for bundle in mail.bundle(messages):
        mail.send(*bundle)
    mail.finish()
    return len(messages)


def _message(week: Week, digest: Digest, lead: str, now: datetime) -> Message:
    key = hashlib.blake2b(f"{week.key}:{lead}".encode(), digest_size=10).hexdigest()
    return Message(
        message_id=f"digest-{key}",
        notice_id=f"digest-{key}",
        subscriber_id="lead",
        channel=ChannelName.EMAIL,
        address=lead,
        subject=digest.subject,
        html=digest.html,
        text=digest.text,
        card={},
        queued_time=now,
        expires_time=None,
        attempt=1,
    )
