"""Silences and planned events: of whom nothing is said while something known is going on, and why.

A silence covers an incident if the incident's group lies inside the silence's, its signal is named, and it began while
the silence was in force. An incident that is wider than the silence is not covered: more is broken than was planned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, or_, select, update

from detectors.finding import Cohort
from incidents.cases import EditedMeanwhileError, ReviewError, text_of
from incidents.ledger import audit
from incidents.ledger.casework import expected_incidents, silences
from incidents.ledger.rows import incident_from
from incidents.ledger.schema import incidents, notices
from incidents.model import Incident, Trouble, TroubleKind
from telemetry.contract import Signal
from telemetry.time import utc

ONSET_SLACK = timedelta(minutes=15)
"""An onset is an estimate: one this much before a planned event is the event's."""
LONGEST = timedelta(days=31)
"""Who needs more plans again: a silence that everybody forgot is worse than none."""
STILL_OF_USE = timedelta(days=2)
"""For so long after its end a silence is still held against incidents: telemetry may come hours late."""
PRICE_CLASSES = frozenset({"payment", "entitlement"})
"""Refusals that a change of prices or plans explains; others, such as DRM, are no part of it."""

SILENCED = "silenced"
"""Why people are not told meanwhile; the code of `notifiers.model.WithheldReason`."""
_PLAIN = (
    "silence_id",
    "from_time",
    "until_time",
    "author",
    "reason",
    "created_time",
    "revision",
    "ended_time",
    "ended_by",
)
"""Columns that are stored as they are."""


class SilenceKind(StrEnum):
    """Why nothing is said."""

    MAINTENANCE = "maintenance"
    PREMIERE = "premiere"
    PRICE_CHANGE = "price_change"
    OTHER = "other"


SIGNALS_OF: Mapping[SilenceKind, tuple[Signal, ...]] = {
    SilenceKind.MAINTENANCE: tuple(Signal),
    SilenceKind.PREMIERE: (Signal.BUFFERING, Signal.STARTUP, Signal.FAILURE),
    SilenceKind.PRICE_CHANGE: (Signal.ACCESS,),
    SilenceKind.OTHER: tuple(Signal),
}
"""What each kind is about, where nobody says otherwise."""


@dataclass(frozen=True)
class Silence:
    """A time in which nobody of a cohort is told of some signals.

    Parameters
    ----------
    silence_id, kind, reason
        Which, of what kind, and why, in the author's words.
    cohort, signals
        Whom and what it is about; no values is everyone.
    from_time, until_time
        When it was planned for: from the first until before the second.
    author, created_time
        Who planned it, and when.
    revision
        How often it was changed.
    ended_time, ended_by
        When it was ended before its time, and by whom.
    """

    silence_id: str
    kind: SilenceKind
    cohort: Cohort
    signals: tuple[Signal, ...]
    from_time: datetime
    until_time: datetime
    author: str
    reason: str
    created_time: datetime
    revision: int = 0
    ended_time: datetime | None = None
    ended_by: str | None = None

    @property
    def end(self) -> datetime:
        """When it is over: as planned, or when somebody ended it."""
        return self.until_time if self.ended_time is None else min(self.ended_time, self.until_time)

    def is_in_force(self, at: datetime) -> bool:
        """Whether it holds at a moment."""
        return self.from_time <= at < self.end

    def covers(self, incident: Incident) -> bool:
        """Whether an incident is what was planned."""
        inside = set(self.cohort.values) <= set(incident.cohort.values)
        began = self.from_time - ONSET_SLACK <= incident.onset_time < self.end
        return inside and began and incident.signal in self.signals

    def overlaps(self, incident: Incident) -> bool:
        """Whether an incident may have to do with it though it is not covered: worth showing, not worth silence."""
        own, other = dict(self.cohort.values), dict(incident.cohort.values)
        apart = any(own[name] != other[name] for name in own.keys() & other.keys())
        goes_on = incident.resolved_time is None or incident.resolved_time > self.from_time
        return not apart and incident.signal in self.signals and incident.onset_time < self.end and goes_on

    def covers_trouble(self, trouble: Trouble, incident: Incident | None, country: str | None = None) -> bool:
        """Whether somebody's trouble is what was planned, so that they are not told.

        Trouble that goes on after the end is none of the silence's business. Of a trouble of one's own only the
        country and the device are known: a silence that names more does not cover it.
        """
        if trouble.kind is not TroubleKind.PROBLEM or trouble.problem not in self.signals:
            return False
        if self.kind is SilenceKind.PRICE_CHANGE and trouble.error_class not in PRICE_CLASSES:
            return False
        if not self.from_time - ONSET_SLACK <= trouble.last_bad_time < self.end:
            return False
        if incident is not None:
            return self.covers(incident)
        known = {"country": country, "device_type": trouble.device_type}
        return all(known.get(name) == value for name, value in self.cohort.values)


