"""The weekly digest for leads: what happened, whether it helped, and what waits for them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Connection, case, func, select, update

from console.measuring import judged_row, served_row, summary
from console.report import words
from console.report.facts import Withheld
from incidents.ledger import audit
from incidents.ledger.casework import cases, corrections, digests
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents, notices
from incidents.ledger.store import Ledger
from incidents.model import Incident, TroubleKind
from incidents.silences import Silence, planned
from notifiers.channels.contract import Channel
from notifiers.effect.measures import Service, service
from notifiers.effect.roll_up import roll_up
from notifiers.errors import ChannelError, OutcomeUnknown
from notifiers.insert import insert_new
from notifiers.model import ChannelName
from notifiers.outbox import Message
from telemetry.time import utc

WEEK = timedelta(days=7)
MEASURED = timedelta(days=28)
"""A week holds too few people held out to say much; four hold more."""
MOST_INCIDENTS = 8
CUT_OFF_AFTER = timedelta(minutes=10)
"""A mail that is on its way for so long was cut off: no request takes longer."""


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
    """Return what happened in the whole week, Monday to Sunday, before now; the measures are brought up to date."""
    with ledger.write() as connection:
        roll_up(connection, now)
    with ledger.read() as connection:
        return week_as_known(connection, now)


def week_as_known(connection: Connection, now: datetime) -> Week:
    """Return the same from what the ledger has summed up by now; nothing is written."""
    monday = now.date() - timedelta(days=now.weekday()) - WEEK
    last = monday + timedelta(days=6)
    start, end = (utc(datetime(day.year, day.month, day.day)) for day in (monday, monday + WEEK))  # noqa: DTZ001
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
        connection.scalar(select(func.count()).select_from(corrections).where(corrections.c.sent_time.is_(None))) or 0,
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


class State(StrEnum):
    """What became of one lead's digest."""

    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Mailed:
    """What became of a week's digest.

    Parameters
    ----------
    sent
        To how many leads it went now.
    unknown
        How many may have had it, or not: a mailing was cut off. They are not mailed again but by a person's word.
    failed
        Why it did not go to others, a sentence each; they are tried again.
    """

    sent: int
    unknown: int = 0
    failed: tuple[str, ...] = ()


@dataclass(frozen=True)
class LastMailed:
    """The latest week that was mailed: when, to how many leads, and of how many nobody knows."""

    week: str
    began_time: datetime
    sent: int
    unknown: int


def send(
    ledger: Ledger,
    channels: Mapping[ChannelName, Channel],
    week: Week,
    digest: Digest,
    leads: Sequence[str],
    now: datetime,
    *,
    again: bool = False,
) -> Mailed:
    """Mail a week's digest to each lead, once.

    Each lead's is claimed in the ledger before it goes and settled after, as every notice is. What a crash cut off
    between the two is sent again by itself only where twice has the effect of once; else it is counted as unknown.

    Parameters
    ----------
    ledger, channels
        Where it is written down, and by what it goes.
    week, digest, leads
        What is mailed to whom.
    now
        Aware UTC.
    again
        Whether a person says that those of whom nobody knows are to be mailed again.
    """
    mail = channels[ChannelName.EMAIL]
    sent, unknown, failed = 0, 0, []
    for lead in leads:
        message = _message(week, digest, lead, now)
        state = _claim(ledger, message.message_id, week.key, now, again=again or mail.repeatable)
        if state is State.SENDING:
            state, why = _post(mail, message)
            failed += [why] if why else []
            _settle(ledger, message.message_id, state, now)
            sent += state is State.SENT
        unknown += state is State.UNKNOWN
    mail.finish()
    if sent:
        with ledger.write() as connection:
            audit.record(connection, "prebuffer", "digest.sent", week.key, {"leads": sent}, now)
    return Mailed(sent, unknown, tuple(failed))


def last_mailed(connection: Connection) -> LastMailed | None:
    """Return which week was mailed last, and what became of it; None if none was."""
    counts = {state: func.sum(case((digests.c.state == state.value, 1), else_=0)) for state in State}
    maybe = counts[State.UNKNOWN] + counts[State.SENDING]
    query = select(digests.c.week, func.max(digests.c.began_time).label("began"), counts[State.SENT], maybe)
    row = connection.execute(query.group_by(digests.c.week).order_by(digests.c.week.desc()).limit(1)).first()
    return None if row is None else LastMailed(row[0], row[1], row[2], row[3])


def _claim(ledger: Ledger, digest_id: str, week: str, now: datetime, *, again: bool) -> State | None:
    """Return `SENDING` if it is ours to send now, `UNKNOWN` if it may have gone, None if it went or is on its way."""
    row = {
        "digest_id": digest_id,
        "week": week.removeprefix("digest:"),
        "state": State.SENDING.value,
        "began_time": now,
    }
    of = digests.c.digest_id == digest_id
    with ledger.write() as connection:
        if insert_new(connection, digests, [row]):
            return State.SENDING
        known = connection.execute(select(digests).where(of).with_for_update()).one()
        if known.state == State.SENT or (known.state == State.SENDING and now - known.began_time < CUT_OFF_AFTER):
            return None
        if known.state != State.FAILED and not again:
            connection.execute(update(digests).where(of).values(state=State.UNKNOWN.value))
            return State.UNKNOWN
        connection.execute(update(digests).where(of).values(state=State.SENDING.value, began_time=now))
        return State.SENDING


def _post(mail: Channel, message: Message) -> tuple[State, str | None]:
    try:
        for bundle in mail.bundle([message]):
            mail.send(*bundle)
    except OutcomeUnknown:
        return State.UNKNOWN, None
    except ChannelError as error:
        return State.FAILED, str(error)
    return State.SENT, None


def _settle(ledger: Ledger, digest_id: str, state: State, now: datetime) -> None:
    with ledger.write() as connection:
        of = digests.c.digest_id == digest_id
        connection.execute(update(digests).where(of).values(state=state.value, settled_time=now))


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
