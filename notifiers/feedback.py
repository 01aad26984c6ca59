"""What readers say of a notice: the latest answer to each question, what an incident's notices got, and labels.

::

    AnswerError    an answer that the question cannot have; a sentence
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, func, select

from incidents.ledger.schema import TROUBLE_OF_NOTICE, feedback, notices, troubles
from notifiers.insert import upsert

MOST_NOTE = 1000
"""Characters of a note that are kept: as much as a form holds without scrolling for long."""


class AnswerError(Exception):
    """An answer that the question cannot have; the message is a sentence."""


class Question(StrEnum):
    """What a reader is asked about a notice."""

    HELPED = "helped"
    NO_PROBLEM = "no_problem"
    CSAT = "csat"
    NPS = "nps"
    NOTE = "note"


SCALES: Mapping[Question, range] = {
    Question.HELPED: range(2),
    Question.NO_PROBLEM: range(2),
    Question.CSAT: range(1, 6),
    Question.NPS: range(11),
}
"""What can be answered: no and yes, one to five, nought to ten. A note is text."""

Answers = Mapping[Question, int | str | None]
"""What one reader says; None takes an answer back, and a question that is absent stays as it is."""


class Verdict(StrEnum):
    """The answer of one tap."""

    YES = "yes"
    NO = "no"
    NO_PROBLEM = "no_problem"

    @property
    def answers(self) -> Answers:
        """What it says to the questions; who had no problem cannot have been helped, or not."""
        nothing_wrong = self is Verdict.NO_PROBLEM
        helped = None if nothing_wrong else int(self is Verdict.YES)
        return {Question.HELPED: helped, Question.NO_PROBLEM: int(nothing_wrong)}

    @classmethod
    def of(cls, answers: Answers) -> Verdict | None:
        """Return the tap that answers come from, if any."""
        if answers.get(Question.NO_PROBLEM):
            return cls.NO_PROBLEM
        helped = answers.get(Question.HELPED)
        return None if helped is None else cls.YES if helped else cls.NO


def answer(connection: Connection, notice_id: str, answers: Answers, now: datetime) -> int:
    """Store what a reader says, over what they said before; return how many answers changed.

    Parameters
    ----------
    connection
        In a transaction that may write.
    notice_id
        Of a notice that there is.
    answers
        Untrusted. A note is shortened to `MOST_NOTE` characters; an empty one takes the note back.
    now
        When it was said, aware UTC; the same answer again keeps the time of the first.

    Raises
    ------
    AnswerError
        If an answer is off its scale; nothing is written.
    """
    rows = [_row(notice_id, question, said, now) for question, said in answers.items()]
    return upsert(
        connection,
        feedback,
        rows,
        lambda new: feedback.c.answer.is_distinct_from(new.answer) | feedback.c.note.is_distinct_from(new.note),
    )


def answers_of(connection: Connection, notice_id: str) -> dict[Question, int | str]:
    """Return what the reader of one notice said, as it stands."""
    found = connection.execute(select(feedback).where(feedback.c.notice_id == notice_id))
    said = {Question(row.question): row.note if row.answer is None else row.answer for row in found}
    return {question: it for question, it in said.items() if it is not None}


def counts(connection: Connection, incident_ids: Sequence[str]) -> dict[Question, dict[int, int]]:
    """Return how often each answer was given to notices about incidents: one, and those that were merged into it.

    Notes are counted under 1.
    """
    value = func.coalesce(feedback.c.answer, 1)
    given = feedback.c.answer.is_not(None) | feedback.c.note.is_not(None)
    query = (
        select(feedback.c.question, value, func.count())
        .join(notices, notices.c.notice_id == feedback.c.notice_id)
        .where(notices.c.incident_id.in_(incident_ids), given)
        .group_by(feedback.c.question, value)
    )
    found: dict[Question, Counter[int]] = {question: Counter() for question in Question}
    for question, said, count in connection.execute(query):
        found[Question(question)][said] = count
    return {question: dict(sorted(counted.items())) for question, counted in found.items() if counted}


def notes(connection: Connection, incident_ids: Sequence[str], *, limit: int = 50) -> list[str]:
    """Return what readers wrote about an incident's notices, the latest first; untrusted text."""
    query = (
        select(feedback.c.note)
        .join(notices, notices.c.notice_id == feedback.c.notice_id)
        .where(notices.c.incident_id.in_(incident_ids), feedback.c.note.is_not(None))
        .order_by(feedback.c.given_time.desc(), feedback.c.notice_id)
        .limit(limit)
    )
    return [note for note in connection.scalars(query) if note is not None]


def labels(connection: Connection, since: datetime | None = None) -> Iterator[dict[str, Any]]:
    """Return what readers say was true of their own playback, a row a notice, for tuning detection.

    `was_problem` is False where the reader had none: the notice was needless. Who says that it helped had one. An
    answer of "no" says nothing of that, so it is None.
    """
    query = (
        select(notices, troubles.c.device_type, troubles.c.since, troubles.c.last_bad_time, feedback.c.question)
        .add_columns(feedback.c.answer, feedback.c.given_time)
        .join(feedback, feedback.c.notice_id == notices.c.notice_id)
        .outerjoin(troubles, TROUBLE_OF_NOTICE)
        .where(feedback.c.question.in_([Question.HELPED.value, Question.NO_PROBLEM.value]))
        .where(feedback.c.answer.is_not(None))
        .order_by(notices.c.decided_time, notices.c.notice_id, feedback.c.question)
    )
    if since is not None:
        query = query.where(notices.c.decided_time >= since)
    rows: dict[str, dict[str, Any]] = {}
    for row in connection.execute(query):
        label = rows.setdefault(row.notice_id, _label(row))
        label["answered_time"] = max(label["answered_time"], row.given_time)
        if row.question == Question.HELPED.value:
            label["helped"] = bool(row.answer)
            label["was_problem"] = True if row.answer else label["was_problem"]
        elif row.answer:
            label["was_problem"] = False
    yield from rows.values()


def _label(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row of several tables
    kept = ("notice_id", "subscriber_id", "episode", "incident_id", "kind", "problem", "cause", "decided_time")
    trouble = ("device_type", "since", "last_bad_time")
    said = {"was_problem": None, "helped": None, "answered_time": row.given_time}
    return {name: getattr(row, name) for name in kept + trouble} | said


def _row(notice_id: str, question: Question, said: int | str | None, now: datetime) -> dict[str, Any]:
    row = {"notice_id": notice_id, "question": question.value, "answer": None, "note": None, "given_time": now}
    if question is Question.NOTE:
        return row | {"note": clean_note(said) if isinstance(said, str) else None}
    if said is not None and (isinstance(said, bool | str) or said not in SCALES[question]):
        scale = SCALES[question]
        raise AnswerError(f"An answer to {question.value} is a number from {scale[0]} to {scale[-1]}.")
    return row | {"answer": said}


def clean_note(text: str) -> str | None:
    """Return a note without characters that nobody sees, at most `MOST_NOTE` long; None where nothing is left."""
    kept = "".join(it for it in text if it in _SEEN or unicodedata.category(it) not in _UNSEEN)
    return kept.strip()[:MOST_NOTE].strip() or None


_SEEN = "\n\u200c\u200d"
"""New lines, and the joiners by which Arabic, Hindi and families of emoji are written."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
