"""Drills: made-up incidents to practise on, and what was missed.

A drill has a ledger of its own. Its row there names no folder: by it, every page knows that nothing on it is real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, select, update

from incidents.cases import ReviewError
from incidents.ledger import audit
from incidents.ledger.casework import cases, drills, publications, reviews
from incidents.ledger.schema import audit as trail
from incidents.ledger.schema import rollouts
from incidents.reviews import SETTLING, ReviewVerdict

HERE = ""
"""The folder of a drill in the ledger that is its own."""
LIMITS: Mapping[str, timedelta] = {
    "acknowledge": timedelta(minutes=10),
    "approve": timedelta(minutes=20),
    "publish": timedelta(minutes=30),
    "review": timedelta(minutes=45),
}
"""By when each task should be done, from the start: an owner, a word on what waits, the status page, a verdict."""


@dataclass(frozen=True)
class Drill:
    """A drill, going on or ended."""

    drill_id: str
    scenario: str
    folder: str
    started_time: datetime
    started_by: str
    ended_time: datetime | None = None
    ended_by: str | None = None
    score: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Task:
    """One task of a drill.

    Parameters
    ----------
    name
        What is to be done.
    took
        After how long it was done; None if it is not.
    limit
        By when it should be.
    asked
        Whether there was anything to do.
    due
        Whether its time, or the drill, is over.
    """

    name: str
    took: timedelta | None
    limit: timedelta
    asked: bool = True
    due: bool = True

    @property
    def missed(self) -> bool:
        """Whether it was to be done and was not, or too late."""
        return self.asked and (self.due if self.took is None else self.took > self.limit)


@dataclass(frozen=True)
class Score:
    """What a drill came to: its tasks, and whether the verdict was right (None: there was none)."""

    tasks: tuple[Task, ...]
    right: bool | None

    @property
    def missed(self) -> list[str]:
        """The tasks that were missed, and ``verdict`` if it was wrong."""
        return [task.name for task in self.tasks if task.missed] + (["verdict"] if self.right is False else [])

    @property
    def document(self) -> dict[str, Any]:
        """The score as JSON."""
        tasks = [
            {
                "task": task.name,
                "minutes": None if task.took is None else round(task.took / timedelta(minutes=1), 1),
                "limit_minutes": task.limit / timedelta(minutes=1),
                "asked": task.asked,
                "missed": task.missed,
            }
            for task in self.tasks
        ]
        return {"tasks": tasks, "right": self.right, "missed": self.missed}


def begin(connection: Connection, drill: Drill) -> None:
    """Record a drill that begins: in the ledger that knows of all, and in its own."""
    connection.execute(drills.insert().values(**vars(drill)))
    detail = {"scenario": drill.scenario}
    audit.record(connection, drill.started_by, "drill.started", f"drill:{drill.drill_id}", detail, drill.started_time)


def drill_here(connection: Connection) -> Drill | None:
    """Return the drill whose own ledger this is, or None: then what it holds is real."""
    row = connection.execute(select(drills).where(drills.c.folder == HERE)).mappings().first()
    return None if row is None else Drill(**row)


def all_drills(connection: Connection) -> list[Drill]:
    """Return every drill, latest first."""
    query = select(drills).where(drills.c.folder != HERE)
    return [Drill(**row) for row in connection.execute(query.order_by(drills.c.started_time.desc())).mappings()]


def drill_of(connection: Connection, drill_id: str) -> Drill:
    """Return one drill, or raise `ReviewError` if there is no such."""
    row = connection.execute(select(drills).where(drills.c.drill_id == drill_id)).mappings().first()
    if row is None:
        raise ReviewError(f"There is no drill {drill_id[:32]}.")
    return Drill(**row)


def end(connection: Connection, drill_id: str, author: str, now: datetime, score: Score) -> Drill:
    """Record that a drill ended and what it came to; one that is over stays as it was."""
    known = drill_of(connection, drill_id)
    if known.ended_time is not None:
        raise ReviewError(f"Drill {drill_id[:32]} is over already.")
    values = {"ended_time": now, "ended_by": author, "score": score.document}
    connection.execute(update(drills).where(drills.c.drill_id == drill_id).values(values))
    audit.record(connection, author, "drill.ended", f"drill:{drill_id}", {"missed": score.missed}, now)
    return drill_of(connection, drill_id)


def score_of(connection: Connection, drill: Drill, now: datetime, *, over: bool) -> Score:
    """Work out from a drill's own ledger what was done, and when.

    Parameters
    ----------
    connection
        To the drill's own ledger.
    drill
        Whose start counts. Its fault is real in its world: only ``confirm`` is right.
    now, over
        The time, and whether the drill ends: what is not done then was missed.
    """
    verdicts = [verdict.value for verdict in SETTLING]
    settled = reviews.c.verdict.in_(verdicts)
    asked = connection.scalar(select(func.count()).select_from(rollouts).where(rollouts.c.state != "going")) or 0
    done = {
        "acknowledge": connection.scalar(select(func.min(trail.c.time)).where(trail.c.subject.like("incident:%"))),
        "approve": connection.scalar(select(func.max(rollouts.c.decided_time))) if not _waits(connection) else None,
        "publish": connection.scalar(select(func.min(publications.c.published_time))),
        "review": connection.scalar(select(func.min(reviews.c.reviewed_time)).where(settled)),
    }
    took = {name: None if time is None else time - drill.started_time for name, time in done.items()}
    elapsed = now - drill.started_time
    tasks = tuple(
        Task(name, took[name], limit, name != "approve" or asked > 0, over or elapsed > limit)
        for name, limit in LIMITS.items()
    )
    said = set(connection.scalars(select(cases.c.verdict).where(cases.c.verdict.is_not(None))))
    return Score(tasks, None if not said else said == {ReviewVerdict.CONFIRM.value})


def _waits(connection: Connection) -> bool:
    return connection.scalar(select(rollouts.c.episode).where(rollouts.c.state == "waiting").limit(1)) is not None