def plan(
    connection: Connection,
    kind: SilenceKind,
    cohort: Mapping[str, str],
    from_time: datetime,
    until_time: datetime,
    author: str,
    reason: str,
    now: datetime,
    *,
    signals: Iterable[Signal] | None = None,
) -> Silence:
    """Plan a silence.

    Parameters
    ----------
    connection
        In a transaction that may write.
    kind, cohort, signals
        Why, whom and what; without signals, those of the kind.
    from_time, until_time
        Aware; at most `LONGEST` apart. It may begin in the past: what was already found is marked as expected.
    author, reason
        Who plans it, and why, in words that others will read.
    now
        Aware UTC.

    Raises
    ------
    ReviewError
        If the cohort, the times or the reason make no sense.
    """
    silence = Silence(
        audit.new_id(),
        kind,
        _cohort(cohort),
        tuple(dict.fromkeys(signals or SIGNALS_OF[kind])),
        *_times(from_time, until_time, now),
        author,
        text_of(reason, "The reason", needed=True) or "",
        now,
    )
    connection.execute(silences.insert().values(_row(silence)))
    detail = {"cohort": dict(silence.cohort.values), "kind": kind.value, "until": silence.until_time.isoformat()}
    audit.record(connection, author, "silence.planned", f"silence:{silence.silence_id}", detail, now)
    mark_expected(connection, now)
    return silence


def end(connection: Connection, silence_id: str, author: str, now: datetime, *, seen: int) -> Silence:
    """End a silence at once; one that has not begun never will.

    Raises
    ------
    ReviewError
        If there is no such silence, or it is over.
    EditedMeanwhileError
        If somebody else changed it since.
    """
    silence = silence_of(connection, silence_id)
    if silence.end <= now:
        raise ReviewError("This silence is over already.")
    _change(connection, silence, seen, ended_time=now, ended_by=author)
    _let_go(connection, silence_id, now)
    audit.record(connection, author, "silence.ended", f"silence:{silence_id}", {}, now)
    return silence_of(connection, silence_id)


def extend(
    connection: Connection, silence_id: str, until_time: datetime, author: str, now: datetime, *, seen: int
) -> Silence:
    """Move the end of a silence that is not over; raises as `end` does, and if the time makes no sense."""
    silence = silence_of(connection, silence_id)
    if silence.end <= now:
        raise ReviewError("This silence is over already: plan another.")
    _, until = _times(silence.from_time, until_time, now)
    _change(connection, silence, seen, until_time=until)
    _let_go(connection, silence_id, until)
    detail = {"from": silence.until_time.isoformat(), "to": until.isoformat()}
    audit.record(connection, author, "silence.moved", f"silence:{silence_id}", detail, now)
    mark_expected(connection, now)
    return silence_of(connection, silence_id)


def silence_of(connection: Connection, silence_id: str) -> Silence:
    """Return one silence, or raise `ReviewError` if there is no such."""
    row = connection.execute(select(silences).where(silences.c.silence_id == silence_id)).mappings().first()
    if row is None:
        raise ReviewError(f"There is no silence {silence_id[:32]}.")
    return _silence(row)


def planned(connection: Connection, since: datetime) -> list[Silence]:
    """Return the silences that are not over since a moment, those to come included, earliest first."""
    over = or_(silences.c.ended_time.is_(None), silences.c.ended_time >= since)
    query = select(silences).where(silences.c.until_time >= since, over)
    rows = connection.execute(query.order_by(silences.c.from_time, silences.c.silence_id)).mappings()
    return [_silence(row) for row in rows]


def mark_expected(connection: Connection, now: datetime) -> int:
    """Mark the incidents that silences cover; return how many are newly marked.

    Looks at incidents that are open, or were while a silence of the last days held; run twice it changes nothing.
    """
    known = planned(connection, now - STILL_OF_USE)
    if not known:
        return 0
    marked = set(connection.scalars(select(expected_incidents.c.incident_id)))
    first = min(silence.from_time for silence in known) - ONSET_SLACK
    rows = connection.execute(select(incidents).where(incidents.c.onset_time >= first)).mappings()
    found = [incident_from(row) for row in rows if row["incident_id"] not in marked]
    new = [
        {"incident_id": incident.incident_id, "silence_id": silence.silence_id, "marked_time": now}
        for incident in found
        if (silence := covering(known, incident)) is not None
    ]
    if new:
        connection.execute(expected_incidents.insert(), new)
    return len(new)


def covering(known: Sequence[Silence], incident: Incident) -> Silence | None:
    """Return the first silence that covers an incident, or None."""
    return next((silence for silence in known if silence.covers(incident)), None)


