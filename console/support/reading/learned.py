"""What was learned of all incidents, in one list that is searched: lessons, and the notes of reviews."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, Subquery, cast, func, literal, null, select, union_all

from console.support.paging import PAGE_ROWS, Page, beyond, page_of
from detectors.finding import Cohort
from incidents.ledger.casework import lessons, reviews
from incidents.ledger.schema import UtcTime, incidents
from incidents.lessons import LessonKind
from telemetry.contract import Signal

NOTE = "note"
"""Stands where a lesson's kind would, for what a lead noted in a review."""
TO_DO = "to_do"
"""Stands for actions that nobody has done yet."""
KINDS = (TO_DO, *LessonKind, NOTE)
LONGEST_SEARCH = 100


@dataclass(frozen=True)
class Learned:
    """One lesson, or a note of a review, with the incident that it is of."""

    lesson_id: str
    incident_id: str
    kind: str
    words: str
    author: str
    written_time: datetime
    owner: str | None
    done_time: datetime | None
    signal: Signal
    cohort: Cohort

    @property
    def is_to_do(self) -> bool:
        """Whether it is an action that nobody has done yet."""
        return self.kind == LessonKind.ACTION and self.done_time is None


def learned(connection: Connection, text: str = "", kind: str = "", after: str = "") -> Page[Learned]:
    """Return a page of what was learned, latest first.

    Parameters
    ----------
    connection
        The ledger's.
    text
        Words that are all in it, in any case.
    kind
        One of `KINDS`; anything if empty.
    after
        Where the page before ended.
    """
    newest = [_newest(connection, it, text, after) for it in _sources(kind)]
    said = union_all(*(select(it) for it in newest)).subquery("said")
    query = (
        select(said, incidents.c.signal, incidents.c.cohort)
        .join(incidents, incidents.c.incident_id == said.c.incident_id)
        .order_by(said.c.written_time.desc(), said.c.lesson_id.desc())
        .limit(PAGE_ROWS + 1)
    )
    rows = [_learned(dict(row)) for row in connection.execute(query).mappings()]
    return page_of(rows, PAGE_ROWS, "written_time", "lesson_id")


def _sources(kind: str) -> list[Select[Any]]:
    """Return where what was learned is: lessons, and the notes of reviews in the same form."""
    names = ("lesson_id", "incident_id", "kind", "words", "author", "written_time", "owner", "done_time")
    written = select(*(lessons.c[name] for name in names))
    noted = select(
        reviews.c.review_id.label("lesson_id"),
        reviews.c.incident_id,
        literal(NOTE).label("kind"),
        reviews.c.note.label("words"),
        reviews.c.author,
        reviews.c.reviewed_time.label("written_time"),
        cast(null(), lessons.c.owner.type).label("owner"),
        cast(null(), UtcTime).label("done_time"),
    ).where(reviews.c.note.is_not(None))
    if kind == TO_DO:
        return [written.where(lessons.c.kind == LessonKind.ACTION.value, lessons.c.done_time.is_(None))]
    if kind == NOTE:
        return [noted]
    return [written.where(lessons.c.kind == kind)] if kind else [written, noted]


def _newest(connection: Connection, source: Select[Any], text: str, after: str) -> Subquery:
    """Return a page of one source by its own index: the other's rows are not looked at for it."""
    key = [source.selected_columns.written_time, source.selected_columns.lesson_id]
    place = func.strpos if connection.dialect.name == "postgresql" else func.instr
    words = func.lower(source.selected_columns.words)
    matching = [place(words, word.lower()) > 0 for word in text[:LONGEST_SEARCH].split()]
    found = source.where(*matching, beyond(after, key, falling=True))
    return found.order_by(*(column.desc() for column in key)).limit(PAGE_ROWS + 1).subquery()


def _learned(row: dict[str, Any]) -> Learned:
    return Learned(**{**row, "signal": Signal(row["signal"]), "cohort": Cohort.of(row["cohort"])})
