"""What is wrong for one person, since when, whose side it is on, and what they were told: from the ledger alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import Connection, select

from incidents.ledger.rows import incident_from, trouble_from
from incidents.ledger.schema import incidents, notices, troubles
from incidents.model import Incident, Trouble, TroubleKind, Verdict
from notifiers.context import Brand, NoticeContext
from notifiers.feedback import Question, answers_of
from notifiers.model import notice_id
from notifiers.people import Person
from notifiers.said import Said, said_to

REMEMBERED = timedelta(days=30)
"""Older trouble explains nothing that somebody asks about today."""
QUIET_FOR = timedelta(hours=24)
"""After so long without news of a trouble of one's own, nobody knows whether it goes on."""
MOST_PROBLEMS = 20
MOST_MERGES = 10
"""An incident that is part of another that is part of another: longer chains are a mistake, and end here."""


class Status(StrEnum):
    """Whether it goes on, as far as we know."""

    ONGOING = "ongoing"
    OVER = "over"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Problem:
    """One problem of one person.

    Parameters
    ----------
    episode
        Its key, as the ledger has it.
    trouble
        What detection found about them, with the cause that a lead put right, where one did.
    status
        Whether it goes on.
    incident
        The wider one that it is part of, whatever it was merged into; None for a trouble of their own.
    said
        What they were told about it, or not and why, earliest first.
    answers
        What they answered, by notice.
    """

    episode: str
    trouble: Trouble
    status: Status
    incident: Incident | None
    said: tuple[Said, ...]
    answers: Mapping[str, Mapping[Question, int | str]]

    @property
    def notice_id(self) -> str:
        """The key of the notice about it, whether or not one went out: the reference is made of it."""
        return notice_id(self.trouble.subscriber_id, self.episode, TroubleKind.PROBLEM)

    @property
    def kind(self) -> TroubleKind:
        """What a notice of today would say: that something is wrong, or that a wider incident is over."""
        over = self.status is Status.OVER and self.incident is not None
        return TroubleKind.ALL_CLEAR if over else TroubleKind.PROBLEM

    def context(self, brand: Brand, person: Person, *, locale: str | None = None) -> NoticeContext:
        """Return what words about it may say, in a language, or that of the person: no name is among it."""
        gathered = NoticeContext.about(self.trouble, person, brand, notice_id=self.notice_id, kind=self.kind)
        return replace(gathered, locale=locale or person.locale)


def problems_of(connection: Connection, subscriber_id: str, now: datetime) -> list[Problem]:
    """Return a person's problems of the last 30 days: those that go on first, then the latest.

    Parameters
    ----------
    connection
        To the ledger; only read.
    subscriber_id
        Whose.
    now
        Aware UTC.
    """
    since = now - REMEMBERED
    query = (
        select(troubles, incidents.c.resolved_time)
        .outerjoin(incidents, incidents.c.incident_id == troubles.c.incident_id)
        .where(troubles.c.subscriber_id == subscriber_id, troubles.c.last_bad_time >= since)
    )
    found = [(row["episode"], trouble_from(row)) for row in connection.execute(query).mappings()]
    over = {episode for episode, it in found if it.kind is TroubleKind.ALL_CLEAR}
    latest = sorted((it for it in found if it[1].kind is TroubleKind.PROBLEM), key=_latest_first)[:MOST_PROBLEMS]
    said = said_to(connection, subscriber_id, since - REMEMBERED)
    problems = [_problem(connection, *it, said, now, heard_over=it[0] in over) for it in latest]
    return sorted(problems, key=lambda it: it.status is not Status.ONGOING)


def problem_behind(connection: Connection, notice: str, subscriber_id: str, now: datetime) -> Problem | None:
    """Return the problem that a notice was about, or None where there is no such notice, or it is another's."""
    whose = (notices.c.notice_id == notice) & (notices.c.subscriber_id == subscriber_id)
    episode = connection.scalar(select(notices.c.episode).where(whose))
    found = [] if episode is None else problems_of(connection, subscriber_id, now)
    return next((it for it in found if it.episode == episode), None)


def is_known(connection: Connection, subscriber_id: str) -> bool:
    """Whether anything was ever found or decided about somebody."""
    asked = (troubles.c.subscriber_id, notices.c.subscriber_id)
    return any(connection.scalar(select(it).where(it == subscriber_id).limit(1)) is not None for it in asked)


def _latest_first(found: tuple[str, Trouble]) -> tuple[float, str]:
    episode, trouble = found
    return -trouble.last_bad_time.timestamp(), episode


def _problem(
    connection: Connection, episode: str, trouble: Trouble, said: list[Said], now: datetime, *, heard_over: bool
) -> Problem:
    incident = _whole(connection, trouble.incident_id)
    mine = tuple(it for it in said if it.episode == episode)
    answers = {it.notice_id: answers_of(connection, it.notice_id) for it in mine if it.reached}
    status = _status(trouble, incident, now, heard_over=heard_over)
    return Problem(episode, _put_right(trouble, incident), status, incident, mine, answers)


def _whole(connection: Connection, incident_id: str | None) -> Incident | None:
    """Return the incident that one is part of, or is."""
    found = None
    for _ in range(MOST_MERGES):
        row = connection.execute(select(incidents).where(incidents.c.incident_id == incident_id)).mappings().first()
        if row is None:
            break
        found = incident_from(row)
        if found.merged_into is None:
            break
        incident_id = found.merged_into
    return found


def _put_right(trouble: Trouble, incident: Incident | None) -> Trouble:
    """Return the trouble with its incident's cause, which a lead may have put right since."""
    if incident is None or incident.verdict.cause is trouble.verdict.cause:
        return trouble
    verdict = Verdict(incident.verdict.cause, incident.verdict.probability, incident.verdict.evidence)
    return replace(trouble, verdict=verdict)


def _status(trouble: Trouble, incident: Incident | None, now: datetime, *, heard_over: bool) -> Status:
    if incident is not None:
        return Status.ONGOING if incident.is_open else Status.OVER
    well_since = trouble.last_good_time is not None and trouble.last_good_time > trouble.last_bad_time
    if heard_over or well_since:
        return Status.OVER
    return Status.ONGOING if now - trouble.last_bad_time <= QUIET_FOR else Status.UNKNOWN
