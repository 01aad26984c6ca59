"""One person's story: what was decided about them, why, and what became of it; from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from incidents.ledger.schema import deliveries, notices, outbox
from notifiers.model import HOLDING, WithheldReason
from notifiers.reasons import REASONS

NEWS = {"problem": "A notice of a problem", "all_clear": "An all-clear"}
WAYS = {"email": "by mail", "in_app": "as a card in the app"}


@dataclass(frozen=True)
class Chapter:
    """One thing that happened.

    Parameters
    ----------
    time
        When.
    notice_id, episode
        Of which notice, and what it is about: an incident, or a trouble of one's own.
    what
        ``sent``, the reason why not, or how a delivery went.
    sentence
        The same in plain words.
    """

    time: datetime
    notice_id: str
    episode: str
    what: str
    sentence: str


def story_of(connection: Connection, subscriber_id: str, incident_id: str | None = None) -> list[Chapter]:
    """Return what was decided about a person and what was sent, in the order of time.

    Parameters
    ----------
    connection
        To the ledger; only read.
    subscriber_id
        Whose story.
    incident_id
        Only what is about this incident, where given.
    """
    mine = notices.c.subscriber_id == subscriber_id
    if incident_id is not None:
        mine &= notices.c.incident_id == incident_id
    decided = connection.execute(select(notices).where(mine)).all()
    joined = deliveries.join(outbox).join(notices, notices.c.notice_id == outbox.c.notice_id)
    columns = (notices.c.notice_id, notices.c.episode, outbox.c.channel, outbox.c.stage)
    tried = connection.execute(select(deliveries, *columns).select_from(joined).where(mine)).all()
    story = [_decision(row) for row in decided] + [_attempt(row) for row in tried]
    return sorted(story, key=lambda chapter: chapter.time)


def _decision(row: Row[Any]) -> Chapter:
    news = NEWS.get(row.kind, row.kind.replace("_", " ").capitalize())
    if row.withheld_reason is None:
        way = WAYS.get(row.channel, row.channel)
        return Chapter(row.decided_time, row.notice_id, row.episode, "sent", f"{news} was to go {way}.")
    reason = WithheldReason(row.withheld_reason)
    title, sentence = REASONS[reason]
    waits = reason in HOLDING and row.release_time is not None
    end = "It waits." if waits else "It does not go out."
    return Chapter(row.decided_time, row.notice_id, row.episode, reason.value, f"{news}: {title}. {sentence} {end}")


def _attempt(row: Row[Any]) -> Chapter:
    way = WAYS.get(row.channel, row.channel)
    detail = f" {row.detail}" if row.detail else ""
    sentence = f"Attempt {row.attempt} {way}: {row.outcome}.{detail}"
    return Chapter(row.attempted_time, row.notice_id, row.episode, f"delivery {row.outcome}", sentence)