def expected(connection: Connection, incident_ids: Sequence[str]) -> dict[str, Silence]:
    """Return the silence that covers each of some incidents; those that none covers are left out."""
    query = (
        select(expected_incidents.c.incident_id, silences)
        .join(silences, silences.c.silence_id == expected_incidents.c.silence_id)
        .where(expected_incidents.c.incident_id.in_(incident_ids))
    )
    rows = connection.execute(query).mappings() if incident_ids else ()
    return {row["incident_id"]: _silence(row) for row in rows}


def silenced(
    connection: Connection, troubles: Sequence[Trouble], countries: Mapping[str, str | None], now: datetime
) -> dict[tuple[str, str], datetime | None]:
    """Return whose trouble is part of a planned event, by subscriber_id and episode.

    Parameters
    ----------
    connection
        The ledger's; only read.
    troubles
        About to be decided on.
    countries
        Where people are, by subscriber_id: for troubles of their own.
    now
        Aware UTC.

    Returns
    -------
    dict
        Until when nobody is told: the silence's end where an incident may outlast it. None where nothing will be said
        at all: of a trouble of one's own, and of what came to light when the event was over.
    """
    known = planned(connection, now - STILL_OF_USE)
    if not known:
        return {}
    ids = {trouble.incident_id for trouble in troubles if trouble.incident_id}
    rows = connection.execute(select(incidents).where(incidents.c.incident_id.in_(ids))).mappings() if ids else ()
    struck = {row["incident_id"]: incident_from(row) for row in rows}
    found: dict[tuple[str, str], datetime | None] = {}
    for trouble in troubles:
        incident, country = struck.get(trouble.incident_id or ""), countries.get(trouble.subscriber_id)
        silence = next((it for it in known if it.covers_trouble(trouble, incident, country)), None)
        if silence is not None:
            may_outlast = incident is not None and silence.is_in_force(now)
            found[trouble.subscriber_id, trouble.episode] = silence.end if may_outlast else None
    return found


def acts_on(connection: Connection, silence_id: str) -> list[str]:
    """Return the incidents that a silence covers, by id."""
    query = select(expected_incidents.c.incident_id).where(expected_incidents.c.silence_id == silence_id)
    return sorted(connection.scalars(query))


def _let_go(connection: Connection, silence_id: str, at: datetime) -> None:
    """Let the notices that wait for the end of a silence be looked at again when it is over."""
    struck = select(expected_incidents.c.incident_id).where(expected_incidents.c.silence_id == silence_id)
    waits = (notices.c.withheld_reason == SILENCED) & notices.c.release_time.is_not(None)
    held = notices.c.incident_id.in_(struck) & waits
    connection.execute(update(notices).where(held).values(release_time=at))


def _change(connection: Connection, silence: Silence, seen: int, **values: Any) -> None:  # noqa: ANN401
    of = (silences.c.silence_id == silence.silence_id) & (silences.c.revision == seen)
    if not connection.execute(update(silences).where(of).values(**values, revision=seen + 1)).rowcount:
        latest = silence_of(connection, silence.silence_id)
        changes = audit.history(connection, f"silence:{silence.silence_id}", limit=1)
        by, at = (changes[0].actor, changes[0].time) if changes else (None, None)
        raise EditedMeanwhileError("this silence", by, at, latest.revision)


def _cohort(values: Mapping[str, str]) -> Cohort:
    try:
        cohort = Cohort.of(values)
    except ValueError as error:
        raise ReviewError(str(error)) from None
    if any(not value or len(value) > 256 for _, value in cohort.values):
        raise ReviewError("Each value of the group must be between 1 and 256 characters.")
    return cohort


def _times(from_time: datetime, until_time: datetime, now: datetime) -> tuple[datetime, datetime]:
    start, until = utc(from_time), utc(until_time)
    if until <= start:
        raise ReviewError("A silence must end after it begins.")
    if until <= now:
        raise ReviewError("A silence that is over before it is planned does nothing.")
    if until - start > LONGEST:
        raise ReviewError(f"A silence lasts {LONGEST.days} days at most: plan another when this one ends.")
    return start, until


def _row(silence: Silence) -> dict[str, Any]:
    return {
        **{name: getattr(silence, name) for name in _PLAIN},
        "kind": silence.kind.value,
        "cohort": dict(silence.cohort.values),
        "signals": [signal.value for signal in silence.signals],
    }


def _silence(row: RowMapping) -> Silence:
    return Silence(
        kind=SilenceKind(row["kind"]),
        cohort=Cohort.of(row["cohort"]),
        signals=tuple(Signal(signal) for signal in row["signals"]),
        **{name: row[name] for name in _PLAIN},
    )
