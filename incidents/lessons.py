"""Lessons: what was learned of an incident after it, and what is to be done so that it goes better next time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import Connection, select, update

from incidents import cases
from incidents.cases import ReviewError, text_of
from incidents.ledger import audit
from incidents.ledger.casework import lessons


class LessonKind(StrEnum):
    """What a lesson is."""

    WELL = "well"
    BADLY = "badly"
    LEARNED = "learned"
    ACTION = "action"


@dataclass(frozen=True)
class Lesson:
    """One lesson: its words, by whom and when; of an action, who does it, and when it was done by whom."""

    lesson_id: str
    incident_id: str
    kind: LessonKind
    words: str
    author: str
    written_time: datetime
    owner: str | None = None
    done_time: datetime | None = None
    done_by: str | None = None

    @property
    def is_to_do(self) -> bool:
        """Whether it is an action that nobody has done yet."""
        return self.kind is LessonKind.ACTION and self.done_time is None


def learn(
    connection: Connection,
    incident_id: str,
    kind: LessonKind,
    words: str | None,
    author: str,
    now: datetime,
    *,
    owner: str | None = None,
) -> Lesson:
    """Keep what was learned of an incident.

    Parameters
    ----------
    connection
        In a transaction that may write.
    incident_id, kind, words
        What was learned of which incident.
    author, now
        Who says so, and when (aware UTC).
    owner
        Who does an action; nobody yet, if None.

    Raises
    ------
    UnknownIncidentError
        If there is no such incident.
    ReviewError
        If there are no words, or too many.
    """
    cases.case_of(connection, incident_id)
    said = text_of(words, "What was learned", needed=True) or ""
    who = " ".join((owner or "").replace("\x00", "").split())[: audit.LONGEST_ACTOR] or None
    lesson = Lesson(
        audit.new_id(), incident_id, kind, said, author[: audit.LONGEST_ACTOR], now, who if kind == "action" else None
    )
    connection.execute(lessons.insert().values(**{**vars(lesson), "kind": kind.value}))
    detail = {"lesson": lesson.lesson_id, "kind": kind.value}
    audit.record(connection, author, "lesson.written", f"incident:{incident_id}", detail, now)
    return lesson


def done(connection: Connection, lesson_id: str, author: str, now: datetime) -> Lesson:
    """Record that an action was done; return it.

    Raises
    ------
    ReviewError
        If there is no such action, or it was done before: the message says by whom.
    """
    row = connection.execute(select(lessons).where(lessons.c.lesson_id == lesson_id)).mappings().first()
    known = None if row is None else lesson_from(dict(row))
    if known is None or known.kind is not LessonKind.ACTION:
        raise ReviewError("There is no such action.")
    if known.done_time is not None:
        raise ReviewError(f"{known.done_by} did this already.")
    values = {"done_time": now, "done_by": author[: audit.LONGEST_ACTOR]}
    connection.execute(update(lessons).where(lessons.c.lesson_id == lesson_id).values(values))
    audit.record(connection, author, "lesson.done", f"incident:{known.incident_id}", {"lesson": lesson_id}, now)
    return known


def lessons_of(connection: Connection, incident_id: str) -> list[Lesson]:
    """Return what was learned of an incident, earliest first."""
    query = select(lessons).where(lessons.c.incident_id == incident_id)
    ordered = query.order_by(lessons.c.written_time, lessons.c.lesson_id)
    return [lesson_from(dict(row)) for row in connection.execute(ordered).mappings()]


def lesson_from(row: dict[str, object]) -> Lesson:
    """Return a lesson from its row."""
    return Lesson(**{**row, "kind": LessonKind(str(row["kind"]))})  # type: ignore[arg-type]
