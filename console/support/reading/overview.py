"""What is going on now: on every page what must not be missed, on the first page all of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from sqlalchemy import Connection, func, select

from console.support.reading.incidents import Listed, Order, State, Wanted, listed, open_count, unreviewed_count
from incidents.drills import drill_here
from incidents.ledger.rows import quality_from
from incidents.ledger.schema import notices, outbox, quality_notices, rollouts, windows
from incidents.model import TroubleKind
from incidents.quality import QualityNotice
from incidents.silences import Silence, planned
from notifiers import stops
from notifiers.model import RolloutState
from notifiers.stops import Stop

MOST_OPEN, MOST_OVER = 10, 5
LATE_AFTER = timedelta(minutes=45)
"""A run may fail and be caught up by the next; for so long none may."""


@dataclass(frozen=True)
class Frame:
    """What every page says at its top.

    Parameters
    ----------
    stops
        Why something is not sent now.
    approvals
        How many audiences wait for a person.
    drill
        What goes wrong in the drill whose ledger this is; None where all is real.
    """

    stops: tuple[Stop, ...]
    approvals: int
    drill: str | None


@dataclass(frozen=True)
class Ran:
    """The latest window that a stage has finished."""

    stage: str
    window_end: datetime
    finished_time: datetime


@dataclass(frozen=True)
class Overview:
    """The first page.

    Parameters
    ----------
    going
        The open incidents that reach most people.
    over
        The latest that are resolved.
    open_count
        How many go on in all.
    unreviewed
        How many incidents wait for a lead's word.
    missing
        What is missing in the telemetry.
    ran
        What ran last, by stage.
    silences
        Planned events that are in force.
    """

    going: tuple[Listed, ...]
    over: tuple[Listed, ...]
    open_count: int
    unreviewed: int
    missing: tuple[QualityNotice, ...]
    ran: tuple[Ran, ...]
    silences: tuple[Silence, ...]

    def is_late(self, now: datetime) -> bool:
        """Whether the pipeline is behind: what is shown is older than it should be."""
        return any(now - it.window_end > LATE_AFTER for it in self.ran)


@dataclass(frozen=True)
class Today:
    """Today's problem notices by reason, ``None`` for told, and the messages that wait to go out."""

    reasons: tuple[tuple[str | None, int], ...]
    queued: int

    @property
    def told(self) -> int:
        """How many people were told."""
        return dict(self.reasons).get(None, 0)


def frame(connection: Connection, now: datetime) -> Frame:
    """Read what every page says at its top."""
    waiting = select(func.count()).select_from(rollouts).where(rollouts.c.state == RolloutState.WAITING.value)
    drill = drill_here(connection)
    return Frame(
        tuple(stops.in_force(connection, now)),
        connection.scalar(waiting) or 0,
        None if drill is None else drill.scenario,
    )


def overview(connection: Connection, now: datetime) -> Overview:
    """Read the first page, but for what may take long."""
    going = listed(connection, Wanted(state=State.OPEN, order=Order.PEOPLE), limit=MOST_OPEN)
    return Overview(
        tuple(going.rows),
        tuple(listed(connection, Wanted(state=State.OVER), limit=MOST_OVER).rows),
        open_count(connection),
        unreviewed_count(connection, now),
        _missing(connection),
        _ran(connection),
        tuple(it for it in planned(connection, now) if it.is_in_force(now)),
    )


def today(connection: Connection, now: datetime) -> Today:
    """Count the notices that were decided on since midnight UTC, and what waits."""
    midnight = datetime.combine(now.date(), time(), now.tzinfo)
    of = (notices.c.decided_time >= midnight) & (notices.c.kind == TroubleKind.PROBLEM.value)
    reason = func.coalesce(notices.c.withheld_reason, "")  # else SQLite reads all there ever was, in order of reasons
    query = select(reason, func.count()).where(of).group_by(reason).order_by(func.count().desc())
    queued = select(func.count()).select_from(outbox).where(outbox.c.state == "queued")
    rows = tuple((row[0] or None, row[1]) for row in connection.execute(query))
    return Today(rows, connection.scalar(queued) or 0)


def _missing(connection: Connection) -> tuple[QualityNotice, ...]:
    query = select(quality_notices).where(quality_notices.c.until.is_(None))
    rows = connection.execute(query.order_by(quality_notices.c.surprise.desc()).limit(MOST_OPEN)).mappings()
    return tuple(quality_from(row) for row in rows)


def _ran(connection: Connection) -> tuple[Ran, ...]:
    """Read each stage's latest window: a step by step look into the index, for the table only grows."""
    found, stage = [], connection.scalar(select(func.min(windows.c.stage)))
    while stage is not None:
        query = (
            select(windows.c.stage, windows.c.window_end, windows.c.finished_time)
            .where(windows.c.stage == stage, windows.c.finished_time.is_not(None))
            .order_by(windows.c.window_end.desc())
            .limit(1)
        )
        row = connection.execute(query).first()
        if row is not None:
            found.append(Ran(*row))
        stage = connection.scalar(select(func.min(windows.c.stage)).where(windows.c.stage > stage))
    return tuple(sorted(found, key=lambda it: it.window_end))
